"""A rollback in Redis, as a ladder: the script; stop and weight in one `MULTI`; each alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from redis import exceptions

from graysplit.core.address import EVERYTHING
from graysplit.core.replica.record import SENTINEL
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
from graysplit.stores.redis.without_scripts import FoundEntry, append, commands_of, last_revision, seek
from graysplit.stores.text.records import exact, raw_of
from graysplit.stores.writes import StoreReading, rollback_writes

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
    answer = line.write(
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
    writes = rollback_writes(_read(line, keys, part), rollback)
    if writes.entry is None:
        return StepAnswer(writes.written)
    commands = commands_of(keys, writes.lowering)
    counted: list[Command] = [("HINCRBY", keys.meta, "revision", writes.step)] if writes.step else []
    entry = append(keys, writes.entry, rest=None if part is None else part.rest)
    results = _in_one(line, [*commands, *commands_of(keys, writes.books), *counted, entry])
    why: str | None
    if results is None or all(_failed(reply) for reply in results[: len(commands)]):
        why = _alone(line, keys, commands)
    else:
        unrecorded = writes.written.unrecorded
        why = next((reason(reply) for reply in results[len(commands) :] if _failed(reply)), unrecorded)
    with suppress(StoreUnreachableError):  # what lowers is written
        # What may not be written stays: a plan's driver finds it over.
        line.ask(*commands_of(keys, writes.marks))
    revision = writes.written.revision if why is None else 0
    return StepAnswer(writes.written._replace(revision=revision, unrecorded=why))


def _read(line: Connection, keys: Keys, part: Part | None) -> StoreReading:
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
    hashes = {"weights": own, "stops": key_of(stops), "meta": key_of(meta)}
    return StoreReading(hashes, key_of(booked).fields, highest_in(highest), last_revision(log), server_ms(line, now))


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
