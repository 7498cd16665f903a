"""Definitions as texts: read, compared by what moves users, and joined with the units that only the store names."""

from __future__ import annotations

from functools import lru_cache

from graysplit.codec import dump_definition, parse_definition
from graysplit.core.definition import Definition
from graysplit.errors import BadDefinitionError


@lru_cache(maxsize=8)  # one split is asked about again and again, and then the next
def _read(split: str, raw: str) -> tuple[Definition | None, bool]:
    """Return a definition, None where it is a tombstone or cannot be read, and whether it can be read."""
    try:
        return parse_definition(split, raw.encode(errors="replace")), True
    except BadDefinitionError:
        return None, False


def parsed(split: str, raw: str) -> Definition | None:
    """Return a definition; None where it is a tombstone or cannot be read."""
    return _read(split, raw)[0]


def is_bad(split: str, raw: str) -> bool:
    """Return whether a text cannot be read as a definition."""
    return not _read(split, raw)[1]


def shape(split: str, raw: str) -> object:
    """Return what of a definition decides who gets what, to be compared."""
    definition = parsed(split, raw)
    return definition and (definition.baseline, definition.versions, definition.seed)


def with_units(split: str, told: str, raw: str | None) -> str:
    """Return a definition as processes tell it, which names no units, with the pins and denials that the store has."""
    definition = parsed(split, told)
    stored = None if raw is None else parsed(split, raw)
    if definition is None or stored is None:
        return told
    pins = {unit: version for unit, version in stored.pins.items() if version in definition.names}
    return dump_definition(definition._replace(pins=pins, denied=stored.denied))
