"""What a connection says first: with its first question, and before anything is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from redis import Redis, exceptions

from graysplit import embedded
from graysplit.errors import StoreUnreachableError
from graysplit.stores import store_from_url
from graysplit.stores.port import Rollback
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.topology import RESP2, Timeouts, Topology
from graysplit.stores.text.records import new_id
from tests.stores.trip_relay import TripRelay

TIMEOUTS = Timeouts(connect_s=1.0, answer_s=1.0)


@contextmanager
def user(client: Redis) -> Iterator[str]:
    """Return the login of a user who may do everything."""
    name = f"u{os.urandom(4).hex()}"
    client.execute_command("ACL", "SETUSER", name, "on", ">right", "~*", "&*", "+@all")
    try:
        yield f"{name}:right"
    finally:
        client.execute_command("ACL", "DELUSER", name)


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    """Return a plain client."""
    with Redis.from_url(redis_url) as found:
        yield found


@pytest.fixture
def relay(server: embedded.Server) -> Iterator[TripRelay]:
    """Return a relay before the server, that counts trips."""
    with TripRelay(server.port) as found:
        yield found


def line_of(relay: TripRelay, url: str) -> Connection:
    """Return a connection over the relay on which nothing was said yet."""
    topology = Topology(relay.url(url))
    return Connection(topology.pool("key", TIMEOUTS, protocol=RESP2), topology.name, TIMEOUTS.answer_s)


def test_a_login_and_a_database_cost_no_trip_before_a_reading(
    client: Redis, relay: TripRelay, server: embedded.Server
) -> None:
    """Given a user, a password and a database, then all is said with the first question, which is answered there."""
    with user(client) as login:
        line = line_of(relay, f"redis://{login}@127.0.0.1:{server.port}/7")
        (info,) = line.transaction(("CLIENT", "INFO"))
        line.close()
    assert relay.trips == ["connect", "AUTH SELECT MULTI CLIENT EXEC"]
    assert b" db=7 " in info
    assert f" user={login.partition(':')[0]} ".encode() in info


def test_nothing_is_written_before_the_greeting_was_answered(client: Redis, relay: TripRelay, namespace: str) -> None:
    """Given a password that is refused, where strangers may write, then a rollback is not even sent."""
    with user(client) as login:
        wrong = login.replace("right", "wrong")
        with (
            closing(store_from_url(f"redis://{wrong}@127.0.0.1:{relay.port}", namespace)) as store,
            pytest.raises(StoreUnreachableError, match="refuses the user") as found,
        ):
            store.roll_back(Rollback(new_id(), "checkout", "me", ""))
    assert relay.trips == ["connect", "AUTH"]
    assert found.value.written is False
    assert not client.keys(f"graysplit:{{{namespace}}}:*")


def test_a_database_that_is_refused_is_written_to_nowhere(client: Redis, relay: TripRelay, namespace: str) -> None:
    """Given a database that the server has not got, then no reading is believed and no rollback sent."""
    with closing(store_from_url(f"redis://127.0.0.1:{relay.port}/9999", namespace)) as store:
        with pytest.raises(StoreUnreachableError, match="DB index"):
            store.load()
        with pytest.raises(StoreUnreachableError, match="DB index"):
            store.roll_back(Rollback(new_id(), "checkout", "me", ""))
    assert not any("EVAL" in trip for trip in relay.trips)
    assert not client.keys(f"graysplit:{{{namespace}}}:*")


def test_a_greeting_that_was_never_said_is_not_lost(relay: TripRelay) -> None:
    """Given a connection that is given back unused, then who takes the next one still speaks to his own database."""
    topology = Topology(f"redis://127.0.0.1:{relay.port}/7")
    pool = topology.pool("key", TIMEOUTS, protocol=RESP2)
    for _ in range(2):
        unused = Connection(pool, topology.name, TIMEOUTS.answer_s)
        unused.release()
    line = Connection(pool, topology.name, TIMEOUTS.answer_s)
    (info,) = line.ask(("CLIENT", "INFO"))
    assert b" db=7 " in info
    line.release()
    pool.disconnect()


def test_an_answer_that_nobody_took_goes_to_nobody_else(relay: TripRelay) -> None:
    """Given a connection that is given back while an answer is under way, then the next question has its own answer."""
    relay.trip_s = 0.05
    topology = Topology(f"redis://127.0.0.1:{relay.port}")
    pool = topology.pool("key", TIMEOUTS, protocol=RESP2)
    line = Connection(pool, topology.name, TIMEOUTS.answer_s)
    line.ask(("PING",))
    line.post_reading(("ECHO", "mine"))
    line.release()
    line = Connection(pool, topology.name, TIMEOUTS.answer_s)
    assert line.ask(("ECHO", "yours")) == [b"yours"]
    line.close()


def test_a_connection_that_is_lost_does_not_come_back_by_itself(relay: TripRelay) -> None:
    """redis-py would connect anew within a question: without its login, and in the first database."""
    topology = Topology(f"redis://127.0.0.1:{relay.port}/7")
    pool = topology.pool("key", TIMEOUTS, protocol=RESP2)
    raw = pool.get_connection()
    greeting = raw.take_greeting()
    assert greeting == (("SELECT", 7), ("PING",))
    raw.disconnect()
    with pytest.raises(exceptions.ConnectionError, match="was lost"):
        raw.send_packed_command(raw.pack_commands([("PING",)]))
    raw.give_back()
    pool.disconnect()
