"""What a change costs the program that makes it: `Control.set` in a loop, and a batch, beside few splits and many.

CPU time of the calling thread, and of the server by `INFO cpu`; of the weights that are set half rise, for which the
fleet is read. Loops beside one split and beside a thousand run in turns, so that a busy machine adds to both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from itertools import islice
from statistics import median
from typing import Any, Final, NamedTuple

import redis

from benchmarks.processes import companion, dismiss, hear
from benchmarks.report import Row, program, progress
from benchmarks.setting import fill, many
from graysplit import Control, embedded
from graysplit.stores import store_from_url

MANY: Final = 1_000
BATCH: Final = 100
ROUNDS: Final = 15
CHANGES: Final = 20  # in each round
BESIDE: Final = 1.5  # how much more a change may cost beside a thousand splits
BATCHED: Final = 0.4  # of what as many single changes cost
PORTION: Final = 20  # splits that one change creates: no entry of the history is huge


class Bench(NamedTuple):
    """A server with that many splits, an operator's hand on it, and a client that asks what the server has used."""

    control: Control
    client: Any  # redis-py's answers are unions
    names: list[str]

    def server_s(self) -> float:
        """Return the server's CPU seconds so far."""
        said = self.client.info("cpu")
        return float(said["used_cpu_user"] + said["used_cpu_sys"])


class Cost(NamedTuple):
    """What one change has cost, in ms: of the calling thread's CPU, of the server's, and until it was answered."""

    thread_ms: float
    server_ms: float
    wall_ms: float


@contextmanager
def bench(splits: int, *, followed: bool = False) -> Generator[Bench]:
    """Return a server of its own; `followed`: a process declares and follows all of it."""
    with ExitStack() as stack:
        server = stack.enter_context(embedded.server())
        store, planned = store_from_url(server.url), iter(many(splits).items())
        while portion := dict(islice(planned, PORTION)):
            fill(store, portion)
        store.close()
        if followed:
            process = companion("benchmarks.living.resting", server.url, str(splits))
            stack.callback(dismiss, [process])
            hear(process)
        client: Any = redis.Redis.from_url(server.url)
        stack.callback(client.close)
        yield Bench(stack.enter_context(Control(server.url, actor="bench")), client, list(many(splits)))


def singles(at: Bench, number: int, count: int) -> None:
    """Set as many splits one by one, each to another weight than the round before."""
    for place in range(count):
        at.control.set(f"{at.names[place % len(at.names)]}/new", 20 + (number + place) % 2)


def batched(at: Bench, number: int, count: int) -> None:
    """Set as many splits together."""
    with at.control.batch() as batch:
        for place in range(count):
            batch.set(f"{at.names[place]}/new", 20 + (number + place) % 2)


def cost(at: Bench, act: Callable[[Bench, int, int], None], number: int, count: int) -> Cost:
    """Return what each of so many changes costs."""
    server, wall, thread = at.server_s(), time.perf_counter(), time.thread_time()
    act(at, number, count)
    spent = (time.thread_time() - thread, at.server_s() - server, time.perf_counter() - wall)
    return Cost(*(1000 * seconds / count for seconds in spent))


def measure(quick: bool) -> list[Row]:  # noqa: FBT001 - a program's switch
    """Return all rows."""
    splits, rounds = (30, 1) if quick else (MANY, ROUNDS)
    together = min(BATCH, splits)
    progress(f"set in a loop beside 1 and {splits:,} splits, followed by a process, and in batches of {together}")
    with bench(1) as one, bench(splits) as alone, bench(splits, followed=True) as followed:
        found: dict[str, list[Cost]] = {}
        for number in range(rounds + 1):  # the first is for what is loaded and parsed once
            costs = {
                "one": cost(one, singles, number, CHANGES),
                "alone": cost(alone, singles, number, CHANGES),
                "followed": cost(followed, singles, number, CHANGES),
                "batch": cost(alone, batched, number, together),
            }
            for name, value in costs.items() if number else ():
                found.setdefault(name, []).append(value)
    return _rows(
        {name: Cost(*map(median, zip(*costs, strict=True))) for name, costs in found.items()}, splits, together
    )


def _rows(found: dict[str, Cost], splits: int, together: int) -> list[Row]:
    one, alone, followed, batch = (found[name] for name in ("one", "alone", "followed", "batch"))
    return [
        _row("set in a loop, 1 split: CPU of one", one),
        _row(f"set in a loop, {splits:,} splits: CPU of one", alone),
        _row("  followed by a process that declares all", followed),
        Row("  over one beside 1 split", alone.thread_ms / one.thread_ms, BESIDE),
        _row(f"batch of {together}: CPU of one of them", batch),
        Row("  over a single set", batch.thread_ms / alone.thread_ms, BATCHED),
    ]


def _row(case: str, of: Cost) -> Row:
    return Row(case, of.thread_ms, unit="ms", note=f"server {of.server_ms:.2f}, answered in {of.wall_ms:.2f}")


if __name__ == "__main__":
    sys.exit(program("A change", measure, __doc__))
