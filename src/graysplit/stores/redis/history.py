"""The log read newest first: all of it by pages, of one split by the index that its writers keep.

The index is believed as far as it reaches. What was written past it (by an older graysplit, by a role that may not
write it, without scripts), and what is older than it, is looked through, by the server where it runs scripts.
Each page has a verb's time of its own: a server that answers is never given up because the log is long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from redis import exceptions

from graysplit.core.entry import Entry
from graysplit.core.replica.record import SENTINEL
from graysplit.stores.redis.client import Command, Reply, is_list
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.faults import unreachable
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.newest import entries_of
from graysplit.stores.redis.reader import PIECE
from graysplit.stores.redis.scripts import script
from graysplit.stores.text.records import exact, in_splices, raw_of, whole
from graysplit.stores.write_rules import concerns

# How long one page may take in all.
PAGE_WITHIN_S: Final = 3.0
# Pages grow from the first to the last size: old entries may hold whole definitions.
PAGES: Final = (8, 500)
# So many of a split's last changes are in the index; the scripts say the same.
INDEXED: Final = 50

Row: TypeAlias = "tuple[str, Entry]"


class _Index(NamedTuple):
    """What the index says of one split, and how far it is to be believed."""

    since: str  # every entry from here on is known to it
    upto: str  # and up to here
    positions: tuple[str, ...]  # of the split's last changes, newest first
    first: str  # of the log
    last: str

    @property
    def counts(self) -> bool:
        """Return whether the index is one of this log."""
        known = all(map(_is_position, (self.since, self.upto, *self.positions)))
        return known and _order(self.first) <= _order(self.upto) <= _order(self.last)


def read_history(line: Connection, keys: Keys, split: str | None, count: int) -> tuple[Entry, ...]:
    """Read the newest entries, newest first, of one split or of all; raises `StoreUnreachableError`."""
    if count <= 0:
        return ()
    search = _Search(line, keys, split or "", count)
    rows = search.pages("+", "-", most=count) if split is None else search.of_split()
    return with_wholes(line, keys, [entry for _, entry in islice(rows, count)])


def with_wholes(line: Connection, keys: Keys, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return entries, the newest of each split's definition with the whole of it, as far as that still stands."""
    cut, wholes = in_splices(entries), dict[str, list[str]]()
    names = list(cut)
    for start in range(0, len(names), PIECE):
        piece = names[start : start + PIECE]
        stands: Command = ("HMGET", keys.splits, *map(raw_of, piece))
        copies: Command = ("HMGET", keys.latest, *(raw_of(f"splits {split}") for split in piece))
        with line.within(PAGE_WITHIN_S):
            replies = line.ask(stands, copies)
        texts = [reply if is_list(reply) else [None] * len(piece) for reply in replies]
        for split, *found in zip(piece, *texts, strict=True):
            wholes[split] = [exact(raw) for raw in found if raw is not None]
    own: dict[str, dict[str, list[str]]] = {}
    for split, entry in cut.items():
        own.setdefault(entry.id, {})[split] = wholes[split]
    return tuple(whole(entry, own.get(entry.id, {})) for entry in entries)


class _Search(NamedTuple):
    """What is looked for, and where."""

    line: Connection
    keys: Keys
    split: str
    wanted: int

    def of_split(self) -> Iterator[Row]:
        """Return the changes of the split: what came after the index, what it names, what came before it."""
        index = self._index()
        if index is None:
            return
        listed = self._listed(index) if index.counts else None
        if listed is None:
            yield from self._parts("+", "-")
            return
        if index.upto != index.last:
            yield from self._parts("+", f"({index.upto}")
        yield from listed
        if len(index.positions) >= INDEXED:
            yield from self._parts(f"({index.positions[-1]}", "-")
        elif _order(index.first) < _order(index.since):
            yield from self._parts(f"({index.since}", "-")

    def pages(self, end: str, start: str, most: int | None = None) -> Iterator[Row]:
        """Return the entries of all splits from one end of the log, or a part of it, to the other."""
        size, largest = PAGES
        while most is None or most > 0:
            page = size if most is None else min(most, largest)
            with self.line.within(PAGE_WITHIN_S):
                (reply,) = self.line.ask(("XREVRANGE", self.keys.log, end, start, "COUNT", page))
            rows = self._rows(reply)
            yield from rows
            if len(rows) < page:
                return
            end, size = f"({rows[-1][0]}", min(2 * size, largest)
            most = None if most is None else most - page

    def _index(self) -> _Index | None:
        """Read the index, and the log's ends; None where the log is empty."""
        said, first, last = self.line.transaction(
            ("HMGET", self.keys.latest, SENTINEL, raw_of(self.split)),
            ("XRANGE", self.keys.log, "-", "+", "COUNT", 1),
            ("XREVRANGE", self.keys.log, "+", "-", "COUNT", 1),
        )
        ends = [self._rows(reply) for reply in (first, last)]
        if not all(ends):
            return None
        mark, own = (_words(raw) for raw in said) if is_list(said) else ((), ())
        since, upto = mark[:2] if len(mark) >= 2 else ("", "")  # noqa: PLR2004 - since where, and up to where
        positions = own[1:] if own and own[0] == since else ()
        return _Index(since, upto, positions, *(rows[0][0] for rows in ends))

    def _listed(self, index: _Index) -> Sequence[Row] | None:
        """Read the entries that the index names; None where one is missing that was not trimmed, or another's."""
        present = [at for at in index.positions[: self.wanted] if _order(at) >= _order(index.first)]
        asked: list[Command] = [("XRANGE", self.keys.log, at, at) for at in present]
        with self.line.within(PAGE_WITHIN_S):
            rows = [row for reply in (self.line.ask(*asked) if asked else ()) for row in self._rows(reply)]
        own = [row for row in rows if concerns(row[1], self.split)]
        return own if len(own) == len(present) else None

    def _parts(self, end: str, start: str) -> Iterator[Row]:
        """Look through a part of the log, by the server where it runs scripts that declare no key."""
        while end:
            with self.line.within(PAGE_WITHIN_S):
                wanted = (self.keys.log, end, start, raw_of(self.split), self.wanted)
                answer = self.line.evaluate(script("find"), (), wanted)
            if not is_list(answer):
                yield from (row for row in self.pages(end, start) if concerns(row[1], self.split))
                return
            yield from (row for row in entries_of(answer[1]) if concerns(row[1], self.split))
            end = exact(answer[0])

    def _rows(self, reply: Reply) -> Sequence[Row]:
        if isinstance(reply, exceptions.ResponseError):
            raise unreachable(self.line.name, reply, needed="XREVRANGE")
        return entries_of(reply)


def _words(raw: bytes | None) -> tuple[str, ...]:
    return () if raw is None else tuple(exact(raw).split())


def _is_position(text: str) -> bool:
    ms, _, number = text.partition("-")
    return all(part.isascii() and part.isdigit() and len(part) <= 20 for part in (ms, number))  # noqa: PLR2004 - 64 bits


def _order(position: str) -> tuple[int, int]:
    ms, _, number = position.partition("-")
    return int(ms), int(number)
