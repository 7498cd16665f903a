"""Splits whose weights or stops differ from what the history knows, found a piece of the hashes at a time.

An edit that is made behind the piece that is being looked at is signalled, and found the next time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from redis import exceptions

from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.replica.record import SENTINEL, Key
from graysplit.stores.redis.client import is_list, mapping_of
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.hashes import Size, capped, read_fields, sizes
from graysplit.stores.redis.keys import Keys
from graysplit.stores.text.records import exact

# So many fields are asked for at once, and compared: some milliseconds.
PIECE: Final = 250
# Places of one split beyond this number are not booked together.
TOGETHER: Final = 50
NOTHING: Final = "weights _"  # a place that has no edit: where nothing differs the books are begun anew with it


class Differing:
    """What one look at the hashes has found so far, and what of it is still to be booked."""

    def __init__(self, line: Connection, keys: Keys) -> None:
        """Begin; nothing is read yet."""
        self._line = line
        self._keys = keys
        self._places: dict[str, list[str]] = {}  # by split: all places that are there, or were
        self._seen: set[str] = set()
        self._splits: dict[str, None] = {}  # those that differ; once all is looked at, the next one is the last
        self._pieces = self._look()
        self.looking = True
        self.any = False  # whether anything was found
        self.writes = False  # whether each portion has an entry to write

    @property
    def left(self) -> int:
        """Return how many splits are still to be booked."""
        return len(self._splits)

    def look_on(self) -> None:
        """Look at one more piece."""
        self.looking = next(self._pieces, None) is not None

    def take(self, most: int) -> list[str]:
        """Take places to be booked together, about so many; those of one split stay together unless they are many."""
        taken: list[str] = []
        while self._splits and len(taken) < most:
            split, _ = self._splits.popitem()  # the last: a look for the first passes over all that are gone
            places = self._places[split]
            if taken and len(taken) + len(places) > most:
                self._splits[split] = None
                break
            taken += places[:TOGETHER]
            self._places[split] = places[TOGETHER:]
            if self._places[split]:
                self._splits[split] = None
        return taken

    def _look(self) -> Iterator[bool]:
        keys = self._keys
        hashes = {"weights": keys.weights, "stops": keys.stops, "booked": keys.booked}
        measured = dict(zip(hashes, sizes(self._line, list(hashes.values())), strict=True))
        there = {name: key for name, key in hashes.items() if self._stands(key, measured[name])}
        for name in ("weights", "stops"):
            for piece in self._pieces_of(there[name], measured[name]) if name in there else ():
                self._compare(name, piece, measured["booked"])
                yield True
        stopped = f"stops {EVERYTHING}" in self._seen
        for names in self._pieces_of(keys.booked, measured["booked"]):
            for where in map(exact, names):
                if where not in self._seen and where.partition(" ")[0] in there:  # it was there
                    self._note(where, differs=True)
            yield True
        self._end(has_books="booked" in there, lifted=EVERYTHING in self._splits and not stopped)

    def _end(self, *, has_books: bool, lifted: bool) -> None:
        """Bring everything into the order in which it is booked: what everything else hangs on comes last."""
        # Without books what stands is taken as known, and the releases that begin have one entry, the last.
        self.writes = has_books and not lifted
        if lifted:  # a release begins wherever a weight is above zero
            self._splits |= dict.fromkeys(self._places)
            del self._splits[EVERYTHING]
            self._splits[EVERYTHING] = None
        if not (has_books or self._splits):
            self._places[""], self._splits[""] = [NOTHING], None
        self._splits = dict.fromkeys(reversed(self._splits))
        self.any = bool(self._splits)

    def _stands(self, key: str, size: Size) -> bool:
        """Return whether a hash counts: it has its mark, and no more fields than are followed."""
        (mark,) = self._line.ask(("HEXISTS", key, SENTINEL))
        return mark == 1 and size.excess is None

    def _pieces_of(self, key: str, size: Size) -> Iterator[Mapping[bytes, bytes]]:
        """Read a hash a piece at a time; a value that may be long is not moved before it is measured."""
        if not size.short:
            (names,) = self._line.ask(("HKEYS", key))
            for first in range(0, len(names) if is_list(names) else 0, PIECE):
                yield read_fields(self._line, key, names[first : first + PIECE]).fields
            return
        cursor: bytes | int = b"0"
        while True:
            (answer,) = self._line.ask(("HSCAN", key, cursor, "COUNT", PIECE))
            if isinstance(answer, exceptions.ResponseError) or not is_list(answer):
                return
            cursor, fields = answer
            yield capped(key, Key(mapping_of(fields)), size).fields
            if cursor in {b"0", 0}:
                return

    def _compare(self, name: str, piece: Mapping[bytes, bytes], books: Size) -> None:
        places = {f"{name} ".encode() + field: value for field, value in piece.items() if field != SENTINEL}
        known = read_fields(self._line, self._keys.booked, list(places), short=books.short).fields
        for raw, value in places.items():
            where = exact(raw)
            if where not in self._seen:
                self._note(where, differs=False)
            if known.get(raw) != value:
                self._splits[split_of(where.partition(" ")[2])] = None

    def _note(self, where: str, *, differs: bool) -> None:
        self._seen.add(where)
        split = split_of(where.partition(" ")[2])
        self._places.setdefault(split, []).append(where)
        if differs:
            self._splits[split] = None
