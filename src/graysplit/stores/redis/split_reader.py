"""What concerns a few splits, read at one moment: in one round trip, or by names where a script is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis import exceptions

from graysplit.stores import write_rules
from graysplit.stores.places import FOR_ALL, OF_SPLIT, OF_VERSION, VERSIONS_AT_MOST, places_of, versions_in
from graysplit.stores.port import FieldReading, Place
from graysplit.stores.redis.client import is_list
from graysplit.stores.redis.connection import Connection, Posted
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.reader import check_role, measured_glance
from graysplit.stores.redis.scripts import script
from graysplit.stores.text.records import exact, raw_of

# How often the fields are named anew where a definition changes meanwhile.
TRIES: Final = 3


def begin_splits(line: Connection, keys: Keys, splits: Sequence[str]) -> Posted:
    """Ask for the fields of some splits, for `read_splits` to take the answer."""
    return line.post_reading(("EVALSHA", script("read_splits").sha, 0, *_arguments(keys, splits)), ("ROLE",))


def read_splits(line: Connection, keys: Keys, splits: Sequence[str], begun: Posted | None = None) -> FieldReading:
    """Read the fields of some splits, and those that stand for every split. `begun`: they were asked for already."""
    by_script = _by_script(line, keys, splits, begun or begin_splits(line, keys, splits))
    return _by_names(line, keys, splits) if by_script is None else by_script


def _arguments(keys: Keys, splits: Sequence[str]) -> tuple[str | bytes | int, ...]:
    lists = [part for places in (FOR_ALL, OF_SPLIT, OF_VERSION) for part in (len(places), *_numbered(places))]
    hashes = keys.hashes
    return (*(hashes[name] for name in write_rules.NUMBERED), VERSIONS_AT_MOST, *lists, *map(raw_of, splits))


def _by_script(line: Connection, keys: Keys, splits: Sequence[str], begun: Posted) -> FieldReading | None:
    """Read them by a script, which knows the versions from the definition; None where it is refused."""
    answer, role = line.replies(begun)
    if isinstance(answer, exceptions.NoScriptError):
        line.note_unknown_script()
        answer = line.evaluate(script("read_splits"), (), _arguments(keys, splits))
    check_role(line, role)
    if not is_list(answer):
        return None
    now_ms, for_all, *of_splits = answer
    places, values = [*FOR_ALL], [*for_all]
    for split, names, texts in zip(splits, of_splits[::2], of_splits[1::2], strict=True):
        places += places_of(split, map(exact, names))
        values += texts
    texts = {place: None if raw is None else exact(raw) for place, raw in zip(places, values, strict=True)}
    return FieldReading(texts, now_ms)


def _numbered(places: Sequence[Place]) -> list[int | bytes]:
    return [part for key, text in places for part in (write_rules.NUMBERED.index(key) + 1, raw_of(text))]


def _by_names(line: Connection, keys: Keys, splits: Sequence[str]) -> FieldReading:
    """Read the definitions first, then all fields that their versions name, with the definitions again."""
    records: list[Place] = [("splits", split) for split in splits]
    found = measured_glance(line, keys, records)
    for _ in range(TRIES):
        known = found.texts
        own = (place for split in splits for place in places_of(split, versions_in(known["splits", split])))
        found = measured_glance(line, keys, [*FOR_ALL, *own])
        if all(found.texts[place] == known[place] for place in records):
            break
    return found
