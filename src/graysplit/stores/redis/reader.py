"""One consistent reading of a namespace, over one line; of big namespaces only what may have changed, or in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from redis import exceptions

from graysplit.core.address import stops_over
from graysplit.core.entry import Entry
from graysplit.core.limits import FIELDS, RECORD, SPLITS, VALUE, too_long
from graysplit.core.replica.record import SENTINEL, Brakes, Breathe, Key, Load
from graysplit.errors import StoreUnreachableError
from graysplit.stores import write_rules
from graysplit.stores.port import FieldReading, KeyName, Place
from graysplit.stores.redis.client import Command, Reply, is_list
from graysplit.stores.redis.connection import Connection, Posted
from graysplit.stores.redis.faults import fault, unreachable
from graysplit.stores.redis.hashes import (
    Size,
    begin_sizes,
    capped,
    key_of,
    laid,
    read_fields,
    read_hashes,
    read_heavy,
    rest,
    sizes,
)
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.newest import NewestEntries, entries_of
from graysplit.stores.text.records import exact, raw_of

# Beyond these numbers of splits: read only definitions that the log names; read the hash in pieces.
DELTA_FROM: Final = 200
PIECES_FROM: Final = 1_000
PIECE: Final = 250
ENTRIES_AT_MOST: Final = 1_000
# What an operator reads once is rather brought in pieces, from so many fields on: a reading of one moment, of which all
# texts come by themselves, takes a client in Python ten times as long. What is written is compared all the same.
OPERATORS_AT_ONCE: Final = 2_000
# Where reading everything takes seconds: so many entries are read instead, a page at a time.
ENTRIES_INSTEAD: Final = 20_000
# So many stops are read all in a look at what was lowered.
BRAKES: Final = 1_000
# What `meta` says of a weight, and of everything, that no entry names: a release begins, a lease ends.
SAID: Final = (b"revision", b"lineage")
SAID_OF_FIELDS: Final = (b"release:", b"lease:", b"wave:")
# How long a reading may take in all: slow bytes end it as silence does. A big one gets a second for so many splits.
LOAD_WITHIN_S: Final = 3.0
SPLITS_A_SECOND: Final = 2_500


class Reader:
    """Reads a namespace again and again, knowing how big it was."""

    def __init__(self, line: Connection, keys: Keys, *, newest: int = 1, books: bool = False) -> None:
        """Begin without knowing the size.

        `newest`: the log's entries that a reading without a position brings; `books`: whether it brings the books
        and the plans.
        """
        self._newest = newest
        self._books = (keys.booked, keys.plans) if books else ()
        self._most_at_once = OPERATORS_AT_ONCE if books else FIELDS
        self._line = line
        self._keys = keys
        self._sizes: Mapping[str, Size] = {}
        self._begun: Posted | None = None  # the question for them, while nobody has waited for its answer
        self._entries: NewestEntries | None = None  # of which some were asked for already
        self.breathe: Breathe = rest  # called between the pieces of a long reading
        self._last = Load()  # what was read before: of a hash with too many fields, these are read

    def begin(self) -> None:
        """Ask ahead for what the next reading from the log's end rests on; again, for more of it.

        It waits for no new answer, and may go out with the greeting.
        """
        if self._entries is None:
            self._begun = begin_sizes(self._line, self._hashes())
            self._entries = NewestEntries(self._line, self._keys, self._newest)
        self._entries.post()

    def _hashes(self) -> tuple[str, ...]:
        return (*self._keys.followed, *self._books)

    def read(self, since: str, *, whole: bool) -> Load:
        """Read everything at one moment, with the log since a position; raises `StoreUnreachableError`."""
        keys = self._hashes()
        begun, self._begun = self._begun, None
        self._sizes = dict(zip(keys, sizes(self._line, keys, begun), strict=True))
        size = self._sizes[self._keys.splits].fields
        whole_s = max(found.fields for found in self._sizes.values()) // SPLITS_A_SECOND
        with self._line.within(LOAD_WITHIN_S + min(whole_s, FIELDS // SPLITS_A_SECOND)):
            load = self._read(since, size, whole=whole)
        if load.splits.lost is None:
            self._last = load._replace(splits=self._all_splits(load), entries=())
        return load

    def _all_splits(self, load: Load) -> Key:
        """Return the definitions as they are known after a reading, which may have brought only some."""
        if load.whole:
            return load.splits
        return Key({**self._last.splits.fields, **load.splits.fields})

    def _read(self, since: str, size: int, *, whole: bool) -> Load:
        if size > SPLITS:
            return self._those_with_weights(since, size)
        load = None
        if since and not whole and self._is_vast():
            load = self._changed_by_the_log(since)
        if load is None and since and not whole and size > DELTA_FROM:
            load = self._named_by_the_log(since)
        if load is None:
            heavy = size > PIECES_FROM or not self._sizes[self._keys.splits].light
            load = self._in_pieces(since) if heavy else self._at_once(since)
        return load

    def _at_once(self, since: str) -> Load:
        load, definitions = self._exchange(since, ("HGETALL", self._keys.splits))
        splits = capped(self._keys.splits, key_of(definitions), self._sizes[self._keys.splits])
        return load._replace(splits=self._as_known(splits))

    def _those_with_weights(self, since: str, size: int) -> Load:
        """Read the definitions of splits that have a weight: the others were not written by graysplit."""
        load, mark = self._exchange(since, ("HGET", self._keys.splits, SENTINEL))
        weighed = dict.fromkeys(field.partition(b"/")[0] for field in load.weights.fields if b"/" in field)
        found = self._definitions(list(weighed)[:SPLITS])
        own = {SENTINEL: mark} if isinstance(mark, bytes) else {}
        what = f"{size} definitions, and at most {SPLITS} are read: those of splits that have a weight"
        return load._replace(splits=found._replace(fields={**own, **found.fields}), excess={"splits": what})

    def _named_by_the_log(self, since: str) -> Load | None:
        """Read only definitions that changed by the log's word; None where it says too much."""
        load, mark = self._exchange(since, ("HGET", self._keys.splits, SENTINEL))
        if len(load.entries) >= ENTRIES_AT_MOST or not isinstance(mark, bytes):
            return None
        names = sorted({name for entry in load.entries for name in _definitions_in(entry)})
        key = self._definitions(names)
        return load._replace(splits=key._replace(fields={SENTINEL: mark, **key.fields}), whole=False)

    def _is_vast(self) -> bool:
        """Return whether weights or releases are too many for one command, so that each change would have all read."""
        weights, stops, meta = (self._sizes[key] for key in (self._keys.weights, self._keys.stops, self._keys.meta))
        known = self._last.weights.lost is None and self._last.meta.lost is None
        within = weights.excess is None and meta.excess is None
        return known and within and stops.light and not (weights.light and meta.light)

    def _changed_by_the_log(self, since: str) -> Load | None:
        """Read stops, and of everything else only what changed by the log's word; None where that may not be all.

        What was edited past the log is found by the whole reading that comes soon (`whole`).
        """
        load, mark = self._exchange(since, ("HGET", self._keys.splits, SENTINEL), heavy=False)
        places = _places_in(load.entries)
        if not places or len(load.entries) >= ENTRIES_INSTEAD or not isinstance(mark, bytes):
            return None
        named = {name: [raw_of(at) for key, _, at in places if key == name] for name in ("weights", "splits", "meta")}
        touched = [raw_of(at) for key, _, at in places if key in {"weights", "stops"}]
        said = [SENTINEL, *SAID, *named["meta"], *(begin + field for field in touched for begin in SAID_OF_FIELDS)]
        said += (b"plan:" + split for split in {field.partition(b"/")[0] for field in touched})
        weights = self._laid_over(self._keys.weights, self._last.weights, [SENTINEL, *named["weights"]])
        if len(weights.fields) > self._sizes[self._keys.weights].fields:
            return None  # one was taken away by hand, which is a rollback
        splits = self._definitions(named["splits"])
        meta = self._laid_over(self._keys.meta, self._last.meta, said)
        splits = splits._replace(fields={SENTINEL: mark, **splits.fields})
        return load._replace(weights=weights, meta=meta, splits=splits, whole=False)

    def _laid_over(self, key: str, last: Key, names: Sequence[bytes]) -> Key:
        """Return a hash as it was read last, with some of its fields read anew."""
        read = read_fields(self._line, key, names, short=self._sizes[key].short, breathe=self.breathe)
        fields = {**last.fields, **read.fields}
        for name in names:
            if name not in read.fields:
                fields.pop(name, None)
        return Key(fields, read.fault)

    def _in_pieces(self, since: str) -> Load:
        """Read a big hash a piece at a time; once more where it changed meanwhile."""
        load, key = Load(), self._keys.splits
        for _ in range(2):
            load, count = self._exchange(since, ("HLEN", key))
            if isinstance(count, exceptions.ResponseError):
                return load._replace(splits=key_of(count))
            laid = read_heavy(self._line, key, self._sizes[key], self._last.splits.fields, self.breathe)
            load = load._replace(splits=laid)
            (revision,) = self._line.ask(("HGET", self._keys.meta, "revision"))
            if revision == load.meta.fields.get(b"revision"):
                break
        return load

    def _as_known(self, splits: Key) -> Key:
        return splits if splits.lost is not None else Key(laid(self._last.splits.fields, splits.fields))

    def _definitions(self, names: Iterable[bytes]) -> Key:
        """Read definitions by their names, a piece at a time; where all are short nobody is asked how long they are."""
        wanted, key = list(names), self._keys.splits
        if not self._sizes[key].short:
            return read_fields(self._line, key, wanted, breathe=self.breathe)
        fields: dict[bytes, bytes] = {}
        for start in range(0, len(wanted), PIECE):
            if start:
                self.breathe()
            piece = wanted[start : start + PIECE]
            (values,) = self._line.ask(("HMGET", key, *piece))
            if isinstance(values, exceptions.ResponseError):
                return Key(fault=fault(values))
            fields.update((name, value) for name, value in zip(piece, values, strict=True) if value is not None)
        return capped(key, Key(fields), self._sizes[key])

    def _exchange(self, since: str, definitions: Command, *, heavy: bool = True) -> tuple[Load, Reply]:
        """Ask for everything but the definitions, and for those as told, at one moment.

        `heavy`: whether what is too much for one command is read, too; else it is given as it was read last.
        """
        keys = self._keys
        begun, self._entries = self._entries, None
        newest = None if since else self._newest_entries(begun)
        after = since or (newest.position if newest is not None else "")
        weights, stops, splits, meta, newer, at, end, now, role, *books = self._line.transaction(
            self._ask_for(keys.weights),
            self._ask_for(keys.stops),
            definitions,
            self._ask_for(keys.meta),
            (
                "XREVRANGE",
                keys.log,
                "+",
                f"({after}" if after else "-",
                "COUNT",
                ENTRIES_AT_MOST if after else self._newest,
            ),
            ("XRANGE", keys.log, after or "0-0", after or "0-0"),  # whether this is still the same log
            ("XREVRANGE", keys.log, "+", "-", "COUNT", 1),
            ("TIME",),
            ("ROLE",),
            *map(self._ask_for, self._books),
        )
        check_role(self._line, role)
        _check_readable(self._line, weights, stops, meta)
        older = newest.entries() if newest is not None else []
        anchored, last = entries_of(at), entries_of(end)
        if older and (not anchored or anchored[0][1].id != older[0][1].id):
            older = []  # another log meanwhile
        latest = entries_of(newer)
        if since and not heavy:
            latest += self._older_than(latest, since)
        entries = [entry for _, entry in reversed([*latest, *older])]
        load = Load(
            weights=self._taken(keys.weights, weights, self._last.weights, heavy=heavy),
            stops=self._taken(keys.stops, stops, self._last.stops, heavy=heavy),
            meta=self._taken(keys.meta, meta, self._last.meta, heavy=heavy),
            entries=tuple(entries if since else entries[-self._newest :]),
            position=last[0][0] if last else "0-0",
            anchor=anchored[0][1].id if since and anchored else "",
            now_ms=server_ms(self._line, now),
            booked=self._taken(keys.booked, books[0], self._last.booked) if books else Key(),
            plans=self._taken(keys.plans, books[1], self._last.plans) if books else Key(),
        )
        return load, splits

    def _newest_entries(self, begun: NewestEntries | None) -> NewestEntries:
        """Return the log's newest entries, some of them read and more of them asked for."""
        newest = begun or NewestEntries(self._line, self._keys, self._newest)
        if begun is None:
            newest.post()
        newest.post()
        return newest

    def _older_than(self, latest: Sequence[tuple[str, Entry]], since: str) -> list[tuple[str, Entry]]:
        """Read what came between a position and the entries that one page brought, newest first."""
        rows, page = list[tuple[str, Entry]](), latest
        while len(page) == ENTRIES_AT_MOST and len(rows) < ENTRIES_INSTEAD:
            self.breathe()
            end = f"({page[-1][0]}"
            (reply,) = self._line.ask(("XREVRANGE", self._keys.log, end, f"({since}", "COUNT", ENTRIES_AT_MOST))
            page = entries_of(reply)
            rows += page
        return rows

    def _ask_for(self, key: str) -> Command:
        """Return the command that brings a hash, or where it is too much for one, the question whether it is one."""
        return ("HGETALL", key) if self._is_light(self._sizes[key]) else ("HLEN", key)

    def _is_light(self, size: Size) -> bool:
        return size.light and size.fields <= self._most_at_once

    def _taken(self, key: str, reply: Reply, last: Key, *, heavy: bool = True) -> Key:
        """Take the answer, or read what was too much for one command."""
        size = self._sizes[key]
        if self._is_light(size) or isinstance(reply, exceptions.ResponseError):
            found = capped(key, key_of(reply), size)
            return found if found.lost is not None else Key(laid(last.fields, found.fields))
        return read_heavy(self._line, key, size, last.fields, self.breathe) if heavy else last


