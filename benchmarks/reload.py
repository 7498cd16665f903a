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
from statistics import median
from typing import Any, Final, NamedTuple

import redis

import graysplit
from benchmarks.processes import companion, dismiss, hear, tell
from benchmarks.report import Row, program, progress
from benchmarks.setting import BOOKED_KEY, SPLITS_KEY, WEIGHTS_KEY, fill, many, until
from graysplit import embedded
from graysplit.codec import dump_definition
from graysplit.core.definition import define
from graysplit.stores import store_from_url

GOALS_MS: Final = {1_000: 2.0, 10_000: 5.0}
TURN_S: Final = 50e-6
AFTER_S: Final = 0.3  # watched on after the new definitions are in force
QUIET_S: Final = 1.0
PIECE: Final = 1_000  # definitions written before the measurement, by command
# On the last split's baseline for each count measured, unless it is pinned.
PROBE: Final = "probe-1"


class Spun(NamedTuple):
    """What a busy loop has seen: longest gaps in ms, by others' CPU time and by the wall clock; all of it in ms."""

    held: float
    wall: float
    took: float


class BusyLoop:
    """An event loop whose every turn computes for 50 us, and the longest time in between."""

    def __init__(self, router: graysplit.Router, last: str) -> None:
        """Take the router, and the split whose answer shows that a reload is in force."""
        self._router = router
        self._last = last
        self._loop = asyncio.get_running_loop()

    async def spin(self, *, seconds: float = 0.0, until_answer: str | None = None) -> Spun:
        """Be busy for some time, or until the split answers so and some time after."""
        done: asyncio.Future[None] = self._loop.create_future()
        began = time.perf_counter()
        stop = None if until_answer is not None else began + seconds
        answered = held = wall = 0.0
        ended, others = began, _others_s()

        def turn() -> None:
            nonlocal stop, answered, held, wall, ended, others
            now = time.perf_counter()
            wall, held = max(wall, now - ended), max(held, _others_s() - others)
            if stop is None and self._router.choose(self._last, PROBE) == until_answer:
                stop, answered = now + AFTER_S, now
            if stop is not None and now >= stop:
                done.set_result(None)
                return
            end = now + TURN_S
            while time.perf_counter() < end:
                pass
            others, ended = _others_s(), time.perf_counter()
            self._loop.call_soon(turn)

        self._loop.call_soon(turn)
        await done
        return Spun(held * 1000, wall * 1000, ((answered or time.perf_counter()) - began) * 1000)


def _others_s() -> float:
    """Give the CPU time that this process's other threads have used."""
    return time.process_time() - time.thread_time()


async def serve(url: str, count: int) -> None:
    """Be the busy process: answer `quiet` and `watch <answer>` with the longest gap in ms."""
    router = graysplit.Router(url)
    router.wait_ready(30)
    until(lambda: router.status().splits >= count, "all splits are loaded")
    busy = BusyLoop(router, f"split-{count - 1:05d}")
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, _, answer = line.strip().partition(" ")
        if word == "watch":
            print("watching", flush=True)
            spun = await busy.spin(until_answer=answer)
        else:
            spun = await busy.spin(seconds=QUIET_S)
        print(*(f"{ms:.3f}" for ms in spun), flush=True)
    router.close()


def records(count: int, round_: int) -> dict[str, str]:
    """Give all definitions as they stand in one round: the probe is pinned in every second one."""
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
            tell(loop, "quiet")
            quiet = _heard(loop)
            found = [_round(loop, client, records(count, number), number) for number in range(1, rounds + 1)]
        finally:
            dismiss([loop])
            client.close()
    return _rows(count, found, quiet)


def _rows(count: int, found: list[Spun], quiet: Spun) -> list[Row]:
    held, wall = [spun.held for spun in found], [spun.wall for spun in found]
    in_force = median(spun.took for spun in found)
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


def _round(loop: Any, client: Any, definitions: dict[str, str], number: int) -> Spun:  # noqa: ANN401 - Popen; redis-py
    tell(loop, f"watch {'new' if number % 2 else 'old'}")
    hear(loop)
    client.hset(SPLITS_KEY, mapping=definitions)
    return _heard(loop)


def _heard(loop: Any) -> Spun:  # noqa: ANN401 - Popen
    return Spun(*map(float, hear(loop).split()))


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - a program's switch
    """Give all rows."""
    if quick:
        return measure(50, 2)
    return [row for count in GOALS_MS for row in measure(count, 7)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["loop"]:
        asyncio.run(serve(sys.argv[2], int(sys.argv[3])))
        sys.exit(0)
    sys.exit(program("Reload", run, __doc__))
