"""What an armed guard takes of a process with very many distinct users: memory, holds, and a rollback meanwhile.

Each case is a process of its own: one thread calls, each time for another user, at a rate or as fast as it can. Memory
is what the process grew by since before the first call. A hold is a call (of some microseconds) that took long, because
another thread held the interpreter. Every second another split's raw weight is written as zero, or put back.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any, Final, NamedTuple

import redis

import graysplit
from benchmarks.processes import ROOT, surroundings
from benchmarks.report import Row, program, progress
from benchmarks.setting import WEIGHTS_KEY, until
from graysplit import embedded

USERS: Final = 5_000_000
RATE: Final = 100_000
MEMORY_MB: Final = 16.0
HOLD_MS: Final = 10.0
ROLLBACK_MS: Final = 200.0
WARM: Final = 1_000
AT_ONCE: Final = 100  # calls between two looks at the clock
PAGE: Final = 4_096


class Crowd(NamedTuple):
    """Who calls: how often a second (0: as fast as it can), whether each call is timed, and how many fail."""

    name: str
    rate: int
    every_call: bool = False
    failing: int = 0  # one in so many


CROWDS: Final = (
    Crowd("100,000 calls/s", RATE),
    Crowd("100,000 calls/s, every call timed", RATE, every_call=True),
    Crowd("100,000 calls/s, all of them fail", RATE, every_call=True, failing=1),
    Crowd("at full speed", 0),
    Crowd("at full speed, every call timed", 0, every_call=True),
    Crowd("at full speed, all of them fail", 0, failing=1),
)


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - the port of `report.program`
    """Measure all crowds."""
    rows: list[Row] = []
    for number, crowd in enumerate(CROWDS):
        progress(crowd.name)
        command = [
            sys.executable,
            "-m",
            "benchmarks.crowded",
            "--child",
            str(number),
            str(USERS // 50 if quick else USERS),
        ]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=surroundings(None), check=True)
        rows += _rows(crowd, json.loads(ended.stdout))
    return rows


def _rows(crowd: Crowd, found: dict[str, float]) -> list[Row]:
    said = f"{found['rate']:,.0f} calls/s, {found['users']:,.0f} users, {found['dropped']:,.0f} pieces dropped"
    return [
        Row(f"{crowd.name}: memory", found["grown_mb"], MEMORY_MB, "MB", note=said),
        Row("  longest hold", found["hold_ms"], HOLD_MS, "ms", note=f"{found['long']:.0f} over {HOLD_MS:g} ms"),
        Row("  a raw weight of 0: in force after", found["rollback_ms"], ROLLBACK_MS, "ms",
            note=f"median {found['median_ms']:.0f}, of {found['rollbacks']:.0f}"),
    ]  # fmt: skip


def child(crowd: Crowd, users: int) -> dict[str, float]:
    """Call, and return what was measured."""
    with embedded.server() as server, redis.Redis.from_url(server.url) as client:
        with graysplit.Control(server.url, actor="benchmarks", confirm=True) as control:
            control.create("crowded")
            control.set("crowded", 20)
            control.guard("crowded", action="warn", every_call=crowd.every_call or None)
            control.create("probe")
            control.set("probe", 100)
        gray = graysplit.Router(server.url)
        try:
            return _measured(gray, client, crowd, users)
        finally:
            gray.close()


def _measured(gray: graysplit.Router, client: Any, crowd: Crowd, users: int) -> dict[str, float]:  # noqa: ANN401 - redis-py
    routed, probe = _routed(gray, crowd), gray.split("probe", "old", "new")
    gray.wait_ready(10.0)
    until(lambda: probe.choose("u") == "new", "the probe is loaded")
    for number in range(WARM):
        _call(routed, f"warm-{number}")
    time.sleep(3.0)
    gc.collect()
    over, took = Event(), list[float]()
    thread = Thread(target=_roll_back, args=(client, probe, over, took))
    thread.start()
    before = _memory_mb()
    try:
        hold, long_ones, peak, passed = _crowd(routed, crowd, users)
    finally:
        over.set()
        thread.join()
    return {
        "users": users,
        "rate": users / passed,
        "grown_mb": peak - before,
        "hold_ms": hold * 1000,
        "long": long_ones,
        "rollback_ms": max(took, default=0.0),
        "median_ms": median(took) if took else 0.0,
        "rollbacks": len(took),
        "dropped": gray.status().evidence_dropped,
    }


def _routed(gray: graysplit.Router, crowd: Crowd) -> Callable[[str], int]:
    def answer(user: str) -> int:
        if crowd.failing and not hash(user) % crowd.failing:
            raise ValueError
        return len(user)

    def old(user: str) -> int:
        return answer(user)

    def new(user: str) -> int:
        return answer(user)

    routed = gray.route("crowded", unit="user")(old)
    routed.version("new")(new)
    return routed


def _call(routed: Callable[[str], int], user: str) -> None:
    try:
        routed(user)
    except ValueError:
        return


def _crowd(routed: Callable[[str], int], crowd: Crowd, users: int) -> tuple[float, int, float, float]:
    """Call for each user; return the longest hold, how many were long, the most memory, and how long it took."""
    clock, hold, long_ones, peak = time.perf_counter, 0.0, 0, 0.0
    began = before = clock()
    for number in range(users):
        _call(routed, f"user-{number}")
        now = clock()
        hold = max(hold, now - before)
        if now - before > HOLD_MS / 1000:
            long_ones += 1
        if not number % AT_ONCE:
            if not number % 10_000:
                peak = max(peak, _memory_mb())
            ahead = number / crowd.rate - (now - began) if crowd.rate else 0.0
            if ahead > 0:
                time.sleep(ahead)
        before = clock()
    return hold, long_ones, max(peak, _memory_mb()), clock() - began


def _roll_back(client: Any, probe: graysplit.Split, over: Event, took: list[float]) -> None:  # noqa: ANN401 - redis-py
    """Write weights by turns; keep how long those of zero took until they were in force, in ms."""
    turn = 0
    while not over.wait(1.0):
        weight, version = (("0", "old"), ("100", "new"))[turn % 2]
        client.hset(WEIGHTS_KEY, "probe/new", weight)
        began = time.perf_counter()
        until(lambda version=version: probe.choose("u") == version, "the weight is in force")
        took += [(time.perf_counter() - began) * 1000] if weight == "0" else []
        turn += 1


def _memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE / 1e6


def main() -> int:
    """Print the figures, or be the process that is measured."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(CROWDS[int(sys.argv[2])], int(sys.argv[3]))))
        return 0
    return program("An armed guard beside a crowd", run, __doc__)


if __name__ == "__main__":
    sys.exit(main())
