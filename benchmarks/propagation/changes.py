"""Measure from the write to the last of 16 processes, for each kind of writer; and where 10,000 rapid writes end.

Real server, real processes, real follower. A process looks at its own decision once a millisecond, so that a figure may
be up to a millisecond too high, never too low. All of it shares this machine's processors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import quantiles
from typing import Any, Final, NamedTuple

import redis

import graysplit
from benchmarks.processes import companion, dismiss, hear, tell
from benchmarks.report import Row, progress
from benchmarks.setting import STOPS_KEY, WEIGHTS_KEY, fill, plain
from graysplit import embedded
from graysplit.core.bucketing import bucket_of, seed_of
from graysplit.stores import store_from_url

P99_MS: Final = 100.0
SPLIT: Final = "checkout"
FIELD: Final = f"{SPLIT}/new"
# Where the rapid writes end: one unit in the last bucket let in, one in the first bucket kept out.
END: Final = "63.217"
END_BUCKET: Final = 63_217

Processes = Sequence[Any]  # Any: Popen


class Writer(NamedTuple):
    """One kind of change, and whether it lets everybody in or nobody."""

    name: str
    write: Callable[[], object]
    version: str  # what every unit gets after it


def writers(control: graysplit.Control, client: Any) -> tuple[Writer, ...]:  # noqa: ANN401 - redis-py's answers are unions
    """Return the changes in a cycle in which each one turns the decision over."""
    return (
        Writer("set 100", lambda: control.set(SPLIT, 100, unstop=True), "new"),
        Writer("raw HSET 0", lambda: client.hset(WEIGHTS_KEY, FIELD, "0"), "old"),
        Writer("raw HSET 100", lambda: client.hset(WEIGHTS_KEY, FIELD, "100"), "new"),
        Writer("raw HDEL", lambda: client.hdel(WEIGHTS_KEY, FIELD), "old"),
        Writer("set 100", lambda: control.set(SPLIT, 100, unstop=True), "new"),
        Writer("raw stop", lambda: client.hsetnx(STOPS_KEY, FIELD, "by-hand"), "old"),
        Writer("raw stop cleared", lambda: client.hdel(STOPS_KEY, FIELD), "new"),
        Writer("rollback", lambda: control.rollback(SPLIT), "old"),
    )


@contextmanager
def followers(url: str, count: int) -> Iterator[Processes]:
    """Return that many processes that have loaded the split."""
    processes = [companion("benchmarks.propagation.process", url, SPLIT) for _ in range(count)]
    try:
        for process in processes:
            hear(process)
        yield processes
    finally:
        dismiss(processes)


def changes(url: str, processes: Processes, count: int) -> list[Row]:
    """Make changes one at a time, each waited for until the last process decides by it."""
    client: Any = redis.Redis.from_url(url)
    found: dict[str, list[float]] = {}
    lost: list[str] = []
    with graysplit.Control(url, actor="benchmarks", confirm=True) as control:
        control.rollback(SPLIT)  # imports what it needs before anything is measured
        control.show(SPLIT)
        cycle = writers(control, client)
        for number in range(count):
            writer = cycle[number % len(cycle)]
            for process in processes:
                tell(process, f"until {writer.version}")
            for process in processes:
                hear(process)  # it is looking now
            began = time.monotonic()
            writer.write()
            seen = [float(hear(process)) for process in processes]
            if min(seen) > 0:
                found.setdefault(writer.name, []).append((max(seen) - began) * 1000)
            else:
                lost.append(f"{number + 1}: {writer.name}, {sum(not stamp for stamp in seen)} processes")
    client.close()
    return [
        *_latencies(found, len(processes)),
        Row("changes that some process missed", len(lost), 0, "", note="; ".join(lost)),
    ]


def _latencies(found: dict[str, list[float]], processes: int) -> list[Row]:
    every = [took for times in found.values() for took in times]
    listed = [
        Row(
            f"write to last of {processes} processes, p99",
            _percentile(every, 99),
            P99_MS,
            "ms",
            note=f"{len(every)} changes",
        ),
        Row("the same, p50", _percentile(every, 50), unit="ms", note=f"longest {max(every):.1f}"),
    ]
    for name, times in sorted(found.items()):
        note = f"p50 {_percentile(times, 50):.1f} of {len(times)}"
        listed.append(Row(f"  {name}, longest", max(times), P99_MS, "ms", note=note))
    return listed


def _percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


def confirmed(url: str, processes: Processes) -> list[Row]:
    """Set a weight and wait for the receipts."""
    with graysplit.Control(url, actor="benchmarks") as control:
        receipts = control.wait_confirmed(control.set(SPLIT, 20, unstop=True), 10.0).receipts
    count = receipts.confirmed if receipts is not None else 0
    note = f"of {len(processes)}, in {receipts.seconds * 1000:.0f} ms" if receipts is not None else ""
    return [Row("set confirmed by processes", count, len(processes), "", at_least=True, note=note)]


def rapid(url: str, processes: Processes, writes: int) -> list[Row]:
    """Write as fast as the server takes it, and count the processes that end on the last value, to the bucket."""
    inside, outside = _unit_in(END_BUCKET - 1), _unit_in(END_BUCKET)
    for process in processes:
        tell(process, f"ends {inside} {outside}")
        hear(process)
    client: Any = redis.Redis.from_url(url)
    began = time.monotonic()
    for start in range(0, writes, 100):
        pipe = client.pipeline(transaction=False)
        for number in range(start, start + 100):
            pipe.hset(WEIGHTS_KEY, FIELD, str(number % 101))
        pipe.execute()
    client.hset(WEIGHTS_KEY, FIELD, END)
    written = time.monotonic()
    client.close()
    seen = [float(hear(process)) for process in processes]
    ended = [stamp for stamp in seen if stamp > 0]
    note = f"{writes:,} writes in {written - began:.2f} s"
    if ended:
        note += f"; the last process {max(0.0, max(ended) - written) * 1000:.1f} ms after the last write"
    return [Row("processes that end on the last value", len(ended), len(processes), "", at_least=True, note=note)]


def _unit_in(bucket: int) -> str:
    seed = seed_of(SPLIT)
    return next(unit for unit in map(str, range(100_000_000)) if bucket_of(unit.encode(), seed) == bucket)


def measure(count: int, times: int, writes: int) -> list[Row]:
    """Return all rows."""
    with embedded.server() as server:
        store = store_from_url(server.url)
        fill(store, {SPLIT: plain(SPLIT, "0")})
        store.close()
        progress(f"starting {count} processes")
        with followers(server.url, count) as processes:
            progress("changes, one at a time")
            found = changes(server.url, processes, times)
            found += confirmed(server.url, processes)
            progress("rapid writes")
            found += rapid(server.url, processes, writes)
    return found
