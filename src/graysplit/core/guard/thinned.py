"""The lists of a second buffer that is thinned: every call of some users, and the number of calls of the others.

A user is kept where the hash ends in enough zero bits: they say nothing about the side, and are the same in each
process. Begin and end of a call are written on one part, so that both are written down or neither is.

Writers call `append`; near the end of the stack, where nothing can be called any more, they write with `+=`, which
stays the list's own. `del` and slices are the reader's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Self

from graysplit.core.counters import Meter
from graysplit.core.guard.marks import Cut, Failing, Mark, Record, hashed

# Calls that wait to be collected on a part that is thinned, on one side: from then on a part of fewer users begins.
KEPT: Final = 4_096
TIMED_AT_MOST: Final = 8_192  # calls under way, or not collected yet, of one part that are timed
# Failed calls, and calls cut short, that wait to be collected: from then on those of users who are kept alone.
BLAMED_AT_MOST: Final = 4_096
NAMED_AT_MOST: Final = (
    4 * BLAMED_AT_MOST
)  # of exceptions that their owner has named: of these the first stops a release
NEVER: Final = 1 << 62


class Thinning:
    """Which users a part keeps, and what is to be done once too many calls of theirs are on it."""

    __slots__ = ("bits", "full", "mask", "seed")

    def __init__(self, bits: int, seed: int, full: Callable[[], object]) -> None:
        """Keep users whose hash ends in so many zero bits; `seed` hashes those whose hash is not known yet."""
        self.bits = bits
        self.mask = (1 << bits) - 1
        self.seed = seed
        self.full = full

    def keeps(self, mark: Mark) -> bool:
        """Return whether the user of a call is kept."""
        known = hashed(mark, self.seed)
        return known is not None and not known & self.mask


class ThinnedMarks(list["Mark"]):
    """The marks of the calls of users who are kept, and the number of all others."""

    __slots__ = ("_begins", "_mask", "_seed", "_thinning", "most", "passed")

    def __init__(self, thinning: Thinning, most: int | None = None) -> None:
        """Begin empty; where calls begin here, the part is full with that many marks that have not been taken."""
        super().__init__()
        self._thinning = thinning
        self._mask = thinning.mask
        self._seed = thinning.seed
        self._begins = most is not None
        self.most = NEVER if most is None else most
        self.passed = Meter()

    def append(self, mark: Mark, /) -> None:
        """Write a call down, or count it."""
        try:
            if len(self) >= self.most:
                self.most = NEVER
                self._thinning.full()
            known = mark if isinstance(mark, int) else hashed(mark, self._seed)
            kept = known is not None and not known & self._mask
        except RecursionError:  # no beginning may be left open; an end that nobody waits for does no harm
            if not self._begins:
                self += (mark,)
                return
            kept = False
        if kept:
            list.append(self, mark)  # pyright: ignore[reportUnknownMemberType] # `super()` costs twice as much
        else:
            next(self.passed.count)


class ThinnedRecords(deque["Record"]):
    """The records of the timed calls of users who are kept, up to a bound; the others are timed for nobody."""

    def __init__(self, thinning: Thinning) -> None:
        """Begin empty."""
        super().__init__()
        self._thinning = thinning

    def append(self, record: Record, /) -> None:
        """Keep a record."""
        if len(self) < TIMED_AT_MOST and self._thinning.keeps(record[2]):
            deque.append(self, record)  # pyright: ignore[reportUnknownMemberType] # the same

    def __iadd__(self, records: Iterable[Record], /) -> Self:
        """Keep records, as the text of a routed call writes them; near the end of the stack none."""
        try:
            for record in records:
                self.append(record)
        except RecursionError:  # the call has begun, and is not timed
            pass
        return self


class Blame:
    """Failed calls of each version on a part that is thinned, and those cut short.

    All are written down while there is room, so that a few failures among very many calls are told whole; from then on
    those of the users who are kept, and the others are counted.
    """

    __slots__ = ("_cut", "_exposed", "_failing", "_thinning", "cuts", "failures", "unexposed")

    def __init__(
        self, thinning: Thinning, failing: deque[Failing], cut: deque[Cut], exposed: deque[tuple[int, int]]
    ) -> None:
        """Write into these."""
        self._thinning = thinning
        self._failing = failing
        self._cut = cut
        self._exposed = exposed
        self.failures: dict[int, Meter] = {}
        self.cuts: dict[int, Meter] = {}
        self.unexposed = Meter()

    def fail(self, one: Failing) -> None:
        """Write a failed call down, or count it."""
        index, mark, name = one
        waiting = len(self._failing)
        named = name is not None and waiting < NAMED_AT_MOST
        if waiting < BLAMED_AT_MOST or named or (waiting < NAMED_AT_MOST and self._thinning.keeps(mark)):
            self._failing.append(one)
        else:
            _bump(self.failures, index)

    def cut(self, one: Cut) -> None:
        """Write a call that was cut short down, or count it."""
        waiting = len(self._cut)
        if waiting < BLAMED_AT_MOST or (waiting < NAMED_AT_MOST and self._thinning.keeps(one[1])):
            self._cut.append(one)
        else:
            _bump(self.cuts, one[0])

    def expose(self, one: tuple[int, int]) -> None:
        """Write down who met the split, or that somebody did."""
        if one[0] & self._thinning.mask:
            next(self.unexposed.count)
            return
        if len(self._exposed) >= KEPT:
            self._thinning.full()
        self._exposed.append(one)


def _bump(meters: dict[int, Meter], index: int) -> None:
    next((meters.get(index) or meters.setdefault(index, Meter())).count)
