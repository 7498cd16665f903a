"""Several readings in the trips of one: what does not rest on an answer is asked with what does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from graysplit.core.fleet import Fleet
from graysplit.errors import RefusedError
from graysplit.stores.port import SplitSurvey, Survey
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.cursors import begin_told, read_told
from graysplit.stores.redis.fleet import begin_fleet, fleet_in, read_fleet, take_fleet
from graysplit.stores.redis.history import with_wholes
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.reader import Reader
from graysplit.stores.redis.split_reader import begin_splits, read_splits


def survey(line: Connection, keys: Keys) -> Survey:
    """Read the fleet with the sizes of everything, then everything with the hooks' cursors."""
    asked = begin_fleet(line, keys, ends=True)
    reader = Reader(line, keys, books=True)
    reader.begin()
    fleet = read_fleet(line, keys, asked)
    told = begin_told(line, keys)
    load = reader.read("", whole=True)
    try:
        cursors = read_told(line, keys, told)
    except RefusedError:
        cursors = None
    last = with_wholes(line, keys, load.entries[-1:])
    return Survey(fleet, load, cursors, last)


def survey_splits(line: Connection, keys: Keys, splits: Sequence[str], again: Callable[[], Fleet]) -> SplitSurvey:
    """Read what concerns a few splits, and the fleet behind it; `again` reads it where it takes a further question."""
    asked = begin_splits(line, keys, splits)
    begun = begin_fleet(line, keys, ends=False)
    found = read_splits(line, keys, splits, asked)
    texts = take_fleet(line, keys, begun)

    def fleet() -> Fleet:
        known = fleet_in(texts)
        return again() if known is None else known

    return SplitSurvey(found, cache(fleet))
