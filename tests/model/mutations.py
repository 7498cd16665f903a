"""Stored values spoilt with their structure in mind: every field of a record in every way, alone or two at once."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias, TypeGuard

Place: TypeAlias = "tuple[str | int, ...]"


class Raw(NamedTuple):
    """Text that stands in JSON as it is, be it JSON or not."""

    text: str


class Twice(NamedTuple):
    """A value that stands twice under its name, the second time as another."""

    first: Any  # Any: JSON
    second: Any


GONE: Final = object()

# What a value is replaced by, by a name for messages.
REPLACED: Final[dict[str, Any]] = {
    "absent": GONE,
    "null": None,
    "blank": "",
    "blanks": "   ",
    "text": "zzz",
    "a long text": "x" * 2_000,
    "NUL": "\x00",
    "control characters": "\x1b]52;c;eA==\x07\n",
    "arabic digits": "٢٠",
    "zero": 0,
    "minus one": -1,
    "too large": 10**6,
    "a fraction": 0.5,
    "true": True,
    "false": False,
    "NaN": Raw("NaN"),
    "infinity": Raw("-Infinity"),
    "beyond floats": Raw("1e999"),
    "5000 digits": Raw("9" * 5_000),
    "a lone surrogate": Raw('"\\ud800"'),
    "not UTF-8": Raw('"\udcff"'),
    "an empty array": [],
    "an empty object": {},
    "an array": [1, "a", None],
    "an object": {"name": "zzz", "place": 1},
    "40 deep": Raw("[" * 40 + "]" * 40),
    "50000 deep": Raw("[" * 50_000),
    "broken off": Raw("{"),
    "a comma": Raw(","),
}


def places_of(value: Any, at: Place = ()) -> Iterator[Place]:  # Any: JSON
    """Walk everything inside a record, the record itself among it."""
    yield at
    for key, found in inside(value):
        yield from places_of(found, (*at, key))


def inside(value: Any) -> Iterable[tuple[str | int, Any]]:  # Any: JSON
    """Return what an object or an array holds, with its key or number."""
    return value.items() if is_object(value) else enumerate(value) if is_array(value) else ()


def is_object(value: object) -> TypeGuard[dict[str, Any]]:  # Any: JSON
    """Return whether this is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:  # Any: JSON
    """Return whether this is an array."""
    return isinstance(value, list)


def one_by_one(record: Any) -> Iterator[tuple[str, bytes]]:  # Any: JSON
    """Spoil each place of a record in every way, one at a time; return a name for it and the bytes."""
    for place in places_of(record):
        for name, value in REPLACED.items():
            if place or value is not GONE:
                yield f"{name} at {place}", written(put(record, place, value))
        yield from _of_its_kind(record, place)


def _of_its_kind(record: Any, place: Place) -> Iterator[tuple[str, bytes]]:  # Any: JSON
    found = at(record, place)
    if place and isinstance(place[-1], str):
        yield f"twice at {place}", written(put(record, place, Twice(found, "zzz")))
        yield f"twice the same at {place}", written(put(record, place, Twice(found, found)))
    if is_object(found):
        yield f"an unknown key in {place}", written(put(record, place, {**found, "zzz": 1}))
        yield f"as pairs at {place}", written(put(record, place, list(found.items())))
    if is_array(found):
        yield f"ten times at {place}", written(put(record, place, found * 10))
        yield f"as an object at {place}", written(put(record, place, dict(enumerate(found))))


def at_random(record: Any, chance: random.Random) -> bytes:  # Any: JSON
    """Spoil a record in one to three places, and at times its bytes as well."""
    spoilt = record
    for _ in range(chance.randint(1, 3)):
        places = [place for place in places_of(spoilt) if not isinstance(at(spoilt, place), (Raw, Twice))]
        place = chance.choice(places or [()])
        value = chance.choice(list(REPLACED.values()))
        if place or value is not GONE:
            spoilt = put(spoilt, place, value) if place else value
    raw = written(spoilt)
    return broken(raw, chance) if chance.random() < 0.2 else raw


def broken(raw: bytes, chance: random.Random) -> bytes:
    """Cut bytes off, flip one, or put some in."""
    place = chance.randrange(len(raw) + 1)
    kind = chance.randrange(3)
    if kind == 0:
        return raw[:place]
    if kind == 1:
        return raw[:place] + bytes([chance.randrange(256)]) + raw[place + 1 :]
    return raw[:place] + chance.choice((b"\xff", b'"', b"{", b"}", b"\x00", b"\\u", b",")) + raw[place:]


def at(record: Any, place: Place) -> Any:  # Any: JSON
    """Return what stands at a place."""
    for key in place:
        record = record[key]
    return record


def put(record: Any, place: Place, value: Any) -> Any:  # Any: JSON
    """Return a copy with another value at a place, or with nothing there."""
    if not place:
        return value
    inner = put(record[place[0]], place[1:], value)
    changed = ((key, inner if key == place[0] else found) for key, found in inside(record))
    kept = [(key, found) for key, found in changed if found is not GONE]
    return dict(kept) if is_object(record) else [found for _, found in kept]


def written(value: Any) -> bytes:  # Any: JSON, and what is none
    """Write it as it would stand in the store."""
    return _text(value).encode("utf-8", errors="surrogateescape")


def _text(value: Any) -> str:  # Any: as above
    if isinstance(value, Raw):
        return value.text
    if is_object(value):
        pairs = (f"{json.dumps(str(key))}: {_text(one)}" for key, found in value.items() for one in _all(found))
        # What stands twice under one name is written twice.
        return "{" + ", ".join(pairs) + "}"
    if is_array(value) or is_pair(value):
        return "[" + ", ".join(_text(found) for found in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def is_pair(value: object) -> TypeGuard[tuple[Any, ...]]:  # Any: as above
    """Return whether this is a key with its value, of an object written as an array."""
    return isinstance(value, tuple) and not isinstance(value, (Raw, Twice))


def _all(value: Any) -> tuple[Any, ...]:  # Any: as above
    return (value.first, value.second) if isinstance(value, Twice) else (value,)
