"""Exact counts for almost nothing: `next` on an `itertools.count` is one atomic step, without a lock.

Eight threads bumping one of them lose nothing, where `d[k] = d.get(k, 0) + 1` loses up to 70 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from graysplit.native import compiled_core

if TYPE_CHECKING:
    from collections.abc import Callable

# The compiled core has a count of its own: it goes on by one without a number being made.
_new_count: Final[Callable[[], count[int]]] = count if compiled_core is None else compiled_core.Count


class Meter:
    """One count; the hot path calls `next(meter.count)`, a reader asks `read()`."""

    __slots__ = ("_reads", "count")

    def __init__(self) -> None:
        """Begin at zero."""
        self.count = _new_count()
        self._reads = 0

    def read(self) -> int:
        """Return the exact count so far. One reader at a time: reading takes a number of its own."""
        value = next(self.count) - self._reads
        self._reads += 1
        return value

    def forget(self) -> None:
        """Begin at zero again: a forked child does not count its parent's calls."""
        counted = self.read()
        self._reads += counted


class CallTotals(Protocol):
    """What an armed split's calls are counted by instead of meters: the `Totals` of a buffer."""

    @property
    def settled(self) -> bool:
        """Return whether the totals stand: nothing more begins or ends."""
        ...

    def begun(self, index: int) -> int:
        """Return the calls of a version begun on the straight lines so far."""
        ...

    def asked(self, index: int) -> int:
        """Return the calls begun elsewhere, which were counted as decisions already: the slow path, attempts."""
        ...

    def ended(self, index: int) -> int:
        """Return the calls that have ended."""
        ...


class Measure(NamedTuple):
    """What one process has counted and does of one version of a split; never a unit."""

    split: str
    version: str
    evaluations: Mapping[str, int]  # by reason
    failures: int
    running: int  # measured calls of a candidate that have begun and not ended
    asked: int | None  # the weight by the store, in thousandths of a percent; None for the baseline
    actual: int | None  # the weight as compiled here, after stops, leases, refusals and break-glass
    durations: Mapping[int, int] = {}  # timed calls of the release, while a guard is armed, by `tally.duration_bucket`


class Measured(NamedTuple):
    """What is counted of one version."""

    evaluations: dict[str, int]  # by reason; what was kept in a request counts as its bucket
    failures: int
    running: int  # measured calls of a candidate that have begun and not ended


class Counts:
    """What one process has counted for one split: it outlives every state of the split, so nothing is lost.

    While a split is armed its measured calls are counted by buffers, and read from there.
    """

    __slots__ = (
        "_buffered",
        "_folded",
        "_totals",
        "entered",
        "failed",
        "finished",
        "names",
        "others",
        "routed",
        "started",
    )

    def __init__(self, names: tuple[str, ...], *, routed: bool = False) -> None:
        """Begin at zero for these versions, the baseline first."""
        self.names = names
        self.routed = routed
        self.started = tuple(Meter() for _ in names)  # chosen by hash, or kept in a request
        # Measured calls begun: of a route every one that is started; of a handle only its attempt blocks.
        self.entered = self.started if routed else tuple(Meter() for _ in names)
        self.finished = tuple(Meter() for _ in names)  # measured calls of candidates that have ended
        self.failed = tuple(Meter() for _ in names)  # measured calls that failed
        self.others: dict[tuple[int, str], Meter] = {}  # chosen for any other reason; never evidence
        self._buffered = False  # whether a buffer has ever counted
        self._totals: dict[CallTotals, None] = {}
        self._folded = {kind: [0] * len(names) for kind in ("begun", "asked", "ended")}  # of totals that stand

    def other(self, index: int, reason: str) -> Meter:
        """Return the meter of a version chosen for a reason off the hot path."""
        key = (index, reason)
        return self.others.get(key) or self.others.setdefault(key, Meter())

    def count_by(self, totals: CallTotals) -> None:
        """Read the totals of a buffer too from now on."""
        self._buffered = True
        self._totals.setdefault(totals)

    def settle(self) -> None:
        """Let go of the totals that stand."""
        for totals in tuple(self._totals):
            if totals.settled:
                for index in range(len(self.names)):
                    self._folded["begun"][index] += totals.begun(index)
                    self._folded["asked"][index] += totals.asked(index)
                    self._folded["ended"][index] += totals.ended(index)
                del self._totals[totals]

    def asked(self) -> int:
        """Return how often the split was decided here, for whatever reason."""
        decided = sum(meter.read() for meter in (*self.started, *self.others.values()))
        return decided + sum(self._begun(index) for index in range(len(self.names)))

    def attempted(self) -> bool:
        """Return whether an attempt has ever been entered."""
        return not self.routed and any(self._entered(index) for index in range(len(self.names)))

    def running(self, index: int) -> int:
        """Return the measured calls of a candidate that have begun and not ended, as near as two readings can tell."""
        ended = self.finished[index].read() + self._sum("ended", index)
        return max(0, self._entered(index) - ended)

    def measured(self) -> list[Measured]:
        """Return what is counted of each version, by index; each meter is read once."""
        found: list[Measured] = []
        for index in range(len(self.names)):
            # Ends first: what ends meanwhile seems to run, and nothing that runs seems to have ended.
            ended = self.finished[index].read() + (self._sum("ended", index) if self._buffered else 0) if index else 0
            decided = self.started[index].read() + (self._begun(index) if self._buffered else 0)
            begun = decided
            if index and not self.routed:
                begun = self.entered[index].read() + (self._sum("asked", index) if self._buffered else 0)
            running = max(0, begun - ended) if index else 0
            found.append(Measured({"bucket": decided}, self.failed[index].read(), running))
        for (index, reason), meter in self.others.copy().items():
            found[index].evaluations[reason] = meter.read()
        return found

    def forget(self) -> None:
        """Begin at zero again, and let go of all totals: their lock may be held for ever in a forked child."""
        self._totals = {}
        self._folded = {kind: [0] * len(self.names) for kind in self._folded}
        for meter in {*self.started, *self.entered, *self.finished, *self.failed, *self.others.values()}:
            meter.forget()

    def _begun(self, index: int) -> int:
        return self._sum("begun", index)

    def _entered(self, index: int) -> int:
        if self.routed:  # what began on the slow path has been counted as a decision
            return self.started[index].read() + self._begun(index)
        return self.entered[index].read() + self._sum("asked", index)

    def _sum(self, kind: Literal["begun", "asked", "ended"], index: int) -> int:
        known = tuple(self._totals)
        if kind == "begun":
            found = sum(totals.begun(index) for totals in known)
        elif kind == "asked":
            found = sum(totals.asked(index) for totals in known)
        else:
            found = sum(totals.ended(index) for totals in known)
        return self._folded[kind][index] + found