def _check_readable(line: Connection, *hashes: Reply) -> None:
    """Raise where the command itself is refused: then nothing is known, and not only one key unreadable."""
    if all(isinstance(reply, exceptions.ResponseError) and "WRONGTYPE" not in str(reply) for reply in hashes):
        raise unreachable(line.name, hashes[0], needed="HGETALL")


def check_role(line: Connection, role: Reply) -> None:
    """Refuse a replica; a server that keeps its role to itself is believed to be a primary."""
    if is_replica(role):
        raise StoreUnreachableError(
            line.name, "it is a replica, and may be cut off from its primary", answered=True, written=False
        )


def check_written(line: Connection) -> Reply:
    """Return the role of the server that took a write, or None where it is not known any more.

    Raises `StoreUnreachableError` where a replica has taken it: it stands there alone, and counts nowhere.
    """
    try:
        role = line.role()
    except StoreUnreachableError:
        return None  # it was written; whether the server is still there is the next question's
    if is_replica(role):
        at = f" at {exact(role[1])}:{role[2]}" if len(role) > 2 else ""  # noqa: PLR2004 - slave, host, port
        why = (
            "it is a replica that takes writes. The change was written only to that replica, where no process reads: "
            f"repeat the command with the address of its primary{at}"
        )
        raise StoreUnreachableError(line.name, why, answered=True, written=True)
    return role


