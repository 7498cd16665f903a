"""A candidate's address, `checkout/new`, and the stops that cover it: its own, its split's and the one on everything.

The same text is the field of a weight in Redis, the target of a command and the name in a receipt. A stop may stand on
`checkout/new`, on `checkout` or on `*`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final, NamedTuple

EVERYTHING: Final = "*"


class Address(NamedTuple):
    """A target in two parts: `checkout/new`, or a whole split with an empty version."""

    split: str
    version: str


def parse_address(text: str) -> Address:
    """Return the parts of a target; the names in it are not checked."""
    split, _, version = text.partition("/")
    return Address(split, version)


def field_of(split: str, version: str) -> str:
    """Return a candidate's address: `ranking/b`."""
    return f"{split}/{version}"


def split_of(field: str) -> str:
    """Return the split that an address belongs to."""
    return field.partition("/")[0]


def version_of(field: str) -> str:
    """Return the version that an address names; an empty text where it names a whole split."""
    return field.partition("/")[2]


def stops_over(field: str) -> tuple[str, str, str]:
    """Return the stops that hold a candidate at zero where they are set, the narrowest first."""
    return field, field.partition("/")[0], EVERYTHING


def covers(stop: str, field: str) -> bool:
    """Return whether a stop holds a candidate at zero."""
    return stop in stops_over(field)


def stop_on(field: str, stops: Container[str]) -> str | None:
    """Return the narrowest of the stops that holds a candidate at zero, or None."""
    return next((stop for stop in stops_over(field) if stop in stops), None)


def covers_split(stop: str, split: str) -> bool:
    """Return whether a stop holds all candidates of a split at zero."""
    return stop in {split, EVERYTHING}


def stops_touching(split: str, versions: Iterable[str]) -> tuple[str, ...]:
    """Return the stops that hold any of a split's versions at zero where they are set, the widest first."""
    return EVERYTHING, split, *(field_of(split, name) for name in versions)
