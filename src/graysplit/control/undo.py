"""The inverse of the last change of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, get_args

from graysplit.control.freeze import FINISHED, unfreeze_command
from graysplit.control.reading import Reading
from graysplit.core.address import covers_split, split_of
from graysplit.core.changes import Effects, applied
from graysplit.core.definition import Definition
from graysplit.core.entry import Entry
from graysplit.core.split_state import SAME, Change, Same
from graysplit.core.weights import Weight, format_weight, parse_weight
from graysplit.errors import BadDefinitionError, ConflictError, RefusedError
from graysplit.stores.port import KeyName, Write
from graysplit.stores.text.records import HOST_LOST, raw_of

# What a plan's driver or a guard has noted for people, where it changes nothing.
NOTED: Final = frozenset({"waiting", "suspect", "warned", HOST_LOST})
LOOKED_AT: Final = 20


class Field(NamedTuple):
    """One field that an entry of the history changed."""

    key: KeyName
    name: str
    before: str | None
    after: str | None


def before_unread(reading: Reading, split: str, entry: Entry) -> Reading:
    """Return a reading in which a split that cannot be read is as its last change found it, with the weights of now.

    What an undo does is told from there: the weights go from what the store says to what is written.
    """
    from graysplit.core.replica.adoption import state_of

    definition = _definition(split, tuple(_fields(entry, split))) if split in reading.unread else None
    if definition is None or definition is SAME:
        return reading
    snapshot = reading.snapshot
    state = state_of(reading.held, split, definition)
    return reading._replace(
        snapshot=snapshot._replace(splits={**snapshot.splits, split: state}),
        unread={name: why for name, why in reading.unread.items() if name != split},
    )


def last_change(entries: Iterable[Entry]) -> Entry | None:
    """Return the newest of a split's entries that is more than a note; where there are only notes, the newest."""
    several = [*entries]
    return next((entry for entry in several if entry.cause not in NOTED or entry.after), next(iter(several), None))


def undo(reading: Reading, split: str, entry: Entry, release: str, *, force: bool) -> tuple[Change, tuple[Write, ...]]:
    """Return the change that puts back what stood of a split before an entry, and its writes, byte for byte.

    Raises `ConflictError` where what the entry wrote no longer stands. What a change to zero brought down rises
    only with `force`.
    """
    fields = tuple(_fields(entry, split))
    if entry.cause == "freeze":
        raise RefusedError(f"the last change of '{split}' is a freeze. End it with: {unfreeze_command(entry.split)}")
    if not fields:
        raise RefusedError(
            f"the last change of '{split}' ({entry.cause}) has nothing to revert. "
            f"See it with: graysplit history {split}"
        )
    for field in fields:
        stored = reading.text(field.key, field.name)
        if stored != field.after:
            raise ConflictError(split, _told(field, field.after), _told(field, stored))
    change = Change(
        "undo",
        split,
        weights={field.name: _weight(field.before) for field in fields if field.key == "weights"},
        stops={field.name: field.before for field in fields if field.key == "stops"},
        definition=_definition(split, fields),
        marks={field.name: field.before for field in fields if field.key == "meta"},
    )
    done = applied(reading.snapshot, change).effects
    if done.started and not force:
        raise RefusedError(
            f"undoing this {entry.cause} would raise {_started(done)} from zero. "
            f"Do it with: graysplit undo {split} --force"
        )
    writes = tuple(_write(reading, field, release) for field in fields if field.key != "meta")
    return change._replace(releases=dict.fromkeys(done.started, release)), writes


def _fields(entry: Entry, split: str) -> Iterator[Field]:
    """Read a split's fields of an entry (of `*`: all); of the marks in `meta` only that a release is finished."""
    for at in sorted(entry.before.keys() | entry.after.keys()):
        key, _, name = at.partition(" ")
        if key == "meta" and not name.startswith(FINISHED):
            continue
        if key in get_args(KeyName) and covers_split(split, split_of(name.removeprefix(FINISHED))):
            known: KeyName = key  # type: ignore[assignment]
            yield Field(known, name, entry.before.get(at), entry.after.get(at))


def _definition(split: str, fields: tuple[Field, ...]) -> Definition | Same | None:
    from graysplit.codec import parse_definition

    for field in fields:
        if field.key == "splits":
            try:
                return None if field.before is None else parse_definition(split, raw_of(field.before))
            except BadDefinitionError as fault:
                raise RefusedError(
                    f"this graysplit cannot read the definition before the last change: nothing was reverted "
                    f"({fault}). Undo it with the graysplit that wrote it, or see it with: graysplit show {split}"
                ) from fault
    return SAME


def _weight(text: str | None) -> Weight | None:
    return None if text is None else parse_weight(text)


def _write(reading: Reading, field: Field, id_: str) -> Write:
    from graysplit.codec import tombstone

    if field.key != "splits" or field.before is not None:
        return Write(field.key, field.name, field.before)
    # A definition that is only taken away would count as lost (law 8).
    state = reading.snapshot.splits.get(field.name)
    return Write("splits", field.name, tombstone(id_, state and state.definition.baseline))


def _told(field: Field, value: str | None) -> str:
    if value is None:
        return f"{field.name} in {field.key} absent"
    if field.key == "splits":  # it may hold units
        return f"{field.name} in {field.key} with {'the' if value == field.after else 'another'} definition"
    return f"{field.name} in {field.key} {value[:40]!r}"


def _started(done: Effects) -> str:
    return ", ".join(f"{field} to {format_weight(done.weights[field][1])}" for field in done.started)
