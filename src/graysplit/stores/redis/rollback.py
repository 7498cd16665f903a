"""A rollback in Redis, as a ladder: the script; stop and weight in one `MULTI`; each alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from redis import exceptions

from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.replica.record import SENTINEL, Entry, Key
from graysplit.errors import StoreUnreachableError
from graysplit.stores import write_rules
from graysplit.stores.port import Rollback, Written
from graysplit.stores.redis.client import Command, Reply, is_list
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.faults import fault, reason, unreachable
from graysplit.stores.redis.hashes import key_of
from graysplit.stores.redis.keys import LOG_AT_MOST, Keys
from graysplit.stores.redis.reader import highest_in, server_ms
from graysplit.stores.redis.scripts import script
from graysplit.stores.redis.submit import first_answer
from graysplit.stores.redis.without_scripts import FoundEntry, append, end_plan, last_revision, put, seek
from graysplit.stores.text.records import PLAN, exact, raw_of, stop_text

# So many stops and weights are written at once: the server answers nobody else meanwhile.
PORTION: Final = 500


class Part(NamedTuple):
    """One portion of a rollback of everything."""

    fields: Sequence[str]  # of weights: all those of its splits
    rest: int  # portions that come after it


class StepAnswer(NamedTuple):
    """What was written in one step."""

    written: Written
    rest: int = 0  # portions that come after it


class _RollbackWrites(NamedTuple):
    """What is to be written, found out without a script."""

    writes: dict[str, str]
    before: dict[str, str | None]
    lowering: write_rules.Lowering
    over: dict[str, str]  # the marks of plans that end, as the history names them
    revision: int  # that stands
    next_revision: int
    numberless: str | None  # why there can be no revision
    now_ms: int


def roll_back(
    line: Connection, keys: Keys, rollback: Rollback, part: Part | None = None, *, again: bool
) -> StepAnswer | None:
    """Lower and stop, of everything one part or all; None where all is too much for one step.

    Raises `StoreUnreachableError` only where neither stop nor weight could be written.
    """
    texts = (rollback.id, rollback.target, rollback.actor, rollback.why, rollback.cause)
    names = (keys.meta, keys.booked, keys.log, keys.plans)
    own: tuple[bytes | int, ...] = (b"",) if part is None else (part.rest, *(raw_of(field) for field in part.fields))
    sought = seek(line, keys, rollback.id) if again else FoundEntry()
    if sought.written is not None:
        return StepAnswer(sought.written, sought.rest)
    answer = line.evaluate(
        script("rollback"),
        (keys.weights, keys.stops),
        (*(raw_of(text) for text in texts), sought.upto, LOG_AT_MOST, *names, PORTION, *own),
    )
    tag = answer[0] if is_list(answer) else None
    if tag == b"ok":
        return StepAnswer(_written(rollback.id, answer))
    if tag == b"again":
        return StepAnswer(first_answer(rollback.id, answer), answer[5])
    return None if tag == b"many" else _without_script(line, keys, rollback, part)


def read_portions(line: Connection, keys: Keys) -> list[list[str]]:
    """Read what runs, cut into portions."""
    weights, stops = line.ask(("HGETALL", keys.weights), ("HKEYS", keys.stops))
    stopped = frozenset(stops) if is_list(stops) else frozenset[bytes]()
    return write_rules.portions(key_of(weights), stopped, PORTION)


def _written(change: str, answer: Reply) -> Written:
    _, revision, at_ms, unrecorded, rows, kept = answer
    triples = list(zip(rows[::3], rows[1::3], rows[2::3], strict=True))
    weights = {exact(field): exact(raw) for field, raw in zip(kept[::2], kept[1::2], strict=True)}
    return Written(
        id=change,
        revision=revision,
        at_ms=at_ms,
        before={exact(where): None if raw is None else exact(raw) for where, raw, _ in triples},
        after={exact(where): None if raw is None else exact(raw) for where, _, raw in triples},
        unrecorded=_why_unrecorded(exact(unrecorded)),
        left=write_rules.splits_of(weights),
        kept=weights,
    )


def _why_unrecorded(text: str) -> str | None:
    key, _, why = text.partition(": ")
    return f"the key '{key}' is {fault(why)}" if text else None


def _without_script(line: Connection, keys: Keys, rollback: Rollback, part: Part | None) -> StepAnswer | None:
    if part is None and rollback.target == EVERYTHING:
        (count,) = line.ask(("HLEN", keys.weights))
        if isinstance(count, int) and count > PORTION:
            return None
    plan = _planned(line, keys, rollback, part)
    lowering = plan.lowering
    if not plan.writes:
        return StepAnswer(Written(rollback.id, plan.revision, plan.now_ms, left=lowering.left, kept=lowering.kept))
    commands = _lowering(keys, plan.writes)
    results = _in_one(line, [*commands, *_record(keys, rollback, plan, part)])
    why: str | None
    if results is None or all(_failed(reply) for reply in results[: len(commands)]):
        why = _alone(line, keys, commands)
    else:
        why = next((reason(reply) for reply in results[len(commands) :] if _failed(reply)), plan.numberless)
    with suppress(StoreUnreachableError):  # what lowers is written
        for where in plan.over:
            # What may not be written stays: its driver finds the plan over.
            line.ask(*end_plan(keys, where.removeprefix(f"meta {PLAN}")))
        line.ask(("HDEL", keys.meta, *(raw_of(f"finished:{split_of(stop)}") for stop in lowering.stops)))
    revision = plan.next_revision if why is None else 0
    before, after = {**plan.before, **plan.over}, {**plan.writes, **dict.fromkeys(plan.over)}
    return StepAnswer(Written(rollback.id, revision, plan.now_ms, before, after, why, lowering.left, lowering.kept))


def _record(keys: Keys, rollback: Rollback, plan: _RollbackWrites, part: Part | None) -> list[Command]:
    """Return the commands for books, revision and history; no number where `meta` is lost: none may come twice."""
    entry = Entry(
        rollback.id,
        0 if plan.numberless else plan.next_revision,
        split_of(rollback.target),
        rollback.cause,
        rollback.actor,
        rollback.why,
        plan.now_ms,
        {**plan.before, **plan.over},
        {**plan.writes, **dict.fromkeys(plan.over)},
    )
    # A stop that is kept is booked as whose it is.
    fresh = {w: value for w, value in plan.writes.items() if w.startswith("weights ") or plan.before[w] != value}
    commands = [put(keys.booked, where, value) for where, value in fresh.items()]
    if not plan.numberless:
        commands.append(("HINCRBY", keys.meta, "revision", plan.next_revision - plan.revision))
    return [*commands, append(keys, entry, rest=None if part is None else part.rest)]


def _planned(line: Connection, keys: Keys, rollback: Rollback, part: Part | None) -> _RollbackWrites:
    """Read as much as can be read; what cannot is taken for empty."""
    weights, stops, meta, booked, log, highest, now = line.ask(
        *(("HGETALL", key) for key in (keys.weights, keys.stops, keys.meta, keys.booked)),
        ("XREVRANGE", keys.log, "+", "-", "COUNT", 1),
        ("HMGET", keys.highest, "revision"),
        ("TIME",),
    )
    own = key_of(weights)
    if part is not None:
        wanted = {SENTINEL, *map(raw_of, part.fields)}
        own = own._replace(fields={field: raw for field, raw in own.fields.items() if field in wanted})
    known = {"weights": own, "stops": key_of(stops), "meta": key_of(meta)}
    now_ms = server_ms(line, now)
    finished = write_rules.finished_of(known["meta"], known["weights"], known["stops"], key_of(booked).fields)
    lowering = write_rules.lowering(rollback.target, known["weights"], finished)
    writes = {f"weights {field}": "0" for field in lowering.fields}
    for stop, release in write_rules.ended_releases(known["meta"], lowering).items():
        text = stop_text(why=rollback.why, who=rollback.actor, at_ms=now_ms, change=rollback.id, release=release)
        writes[f"stops {stop}"] = write_rules.first_reason(_text(known["stops"], stop), text)
    before: dict[str, str | None] = {}
    for where in writes:
        name, _, field = where.partition(" ")
        before[where] = _text(known[name], field)
    lost = known["meta"].lost
    numberless = f"the key 'meta' is {lost}" if lost else None
    ends = (split for stop in lowering.stops for split in write_rules.ended_by(known["meta"], stop))
    over = write_rules.plans_over(known["meta"], ends)
    stands = write_rules.revision_of(known["meta"])
    following = write_rules.next_revision(known["meta"], highest_in(highest), last_revision(log))
    return _RollbackWrites(writes, before, lowering, over, stands, following, numberless, now_ms)


def _text(key: Key, field: str) -> str | None:
    raw = key.fields.get(raw_of(field))
    return None if raw is None else exact(raw)


def _lowering(keys: Keys, writes: dict[str, str]) -> list[Command]:
    where_to = {"weights": keys.weights, "stops": keys.stops}
    return [
        put(where_to[name], field, value)
        for (name, _, field), value in ((where.partition(" "), value) for where, value in writes.items())
    ]


def _in_one(line: Connection, commands: list[Command]) -> list[Reply] | None:
    """Write all in one `MULTI`, or as much as this user and server allow; None where it broke off."""
    try:
        return line.transaction(*commands, writes=True)
    except StoreUnreachableError:
        if line.broken:
            raise
        return None


def _alone(line: Connection, keys: Keys, lowering: list[Command]) -> str:
    """Write stop and weight each alone, and in another way where that is refused."""
    refused: StoreUnreachableError | None = None  # the first that was
    stood = False
    for command in lowering:
        try:
            (reply,) = line.ask(command)
            if _failed(reply):
                refused = refused or unreachable(line.name, reply)
                (reply,) = line.ask(_otherwise(keys, command))
        except StoreUnreachableError as lost:
            if not stood:
                raise
            return lost.reason  # it has worked as soon as one of the two stands
        stood = stood or not _failed(reply)
    if not stood:
        raise refused or StoreUnreachableError(line.name, "it refuses every write", written=False)
    return refused.reason if refused else "the server refused to write it together with the weight"


def _otherwise(keys: Keys, command: Command) -> Command:
    """Take a weight away (missing is zero, and allowed without memory); add a stop where none may be changed."""
    _, key, field, value = command
    return ("HDEL", key, field) if key == keys.weights else ("HSETNX", key, field, value)


def _failed(reply: Reply) -> bool:
    return isinstance(reply, exceptions.ResponseError)
