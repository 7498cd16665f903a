"""The same writes by optimistic locking, where a server or a role refuses scripts.

`WATCH`, read, judge, `MULTI`: somebody always wins, so that a bounded number of tries is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeVar

from redis import exceptions

from graysplit.core.entry import Entry
from graysplit.core.replica.record import SENTINEL, Key
from graysplit.errors import GraysplitError, NotYetError, StoreUnreachableError
from graysplit.stores import write_rules
from graysplit.stores.port import ProgressUpdate, Submission, Written
from graysplit.stores.redis.client import Command, Reply, is_list, mapping_of
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.faults import fault, is_condition, neither, refused, unreachable
from graysplit.stores.redis.hashes import key_of, read_hashes, sizes
from graysplit.stores.redis.keys import LOG_AT_MOST, Keys
from graysplit.stores.redis.newest import entries_of, rows_of
from graysplit.stores.redis.reader import highest_in, run_id_of, server_ms
from graysplit.stores.redis.scripts import script
from graysplit.stores.text.records import (
    TICK,
    entry_fields,
    exact,
    new_id,
    raw_of,
    read_entry,
)
from graysplit.stores.writes import (
    BOOKED,
    Put,
    StoreReading,
    StoreWrites,
    copied_books,
    raw_edit_writes,
    stop_writes,
    submission_writes,
)

T = TypeVar("T")

_TRIES: Final = 200
_REMEMBERED_MS: Final = 60_000
_PAGE: Final = 100  # entries
NO_FIELD: Final = b"**"  # no candidate, split or pattern is named so


class FoundEntry(NamedTuple):
    """What the log's last minute says of a change that may have been sent before."""

    upto: str = ""  # the newest position that was looked at; "" where nobody looked
    written: Written | None = None  # the answer that it was given, if it is there
    rest: int = 0  # how many portions of the same act come after it


def submit_by_watching(line: Connection, keys: Keys, submission: Submission) -> Written:
    """Compare, write, bump the revision and append to the history; raises as the script's answers do."""
    written = until_written(line, lambda: _submit_once(line, keys, submission))
    copies = [put(keys.latest, where, text) for where, text in written.after.items() if where.startswith("splits ")]
    if copies:
        line.ask(*copies)  # for `recover`; who may not write them leaves it to the fleet
    return written


def book_by_watching(line: Connection, keys: Keys, actor: str, most: int) -> int:
    """Write history entries for raw edits that have none, so many at most; gives their number."""
    return until_written(line, lambda: _book_once(line, keys, actor, most))


def brake_by_hand(line: Connection, keys: Keys, field: str, why: str, release_ms: int) -> bool:
    """Add a stop unless one stands or the release is younger; `HSETNX` clears none that came in between."""
    stops, meta, now = line.ask(("HGETALL", keys.stops), ("HGETALL", keys.meta), ("TIME",))
    reading = StoreReading({"meta": key_of(meta)}, {}, 0, 0, server_ms(line, now))
    allowed = write_rules.may_brake(field, key_of(stops), reading.meta, release_ms)
    if allowed:
        stop = stop_writes(reading, field, why, new_id())
        (answer,) = line.ask(("HSETNX", keys.stops, raw_of(field), raw_of(stop.value or "")))
        if isinstance(answer, exceptions.ResponseError):
            raise refused(f"the stop of '{field}' was not accepted", answer)
    return allowed is not False


def tick_by_watching(line: Connection, keys: Keys, ticking: ProgressUpdate) -> bool:
    """Write a plan's progress and tick if both are still as read."""
    split, tick = raw_of(ticking.split), raw_of(TICK + ticking.split)
    watched, found = line.ask(("WATCH", keys.plans), ("HMGET", keys.plans, split, tick))
    if isinstance(watched, exceptions.ResponseError):
        raise neither(f"this process cannot drive the plan of '{ticking.split}'", watched)
    if found != [raw_of(ticking.progress), raw_of(ticking.tick)]:
        line.ask(("UNWATCH",))
        return False
    writes = (split, raw_of(ticking.new_progress), tick, raw_of(ticking.new_tick))
    done = line.commit(("HSET", keys.plans, *writes))
    if isinstance(done, exceptions.ResponseError):
        raise refused(f"this process cannot drive the plan of '{ticking.split}'", done)
    return done is not None


