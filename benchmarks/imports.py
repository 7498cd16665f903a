"""What it costs to have graysplit: import time, start of the commands, memory of 1,000 splits."""

from __future__ import annotations

import sys
from statistics import median
from typing import Final

from benchmarks.processes import median_cpu_ms, python
from benchmarks.report import Row, program, progress
from benchmarks.setting import fill, many
from graysplit import embedded
from graysplit.stores import store_from_url

SPLITS: Final = 1_000
IMPORT_MS: Final = 15
IMPORT_MB: Final = 3
HELP_MS: Final = 35
ROLLBACK_MS: Final = 160
SPLITS_MB: Final = 1.5

# What `import graysplit` must not load, and what `rollback` must not (redis-py loads much by itself).
HEAVY: Final = ("asyncio", "dataclasses", "inspect", "json", "logging", "opentelemetry", "pydantic", "random")
HEAVY_TOO: Final = (*HEAVY, "redis", "secrets", "socket", "uuid")
NOT_FOR_ROLLBACK: Final = ("pydantic",)

BARE: Final = "pass"
IMPORT: Final = "import graysplit"
USE: Final = "from graysplit import Router, context"  # names are imported when asked for: what an application has
HELP: Final = "import sys\nsys.argv = ['graysplit', '--help']\nfrom graysplit.cli import main\nsys.exit(main())"
ROLLBACK: Final = HELP.replace("'--help'", "'rollback', 'checkout', '--why', 'measured'")
# Adds to any text: print which of these modules are loaded at the end.
LOADED: Final = (
    "import atexit, sys\n"
    "atexit.register(lambda: print('loaded:', *sorted({m.partition('.')[0] for m in sys.modules})))\n"
)
RSS: Final = "print('rss:', int(open('/proc/self/statm').read().split()[1]) * __import__('os').sysconf('SC_PAGE_SIZE'))"
HELD: Final = "import tracemalloc; print('rss:', tracemalloc.get_traced_memory()[0])"
LOAD: Final = """\
import atexit, gc, sys, time, tracemalloc
import graysplit
if sys.argv[4] == "traced":
    tracemalloc.start()
router = graysplit.Router(sys.argv[1], namespace=sys.argv[2])
assert router.wait_ready(20)
while router.status().splits < int(sys.argv[3]):
    time.sleep(0.01)
router.choose("split-00000", unit="user-1")
gc.collect()
atexit.register(router.close)
"""


def _said(text: str, label: str) -> list[str]:
    """Return the words of the line that begins with a label."""
    for line in reversed(text.splitlines()):
        if line.startswith(label):
            return line.split()[1:]
    raise RuntimeError(f"no line {label!r} in: {text.strip()[-500:]}")


def _loaded(text: str, url: str = "") -> set[str]:
    environment = {"GRAYSPLIT_URL": url} if url else None
    return set(_said(python(LOADED + text, environment=environment).said, "loaded:"))


def heavy(text: str, unwanted: tuple[str, ...], url: str = "") -> list[str]:
    """Return the heavy modules that a text loads and a bare interpreter does not."""
    return sorted((_loaded(text, url) - _loaded(BARE)) & set(unwanted))


def _rss_mb(text: str, *arguments: str, said: str = RSS) -> float:
    ended = python(f"{text}\n{said}", *arguments)
    return int(_said(ended.said, "rss:")[0]) / 1e6


def importing(rounds: int) -> list[Row]:
    """Measure `import graysplit` and `graysplit --help` over bare Python."""
    progress("import and --help, in fresh processes")
    found = median_cpu_ms({"bare": BARE, "import": IMPORT, "use": USE, "help": HELP}, rounds)
    loaded = heavy(USE, HEAVY_TOO)
    listed = [
        Row("import graysplit, CPU over bare Python", found["import"] - found["bare"], IMPORT_MS, "ms"),
        Row("the same with Router and context in use", found["use"] - found["bare"], IMPORT_MS, "ms"),
        Row("heavy modules that import loads", len(loaded), 0, "", note=", ".join(loaded)),
        Row("graysplit --help, CPU over bare Python", found["help"] - found["bare"], HELP_MS, "ms"),
        Row("bare Python", found["bare"], unit="ms"),
    ]
    if sys.platform == "linux":
        memory = median(_rss_mb(USE) for _ in range(3)) - median(_rss_mb(BARE) for _ in range(3))
        listed.insert(1, Row("import graysplit, memory over bare Python", memory, IMPORT_MB, "MB"))
    return listed


def rolling_back(rounds: int, url: str) -> list[Row]:
    """Measure `graysplit rollback` over bare Python, against a real server."""
    progress("rollback, in fresh processes")
    found = median_cpu_ms({"bare": BARE, "rollback": ROLLBACK}, rounds, {"GRAYSPLIT_URL": url})
    loaded = heavy(ROLLBACK, NOT_FOR_ROLLBACK, url)
    return [
        Row("graysplit rollback, CPU over bare Python", found["rollback"] - found["bare"], ROLLBACK_MS, "ms"),
        Row("heavy modules that rollback loads", len(loaded), 0, "", note=", ".join(loaded)),
    ]


def holding(rounds: int, url: str) -> list[Row]:
    """Measure the memory of 1,000 splits: one process that follows them against one that follows a single one."""
    if sys.platform != "linux":
        return []
    progress(f"memory of {SPLITS} splits")
    store = store_from_url(url, namespace="thousand")
    fill(store, many(SPLITS))
    store.close()

    def more(said: str, how: str) -> float:
        thousand = median(_rss_mb(LOAD, url, "thousand", str(SPLITS), how, said=said) for _ in range(rounds))
        return thousand - median(_rss_mb(LOAD, url, "default", "1", how, said=said) for _ in range(rounds))

    return [
        Row(f"memory of {SPLITS} splits", more(HELD, "traced"), SPLITS_MB, "MB"),
        Row("the same as the process grows, what loading left behind included", more(RSS, "grown"), unit="MB"),
    ]


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - a program's switch
    """Return all rows."""
    rounds = 3 if quick else 15
    found = importing(rounds)
    with embedded.server() as server:
        store = store_from_url(server.url)
        fill(store, {"checkout": next(iter(many(1).values()))})
        store.close()
        found += holding(1 if quick else 5, server.url)
        found += rolling_back(rounds, server.url)
    return found


if __name__ == "__main__":
    sys.exit(program("Import, commands, memory", run, __doc__))