def is_replica(role: Reply) -> bool:
    """Return whether an answer to `ROLE` is a replica's; one that was refused is not."""
    return is_list(role) and bool(role) and role[0] != b"master"


def read_places(line: Connection, keys: Keys, places: Sequence[Place]) -> FieldReading:
    """Read a few fields at one moment; a key of the wrong type, or one that may not be read, has none."""
    wanted: dict[KeyName, list[str]] = {}
    for key, field in places:
        wanted.setdefault(key, []).append(field)
    asked: list[Command] = [("HMGET", keys.hashes[key], *map(raw_of, fields)) for key, fields in wanted.items()]
    *replies, now, role = line.transaction(*asked, ("TIME",), ("ROLE",))
    check_role(line, role)
    texts: dict[Place, str | None] = {}
    for (key, fields), reply in zip(wanted.items(), replies, strict=True):
        values = reply if is_list(reply) else [None] * len(fields)
        for field, raw in zip(fields, values, strict=True):
            texts[key, field] = None if raw is None else exact(raw)
    return FieldReading(texts, server_ms(line, now))


def measured_glance(line: Connection, keys: Keys, places: Sequence[Place]) -> FieldReading:
    """Read a few fields at one moment; of a value that is too long only its length, which is asked for first."""
    lengths = line.ask(*(("HSTRLEN", keys.hashes[key], raw_of(field)) for key, field in places)) if places else []
    known = {place: length for place, length in zip(places, lengths, strict=True) if isinstance(length, int)}
    most = {place: VALUE if place[0] in {"weights", "stops"} else RECORD for place in known}
    long = {at: exact(too_long(length, most[at])) for at, length in known.items() if length > most[at]}
    found = read_places(line, keys, [place for place in places if place not in long])
    return found._replace(texts={**found.texts, **long})