def seek(line: Connection, keys: Keys, change: str) -> FoundEntry:
    """Look for a change in the last minute of the log, a page at a time: the server answers others in between."""
    (now,) = line.ask(("TIME",))
    oldest = f"{max(0, server_ms(line, now) - _REMEMBERED_MS)}-0"
    upto, end = "", "+"
    while end:
        answer = line.evaluate(script("seek"), (), (keys.log, end, oldest, raw_of(change)))
        newest, further, rows = answer if is_list(answer) else _page(line, keys, end, oldest, change)
        upto, end = upto or exact(newest) or oldest, exact(further)
        for position, fields in rows_of(rows):
            entry, rest = read_entry(position, fields), fields.get(b"rest", b"")
            written = Written(change, entry.revision, entry.at_ms, entry.before, entry.after)
            return FoundEntry(upto, written, int(rest) if rest.isdigit() else 0)
    return FoundEntry(upto)


def _page(line: Connection, keys: Keys, end: str, oldest: str, change: str) -> tuple[bytes, bytes, list[Reply]]:
    """Look through a page here, where scripts are refused; return what the script gives."""
    (reply,) = line.ask(("XREVRANGE", keys.log, end, oldest, "COUNT", _PAGE))
    rows = [row for row in reply if row[1] is not None] if is_list(reply) else []
    matches = [row for row in rows if mapping_of(row[1]).get(b"id") == raw_of(change)]
    further = b"(" + rows[-1][0] if len(rows) == _PAGE and not matches else b""
    return rows[0][0] if rows else b"", further, matches


def put(key: str, field: str, value: str | None) -> Command:
    """Return the command that writes a field, or takes it away."""
    return ("HDEL", key, raw_of(field)) if value is None else ("HSET", key, raw_of(field), raw_of(value))


def commands_of(keys: Keys, puts: Iterable[Put]) -> list[Command]:
    """Return the commands that write fields."""
    return [put(keys.booked if one.key == BOOKED else keys.hashes[one.key], one.field, one.value) for one in puts]


def append(keys: Keys, entry: Entry, *, rest: int | None = None) -> Command:
    """Return the command that appends a history entry; `rest`: how many portions of the same act come after it."""
    fields = entry_fields(entry) | ({} if rest is None else {"rest": str(rest)})
    flat = [part for name, value in fields.items() for part in (name, raw_of(value))]
    return ("XADD", keys.log, "MAXLEN", "~", LOG_AT_MOST, "*", *flat)


def until_written(line: Connection, attempt: Callable[[], T | None]) -> T:
    """Try until somebody else has not written meanwhile: None from an attempt."""
    for _ in range(_TRIES):
        try:
            written = attempt()
        except BaseException:
            if not line.broken:
                line.ask(("UNWATCH",))
            raise
        if written is not None:
            return written
    raise StoreUnreachableError(line.name, "conflict: other clients kept writing", written=False)


# --- a submission ----------------------------------------------------------------------------------------------------


def _submit_once(line: Connection, keys: Keys, submission: Submission) -> Written | None:
    fields = _compared(submission)
    named: list[Command] = [("HMGET", key, *map(raw_of, fields[name])) for name, key in keys.hashes.items()]
    watched, *replies, booked, log, highest, now = line.ask(
        ("WATCH", *keys.hashes.values(), keys.booked, keys.log),
        *named,
        ("HGET", keys.booked, SENTINEL),
        ("XREVRANGE", keys.log, "+", "-", "COUNT", 1),
        ("HMGET", keys.highest, "revision"),
        ("TIME",),
    )
    if isinstance(watched, exceptions.ResponseError):
        raise neither(f"'{submission.cause}' of '{submission.split}' was not written", watched)
    for name, reply in (("booked", booked), ("log", log)):
        if isinstance(reply, exceptions.ResponseError):
            raise write_rules.corrupt(name, fault(reply))
    hashes = {name: _named(fields[name], reply) for name, reply in zip(keys.hashes, replies, strict=True)}
    if any(hashes[name].lost for name in write_rules.HASHES):  # what else is there says whether the namespace is new
        replies = line.ask(*(("HGETALL", key) for key in keys.hashes.values()))
        hashes = {name: key_of(reply) for name, reply in zip(keys.hashes, replies, strict=True)}
    reading = StoreReading(hashes, {}, highest_in(highest), last_revision(log), server_ms(line, now))
    fresh = write_rules.check_submission(submission, hashes, reading.now_ms)
    started = _check_start(line, keys, submission, reading.meta, reading.now_ms)
    writes = submission_writes(reading, submission, fresh=fresh)
    # What holds no hash can be made whole only by taking it away.
    gone: list[Command] = [("DEL", keys.hashes[name]) for name in submission.mends if hashes[name].fault is not None]
    # Who may not write weights is refused: with an approval a plan writes them later.
    asked: list[Command] = [("HDEL", keys.weights, NO_FIELD)] if submission.raises else []
    done = line.commit(*gone, *started, *asked, *commands_of(keys, writes.puts), *_record(keys, writes))
    if done is None:
        return None
    if isinstance(done, exceptions.ResponseError):
        raise _not_written(line, submission, done)
    return writes.written


