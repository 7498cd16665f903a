"""Raw edits into the history: everything in one step while it is little, else what differs a portion at a time.

What differs is found out here: a script that compared a hundred thousand fields would hold the server up. Each portion
is compared once more where it is written, so that processes that race book once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from graysplit.core.record import SENTINEL, Key
from graysplit.core.weights import split_of
from graysplit.stores.redis.client import Reply
from graysplit.stores.redis.faults import lacks_scripts, refused
from graysplit.stores.redis.hashes import read_hashes, sizes
from graysplit.stores.redis.keys import LOG_AT_MOST, Keys
from graysplit.stores.redis.line import Line
from graysplit.stores.redis.scripts import script
from graysplit.stores.redis.watching import book_by_watching
from graysplit.stores.rules import EVERYTHING, OUTSIDE, unbooked
from graysplit.stores.wire import BRAKE, GUARD, ROLLBACK, TRIP, exact, new_id, raw_of

# Up to so many fields of weights, stops and books together all is compared in one step: about 10 ms of the server.
LITTLE: Final = 1_000
# So many fields make a portion: about 10 ms of the server, each being a split of its own.
PORTION: Final = 50
# How long one call goes on: a process has heartbeats to send and changes to hear of.
WITHIN_S: Final = 0.5

WHAT: Final = "edits from outside cannot be written into the history"


class Booking:
    """What one process has found to book; it goes on with each call."""

    def __init__(self, line: Line, keys: Keys) -> None:
        """Begin with nothing found."""
        self._line = line
        self._keys = keys
        self._portions: list[list[str]] = []
        self._writes = True  # whether each portion has an entry to write
        self.left = 0  # portions found that are not booked yet

    def book(self, actor: str) -> int:
        """Write history entries for some time; give their number. Raises `RefusedError` where this role may not."""
        count = 0
        if not self._portions:
            answer = self._send(actor, (), 0)
            if lacks_scripts(answer):
                count = book_by_watching(self._line, self._keys, actor, PORTION)
                self.left = int(count >= PORTION)
                return count
            if _number(answer) >= 0:
                return _number(answer)
            self._portions = self._differing()[::-1]
        ends = time.monotonic() + WITHIN_S
        while self._portions and time.monotonic() < ends:
            portion = self._portions.pop()
            written = _number(self._send(actor, portion, len(self._portions)))
            count += written
            if not written and self._writes and self._portions:  # another process is at it
                self._portions, self.left = [], 1
                return count
        self.left = len(self._portions)
        return count

    def _send(self, actor: str, portion: Sequence[str], rest: int) -> Reply:
        keys = self._keys
        own = (raw_of(actor), new_id(), OUTSIDE, LOG_AT_MOST, keys.stops, GUARD, TRIP, BRAKE, ROLLBACK, LITTLE, rest)
        written = (keys.booked, keys.log, keys.meta, keys.plans, keys.weights)
        return self._line.evaluate(script("book"), written, (*own, *map(raw_of, portion)))

    def _differing(self) -> list[list[str]]:
        """Read what stands and what the history knows, and cut the splits that differ into portions."""
        hashes = [self._keys.weights, self._keys.stops, self._keys.booked]
        weights, stops, books = read_hashes(self._line, hashes, sizes(self._line, hashes))
        splits = {edit.split for edit in unbooked(weights, stops, books.fields)}
        places: dict[str, list[str]] = {split: [] for split in sorted(splits)}
        lifted = EVERYTHING in splits and b"*" not in stops.fields  # a release begins wherever a weight is above zero
        # Without books what stands is taken as known, and the releases that begin have one entry, the last.
        self._writes = SENTINEL in books.fields and not lifted
        for where in _places(weights, stops, books):
            split = split_of(where.partition(" ")[2])
            if split in places or lifted:
                places.setdefault(split, []).append(where)
        if lifted:
            places[EVERYTHING] = places.pop(EVERYTHING)  # last
        return _cut(places.values())


def _places(weights: Key, stops: Key, books: Key) -> list[str]:
    """Name all places that are there, or were."""
    own = (f"{name} {exact(field)}" for name, key in (("weights", weights), ("stops", stops)) for field in key.fields)
    booked = (exact(where) for where in books.fields)
    return sorted({*own, *booked} - {"_", "weights _", "stops _"})


def _cut(groups: Iterable[Sequence[str]]) -> list[list[str]]:
    """Cut groups of places into portions; one group stays together unless it is more than a portion itself."""
    found: list[list[str]] = []
    for group in groups:
        for first in range(0, len(group), PORTION):
            piece = group[first : first + PORTION]
            if not found or len(found[-1]) + len(piece) > PORTION:
                found.append([])
            found[-1] += piece
    return found


def _number(answer: Reply) -> int:
    if not isinstance(answer, int):
        raise refused(WHAT, answer)
    return answer
