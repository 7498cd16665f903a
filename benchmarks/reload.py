"""How long a reload of every definition holds up a busy asyncio loop: real server, real follower.

The loop runs in a process of its own (`python -m benchmarks.reload loop URL COUNT`) and is told what to watch; this
process rewrites all definitions at once. A gap is the time between two turns. What counts is the part of it in which
other threads of the process computed, so that programs which share the machine do not count as graysplit's; the gap by
the wall clock stands beside it, with the one that the machine makes without any reload.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final, NamedTuple

import redis

import graysplit
from benchmarks.processes import companion, dismiss, hear, tell
from benchmarks.report import Row, program, progress
from benchmarks.setting import BOOKED_KEY, SPLITS_KEY, WEIGHTS_KEY, fill, many, until
from graysplit import embedded
from graysplit.codec import dump_definition
from graysplit.core.bucketing import bucket_of, seed_of
from graysplit.core.definition import define
from graysplit.stores import store_from_url

GOALS_MS: Final = {1_000: 2.0, 10_000: 5.0}
TURN_S: Final = 50e-6
AFTER_S: Final = 0.3  # watched on after the new definitions are in force
ROUNDS: Final = 5
QUIET_S: Final = 1.0
# Between the definitions and the weight behind them: a raw edit of definitions is read at some time within 2 s.
MOMENTS_S: Final = (0.02, 0.7, 1.4)
ROLLBACK_MS: Final = 100.0
LET_IN: Final = 20_000  # buckets, at 20 %
PIECE: Final = 1_000  # definitions written before the measurement, by command
# On the last split's baseline for each count measured, unless it is pinned.
PROBE: Final = "probe-1"


class Spun(NamedTuple):
    """What a busy loop has seen: longest gaps in ms, by others' CPU time and by the wall clock."""

    held: float
    wall: float
    at: float  # when the answer changed, in seconds of the monotonic clock, which processes share


class BusyLoop:
    """An event loop whose every turn computes for 50 us, and the longest time in between."""

    def __init__(self, router: graysplit.Router) -> None:
        """Take the router that is asked once a turn."""
        self._router = router
        self._loop = asyncio.get_running_loop()

    async def spin(self, *, seconds: float = 0.0, awaited: tuple[str, str, str] | None = None) -> Spun:
        """Be busy for some time; or until a split gives a unit the version awaited, and some time after."""
        split, unit, version = awaited or ("", "", "")
        done: asyncio.Future[None] = self._loop.create_future()
        began = time.monotonic()
        stop = None if awaited else began + seconds
        answered = held = wall = 0.0
        ended, others = began, _others_s()

        def turn() -> None:
            nonlocal stop, answered, held, wall, ended, others
            now = time.monotonic()
            wall, held = max(wall, now - ended), max(held, _others_s() - others)
            if stop is None and self._router.choose(split, unit) == version:
                stop, answered = now + AFTER_S, now
            if stop is not None and now >= stop:
                done.set_result(None)
                return
            end = now + TURN_S
            while time.monotonic() < end:
                pass
            others, ended = _others_s(), time.monotonic()
            self._loop.call_soon(turn)

        self._loop.call_soon(turn)
        await done
        return Spun(held * 1000, wall * 1000, answered)


def _others_s() -> float:
    """Return the CPU time that this process's other threads have used."""
    return time.process_time() - time.thread_time()


async def serve(url: str, count: int) -> None:
    """Be the busy process: answer `quiet` and `watch SPLIT UNIT VERSION` with what was seen."""
    router = graysplit.Router(url)
    router.wait_ready(30)
    until(lambda: router.status().splits >= count, "all splits are loaded")
    busy = BusyLoop(router)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _, *awaited = line.split()
        print("busy", flush=True)
        if awaited:
            split, unit, version = awaited
            spun = await busy.spin(awaited=(split, unit, version))
        else:
            spun = await busy.spin(seconds=QUIET_S)
        print(*(f"{value:.6f}" for value in spun), flush=True)
    router.close()


def records(count: int, round_: int) -> dict[str, str]:
    """Return all definitions as they stand in one round: the probe is pinned in every second one."""
    pins = {"other": "new", PROBE: "new"} if round_ % 2 else {"other": "new"}
    return {
        f"split-{number:05d}": dump_definition(define(f"split-{number:05d}", ("old", "new"))._replace(pins=pins))
        for number in range(count)
    }