def read_brakes(line: Connection, keys: Keys, fields: Sequence[str]) -> Brakes:
    """Read some weights, and the stops over them, or few stops all; an absent weight is 0 where its key stands."""
    names = list(map(raw_of, fields))
    weights = read_fields(line, keys.weights, [SENTINEL, *names]).fields
    (size,) = sizes(line, (keys.stops,))
    if size.light and size.fields <= BRAKES:
        (stops,) = read_hashes(line, (keys.stops,), (size,))
    else:
        over = dict.fromkeys(stop for field in fields for stop in reversed(stops_over(field)))
        stops = read_fields(line, keys.stops, list(map(raw_of, over)))
    found = {name: raw for name, raw in stops.fields.items() if name != SENTINEL}
    return Brakes({name: weights.get(name, b"0") for name in names} if SENTINEL in weights else {}, found)


def run_id_of(reply: Reply) -> str | None:
    """Find the server's run id in the answer to `INFO`; None where it is kept secret."""
    return _told_in(reply, b"run_id:")


def _told_in(reply: Reply, name: bytes) -> str | None:
    info = reply if isinstance(reply, bytes) else b""
    found = next((line for line in info.split(b"\r\n") if line.startswith(name)), None)
    return None if found is None else exact(found.removeprefix(name))


def time_of(reply: Reply) -> int:
    """Take the answer to `TIME`, in ms; 0 where it was refused."""
    if not is_list(reply):
        return 0
    seconds, microseconds = reply
    return int(seconds) * 1000 + int(microseconds) // 1000


