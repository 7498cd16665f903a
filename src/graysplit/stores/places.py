"""Which fields concern a split: what a change of it rests on, and nothing of what stands for other splits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from graysplit.core.address import EVERYTHING, field_of
from graysplit.core.allocation import PLACES
from graysplit.core.freeze import FREEZES, THAWED
from graysplit.core.guard.past_rate import PAST
from graysplit.core.lease import PREFIX as LEASE
from graysplit.core.releases import PREFIX as RELEASE
from graysplit.core.replica.record import SENTINEL
from graysplit.core.waves import PREFIX as WAVE
from graysplit.stores.port import KeyName, Place
from graysplit.stores.text.content import FINISHED
from graysplit.stores.text.records import PLAN, TICK, exact

_MARK: Final = exact(SENTINEL)

# What stands for every split: whether each hash counts, the stop on everything, the freezes.
FOR_ALL: Final[tuple[Place, ...]] = (
    ("weights", _MARK),
    ("stops", _MARK),
    ("splits", _MARK),
    ("meta", _MARK),
    ("stops", EVERYTHING),
    ("meta", "revision"),
    ("meta", FREEZES),
    ("meta", THAWED),
)

# What stands before the name of a split, and before the address of each of its versions, the baseline among them.
OF_SPLIT: Final[tuple[Place, ...]] = (
    ("splits", ""),
    ("weights", ""),
    ("stops", ""),
    ("meta", PLAN),
    ("meta", FINISHED),
    ("plans", ""),
    ("plans", TICK),
)
OF_VERSION: Final[tuple[Place, ...]] = (
    ("weights", ""),
    ("stops", ""),
    ("meta", exact(RELEASE)),
    ("meta", LEASE),
    ("meta", WAVE),
    ("meta", PAST),
)

VERSIONS_AT_MOST: Final = PLACES + 1  # candidates and the baseline


def places_of(split: str, versions: Iterable[str]) -> Iterator[Place]:
    """Name the fields of a split and of its versions."""
    yield from _named(OF_SPLIT, split)
    for version in versions:
        yield from _named(OF_VERSION, field_of(split, version))


def versions_in(record: str | None) -> tuple[str, ...]:
    """Name the versions in the text of a definition; none where it is absent, no definition, or has too many."""
    try:
        decoded: object = json.loads(record or "")
    except (ValueError, RecursionError):
        return ()
    listed = cast("dict[str, Any]", decoded).get("versions") if isinstance(decoded, dict) else ()  # Any: JSON
    rows = cast("list[object]", listed) if isinstance(listed, list) else []
    names = [cast("dict[str, object]", row).get("name") for row in rows if isinstance(row, dict)]
    found = tuple(name for name in names if isinstance(name, str))
    return found if len(found) <= VERSIONS_AT_MOST else ()


def _named(prefixes: tuple[Place, ...], name: str) -> Iterator[Place]:
    key: KeyName
    for key, prefix in prefixes:
        yield key, f"{prefix}{name}"
