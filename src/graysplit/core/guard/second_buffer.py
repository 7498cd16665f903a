"""One second of an armed split in one process: what its calls record, each in one atomic step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from operator import is_
from sys import getrefcount
from typing import Final, TypeVar

from graysplit.core.counters import Meter
from graysplit.core.guard.hot_part import HotPart
from graysplit.core.guard.marks import Cut, Failing, Mark, Record
from graysplit.core.guard.thinned import KEPT, Blame, ThinnedMarks, ThinnedRecords, Thinning
from graysplit.native import compiled_core

SLICE: Final = 1_000  # what is looked at between two moments at which others may have a turn
NO_SECOND: Final = -1  # a part's second before the first turn, and that of a call whose part is closed

_T = TypeVar("_T")


class SecondBuffer(HotPart):
    """The calls that begin in one second."""

    __slots__ = (
        "asked",
        "b_new",
        "b_old",
        "closed",
        "cut",
        "exposed",
        "failing",
        "records",
        "second",
        "unfinished",
        "x_new",
        "x_old",
    )

    def __init__(
        self, versions: int, second: int, *, timed: bool, mask: int = 0, thinning: Thinning | None = None
    ) -> None:
        """Begin empty, for so many versions; `timed` says whether its calls are timed, and seen while under way.

        `mask`: users with one of these bits in their hash are counted only, by who collects the part; `thinning`: by
        the calls themselves.
        """
        self.second = second
        self.timed = timed
        self.closed = False
        self.records = PartRecords(versions, mask, thinning)
        self._attach(self.records)

    def close(self, late: PartRecords) -> None:
        """Let what still comes be written elsewhere, where it is only counted."""
        self.closed = True
        self._attach(late)

    def _attach(self, records: PartRecords) -> None:
        # By index, each call by its mark: those begun on a straight line; those that the slow path has counted already,
        # and attempts; ends. The lists themselves, not their `append`: CPython is three times faster with
        # `part.b_old.append(h)` than with a bound method in a slot.
        self.begun = records.begun
        self.asked = records.asked
        self.ended = records.ended
        self.b_old, self.b_new = self.begun[:2]
        self.x_old, self.x_new = self.ended[:2]
        blame = records.blame
        self.exposed: Callable[[tuple[int, int]], None] = records.exposed.append if blame is None else blame.expose
        self.failing: Callable[[Failing], None] = records.failing.append if blame is None else blame.fail
        self.cut: Callable[[Cut], None] = records.cut.append if blame is None else blame.cut
        self.sampled = records.sampled
        self.thin = records.counted_only() if compiled_core is not None else None
        self.unfinished: Callable[[int], None] = records.unfinished.append


class PartRecords:
    """What is written on a part, and how much of it has been collected."""

    __slots__ = (
        "asked",
        "begun",
        "blame",
        "charged",
        "cut",
        "ended",
        "exposed",
        "failing",
        "left",
        "mask",
        "open",
        "read",
        "requested",
        "running",
        "sampled",
        "seen",
        "taken",
        "thinning",
        "unfinished",
    )

    def __init__(self, versions: int, mask: int = 0, thinning: Thinning | None = None) -> None:
        """Begin empty."""
        self.thinning = thinning
        self.mask = mask
        # Lists: they are appended to as fast as a deque, and read in slices.
        self.begun: tuple[list[Mark], ...] = tuple(_marks(thinning, KEPT) for _ in range(versions))
        self.asked: tuple[list[Mark], ...] = tuple(_marks(thinning, KEPT) for _ in range(versions))
        self.ended: tuple[list[Mark], ...] = tuple(_marks(thinning) for _ in range(versions))
        self.exposed = deque["tuple[int, int]"]()  # hash and index
        self.failing = deque[Failing]()
        self.cut = deque[Cut]()  # calls that were cut short: cancelled, or left by whoever had asked
        self.sampled: deque[Record] = deque() if thinning is None else ThinnedRecords(thinning)
        self.unfinished = deque[int]()  # timed calls that returned what is not done yet: a coroutine, a future
        self.blame = None if thinning is None else Blame(thinning, self.failing, self.cut, self.exposed)
        self.taken = [0] * versions  # how many have been taken from `begun`
        self.requested = [0] * versions  # from `asked`
        self.left = [0] * versions  # and from `ended`
        self.seen = [0] * versions  # calls begun, of those that have been collected
        self.running = [0] * versions  # of these, those that have not ended
        self.open: tuple[dict[int, Mark], ...] = tuple({} for _ in range(versions))  # their marks, by identity
        self.charged = False  # whether those that had not ended by the deadline have been charged
        self.read: dict[Meter, int] = {}  # how far what is only counted has been collected

    def counted_only(self) -> tuple[int, tuple[count[int], ...], tuple[count[int], ...]] | None:
        """Return the mask of the hash of users who are only counted by their calls, and by what; None of nobody."""
        if self.thinning is None:
            return None
        return self.thinning.mask, _passed(self.begun), _passed(self.ended)

    @property
    def waiting(self) -> int:
        """Return how many calls are written down and not collected; an end is of a call that is."""
        return sum(map(len, self.begun)) + sum(map(len, self.asked)) + len(self.exposed)

    @property
    def idle(self) -> bool:
        """Return whether nothing was written since all was collected, and nothing runs."""
        lists = (*self.begun, *self.asked, *self.ended)
        queues = (self.exposed, self.failing, self.cut, self.sampled, self.unfinished)
        return self.thinning is None and not (any(lists) or any(queues) or any(self.running))

    @property
    def blamed(self) -> int:
        """Return how many failed calls, and calls cut short, are written down and not collected."""
        return len(self.failing) + len(self.cut)

    @property
    def held(self) -> bool:
        """Return whether a writer has looked up where to write, and may not have written yet; of a closed part."""
        return max(map(getrefcount, self.written())) > _AT_REST

    def written(self) -> list[object]:
        """Return all that a writer holds in the middle of a step, each once; no times: a call holds their queue."""
        lists = [*self.begun, *self.asked, *self.ended]
        passed = [marks.passed.count for marks in lists if isinstance(marks, ThinnedMarks)]
        queues = (self.exposed, self.failing, self.cut) if self.blame is None else (self.blame,)
        return [self.begun, self.asked, self.ended, *lists, *passed, *queues, self.unfinished]

    @property
    def collected(self) -> bool:
        """Return whether all that is written has been collected, times left out."""
        return not any((self.exposed, self.failing, self.cut, self.unfinished)) and all(
            seen == self.calls(index) + self.requests(index) == self.running[index] + self.ends(index)
            for index, seen in enumerate(self.seen)
        )

    def calls(self, index: int) -> int:
        """Return the calls begun on the straight lines."""
        return self.taken[index] + _counted(self.begun[index])

    def requests(self, index: int) -> int:
        """Return the calls begun elsewhere."""
        return self.requested[index] + _counted(self.asked[index])

    def ends(self, index: int) -> int:
        """Return the calls that have ended."""
        return self.left[index] + _counted(self.ended[index])

    def passed(self, index: int) -> int:
        """Return how many calls begun have been counted only, since this was asked last."""
        lists = (self.begun[index], self.asked[index])
        return sum(self.since(marks.passed) for marks in lists if isinstance(marks, ThinnedMarks))

    def since(self, meter: Meter) -> int:
        """Return what a meter has counted since this was asked last."""
        before, now = self.read.get(meter, 0), meter.read()
        self.read[meter] = now
        return now - before

    def follow(self, index: int, begun: list[Mark]) -> None:
        """Keep the marks of calls until they have ended."""
        self.open[index].update(zip(map(id, begun), begun, strict=True))

    def end(self, index: int, ended: list[Mark]) -> None:
        """Let go of the marks of calls that have ended; each had begun before, and is told in this order."""
        running = self.open[index]
        for mark in ended:
            running.pop(id(mark), None)


def _marks(thinning: Thinning | None, most: int | None = None) -> list[Mark]:
    return [] if thinning is None else ThinnedMarks(thinning, most)


def _passed(side: Iterable[list[Mark]]) -> tuple[count[int], ...]:
    return tuple(marks.passed.count for marks in side if isinstance(marks, ThinnedMarks))


def _counted(marks: list[Mark]) -> int:
    """Return how many calls are in a list, with those that it has only counted."""
    return len(marks) + (marks.passed.read() if isinstance(marks, ThinnedMarks) else 0)


# The references to each of them while nobody else has one, as this interpreter counts them.
_AT_REST: Final = max(map(getrefcount, PartRecords(2).written()))


def same(begun: list[Mark], ended: list[Mark]) -> bool:
    """Return whether calls have ended in the order in which they began, none of them before the first."""
    return len(begun) >= len(ended) and all(map(is_, begun, ended))


def slices(queue: deque[_T]) -> Iterator[list[_T]]:
    """Take what is in a queue now, some at a time; what is appended meanwhile stays for the next time."""
    take, left = queue.popleft, len(queue)
    while left:
        size = min(SLICE, left)
        yield [take() for _ in range(size)]
        left -= size


def named_by(error: BaseException, names: tuple[str, ...]) -> str | None:
    """Return the first name that means an error: of its class or a base of it, alone or with the module."""
    if not names:
        return None
    known = {name for kind in type(error).__mro__ for name in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}")}
    return next((name for name in names if name in known), None)
