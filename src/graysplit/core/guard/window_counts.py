"""The counts of one window: which users count in it, and the sums that follow from that.

The model of what a store keeps for a fleet, and what a process keeps of its own calls while it has no store.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from graysplit.core.guard.admission import Levels, admits, bits_at, first_levels, next_levels
from graysplit.core.guard.sequential_test import DEADLINE_S, STRATA_AT_MOST
from graysplit.core.guard.windows import Book, Span, StratumName, Window, WindowSide

Running = Mapping[StratumName, Mapping[int, int]]  # calls of old that have not ended, by stratum and begin second

_NOBODY: Final[Running] = MappingProxyType({})


STAGE_BITS: Final = 32
SHIFT: Final = 8
PLACES: Final = (1 << (SHIFT - 1)) - 1  # more than there are strata in a window


def _begin_of(first: int) -> int:
    return first >> (STAGE_BITS + SHIFT)


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

    __slots__ = ("_accounts", "_firsts", "_names", "_shares", "levels", "span")

    def __init__(self, span: Span, calls_per_s: float = 0.0) -> None:
        """Begin empty; `calls_per_s` is the traffic by which admission is thinned from the start."""
        self.span = span
        self.levels: Levels = first_levels(span.begin_s, calls_per_s)
        # By unit, in one number each, as there may be many: begin second, stage, place of the stratum's name, side.
        self._firsts: dict[int, int] = {}
        self._names: list[StratumName] = []
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
        self._names.append(name)
        for on_new in (True, False):
            self._accounts[name, on_new] = _Account()
        return True

    def called(self, name: StratumName, *, on_new: bool, calls: int) -> None:
        """Count calls begun in the window, failed or not, in a stratum that is open."""
        self._accounts[name, on_new].calls += calls

    def failed(self, unit: int, begin_s: int, name: StratumName, *, on_new: bool, calls: int = 1) -> None:
        """Count failed calls, in a stratum that is open, of a unit given as 64 bits of its hash."""
        found, known = self._packed(begin_s, name, on_new=on_new), self._firsts.get(unit)
        if known is None:
            if admits(bits_at(self.levels, begin_s), unit):
                self._put(unit, found)
                self._accounts[name, on_new].repeats += calls - 1
        elif found >> SHIFT < known >> SHIFT:  # within a second the earlier stage began first
            account = self._account(known)
            account.move(_begin_of(known), -1)
            account.repeats += 1
            self._put(unit, found)
            self._accounts[name, on_new].repeats += calls - 1
        else:
            self._accounts[name, on_new].repeats += calls

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

    def _put(self, unit: int, first: int) -> None:
        self._firsts[unit] = first
        self._account(first).move(_begin_of(first), 1)

    def _packed(self, begin_s: int, name: StratumName, *, on_new: bool) -> int:
        """Return a first error in one number, of which the first part says which of two came first."""
        place = self._names.index(name)
        return (((begin_s << STAGE_BITS) + name.stage) << SHIFT) | (place << 1) | on_new

    def _account(self, first: int) -> _Account:
        return self._accounts[self._names[(first >> 1) & PLACES], bool(first & 1)]

    def _in_span(self, running: Mapping[int, int]) -> Mapping[int, int]:
        begin_s, end_s = self.span.begin_s, self.span.end_s
        return {second: calls for second, calls in running.items() if begin_s <= second < end_s}
