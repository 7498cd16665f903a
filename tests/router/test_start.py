"""What a start costs: how often it waits for the server until this process is live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from redis import Redis

import graysplit
from graysplit import embedded
from tests.stores.trip_relay import TripRelay
from tests.support import eventually

CHANGES = 60  # more than are read of the log with the first trips


@pytest.fixture
def relay(server: embedded.Server) -> Iterator[TripRelay]:
    """Return a relay before the server, that counts trips."""
    with TripRelay(server.port) as found:
        yield found


@pytest.fixture
def login(server: embedded.Server) -> Iterator[str]:
    """Return the login of a user who may do everything."""
    with Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "starter", "on", ">secret", "~*", "&*", "+@all")
        yield "starter:secret@"
        client.execute_command("ACL", "DELUSER", "starter")


@pytest.mark.parametrize("database", ["", "/3"])
def test_a_start_waits_four_times(
    relay: TripRelay, server: embedded.Server, namespace: str, login: str, database: str
) -> None:
    """Connect; ask what rests on no answer; join the fleet; read. A login, a database, a long log add nothing."""
    url = f"redis://{login}127.0.0.1:{server.port}{database}"
    with graysplit.Control(url, namespace=namespace) as control:
        control.create("checkout")
        for number in range(CHANGES):
            control.set("checkout", 1 + number % 2, allow_needless=True)
        with graysplit.Router(url, namespace=namespace) as first:
            first.wait_ready(5)  # from here on the server knows the script of heartbeats
    router = graysplit.Router(relay.url(url), namespace=namespace)
    with closing(router):
        router.start()
        eventually(lambda: router.status().phase == "live")
        trips = list(relay.trips)
    reading = next(number for number, trip in enumerate(trips, 1) if "HGETALL" in trip)
    assert reading <= 4, trips
