"""What a store said at one moment, as an editor sees it: the raw fields beside what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from graysplit.core.address import field_of, split_of
from graysplit.core.changes import Mistyped
from graysplit.core.definition import Definition
from graysplit.core.in_force import mistyped_zeros
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import text
from graysplit.core.replica.record import SENTINEL, Key, Load, is_new
from graysplit.core.split_state import Snapshot
from graysplit.core.weights import Weight
from graysplit.errors import BadDefinitionError, StoreCorruptError
from graysplit.stores.port import KeyName, Store
from graysplit.stores.text.records import exact, raw_of


class Reading(NamedTuple):
    """One reading: the bytes, what they mean, and what of them cannot be read."""

    load: Load
    snapshot: Snapshot
    held: Adopted
    unread: Mapping[str, str]  # by split: why its definition cannot be read
    begun_ms: int = 0  # server time of the command's first reading: what a person was shown is counted from it

    @property
    def empty(self) -> bool:
        """Whether the store's keys hold nothing that was written by graysplit."""
        return is_new(self.load.weights, self.load.stops, self.load.splits, self.load.meta)

    def key(self, name: KeyName) -> Key:
        """Return one of the hashes."""
        found: Key = getattr(self.load, name)
        return found

    def raw(self, name: KeyName, field: str) -> bytes | None:
        """Return a field's bytes, or None where it is absent."""
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
        return (exact(raw) for raw in self.key(name).fields if raw != SENTINEL)

    def fields(self, name: KeyName, split: str) -> Iterator[str]:
        """Name the fields of weights or stops that belong to a split, its own name among them."""
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
    load = store.load()  # first: where nobody answers, no parser is needed to say so
    from graysplit.codec import parse_but, parse_definition, read_whole

    parse = parse_definition if before is None else parse_but(before.held, before.snapshot.splits)
    snapshot, unread, held = read_whole(load, parse)
    return Reading(load, snapshot, held, unread, load.now_ms)


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
