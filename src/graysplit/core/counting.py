"""Exact counts for almost nothing: `next` on an `itertools.count` is one atomic step, without a lock.

Eight threads bumping one of them lose nothing, where `d[k] = d.get(k, 0) + 1` loses up to 70 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import NamedTuple


class Meter:
    """One count; the hot path calls `next(meter.count)`, a reader asks `read()`."""

    __slots__ = ("_reads", "count")

    def __init__(self) -> None:
        """Begin at zero."""
        self.count = count()
        self._reads = 0

    def read(self) -> int:
        """Give the exact count so far. One reader at a time: reading takes a number of its own."""
        value = next(self.count) - self._reads
        self._reads += 1
        return value

    def forget(self) -> None:
        """Begin at zero again: a forked child does not count its parent's calls."""
        counted = self.read()
        self._reads += counted


class Measure(NamedTuple):
    """What one process has counted and does of one version of a split; never a unit."""

    split: str
    version: str
    evaluations: Mapping[str, int]  # by reason
    failures: int
    running: int  # measured calls of a candidate that have begun and not ended
    asked: int | None  # the weight by the store, in thousandths of a percent; None for the baseline
    actual: int | None  # the weight as compiled here, after stops, leases, refusals and break-glass


class Counts:
    """What one process has counted for one split: it outlives every state of the split, so nothing is lost."""

    __slots__ = ("entered", "failed", "finished", "names", "others", "started")

    def __init__(self, names: tuple[str, ...], *, routed: bool = False) -> None:
        """Begin at zero for these versions, the baseline first."""
        self.names = names
        self.started = tuple(Meter() for _ in names)  # chosen by hash, or kept in a request
        # Measured calls begun: of a route every one that is started; of a handle only its attempt blocks.
        self.entered = self.started if routed else tuple(Meter() for _ in names)
        self.finished = tuple(Meter() for _ in names)  # measured calls of candidates that have ended
        self.failed = tuple(Meter() for _ in names)  # measured calls that raised
        self.others: dict[tuple[int, str], Meter] = {}  # chosen for any other reason; never evidence

    def other(self, index: int, reason: str) -> Meter:
        """Give the meter of a version chosen for a reason off the hot path."""
        key = (index, reason)
        return self.others.get(key) or self.others.setdefault(key, Meter())

    def asked(self) -> int:
        """Give how often the split was decided here, for whatever reason."""
        return sum(meter.read() for meter in (*self.started, *self.others.values()))

    def running(self, index: int) -> int:
        """Give the measured calls of a candidate that have begun and not ended, as near as two readings can tell."""
        return max(0, self.entered[index].read() - self.finished[index].read())

    def evaluations(self, index: int) -> dict[str, int]:
        """Give how often a version was chosen, by reason; what was kept in a request counts as its bucket."""
        named = {reason: meter.read() for (at, reason), meter in self.others.copy().items() if at == index}
        return {"bucket": self.started[index].read(), **named}

    def forget(self) -> None:
        """Begin at zero again."""
        for meter in {*self.started, *self.entered, *self.finished, *self.failed, *self.others.values()}:
            meter.forget()
