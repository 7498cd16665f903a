"""One second of an armed split in one process: what calls write down, each by one atomic step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

from graysplit.core.bucketing import encode_unit
from graysplit.core.counting import Meter

_T = TypeVar("_T")

CLAIM: Final = 3  # the place of a record's last entry

# A call that is timed, and seen while under way: when it began (less the time at which it ended: not above zero then),
# the version's index, the unit, and True until somebody charges the call as failed: `pop` lets one of two do so.
Record: TypeAlias = "list[Any]"  # Any: as above
Failing: TypeAlias = "tuple[int, bytes | None, str | None]"  # index, encoded unit, the named exception
Cut: TypeAlias = "tuple[int, bytes | None]"  # index, encoded unit


class Page:
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
        # By index: calls begun on a straight line, each with its unit's 32 bits, or below zero where the choice was
        # kept; those that the slow path has counted already, and attempts; ends. The lists themselves, not their
        # `append`: CPython is three times faster with `page.b_old.append(h)` than with a bound method in a slot.
        self.begun = sheets.begun
        self.asked = tuple(meter.count for meter in sheets.asked)
        self.ended = sheets.ended
        self.b_old, self.b_new = self.begun[:2]
        self.x_old, self.x_new = self.ended[:2]
        self.exposed: Callable[[tuple[int, int]], None] = sheets.exposed.append
        self.failing: Callable[[Failing], None] = sheets.failing.append
        self.cut: Callable[[Cut], None] = sheets.cut.append
        self.sampled = sheets.sampled


class Sheets:
    """What is written on a page, and how much of it has been collected."""

    __slots__ = ("asked", "begun", "cut", "ended", "exposed", "failing", "left", "running", "sampled", "seen", "taken")

    def __init__(self, versions: int) -> None:
        """Begin empty."""
        # Lists: they are appended to as fast as a deque, and emptied in two steps, however many calls there were.
        self.begun: tuple[list[int], ...] = tuple([] for _ in range(versions))
        self.asked = tuple(Meter() for _ in range(versions))
        self.ended: tuple[list[None], ...] = tuple([] for _ in range(versions))
        self.exposed = deque["tuple[int, int]"]()  # hash and index
        self.failing = deque[Failing]()
        self.cut = deque[Cut]()  # calls that were cut short: cancelled, or left by whoever had asked
        self.sampled = deque[Record]()
        self.taken = [0] * versions  # how many have been taken from `begun`
        self.left = [0] * versions  # and from `ended`
        self.seen = [0] * versions  # calls begun, of those that have been collected
        self.running = [0] * versions  # of these, those that have not ended

    def take(self, index: int) -> list[int]:
        """Take what calls have begun with; what is appended meanwhile stays for the next time."""
        units = self.begun[index]
        found = units[:]
        del units[: len(found)]
        self.taken[index] += len(found)
        return found

    def ends(self, index: int) -> int:
        """Give the calls that have ended, and let go of what counted them."""
        ended = self.ended[index]
        found = len(ended)
        del ended[:found]
        self.left[index] += found
        return self.left[index]

    def calls(self, index: int) -> int:
        """Give the calls begun on the straight lines."""
        return self.taken[index] + len(self.begun[index])


def emptied(queue: deque[_T]) -> list[_T]:
    """Take what is in a queue now; what is appended meanwhile stays for the next time."""
    take = queue.popleft
    return [take() for _ in range(len(queue))]


def claimed(record: Record) -> bool:
    """Charge a sampled call as failed; False where that has been done."""
    try:
        record.pop(CLAIM)
    except IndexError:
        return False
    return True


def encoded(unit: object) -> bytes | None:
    """Give a unit's bytes, or None; never raises, whatever its class does."""
    try:
        return encode_unit(unit)
    except Exception:  # noqa: BLE001 - a unit of a hostile class is nobody's evidence
        return None


def named_by(error: BaseException, names: tuple[str, ...]) -> str | None:
    """Give the first name that means an error: of its class or a base of it, alone or with the module."""
    if not names:
        return None
    known = {name for kind in type(error).__mro__ for name in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}")}
    return next((name for name in names if name in known), None)
