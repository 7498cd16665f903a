"""One second of an armed split in one process: what calls write down, each by one atomic step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from operator import is_
from typing import Any, TypeAlias, TypeVar

from graysplit.core.bucketing import encode_unit, hash32

_T = TypeVar("_T")

# A call's mark, the same object at its begin, its failure and its end: by it the calls that still run are known. It is
# the 32 bits of its unit's hash; where the choice was kept in a request, a tuple of the unit, for nothing was hashed.
Mark: TypeAlias = "int | tuple[object]"
# A call that is timed: when it began (less the time at which it ended: not above zero then), index and mark.
Record: TypeAlias = "list[Any]"  # Any: as above
Failing: TypeAlias = "tuple[int, Mark, str | None]"  # index, mark, the named exception
Cut: TypeAlias = "tuple[int, Mark]"  # index, mark


class SecondBuffer:
    """The calls that begin in one second."""

    __slots__ = (
        "asked",
        "b_new",
        "b_old",
        "begun",
        "closed",
        "cut",
        "ended",
        "exposed",
        "failing",
        "sampled",
        "second",
        "sheets",
        "timed",
        "unfinished",
        "x_new",
        "x_old",
    )

    def __init__(self, versions: int, second: int, *, timed: bool) -> None:
        """Begin empty, for so many versions; `timed` says whether its calls are timed, and seen while under way."""
        self.second = second
        self.timed = timed
        self.closed = False
        self.sheets = Sheets(versions)
        self._attach(self.sheets)

    def close(self, late: Sheets) -> None:
        """Let what still comes be written elsewhere, where it is only counted."""
        self.closed = True
        self._attach(late)

    def _attach(self, sheets: Sheets) -> None:
        # By index, each call by its mark: those begun on a straight line; those that the slow path has counted already,
        # and attempts; ends. The lists themselves, not their `append`: CPython is three times faster with
        # `page.b_old.append(h)` than with a bound method in a slot.
        self.begun = sheets.begun
        self.asked = sheets.asked
        self.ended = sheets.ended
        self.b_old, self.b_new = self.begun[:2]
        self.x_old, self.x_new = self.ended[:2]
        self.exposed: Callable[[tuple[int, int]], None] = sheets.exposed.append
        self.failing: Callable[[Failing], None] = sheets.failing.append
        self.cut: Callable[[Cut], None] = sheets.cut.append
        self.sampled = sheets.sampled
        self.unfinished: Callable[[int], None] = sheets.unfinished.append


class Sheets:
    """What is written on a page, and how much of it has been collected."""

    __slots__ = (
        "asked",
        "begun",
        "charged",
        "cut",
        "ended",
        "exposed",
        "failing",
        "left",
        "open",
        "requested",
        "running",
        "sampled",
        "seen",
        "taken",
        "unfinished",
    )

    def __init__(self, versions: int) -> None:
        """Begin empty."""
        # Lists: they are appended to as fast as a deque, and emptied in two steps, however many calls there were.
        self.begun: tuple[list[Mark], ...] = tuple([] for _ in range(versions))
        self.asked: tuple[list[Mark], ...] = tuple([] for _ in range(versions))
        self.ended: tuple[list[Mark], ...] = tuple([] for _ in range(versions))
        self.exposed = deque["tuple[int, int]"]()  # hash and index
        self.failing = deque[Failing]()
        self.cut = deque[Cut]()  # calls that were cut short: cancelled, or left by whoever had asked
        self.sampled = deque[Record]()
        self.unfinished = deque[int]()  # timed calls that returned what is not done yet: a coroutine, a future
        self.taken = [0] * versions  # how many have been taken from `begun`
        self.requested = [0] * versions  # from `asked`
        self.left = [0] * versions  # and from `ended`
        self.seen = [0] * versions  # calls begun, of those that have been collected
        self.running = [0] * versions  # of these, those that have not ended
        self.open: tuple[dict[int, Mark], ...] = tuple({} for _ in range(versions))  # their marks, by identity
        self.charged = False  # whether those that had not ended by the deadline have been charged

    def take(self, index: int) -> list[Mark]:
        """Take the calls begun on the straight lines; what is appended meanwhile stays for the next time."""
        found = _taken(self.begun[index])
        self.taken[index] += len(found)
        return found

    def take_asked(self, index: int) -> list[Mark]:
        """Take the calls begun elsewhere."""
        found = _taken(self.asked[index])
        self.requested[index] += len(found)
        return found

    def take_ended(self, index: int) -> list[Mark]:
        """Take the calls that have ended."""
        found = _taken(self.ended[index])
        self.left[index] += len(found)
        return found

    def calls(self, index: int) -> int:
        """Return the calls begun on the straight lines."""
        return self.taken[index] + len(self.begun[index])

    def requests(self, index: int) -> int:
        """Return the calls begun elsewhere."""
        return self.requested[index] + len(self.asked[index])

    def ends(self, index: int) -> int:
        """Return the calls that have ended."""
        return self.left[index] + len(self.ended[index])

    def follow(self, index: int, begun: list[Mark], ended: list[Mark]) -> None:
        """Keep the marks of the calls that still run. What has ended had begun before: both are told in this order."""
        running = self.open[index]
        left = len(ended) if not running and _same(begun, ended) else 0  # one after the other: the usual case
        running.update(zip(map(id, begun[left:]), begun[left:], strict=True))
        for mark in ended[left:]:
            running.pop(id(mark), None)


def _taken(marks: list[Mark]) -> list[Mark]:
    found = marks[:]
    del marks[: len(found)]
    return found


def _same(begun: list[Mark], ended: list[Mark]) -> bool:
    """Return whether the calls have ended in the order in which they began, none of them before the first."""
    return len(begun) >= len(ended) and all(map(is_, begun, ended))


def emptied(queue: deque[_T]) -> list[_T]:
    """Take what is in a queue now; what is appended meanwhile stays for the next time."""
    take = queue.popleft
    return [take() for _ in range(len(queue))]


def encoded(unit: object) -> bytes | None:
    """Return a unit's bytes, or None; never raises, whatever its class does."""
    try:
        return encode_unit(unit)
    except Exception:  # noqa: BLE001 - a unit of a hostile class is nobody's evidence
        return None


def hashed(mark: Mark, seed: int) -> int | None:
    """Return the 32 bits of the unit that a call was for; None where it has none."""
    if isinstance(mark, int):
        return mark
    known = encoded(mark[0])
    return None if known is None else hash32(known, seed)


def named_by(error: BaseException, names: tuple[str, ...]) -> str | None:
    """Return the first name that means an error: of its class or a base of it, alone or with the module."""
    if not names:
        return None
    known = {name for kind in type(error).__mro__ for name in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}")}
    return next((name for name in names if name in known), None)
