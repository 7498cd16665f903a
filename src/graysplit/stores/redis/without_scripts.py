"""The same writes by optimistic locking, where a server or a role refuses scripts.

`WATCH`, read, judge, `MULTI`: somebody always wins, so that a bounded number of tries is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from redis import exceptions

from graysplit.core.address import covers_split, split_of
from graysplit.core.lease import PREFIX as LEASE
from graysplit.core.replica.record import SENTINEL, Entry, Key
from graysplit.errors import GraysplitError, NotYetError, StoreUnreachableError
from graysplit.stores import write_rules
from graysplit.stores.port import ProgressUpdate, Submission, Written
from graysplit.stores.redis.client import Command, Reply, is_list
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.faults import fault, is_condition, neither, refused, unreachable
from graysplit.stores.redis.hashes import key_of, mapping_of, read_hashes, sizes
from graysplit.stores.redis.keys import LOG_AT_MOST, Keys
from graysplit.stores.redis.reader import entries_of, highest_in, rows_of, run_id_of, server_ms
from graysplit.stores.redis.scripts import script
from graysplit.stores.text.records import (
    BRAKE,
    PLAN,
    TICK,
    changed,
    entry_fields,
    exact,
    new_id,
    raw_of,
    read_entry,
    stop_text,
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
    known = key_of(meta)
    allowed = write_rules.may_brake(field, key_of(stops), known, release_ms)
    if allowed:
        release = write_rules.releases_of(known, field, [field])
        text = stop_text(why=why, who=BRAKE, at_ms=server_ms(line, now), change=new_id(), release=release)
        (answer,) = line.ask(("HSETNX", keys.stops, raw_of(field), raw_of(text)))
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
    found = [row for row in rows if mapping_of(row[1]).get(b"id") == raw_of(change)]
    further = b"(" + rows[-1][0] if len(rows) == _PAGE and not found else b""
    return rows[0][0] if rows else b"", further, found


def put(key: str, field: str, value: str | None) -> Command:
    """Return the command that writes a field, or takes it away."""
    return ("HDEL", key, raw_of(field)) if value is None else ("HSET", key, raw_of(field), raw_of(value))


def end_plan(keys: Keys, split: str) -> list[Command]:
    """Return the commands that take a plan's progress away, and its mark in `meta`."""
    return [
        ("HDEL", keys.plans, raw_of(split), raw_of(TICK + split)),
        ("HDEL", keys.meta, raw_of(PLAN + split)),
    ]


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
    before, after = changed(submission)
    watched, *replies, booked, log, highest, now = line.ask(
        ("WATCH", *keys.hashes.values(), keys.booked, keys.log),
        *(("HGETALL", key) for key in keys.hashes.values()),
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
    hashes = {name: key_of(reply) for name, reply in zip(keys.hashes, replies, strict=True)}
    now_ms = server_ms(line, now)
    fresh = write_rules.check_submission(submission, hashes, now_ms)
    started = _check_start(line, keys, submission, hashes["meta"], now_ms)
    # What it writes there is counted on from, as `recover` wants it.
    meta = key_with(hashes["meta"], {w.field: w.value for w in submission.writes if w.key == "meta"})
    revision = write_rules.next_revision(meta, highest_in(highest), last_revision(log), submission.above)
    entry = Entry(
        submission.id,
        revision,
        submission.split,
        submission.cause,
        submission.actor,
        submission.why,
        now_ms,
        before,
        after,
    )
    seeds = _seeds(keys, submission.id) if fresh else _mends(keys, submission, hashes)
    step = revision - write_rules.revision_of(meta)
    done = line.commit(*seeds, *started, *_writes(keys, submission, now_ms), *_record(keys, entry, step))
    if done is None:
        return None
    if isinstance(done, exceptions.ResponseError):
        raise _not_written(line, submission, done)
    return Written(submission.id, revision, now_ms, before, after)


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


def _seeds(keys: Keys, change: str) -> list[Command]:
    made: list[Command] = [("HSET", key, SENTINEL, "1") for key in (*keys.followed, keys.booked)]
    return [*made, ("HSET", keys.meta, "schema", "1", "lineage", change)]


def _mends(keys: Keys, submission: Submission, hashes: Mapping[str, Key]) -> list[Command]:
    commands: list[Command] = []
    for name in submission.mends:
        key = keys.hashes[name]
        if hashes[name].fault is not None:
            commands.append(("DEL", key))
        commands.append(("HSET", key, SENTINEL, "1"))
    return commands


def _writes(keys: Keys, submission: Submission, now_ms: int) -> list[Command]:
    commands = [command for split in submission.ends for command in end_plan(keys, split)]
    if submission.raises:  # who may not write weights is refused: with an approval a plan writes them later
        commands.append(("HDEL", keys.weights, NO_FIELD))
    for write in submission.writes:
        commands.append(put(keys.hashes[write.key], write.field, write.value))
        if write.key in ("weights", "stops"):
            commands.append(put(keys.booked, f"{write.key} {write.field}", write.value))
    return [*commands, *(_begin(keys, field, submission.id, now_ms) for field in submission.begins)]


def _begin(keys: Keys, field: str, change: str, now_ms: int) -> Command:
    return put(keys.meta, f"release:{field}", f"{change} {now_ms}")


def _record(keys: Keys, entry: Entry, step: int) -> list[Command]:
    return [("HINCRBY", keys.meta, "revision", step), append(keys, entry)]


def last_revision(reply: Reply) -> int:
    """Return the revision of the log's last entry; 0 where there is none."""
    return next((entry.revision for _, entry in entries_of(reply)), 0)


def key_with(key: Key, writes: Mapping[str, str | None]) -> Key:
    """Return a key as it is once some of its fields are written."""
    written = {raw_of(field): raw_of(value) for field, value in writes.items() if value is not None}
    return key._replace(fields={**key.fields, **written})


# --- booking ---------------------------------------------------------------------------------------------------------


def _book_once(line: Connection, keys: Keys, actor: str, most: int) -> int | None:
    hashes = [keys.weights, keys.stops, keys.meta, keys.booked]
    found = sizes(line, hashes)  # first: a transaction ends a `WATCH`
    watched, log, highest, now = line.ask(
        ("WATCH", keys.weights, keys.stops, keys.meta, keys.booked, keys.log),
        ("XREVRANGE", keys.log, "+", "-", "COUNT", 1),
        ("HMGET", keys.highest, "revision"),
        ("TIME",),
    )
    if isinstance(watched, exceptions.ResponseError):
        raise neither("raw edits cannot be recorded in the history", watched)
    weights, stops, meta, booked = read_hashes(line, hashes, found)
    if meta.lost is not None or booked.fault is not None or isinstance(log, exceptions.ResponseError):
        line.ask(("UNWATCH",))
        return 0
    known = SENTINEL in booked.fields  # else the books themselves were lost: what stands is taken as known
    edits = write_rules.unbooked(weights, stops, booked.fields)
    edits = edits[:most] if known else edits
    commands = [put(keys.booked, where, value) for edit in edits for where, value in edit.after.items()]
    commands += (put(keys.weights, where.partition(" ")[2], "0") for edit in edits for where in edit.zeros)
    if known:
        started = write_rules.begun(weights, stops, booked.fields) if edits else []
        first = write_rules.next_revision(meta, highest_in(highest), last_revision(log))
        commands += _entries(keys, edits, started, actor, meta=meta, first=first, now_ms=server_ms(line, now))
    else:
        commands.append(put(keys.booked, exact(SENTINEL), "1"))
    if not commands:
        line.ask(("UNWATCH",))
        return 0
    done = line.commit(*commands)
    if done is None:
        return None
    if isinstance(done, exceptions.ResponseError):
        raise refused("raw edits cannot be recorded in the history", done)
    return len(edits) if known else 0


def _entries(  # noqa: PLR0913 - all of what an entry holds
    keys: Keys, edits: list[write_rules.Edit], started: list[str], actor: str, *, meta: Key, first: int, now_ms: int
) -> list[Command]:
    commands: list[Command] = []
    step = first - write_rules.revision_of(meta)
    told: set[str] = set()
    for number, edit in enumerate(edits):
        ends = {split for where in edit.after for split in write_rules.ended_by(meta, where.partition(" ")[2])} - told
        told |= ends
        over = write_rules.plans_over(meta, ends)
        entry = Entry(
            edit.signed.change if edit.signed else new_id(),
            first + number,
            edit.split,
            edit.cause,
            edit.actor(actor),
            edit.why,
            now_ms,
            {**edit.before, **over},
            {**edit.after, **dict.fromkeys(over)},
        )
        own = (f for f in started if edit.signed is None and covers_split(edit.split, split_of(f)))
        commands += (_begin(keys, field, entry.id, now_ms) for field in own)
        leased = (where for where in edit.after if where.startswith("weights "))  # an edit from outside ends a lease
        commands += (put(keys.meta, where.replace("weights ", LEASE, 1), None) for where in leased)
        commands += (command for split in sorted(ends) for command in end_plan(keys, split))
        commands += _record(keys, entry, 1 if number else step)
    return commands
