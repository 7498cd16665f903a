"""A change on its way to the store: what it rests on, what it writes, and what a person should agree to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from graysplit.control.reading import Reading
from graysplit.control.result import Result
from graysplit.core.adoption import MAX_DEFINITION
from graysplit.core.changes import Effects, effects, lets_in
from graysplit.core.definition import Definition
from graysplit.core.lease import PREFIX
from graysplit.core.snapshot import EVERYTHING, SAME, Change, apply
from graysplit.core.weights import FULL, Weight, field_of, format_weight
from graysplit.errors import RefusedError
from graysplit.stores.port import Expect, KeyName, Submission, Write, Written


class Proposal(NamedTuple):
    """One compare-and-set change, not yet submitted."""

    id: str
    target: str
    change: Change
    effects: Effects
    expect: tuple[Expect, ...]
    writes: tuple[Write, ...]
    read_at_ms: int
    raises: bool
    moves: dict[str, tuple[str | None, str | None]]
    created: tuple[str, ...] = ()
    cleared: dict[str, str] = {}  # noqa: RUF012 - a NamedTuple's default, never changed
    ask: str | None = None  # what a person types the name for

    def submission(self, actor: str, why: str) -> Submission:
        """Give what the store is handed."""
        change = self.change
        return Submission(
            self.id,
            change.split,
            change.cause,
            actor,
            why,
            self.expect,
            self.writes,
            self.read_at_ms,
            self.raises,
            tuple(change.releases),
        )

    def result(self, written: Written | None = None) -> Result:
        """Give what is told of it: after the write, or (without one) of a dry run."""
        return Result(
            cause=self.change.cause,
            split=self.target,
            moves=self.moves,
            revision=written.revision if written else 0,
            change=written.id if written else "",
            at_ms=written.at_ms if written else 0,
            unrecorded=written.unrecorded if written else None,
            created=self.created,
            cleared=self.cleared,
            moved=self.effects.moved,
            needless=self.effects.needless,
            expected={field: format_weight(after) for field, (_, after) in self.effects.weights.items()},
            dry_run=written is None,
        )


def propose(reading: Reading, change: Change, id_: str, *, target: str | None = None) -> Proposal:
    """Turn a change into a proposal that rests on every field the change was made from."""
    after = apply(reading.snapshot, change)
    done = effects(reading.snapshot, after)
    standing = reading.snapshot.splits.get(change.split)
    raises = bool(done.risen) or bool(standing and lets_in(standing, change))
    named = {**dict.fromkeys(change.weights), **done.weights}
    moves = {field: pair for field in named if (pair := _pair(reading, change, done, field)) is not None}
    return Proposal(
        id=id_,
        target=target or change.split,
        change=change,
        effects=done,
        expect=tuple(_expect(reading, change)),
        writes=(*_writes(change, id_), *_lease_writes(reading, change)),
        read_at_ms=reading.load.now_ms,
        raises=raises,
        moves=moves,
        cleared={field: reading.snapshot.stops[field] for field in change.stops if field in reading.snapshot.stops},
        ask=_ask(change, done),
    )


def _pair(reading: Reading, change: Change, done: Effects, field: str) -> tuple[str | None, str | None] | None:
    """Give a candidate's weight in force before and after, or None where the field names no candidate."""
    if field in done.weights:
        before, after = done.weights[field]
        return format_weight(before), format_weight(after)
    split, _, version = field.partition("/")
    standing = reading.snapshot.splits.get(split)
    if standing is None:
        return (None, "0") if version and change.weights.get(field) is not None else None
    if version not in {candidate.name for candidate in standing.definition.candidates}:
        return None
    same = format_weight(standing.effective(version))
    return same, None if change.definition is None else same


def _leased(reading: Reading, change: Change) -> list[str]:
    """Name the fields whose lease a change takes, or ends because it writes their weight."""
    standing = (field for field in change.weights if reading.raw("meta", PREFIX + field) is not None)
    return sorted({*standing, *change.leases})


def _lease_writes(reading: Reading, change: Change) -> Iterator[Write]:
    for field in _leased(reading, change):
        lease = change.leases.get(field)
        yield Write("meta", PREFIX + field, None if lease is None else str(lease))


def _ask(change: Change, done: Effects) -> str | None:
    if change.cause == "delete":
        return f"this deletes the record of '{change.split}'"
    full = [field for field in done.risen if done.weights[field][1] == FULL]
    if full:
        return f"this sends everybody to {', '.join(full)}"
    if done.risen and change.cause in {"undo", "unstop"}:
        return f"this raises {', '.join(_rise(field, done.weights[field]) for field in done.risen)}"
    return None


def _rise(field: str, pair: tuple[Weight, Weight]) -> str:
    return f"{field} {format_weight(pair[0])} -> {format_weight(pair[1])}"


def _expect(reading: Reading, change: Change) -> Iterator[Expect]:
    if change.split != EVERYTHING:
        yield from _seen(reading, "splits", [change.split])
    if not change.weights and not change.stops:
        return
    yield from _seen(reading, "weights", _weights_under(reading, change))
    yield from _seen(reading, "stops", _stops_over(reading, change))
    yield from _seen(reading, "meta", [f"release:{field}" for field in change.releases])
    yield from _seen(reading, "meta", [f"{PREFIX}{field}" for field in _leased(reading, change)])


def _weights_under(reading: Reading, change: Change) -> list[str]:
    """Name the weights a change rests on: the split's own, and those of everybody where `*` is touched."""
    own = {*reading.fields("weights", change.split), *change.weights}
    standing = reading.snapshot.splits.get(change.split)
    if standing is not None:
        own |= {field_of(change.split, version.name) for version in standing.definition.candidates}
    if EVERYTHING in change.stops:
        for split in reading.snapshot.splits:
            own |= {*reading.fields("weights", split)}
    return sorted(own)


def _stops_over(reading: Reading, change: Change) -> list[str]:
    own = {EVERYTHING, change.split, *reading.fields("stops", change.split), *change.stops, *change.weights}
    return sorted(own)


def _seen(reading: Reading, key: KeyName, fields: Iterable[str]) -> Iterator[Expect]:
    return (Expect(key, field, reading.text(key, field)) for field in fields)


def _writes(change: Change, id_: str) -> Iterator[Write]:
    for field, weight in change.weights.items():
        yield Write("weights", field, None if weight is None else format_weight(weight))
    for field, stop in change.stops.items():
        yield Write("stops", field, stop)
    if change.definition is not SAME:
        yield Write("splits", change.split, _definition_text(change.split, change.definition, id_))


def _definition_text(split: str, definition: Definition | None, id_: str) -> str:
    from graysplit.codec import dump_definition, tombstone

    if definition is None:
        return tombstone(id_)
    dumped = dump_definition(definition)
    if len(dumped.encode()) > MAX_DEFINITION:
        raise RefusedError(
            f"the record of '{split}' would be larger than {MAX_DEFINITION} bytes, and no process would take it. "
            f"Take pins away first: graysplit unpin {split} UNIT"
        )
    return dumped
