"""A fork: which changes that a process has followed its store has lost, from what to what.

Told by each process in a line of its log, and once in the store's history, by an entry that nothing is adopted from:
its fields are named `lost`, and explain no raise (law 7).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.entry import Entry
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import text
from graysplit.core.replica.lineage import (
    REMEMBERED,
    Past,
    ancestor,
    goes_on,
    lineage_in,
    newer_than_ancestor,
    revision_in,
)
from graysplit.core.replica.record import SENTINEL, Key, Load
from graysplit.core.weights import format_weight

CAUSE: Final = "fork"
MARK: Final = "fork"  # in `meta`: '<id of the entry> <id of the last change that both logs share, or ->'
NO_ANCESTOR: Final = "-"

# How the entry names what was lost of each hash: by words that name no hash.
LOST: Final = {"weights": "lost", "stops": "loststop", "splits": "lostsplit"}
FIELDS_AT_MOST: Final = 1_000  # in the history's entry
NAMED_AT_MOST: Final = 20  # in a line

Pair = tuple[str | None, str | None]


class Fork(NamedTuple):
    """One fork as one process has seen it."""

    ancestor: str  # id of the last change that both logs share; NO_ANCESTOR where they share none
    changes: int  # that were followed here and are not in the log any more, as far as they are remembered
    followed: int  # the revision that was followed last
    shared: int  # that of the ancestor; 0 where there is none
    now: int  # the revision that the store stands at
    lost: Mapping[str, Pair] = {}  # "lost checkout/new" to its weight as it was followed, and as the fork left it
    mark: str | None = None  # what `meta` says of the last fork that was told
    highest: int = 0  # the highest revision ever followed here
    lineage: str = ""  # of the log that is met

    @property
    def split(self) -> str:
        """Name the split that it concerns, or everything."""
        splits = {split_of(where.partition(" ")[2]) for where in self.lost}
        return splits.pop() if len(splits) == 1 else EVERYTHING

    @property
    def numbers(self) -> str:
        """Return which changes are lost, by their numbers."""
        many = "at least " if self.changes >= REMEMBERED else ""
        changes = f"{many}{self.changes} {'change' if self.changes == 1 else 'changes'} that had been followed"
        if self.ancestor == NO_ANCESTOR:
            lost = f"{changes}, up to revision {self.followed}" if self.changes else f"revision {self.followed}"
            return f"the store has another history: it has lost {lost}, and is at revision {self.now}"
        after = f"after revision {self.shared}, up to {self.followed}"
        return f"the store has lost {changes} ({after}), and is at revision {self.now}"

    @property
    def moves(self) -> Iterator[str]:
        """Return from what to what, field by field; weights first."""
        for where in sorted(self.lost):
            yield move(where, *self.lost[where])

    @property
    def line(self) -> str:
        """Return all of it in one line of bounded length."""
        named = list(self.moves)
        more = f" and {len(named) - NAMED_AT_MOST} more" if len(named) > NAMED_AT_MOST else ""
        moves = f"changed by the fork: {', '.join(named[:NAMED_AT_MOST])}{more}"
        return f"{self.numbers}; {moves if named else 'no weight, stop or definition changed'}"

    @property
    def more(self) -> int:
        """Count the fields that the entry has no room for."""
        return max(0, len(self.lost) - FIELDS_AT_MOST)

    def entered(self) -> Mapping[str, Pair]:
        """Return what the entry holds of it."""
        return dict(sorted(self.lost.items())[:FIELDS_AT_MOST])


def move(where: str, before: str | None, after: str | None) -> str:
    """Return what became of a field, by a fork alone: `checkout/new 20% -> 50%`."""
    key, _, field = where.partition(" ")
    if key == LOST["weights"]:
        return f"{field} {_percent(before)} -> {_percent(after)}"
    became = "is gone" if after is None else "is there" if before is None else "is another one"
    return f"{'the stop' if key == LOST['stops'] else 'the definition'} {field} {became}"


def _percent(weight: str | None) -> str:
    return "absent" if weight is None else f"{weight}%" if weight[:1].isdigit() else weight


def fork_of(past: Past, load: Load, held: Adopted) -> Fork | None:
    """Return the fork that a process meets with a reading; None where only the log's older entries are gone."""
    shared = ancestor(past, load)
    if shared is None and goes_on(past, load, held):
        return None
    position = past.recent.index(shared.id) + 1 if shared is not None else 0
    newer = newer_than_ancestor(past, load) if shared is not None else ()
    return Fork(
        shared.id if shared is not None else NO_ANCESTOR,
        len(past.recent) - position,
        held.revision,
        shared.revision if shared is not None else 0,
        revision_in(load),
        _lost(held, load, newer),
        _mark(load),
        past.highest,
        lineage_in(load),
    )


