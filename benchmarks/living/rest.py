"""What a process costs that follows its server while nothing happens: CPU, wakeups, system calls, the server's share.

Short windows of some processes beside each other, each counted by the system: CPU seconds and voluntary context
switches of the process (`getrusage`), system calls by `strace -c -f` in a window of their own, the server's CPU by
`INFO cpu`, less what the same server uses alone. Two minutes have one reading of everything; a window of 30 s seldom.
What others do on the machine is not counted, but it empties the processor's caches: a busy one shows half as much more.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

import redis

from benchmarks.processes import companion, dismiss, hear, tell
from benchmarks.report import Row, program, progress
from benchmarks.setting import fill, many
from graysplit import embedded
from graysplit.stores import store_from_url

WINDOW_S: Final = 30.0
TRACED_S: Final = 20.0
SETTLE_S: Final = 20.0
CROWD: Final = 8
SERVER_PERCENT: Final = 0.011  # of a core, for each process
WAKEUPS: Final = 2.0


class Size(NamedTuple):
    """How many splits each process declares, how many processes rest, and the goal of each in CPU seconds an hour."""

    splits: int
    processes: int
    goal_s: float


SIZES: Final = (Size(1, CROWD, 2.0), Size(1_000, 2, 8.0))


class Used(NamedTuple):
    """What was used up to a moment."""

    at: float
    cpu_s: float
    waits: int
    server_s: float


def measure(quick: bool) -> list[Row]:  # noqa: FBT001 - a program's switch
    """Return what rest costs with one split, and with a thousand."""
    window_s = 1.0 if quick else WINDOW_S
    sizes = (SIZES[0]._replace(processes=1),) if quick else SIZES
    return [row for size in sizes for row in _rows(size, window_s, min(window_s, TRACED_S))]


def _rows(size: Size, window_s: float, traced_s: float) -> list[Row]:
    splits, count, goal_s = size
    progress(f"{count} processes at rest, {splits:,} splits each, {window_s:g} s")
    with ExitStack() as stack:
        server = stack.enter_context(embedded.server())
        store = store_from_url(server.url)
        fill(store, many(splits))
        store.close()
        client: Any = redis.Redis.from_url(server.url)  # Any: redis-py's answers are unions
        stack.callback(client.close)
        alone = _window([], client, window_s / 2)
        processes = [companion("benchmarks.living.resting", server.url, str(splits)) for _ in range(count)]
        stack.callback(dismiss, processes)
        for process in processes:
            hear(process)
        time.sleep(min(SETTLE_S, window_s))  # a start, and the first full reading after it, are over
        used = _window(processes, client, window_s)
        calls = _traced(processes[0], traced_s)
    name, each_s = f"{splits:,} split{'s' if splits > 1 else ''}", used.at * count
    server_share = max(0.0, used.server_s - alone.server_s / alone.at * used.at) / each_s
    return [
        Row(f"{name}: CPU seconds an hour", 3600 * used.cpu_s / each_s, goal_s, "s", note=f"{count} in {window_s:g} s"),
        Row(f"{name}: wakeups a second", used.waits / each_s, WAKEUPS, ""),
        Row(f"{name}: the server's share of a core", 100 * server_share, SERVER_PERCENT, "%"),
        *([] if calls is None else [Row(f"{name}: system calls a second", calls, unit="", note=f"{traced_s:g} s")]),
    ]


def _window(processes: Sequence[subprocess.Popen[bytes]], client: Any, seconds: float) -> Used:  # noqa: ANN401 - as above
    before = _used(processes, client)
    time.sleep(seconds)
    after = _used(processes, client)
    return Used(*(then - now for then, now in zip(after, before, strict=True)))


def _used(processes: Sequence[subprocess.Popen[bytes]], client: Any) -> Used:  # noqa: ANN401 - as above
    cpu_s, waits = 0.0, 0
    for process in processes:
        tell(process, "used")
        seconds, times = hear(process).split()
        cpu_s, waits = cpu_s + float(seconds), waits + int(times)
    said = client.info("cpu")
    return Used(time.monotonic(), cpu_s, waits, said["used_cpu_user"] + said["used_cpu_sys"])


def _traced(process: subprocess.Popen[bytes], seconds: float) -> float | None:
    """Return the system calls a second, or None where `strace` is not there, or may not look."""
    program_path = shutil.which("strace")
    if program_path is None:
        progress("no strace on PATH: system calls are not counted")
        return None
    tracer = subprocess.Popen(
        [program_path, "-c", "-f", "-qq", "-p", str(process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    time.sleep(seconds)
    tracer.send_signal(signal.SIGINT)
    _, said = tracer.communicate()
    totals = re.findall(r"^\s*100\.00\s.*?(\d+)\s+(?:\d+\s+)?total$", said.decode(), re.MULTILINE)
    if not totals:
        progress(f"strace counted nothing: {said.decode().strip()[-200:]}")
        return None
    return int(totals[0]) / seconds


if __name__ == "__main__":
    sys.exit(program("Rest", measure, __doc__))
