"""What `measures()` takes beside many splits and many unknown names, and what a rollback takes meanwhile."""

from __future__ import annotations

import gc
import sys
import time
from statistics import median
from threading import Event, Thread
from typing import Any, Final

import redis

import graysplit
from benchmarks.report import Row, program, progress
from benchmarks.setting import WEIGHTS_KEY, fill, plain, until
from graysplit import embedded
from graysplit.stores import store_from_url

SPLITS: Final = 2_000
NAMES: Final = 100_000
MEASURES_MS: Final = 20.0
ROLLBACK_MS: Final = 50.0
GROWN: Final = 1_000  # objects for all unknown names together
PAUSE_S: Final = 0.2


def measure(splits: int, names: int, rounds: int) -> list[Row]:
    """Declare that many splits, ask for that many unknown ones, and measure; then roll back while others measure."""
    progress(f"{splits:,} declared splits and {names:,} unknown names")
    with embedded.server() as server:
        store = store_from_url(server.url)
        fill(store, {"probe": plain("probe", "100")})
        store.close()
        client: Any = redis.Redis.from_url(server.url)  # Any: redis-py's answers are unions
        router = graysplit.Router(server.url)
        try:
            probe = router.split("probe", "old", "new")
            for number in range(splits):
                router.split(f"split-{number:05d}", "old", "new").choose("u")
            until(lambda: probe.choose("u") == "new", "the probe is loaded")
            grown = _grown(router, names)
            return _rows(splits, names, grown, _took(router, rounds), _rollbacks(router, probe, client, rounds))
        finally:
            router.close()
            client.close()


def _rows(splits: int, names: int, grown: int, took: list[float], behind: list[float]) -> list[Row]:
    said = f"{splits:,} splits, {names:,} unknown names"
    return [
        Row(f"{said}: measures()", median(took), MEASURES_MS, "ms", note=f"worst {max(took):.1f}"),
        Row("  a raw weight of 0 written meanwhile: in force after", median(behind), ROLLBACK_MS, "ms",
            note=f"worst {max(behind):.0f}"),
        Row("  objects that the unknown names leave behind", grown, GROWN, ""),
    ]  # fmt: skip


def _grown(router: graysplit.Router, names: int) -> int:
    """Ask for each name once, and for as many more; return by how many objects the process grew with the latter.

    By then it has told the fleet what it declares, which grows it once.
    """
    counts = list[int]()
    for turn in range(2):
        for number in range(names):
            router.choose(f"request-{turn}-{number}", "u")
        gc.collect()
        counts.append(len(gc.get_objects()))
    return max(0, counts[1] - counts[0])


def _took(router: graysplit.Router, rounds: int) -> list[float]:
    found: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        router.measures()
        found.append((time.perf_counter() - began) * 1000)
    return found


def _rollbacks(router: graysplit.Router, probe: graysplit.Split, client: Any, rounds: int) -> list[float]:  # noqa: ANN401 - redis-py
    """Write weights while another thread measures without a pause; return when those of zero were in force, in ms."""
    over, found = Event(), list[float]()

    def busy() -> None:
        while not over.is_set():
            router.measures()

    thread = Thread(target=busy)
    thread.start()
    try:
        for number in range(2 * rounds):
            weight, version = (("0", "old"), ("100", "new"))[number % 2]
            time.sleep(PAUSE_S)
            client.hset(WEIGHTS_KEY, "probe/new", weight)
            began = time.perf_counter()
            until(lambda version=version: probe.choose("u") == version, "the weight is in force")
            found += [(time.perf_counter() - began) * 1000] if weight == "0" else []
    finally:
        over.set()
        thread.join()
    return found


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - a program's switch
    """Return all rows."""
    return measure(50, 500, 1) if quick else measure(SPLITS, NAMES, 11)


if __name__ == "__main__":
    sys.exit(program("Measuring", run, __doc__))