def _mark(load: Load) -> str | None:
    raw = load.meta.fields.get(MARK.encode())
    return None if raw is None else text(raw)


def is_told(fork: Fork, past: Past, load: Load) -> bool:
    """Return whether the history knows of a fork already: somebody who followed the same log was faster."""
    shared = fork.ancestor != NO_ANCESTOR
    entries = newer_than_ancestor(past, load) if shared else [e for e in load.entries if e.at_ms >= past.read_ms]
    return tells_of(fork, entries)


def untold(fork: Fork, load: Load) -> Fork | None:
    """Return a fork as it is to be told after a further reading; None once the history tells of it."""
    if load.meta.lost is not None:
        return fork
    return None if tells_of(fork, load.entries) else fork._replace(mark=_mark(load), lineage=lineage_in(load))


def tells_of(fork: Fork, entries: Iterable[Entry]) -> bool:
    """Return whether entries of the history tell of a fork."""
    marks = (entry.after.get(f"meta {MARK}") or "" for entry in entries if entry.cause == CAUSE)
    return any(mark.partition(" ")[2] == fork.ancestor for mark in marks)


def _lost(held: Adopted, load: Load, newer: Iterable[Entry]) -> Mapping[str, Pair]:
    """Compare what was followed, field by field, with what the fork left."""
    found: dict[str, str | None] = {}
    for entry in newer:
        for where in entry.after:
            found.setdefault(where, entry.before.get(where))
    lost: dict[str, Pair] = {}
    for name, key in (("weights", load.weights), ("stops", load.stops), ("splits", load.splits)):
        if key.lost is not None:
            continue  # law 8: it says nothing
        followed, left = _followed(held, name), _left(name, key, found)
        for field in followed.keys() | left.keys():
            before, after = followed.get(field), left.get(field)
            if name == "splits":  # an entry holds only what changed of a definition, and none is for a line
                after = before if f"splits {field}" in found else after
                before, after = before and "followed", after and ("followed" if after == before else "another")
            if before != after and not (name == "weights" and {before, after} <= {None, "0"}):
                lost[f"{LOST[name]} {field}"] = (before, after)
    return lost


def _followed(held: Adopted, name: str) -> Mapping[str, str]:
    """Return a hash as it was followed; after a restart, what is held of it."""
    if held.seen.get(name):
        return _texts(held.seen[name])
    weights = {field: format_weight(weight) for field, weight in held.weights.items()}
    return {"weights": weights, "stops": held.stops, "splits": _texts_of(held.definitions)}[name]


def _left(name: str, key: Key, found: Mapping[str, str | None]) -> Mapping[str, str]:
    """Return what the fork left of a hash: where newer entries wrote, what they found."""
    left = _texts(key.fields)
    for where, value in found.items():
        of, _, field = where.partition(" ")
        if of == name and value is None:
            left.pop(field, None)
        elif of == name and value is not None:
            left[field] = value
    return left


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {text(field): text(raw) for field, raw in fields.items() if field != SENTINEL}


def _texts_of(definitions: Mapping[str, bytes]) -> dict[str, str]:
    return {split: text(raw) for split, raw in definitions.items()}
