"""One window's ledger: who counts in it, and the books that follow from that.

The model of what a store keeps for a fleet, and what a process keeps of its own calls while it has no store.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from graysplit.core.guard.admission import Levels, admits, bits_at, first_levels, next_levels
from graysplit.core.guard.sequential_test import DEADLINE_S, STRATA_AT_MOST
from graysplit.core.guard.windows import Book, Span, StratumName, Window, WindowSide

Running = Mapping[StratumName, Mapping[int, int]]  # calls of old that have not ended, by stratum and begin second

_NOBODY: Final[Running] = MappingProxyType({})


class _First(NamedTuple):
    """A unit's first error in a window."""

    begin_s: int
    name: StratumName
    on_new: bool

    def precedes(self, other: _First) -> bool:
        """Return whether its call began before another's; within a second the earlier stage did."""
        return (self.begin_s, self.name.stage) < (other.begin_s, other.name.stage)


class _Account:
    """What is counted of one version in one stratum."""

    __slots__ = ("calls", "firsts", "repeats", "units")

    def __init__(self) -> None:
        self.calls = 0
        self.repeats = 0
        self.units = 0
        self.firsts: dict[int, int] = {}  # of the last seconds

    def move(self, begin_s: int, by: int) -> None:
        """Count a first error, or take one back."""
        self.units += by
        self.firsts[begin_s] = self.firsts.get(begin_s, 0) + by

    def side(self, after_s: int) -> WindowSide:
        """Return the counts; seconds that no mark tells apart any more are settled, and forgotten."""
        for second in [second for second in self.firsts if second <= after_s]:
            del self.firsts[second]
        recent = {second: units for second, units in self.firsts.items() if units > 0}
        return WindowSide(self.calls, self.repeats, self.units - sum(recent.values()), recent)


class WindowCounts:
    """Counts one window: calls as they begin, errors as they become known."""

    __slots__ = ("_accounts", "_firsts", "_shares", "levels", "span")

    def __init__(self, span: Span, calls_per_s: float = 0.0) -> None:
        """Begin empty; `calls_per_s` is the traffic by which admission is thinned from the start."""
        self.span = span
        self.levels: Levels = first_levels(span.begin_s, calls_per_s)
        self._firsts: dict[int, _First] = {}
        self._shares: dict[StratumName, float] = {}
        self._accounts: dict[tuple[StratumName, bool], _Account] = {}

    def __len__(self) -> int:
        """Return the number of units that are in."""
        return len(self._firsts)

    def knows(self, unit: int) -> bool:
        """Return whether a unit counts already."""
        return unit in self._firsts

    def open(self, name: StratumName, w: float) -> bool:
        """Return whether a stratum is counted, with its chance of new; the 33rd is not."""
        if name in self._shares:
            return True
        if len(self._shares) >= STRATA_AT_MOST:
            return False
        self._shares[name] = w
        for on_new in (True, False):
            self._accounts[name, on_new] = _Account()
        return True

    def called(self, name: StratumName, *, on_new: bool, calls: int) -> None:
        """Count calls begun in the window, failed or not, in a stratum that is open."""
        self._accounts[name, on_new].calls += calls

    def failed(self, unit: int, begin_s: int, name: StratumName, *, on_new: bool) -> None:
        """Count a failed call, in a stratum that is open, of a unit given as 64 bits of its hash."""
        found, known = _First(begin_s, name, on_new), self._firsts.get(unit)
        if known is None:
            if admits(bits_at(self.levels, begin_s), unit):
                self._put(unit, found)
        elif found.precedes(known):
            account = self._accounts[known.name, known.on_new]
            account.move(known.begin_s, -1)
            account.repeats += 1
            self._put(unit, found)
        else:
            self._accounts[name, on_new].repeats += 1

    def thin(self, now_s: int) -> None:
        """Raise the level, where too many are in, for seconds still ahead."""
        self.levels = next_levels(self.levels, len(self._firsts), now_s)

    def window(self, now_s: int, running: Running = _NOBODY) -> Window:
        """Return the books as they stand."""
        after_s = now_s - int(DEADLINE_S) - 1
        return Window(
            self.span,
            tuple(
                Book(
                    name,
                    w,
                    self._accounts[name, True].side(after_s),
                    self._accounts[name, False].side(after_s),
                    self._in_span(running.get(name, {})),
                )
                for name, w in self._shares.items()
            ),
        )

    def _put(self, unit: int, first: _First) -> None:
        self._firsts[unit] = first
        self._accounts[first.name, first.on_new].move(first.begin_s, 1)

    def _in_span(self, running: Mapping[int, int]) -> Mapping[int, int]:
        begin_s, end_s = self.span.begin_s, self.span.end_s
        return {second: calls for second, calls in running.items() if begin_s <= second < end_s}
