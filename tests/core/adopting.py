"""Readings and their adoption, with a parser of JSON that knows three texts."""

from __future__ import annotations

from collections.abc import Mapping

from graysplit.core.adoption import Held, adopt_brakes, adopt_definitions, settle
from graysplit.core.definition import Definition, define
from graysplit.core.record import Key, Load
from graysplit.errors import BadDefinitionError

GOOD = b'{"good": 1}'
BETTER = b'{"good": 2}'
TOMBSTONE = b'{"tombstone": "c-1"}'


def parse(split: str, raw: bytes) -> Definition | None:
    """Take the good texts, and refuse all others."""
    if raw == TOMBSTONE:
        return None
    if raw in {GOOD, BETTER}:
        return define(split, ("old", "new"))
    raise BadDefinitionError(split, "versions", "cannot be read")


def load(
    weights: Mapping[str, str | bytes] | None = None,
    stops: Mapping[str, str | bytes] | None = None,
    splits: Mapping[str, bytes] | None = None,
) -> Load:
    """Give a sound reading of these fields."""
    return Load(_key(weights), _key(stops), _key(splits), _key(None))


def adopt(held: Held, reading: Load) -> Held:
    """Adopt a whole reading as a follower does, all in one go."""
    braked, _ = adopt_brakes(held, reading)
    definitions = dict(held.definitions)
    refused = {at: reason for at, reason in held.refused.items() if at[0] == "splits"}
    for found in adopt_definitions(braked, reading, parse):
        refused.pop(("splits", found.split), None)
        if found.reason is not None:
            refused["splits", found.split] = found.reason
        elif found.raw is None:
            definitions.pop(found.split, None)
        else:
            definitions[found.split] = found.raw
    return settle(braked, reading, definitions, refused)


def _key(fields: Mapping[str, str | bytes] | None) -> Key:
    given = {name.encode(): text if isinstance(text, bytes) else text.encode() for name, text in (fields or {}).items()}
    return Key({b"_": b"1", **given})
