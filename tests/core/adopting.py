"""Readings and their adoption, with a parser of JSON that knows three texts."""

from __future__ import annotations

from collections.abc import Mapping

from graysplit.core.definition import Definition, define
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import (
    adopt_brakes,
    adopt_definitions,
    changed_definitions,
    judge_definition,
    note_definitions,
)
from graysplit.core.replica.record import Key, Load
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
    """Return a sound reading of these fields."""
    return Load(_key(weights), _key(stops), _key(splits), _key(None))


def adopt(held: Adopted, reading: Load) -> Adopted:
    """Adopt a whole reading as a follower does, all in one go."""
    braked, _ = adopt_brakes(held, reading)
    changed = changed_definitions(braked, reading)
    noted = note_definitions(braked, reading)
    return adopt_definitions(noted, [judge_definition(split, raw, parse) for split, raw in changed.items()])


def _key(fields: Mapping[str, str | bytes] | None) -> Key:
    given = {name.encode(): text if isinstance(text, bytes) else text.encode() for name, text in (fields or {}).items()}
    return Key({b"_": b"1", **given})
