"""One compare-and-set change in Redis: by script, or by `WATCH` and `MULTI` where scripts are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from redis import exceptions

from graysplit.core.record import SENTINEL, Entry, Key
from graysplit.errors import StoreUnreachableError
from graysplit.stores import rules
from graysplit.stores.port import RAISE_WINDOW_MS, Expect, Submission, Write, Written
from graysplit.stores.redis.faults import fault, is_unsupported, unreachable
from graysplit.stores.redis.feed import LOG_AT_MOST
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.line import Command, Line, Reply
from graysplit.stores.redis.reading import entries_of, key_of, time_of
from graysplit.stores.redis.scripts import script
from graysplit.stores.wire import changed, dumps, entry_fields, exact, raw_of, read_entry

Texts: TypeAlias = Mapping[str, "str | None"]

_TRIES: Final = 200
_REMEMBERED_MS: Final = 60_000


def submit(line: Line, keys: Keys, submission: Submission, *, again: bool) -> Written:
    """Write a change; `again`: it may have been sent before, and then its first answer is given."""
    before, after = changed(submission)
    own = (*keys.followed, keys.booked, keys.log)
    answer = line.evaluate(script("submit"), own, _arguments(submission, before, after, again=again))
    if isinstance(answer, exceptions.ResponseError):
        if is_unsupported(answer):
            return _by_watching(line, keys, submission, again=again)
        raise unreachable(line.name, answer)
    return _understood(line, submission, answer, before, after)


def first_answer(change: str, answer: Reply) -> Written:
    """Give the answer that a script found in the log: revision, ms, from, to."""
    _, revision, at_ms, before, after = answer
    entry = read_entry(f"{at_ms}-0", {b"from": before, b"to": after})
    return Written(change, revision, at_ms, entry.before, entry.after)


def found_in_log(line: Line, keys: Keys, change: str) -> Written | None:
    """Look for a change in the last minute of the log, where no script can."""
    now, reply = line.ask(("TIME",), ("XREVRANGE", keys.log, "+", "-", "COUNT", 1_000))
    oldest = time_of(now) - _REMEMBERED_MS
    for _, entry in entries_of(reply):
        if entry.id == change and entry.at_ms >= oldest:
            return Written(change, entry.revision, entry.at_ms, entry.before, entry.after)
    return None


def _arguments(submission: Submission, before: Texts, after: Texts, *, again: bool) -> tuple[bytes | str | int, ...]:
    texts = (submission.id, submission.split, submission.cause, submission.actor, submission.why)
    return (
        *(raw_of(text) for text in texts),
        raw_of(dumps(dict(before))),
        raw_of(dumps(dict(after))),
        submission.read_at_ms,
        int(submission.raises),
        RAISE_WINDOW_MS,
        LOG_AT_MOST,
        int(again),
        *_places(submission.expect),
        *_places(submission.writes),
        len(submission.begins),
        *(raw_of(field) for field in submission.begins),
    )


def _places(places: tuple[Expect, ...] | tuple[Write, ...]) -> list[bytes | int]:
    flat: list[bytes | int] = [len(places)]
    for place in places:
        number = rules.HASHES.index(place.key) + 1
        flat += (number, raw_of(place.field), int(place.value is not None), raw_of(place.value or ""))
    return flat


def _understood(line: Line, submission: Submission, answer: Reply, before: Texts, after: Texts) -> Written:
    tag = answer[0]
    if tag == b"ok":
        return Written(submission.id, answer[1], answer[2], before, after)
    if tag == b"again":
        return first_answer(submission.id, answer)
    if tag == b"conflict":
        found = exact(answer[3]) if answer[2] == b"1" else None
        raise rules.conflict(submission.split, submission.expect[answer[1] - 1], found)
    if tag == b"late":
        raise rules.late(submission, answer[1])
    if tag == b"corrupt":
        raise rules.corrupt(exact(answer[1]), fault(exact(answer[2])))
    raise StoreUnreachableError(line.name, "an answer of the wrong kind")


# --- without scripts -------------------------------------------------------------------------------------------------


def _by_watching(line: Line, keys: Keys, submission: Submission, *, again: bool) -> Written:
    """Do the same by optimistic locking; somebody always wins, so a bounded number of tries is enough."""
    if again:
        found = found_in_log(line, keys, submission.id)
        if found is not None:
            return found
    for _ in range(_TRIES):
        try:
            written = _try_once(line, keys, submission)
        except BaseException:
            line.ask(("UNWATCH",))
            raise
        if written is not None:
            return written
    raise StoreUnreachableError(line.name, "others wrote all the time")


def _try_once(line: Line, keys: Keys, submission: Submission) -> Written | None:
    """Watch, read, judge and write; None where somebody wrote in between."""
    before, after = changed(submission)
    hashes, now_ms = _watched(line, keys)
    fresh = rules.judge(submission, hashes, now_ms)
    revision = rules.revision_of(hashes["meta"])
    entry = Entry(
        submission.id,
        revision + 1,
        submission.split,
        submission.cause,
        submission.actor,
        submission.why,
        now_ms,
        before,
        after,
    )
    writes = [*(_seeds(keys, submission.id) if fresh else ()), *_writes(keys, submission, entry)]
    *queued, done = line.ask(("MULTI",), *writes, ("EXEC",))
    if done is None:
        return None
    if isinstance(done, exceptions.ResponseError):
        raise unreachable(line.name, next((q for q in queued if isinstance(q, exceptions.ResponseError)), done))
    return Written(submission.id, revision + 1, now_ms, before, after)


def _watched(line: Line, keys: Keys) -> tuple[dict[str, Key], int]:
    """Watch every key and read what is judged; raises `StoreCorruptError` for a neighbour of the wrong type."""
    watched, *replies = line.ask(
        ("WATCH", *keys.followed, keys.booked, keys.log),
        *(("HGETALL", key) for key in keys.followed),
        ("HGET", keys.booked, SENTINEL),
        ("XREVRANGE", keys.log, "+", "-", "COUNT", 1),
        ("TIME",),
    )
    if isinstance(watched, exceptions.ResponseError):
        raise unreachable(line.name, watched)
    for name, reply in (("booked", replies[4]), ("log", replies[5])):
        if isinstance(reply, exceptions.ResponseError):
            raise rules.corrupt(name, fault(reply))
    hashes = {name: key_of(reply) for name, reply in zip(rules.HASHES, replies, strict=False)}
    return hashes, time_of(replies[6])


def _seeds(keys: Keys, change: str) -> list[Command]:
    made: list[Command] = [("HSET", key, SENTINEL, "1") for key in (*keys.followed, keys.booked)]
    return [*made, ("HSET", keys.meta, "schema", "1", "lineage", change)]


def _writes(keys: Keys, submission: Submission, entry: Entry) -> list[Command]:
    commands: list[Command] = []
    for write in submission.writes:
        key = keys.followed[rules.HASHES.index(write.key)]
        commands.append(put(key, write.field, write.value))
        if write.key in ("weights", "stops"):
            commands.append(put(keys.booked, f"{write.key} {write.field}", write.value))
    for field in submission.begins:
        commands.append(("HSET", keys.meta, raw_of(f"release:{field}"), f"{submission.id} {entry.at_ms}"))
    return [*commands, ("HINCRBY", keys.meta, "revision", 1), append(keys, entry)]


def put(key: str, field: str, value: str | None) -> Command:
    """Give the command that writes a field, or takes it away."""
    return ("HDEL", key, raw_of(field)) if value is None else ("HSET", key, raw_of(field), raw_of(value))


def append(keys: Keys, entry: Entry) -> Command:
    """Give the command that appends a history entry."""
    flat = [part for name, value in entry_fields(entry).items() for part in (name, raw_of(value))]
    return ("XADD", keys.log, "MAXLEN", "~", LOG_AT_MOST, "*", *flat)
