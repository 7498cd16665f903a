"""What the console last saw of a namespace, and whether it still hears the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from graysplit.control.look import NamespaceLook
from graysplit.control.undo import NOTED
from graysplit.control.views import UNKNOWN
from graysplit.core.address import EVERYTHING, split_of, stops_over
from graysplit.core.entry import Entry


class Emptied(NamedTuple):
    """What a store held when it was last read with the history that it no longer has."""

    at_ms: int  # by its clock, when it was read
    revision: int
    weights: Mapping[str, str]  # by field: what was in force above zero


class Picture(NamedTuple):
    """One look, with what is remembered of the changes before it."""

    number: int  # grows with each picture
    look: NamespaceLook | None  # None: nothing was read yet
    last: Entry | None
    lasts: Mapping[str, Entry]  # by split: the last change of it that is known; not what only was noted
    since: Mapping[str, int]  # by field: the server time of the last change of its weight or of a stop over it
    read_at: float = 0.0  # this process's own clock, at the look
    lost: str = ""  # why the store does not answer; "": it does
    lost_at: float = 0.0  # the same clock, when it was last heard
    refused: bool = False  # whether it answers, and does not let itself be read
    earlier: Emptied | None = None  # what it held before it was emptied, or replaced by an older copy
    notes: Mapping[str, str] = MappingProxyType({})  # by split: the last entry that changed nothing

    def now_ms(self, now: float) -> int:
        """Return the server's time by this process's own clock."""
        return 0 if self.look is None else self.look.overview.now_ms + int(1000 * (now - self.read_at))


def emptied(before: Picture, seen: NamespaceLook) -> Emptied | None:
    """Return what a store held before it fell back behind its own history; None where it did not, or has caught up."""
    if before.look is None:
        return None
    was, revision = before.look.overview, seen.overview.revision
    if revision < was.revision:
        weights = {row.field: row.effective for row in was.rows if row.effective not in {"0", UNKNOWN}}
        return Emptied(was.now_ms, was.revision, weights)
    earlier = before.earlier
    return earlier if earlier is not None and revision < earlier.revision else None


class RecentChanges:
    """By split and by field the last change, as the log goes on."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lasts: dict[str, Entry] = {}
        self._moved: dict[str, int] = {}  # "weights checkout/new", "stops checkout": the server time
        self._asked: set[str] = set()
        self.notes: Mapping[str, str] = {}  # by split: the entry that noted something last, and changed nothing
        self.last: Entry | None = None

    def note(self, entries: Iterable[Entry]) -> None:
        """Take further entries, the oldest first."""
        for entry in entries:
            self.last = entry
            self._note(entry)

    def note_older(self, split: str, entries: Iterable[Entry]) -> None:
        """Take a split's last change, which was made before all that was noted; also that there is none."""
        self._asked.add(split)
        for entry in entries:
            if split not in self._lasts and entry.cause not in NOTED:
                self._note(entry)

    def unknown(self, splits: Iterable[str]) -> list[str]:
        """Return the splits of which no change is known, and that were not asked for yet."""
        return [split for split in splits if split not in self._lasts and split not in self._asked]

    def _note(self, entry: Entry) -> None:
        if entry.cause in NOTED:
            self.notes = {**self.notes, entry.split: entry.id}
            return
        about = () if entry.cause == "batch" else (entry.split,)  # it is about the splits that it wrote, not about all
        names = {*about, *(split_of(at.partition(" ")[2]) for at in entry.after if _is_content(at))}
        self._lasts |= dict.fromkeys(names, entry)
        for at in entry.after:
            if entry.before.get(at) != entry.after[at]:
                self._moved[at] = entry.at_ms

    def of_splits(self, splits: Iterable[str]) -> dict[str, Entry]:
        """Return each split's last change; one of everything is every split's."""
        every = self._lasts.get(EVERYTHING)
        found: dict[str, Entry] = {}
        for split in splits:
            own = self._lasts.get(split)
            newest = max(filter(None, (own, every)), key=lambda entry: (entry.revision, entry.at_ms), default=None)
            if newest is not None:
                found[split] = newest
        return found

    def since(self, fields: Iterable[str]) -> dict[str, int]:
        """Return when the weight in force of each field was last changed, where that is known."""
        found: dict[str, int] = {}
        for field in fields:
            places = (f"weights {field}", *(f"stops {stop}" for stop in stops_over(field)))
            moved = max((self._moved[at] for at in places if at in self._moved), default=0)
            if moved:
                found[field] = moved
        return found


def _is_content(at: str) -> bool:
    return at.startswith(("weights ", "stops ", "splits "))
