"""What a store said at one moment, as an editor sees it: the raw fields beside what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple, TypeVar, get_args

from graysplit.core.address import field_of, split_of
from graysplit.core.changes import Mistyped
from graysplit.core.definition import Definition
from graysplit.core.fleet import Fleet
from graysplit.core.in_force import mistyped_zeros
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import text
from graysplit.core.replica.record import SENTINEL, Key, Load, is_new
from graysplit.core.split_state import Snapshot
from graysplit.core.weights import Weight
from graysplit.errors import BadDefinitionError, StoreCorruptError
from graysplit.stores.port import FieldReading, KeyName, Place, Store, Surveyor
from graysplit.stores.text.records import exact, raw_of

V = TypeVar("V")


class NotReadError(Exception):
    """Something was asked for that a reading of a few splits has left out: the whole store is to be read."""


class OnlyRead(Mapping[str, V]):
    """Of all splits those that were read; whoever asks for another, or for all of them, gets `NotReadError`."""

    def __init__(self, found: Mapping[str, V], names: Collection[str]) -> None:
        """Take what was found of the splits that were read."""
        self._found = found
        self._names = names

    def __getitem__(self, split: str) -> V:
        """Return what was found of a split that was read; raise `KeyError` where that is nothing."""
        if split not in self._names:
            raise NotReadError(split)
        return self._found[split]

    def __iter__(self) -> Iterator[str]:
        """Raise `NotReadError`: nobody knows all of them."""
        raise NotReadError("all splits")

    def __len__(self) -> int:
        """Raise `NotReadError`, as above."""
        raise NotReadError("all splits")


class Reading(NamedTuple):
    """One reading: the bytes, what they mean, and what of them cannot be read.

    One of a few splits has their fields alone, and raises `NotReadError` for any other that is asked for.
    """

    load: Load
    snapshot: Snapshot
    held: Adopted
    unread: Mapping[str, str]  # by split: why its definition cannot be read
    begun_ms: int = 0  # server time of the command's first reading: what a person was shown is counted from it
    places: Collection[Place] | None = None  # of a reading of a few splits, the fields that it has; None: all
    fleet: Callable[[], Fleet] | None = None  # the processes, where they were asked for right behind it

    @property
    def empty(self) -> bool:
        """Whether the store's keys hold nothing that was written by graysplit."""
        return is_new(self.load.weights, self.load.stops, self.load.splits, self.load.meta)

    def check_all(self) -> None:
        """Raise `NotReadError` where only a few splits were read."""
        if self.places is not None:
            raise NotReadError("the whole store")

    def key(self, name: KeyName) -> Key:
        """Return one of the hashes."""
        found: Key = getattr(self.load, name)
        return found

    def raw(self, name: KeyName, field: str) -> bytes | None:
        """Return a field's bytes, or None where it is absent."""
        if self.places is not None and (name, field) not in self.places:
            raise NotReadError(f"{name} {field}")
        return self.key(name).fields.get(raw_of(field))

    def text(self, name: KeyName, field: str) -> str | None:
        """Return a field's text such that the store can compare it, or None where it is absent."""
        raw = self.raw(name, field)
        return None if raw is None else exact(raw)

    def shown(self, name: KeyName, field: str) -> str | None:
        """Return a field's text for people; invalid UTF-8 is escaped."""
        raw = self.raw(name, field)
        return None if raw is None else text(raw)

    def texts(self, name: KeyName) -> Iterator[str]:
        """Name all fields of a key."""
        self.check_all()
        return (exact(raw) for raw in self.key(name).fields if raw != SENTINEL)

    def fields(self, name: KeyName, split: str) -> Iterator[str]:
        """Name the fields of weights or stops that belong to a split, its own name among them.

        Of a reading of a few splits only those that the definition's versions name: no other has an effect.
        """
        own = raw_of(split)
        for raw in self.key(name).fields:
            if raw.startswith(own) and raw != SENTINEL and split_of(exact(raw)) == split:
                yield exact(raw)

    def mistyped(self, split: str, definition: Definition) -> Mistyped:
        """Return the fields that hold a split at zero though they name no candidate, and what stands beneath."""
        weights = self.held.weights
        fields = mistyped_zeros(split, definition.baseline, weights)
        beneath: dict[str, Weight] = {
            version.name: weights.get(field_of(split, version.name), 0) for version in definition.candidates
        }
        return Mistyped(fields, beneath) if fields else Mistyped()


def read(store: Store, before: Reading | None = None) -> Reading:
    """Read a store whole; the definitions are parsed, which brings pydantic in.

    `before`: a reading whose definitions are taken where their bytes are the same: parsing is most of the work.
    """
    return reading_of(store.load(), before)  # first: where nobody answers, no parser is needed to say so


def reading_of(load: Load, before: Reading | None = None) -> Reading:
    """Return what a store said as an editor sees it; `before` as for `read`."""
    from graysplit.codec import parse_but, parse_definition, read_whole

    parse = parse_definition if before is None else parse_but(before.held, before.snapshot.splits)
    snapshot, unread, held = read_whole(load, parse)
    return Reading(load, snapshot, held, unread, load.now_ms)


def read_splits(store: Store, splits: Collection[str]) -> Reading | None:
    """Read a few splits, and what stands for all; None where that cannot be enough for a change of them.

    So it is where one of them is new, deleted or unreadable, and where a key is lost. A store that can reads the fleet
    in the same trip.
    """
    if isinstance(store, Surveyor):
        found, fleet = store.survey_splits([*splits])
    else:
        found, fleet = store.read_splits([*splits]), None
    from graysplit.codec import read_whole

    load = _load_of(found)
    snapshot, _, held = read_whole(load)
    if held.lost or any(split not in snapshot.splits for split in splits):
        return None
    snapshot = snapshot._replace(splits=OnlyRead(snapshot.splits, splits))
    return Reading(load, snapshot, held, OnlyRead({}, splits), load.now_ms, found.texts.keys(), fleet)


def _load_of(found: FieldReading) -> Load:
    """Return what was read of a few splits as a reading that has nothing else."""
    keys: dict[KeyName, dict[bytes, bytes]] = {name: {} for name in get_args(KeyName)}
    for (name, field), value in found.texts.items():
        if value is not None:
            keys[name][raw_of(field)] = raw_of(value)
    weights, stops, splits, meta, plans = (Key(fields) for fields in keys.values())
    return Load(weights, stops, splits, meta, plans=plans, now_ms=found.now_ms)


def check_readable(reading: Reading, split: str) -> None:
    """Raise `BadDefinitionError` where this graysplit cannot read a split's definition."""
    if split in reading.unread:
        reason = re.sub(r"^split '[^']*'[:,] ", "", reading.unread[split])
        raise BadDefinitionError(
            split,
            "",
            f"{reason}. Rollback needs no definition: graysplit rollback {split}; "
            f"to start over: graysplit delete {split}",
        )


def check_whole(reading: Reading) -> None:
    """Raise `StoreCorruptError` where a key is lost: what it says of the rest cannot be told."""
    for key, reason in sorted(reading.held.lost.items()):
        if not reading.empty:
            raise StoreCorruptError(
                f"the key '{key}' is lost ({reason}), so nothing was written; processes keep their values. "
                "Repair it with: graysplit recover; rollback still works: graysplit rollback --all"
            )