def measure(count: int, rounds: int) -> list[Row]:
    """Change that many definitions at once, a few times over."""
    progress(f"{count:,} definitions changed at once")
    with embedded.server() as server:
        client: Any = redis.Redis.from_url(server.url)  # Any: redis-py's answers are unions
        _prepare(client, server.url, count)
        loop = companion("benchmarks.reload", "loop", server.url, str(count))
        try:
            hear(loop)
            quiet = _watched(loop, "quiet", lambda: None)[0]
            found = [_round(loop, client, records(count, number), number) for number in range(1, rounds + 1)]
            behind = [
                _rollback_behind(loop, client, count, rounds + 1 + n, moment) for n, moment in enumerate(MOMENTS_S)
            ]
        finally:
            dismiss([loop])
            client.close()
    return _rows(count, found, quiet, behind)


def _rows(count: int, found: list[tuple[Spun, float]], quiet: Spun, behind: list[float]) -> list[Row]:
    held, wall = [spun.held for spun, _ in found], [spun.wall for spun, _ in found]
    in_force = median(took for _, took in found)
    return [
        Row(
            f"{count:,} definitions changed: longest hold",
            median(held),
            GOALS_MS.get(count),
            "ms",
            note=f"worst {max(held):.1f}; in force after {in_force:.0f} ms",
        ),
        Row(
            "  the same by the wall clock",
            median(wall),
            unit="ms",
            note=f"worst {max(wall):.1f}; without a reload {quiet.wall:.1f}",
        ),
        Row(
            "  a raw weight of 0 written behind them: in force after",
            max(behind),
            ROLLBACK_MS,
            "ms",
            note=f"longest of {', '.join(f'{took:.0f}' for took in behind)}",
        ),
    ]


def _prepare(client: Any, url: str, count: int) -> None:  # noqa: ANN401 - redis-py's answers are unions
    store = store_from_url(url)
    fill(store, many(1))
    store.close()
    every = list(records(count, 0).items())
    for start in range(0, count, PIECE):
        piece = dict(every[start : start + PIECE])
        client.hset(SPLITS_KEY, mapping=piece)
        client.hset(WEIGHTS_KEY, mapping={f"{name}/new": "20" for name in piece})
        # In the books too: booking that many raw edits is no part of this measurement.
        client.hset(BOOKED_KEY, mapping={f"weights {name}/new": "20" for name in piece})


def _round(loop: Any, client: Any, definitions: dict[str, str], number: int) -> tuple[Spun, float]:  # noqa: ANN401 - Popen; redis-py
    last = max(definitions)
    version = "new" if number % 2 else "old"
    return _watched(loop, f"watch {last} {PROBE} {version}", lambda: client.hset(SPLITS_KEY, mapping=definitions))


def _rollback_behind(loop: Any, client: Any, count: int, number: int, moment_s: float) -> float:  # noqa: ANN401 - Popen
    """Change all definitions, and a moment later set one weight to zero; return the time that this takes, in ms."""
    definitions = records(count, number)
    first = min(definitions)
    unit = _let_in(first)
    written = 0.0

    def write() -> None:
        nonlocal written
        client.hset(SPLITS_KEY, mapping=definitions)
        time.sleep(moment_s)
        written = time.monotonic()
        client.hset(WEIGHTS_KEY, f"{first}/new", "0")

    spun, _ = _watched(loop, f"watch {first} {unit} old", write)
    _watched(loop, f"watch {first} {unit} new", lambda: client.hset(WEIGHTS_KEY, f"{first}/new", "20"))
    _watched(loop, f"watch {max(definitions)} {PROBE} {'new' if number % 2 else 'old'}", lambda: None)
    return (spun.at - written) * 1000


def _let_in(split: str) -> str:
    seed = seed_of(split)
    return next(unit for unit in map(str, range(1_000)) if bucket_of(unit.encode(), seed) < LET_IN)


def _watched(loop: Any, order: str, write: Callable[[], object]) -> tuple[Spun, float]:  # noqa: ANN401 - Popen
    """Let the loop watch what a write does; return also the time from its beginning to the answer, in ms."""
    tell(loop, order)
    hear(loop)
    began = time.monotonic()
    write()
    spun = Spun(*map(float, hear(loop).split()))
    return spun, (spun.at - began) * 1000


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - a program's switch
    """Return all rows."""
    if quick:
        return measure(50, 2)
    return [row for count in GOALS_MS for row in measure(count, ROUNDS)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["loop"]:
        asyncio.run(serve(sys.argv[2], int(sys.argv[3])))
        sys.exit(0)
    sys.exit(program("Reload", run, __doc__))