def server_ms(line: Connection, reply: Reply) -> int:
    """Return the server's time in ms as `TIME`, `INFO` or a script tells it: the first that is not refused; else 0."""
    if is_list(reply):
        return time_of(reply)
    told = _told_in(line.ask(("INFO", "server"))[0], b"server_time_usec:") or ""
    if told.isascii() and told.isdigit():
        return int(told) // 1000
    return time_of(line.ask(("EVAL", "return redis.call('TIME')", 0))[0])


def highest_in(reply: Reply) -> int:
    """Return the highest revision that any process has followed, as `HMGET` answers; 0 where it is not told."""
    raw = reply[0] if is_list(reply) and reply else None
    return write_rules.number_in(raw) if isinstance(raw, bytes) else 0


def _places_in(entries: Sequence[Entry]) -> list[tuple[str, str, str]]:
    """Name what entries changed, by key and field; nothing where a stop is gone: releases begin that are not named."""
    if any(where.startswith("stops ") and said is None for entry in entries for where, said in entry.after.items()):
        return []
    return [where.partition(" ") for where in {at for entry in entries for at in (*entry.before, *entry.after)}]


def _definitions_in(entry: Entry) -> list[bytes]:
    changed = (*entry.before, *entry.after)
    return [raw_of(where.removeprefix("splits ")) for where in changed if where.startswith("splits ")]
