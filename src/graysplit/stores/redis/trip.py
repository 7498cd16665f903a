"""A guard's rollback in Redis, as a ladder: weight and stop in one script; the stop alone; that without a script."""

from __future__ import annotations

from redis import exceptions

from graysplit.stores import write_rules
from graysplit.stores.port import Trip
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.faults import is_forbidden, lacks_scripts, neither, refused
from graysplit.stores.redis.hashes import key_of
from graysplit.stores.redis.keys import LOG_AT_MOST, Keys
from graysplit.stores.redis.reader import server_ms
from graysplit.stores.redis.scripts import script
from graysplit.stores.redis.without_scripts import until_written
from graysplit.stores.text.records import raw_of, stop_text


def stop_release(line: Connection, keys: Keys, trip: Trip) -> bool:
    """Stop a candidate if its release is still this one; raises `RefusedError` where no stop is taken."""
    texts = (trip.id, trip.field, trip.release, trip.why, trip.actor, trip.cause)
    told = tuple(raw_of(text) for text in texts)
    arguments: tuple[bytes | str | int, ...] = (*told, LOG_AT_MOST, keys.meta, keys.booked, keys.log, keys.plans)
    answer = line.evaluate(script("trip"), (keys.stops, keys.weights), arguments)
    if isinstance(answer, exceptions.ResponseError) and is_forbidden(answer):
        answer = line.evaluate(script("trip"), (keys.stops,), arguments)
    if lacks_scripts(answer):
        return until_written(line, lambda: _stop_alone(line, keys, trip))
    if not isinstance(answer, int):
        raise refused(f"the stop of '{trip.field}' was not accepted", answer)
    return bool(answer)


def _stop_alone(line: Connection, keys: Keys, trip: Trip) -> bool | None:
    """Add a stop while nobody begins another release; whoever may write the history adds the zero with it."""
    watched, stops, meta, now = line.ask(
        ("WATCH", keys.meta), ("HGETALL", keys.stops), ("HGETALL", keys.meta), ("TIME",)
    )
    if isinstance(watched, exceptions.ResponseError):
        raise neither(f"the stop of '{trip.field}' was not accepted", watched)
    allowed = write_rules.may_trip(trip.field, trip.release, key_of(stops), key_of(meta))
    if not allowed:
        line.ask(("UNWATCH",))
        return allowed is None
    text = stop_text(why=trip.why, who=trip.actor, at_ms=server_ms(line, now), change=trip.id, release=trip.release)
    done = line.commit(("HSETNX", keys.stops, raw_of(trip.field), raw_of(text)))
    if isinstance(done, exceptions.ResponseError):
        raise refused(f"the stop of '{trip.field}' was not accepted", done)
    return True if done is not None else None