def _compared(submission: Submission) -> dict[str, list[str]]:
    """Return the fields that a submission rests on, by hash: what it compares, and what every hash says of itself."""
    fields = {name: [exact(SENTINEL)] for name in write_rules.NUMBERED}
    fields["meta"] += ["revision", "run_id"]
    for key, field, _ in submission.expect:
        fields[key].append(field)
    return fields


def _named(fields: Iterable[str], reply: Reply) -> Key:
    """Take the answer to `HMGET`."""
    if not is_list(reply):
        return key_of(reply)
    return Key({raw_of(field): raw for field, raw in zip(fields, reply, strict=True) if raw is not None})


def _check_start(line: Connection, keys: Keys, submission: Submission, meta: Key, now_ms: int) -> list[Command]:
    """Check that a plan may step, and return what `meta` should say of the server's start; raises `NotYetError`."""
    if submission.due is None and all(write.key != "plans" for write in submission.writes):
        return []
    raw = meta.fields.get(b"run_id")
    known = None if raw is None else exact(raw)
    run_id = run_id_of(line.ask(("INFO", "server"))[0])
    other = write_rules.started(run_id, known, now_ms)
    said = [] if other is None else [put(keys.meta, "run_id", other)]
    if submission.due is not None:
        try:
            write_rules.check_due(submission, submission.due, run_id, other or known, now_ms)
        except NotYetError:
            line.commit(*said)
            raise
    return said


def _not_written(line: Connection, submission: Submission, error: exceptions.ResponseError) -> GraysplitError:
    """Return the error for a write that was refused as a whole: this user may not, or nobody may now."""
    if is_condition(error):
        return unreachable(line.name, error)
    return refused(f"'{submission.cause}' of '{submission.split}' was not written", error)


def _record(keys: Keys, writes: StoreWrites) -> list[Command]:
    return [("HINCRBY", keys.meta, "revision", writes.step), append(keys, writes.entry)]


def last_revision(reply: Reply) -> int:
    """Return the revision of the log's last entry; 0 where there is none."""
    return next((entry.revision for _, entry in entries_of(reply)), 0)


# --- booking ---------------------------------------------------------------------------------------------------------


def _book_once(line: Connection, keys: Keys, actor: str, most: int) -> int | None:
    hashes = [keys.weights, keys.stops, keys.meta, keys.booked]
    measured = sizes(line, hashes)  # first: a transaction ends a `WATCH`
    watched, log, highest, now = line.ask(
        ("WATCH", keys.weights, keys.stops, keys.meta, keys.booked, keys.log),
        ("XREVRANGE", keys.log, "+", "-", "COUNT", 1),
        ("HMGET", keys.highest, "revision"),
        ("TIME",),
    )
    if isinstance(watched, exceptions.ResponseError):
        raise neither("raw edits cannot be recorded in the history", watched)
    weights, stops, meta, booked = read_hashes(line, hashes, measured)
    if meta.lost is not None or booked.fault is not None or isinstance(log, exceptions.ResponseError):
        line.ask(("UNWATCH",))
        return 0
    known = SENTINEL in booked.fields
    reading = StoreReading(
        {"weights": weights, "stops": stops, "meta": meta},
        booked.fields,
        highest_in(highest),
        last_revision(log),
        server_ms(line, now),
    )
    edits = write_rules.unbooked(weights, stops, booked.fields)[:most] if known else []
    acts = raw_edit_writes(reading, edits, actor, new_id)
    commands = [command for act in acts for command in (*commands_of(keys, act.puts), *_record(keys, act))]
    if not known:  # the books themselves were lost
        commands = commands_of(keys, copied_books(weights, stops))
    if not commands:
        line.ask(("UNWATCH",))
        return 0
    done = line.commit(*commands)
    if done is None:
        return None
    if isinstance(done, exceptions.ResponseError):
        raise refused("raw edits cannot be recorded in the history", done)
    return len(edits)
