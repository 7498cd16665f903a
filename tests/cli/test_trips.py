"""How often a command waits for its server: at most four times, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
from redis import Redis

import graysplit
from graysplit import embedded
from tests.stores.trip_relay import TripRelay


@pytest.fixture
def relay(server: embedded.Server, namespace: str) -> Iterator[TripRelay]:
    """Return a relay before a server on which a process follows a split."""
    with (
        graysplit.Control(server.url, namespace=namespace) as control,
        graysplit.Router(server.url, namespace=namespace) as router,
        TripRelay(server.port) as found,
    ):
        control.create("checkout")
        control.set("checkout", 10)
        control.rollback("checkout")
        control.set("checkout", 10, unstop=True)
        router.choose("checkout", "u")
        assert router.wait_ready(20)
        yield found


def trips_of(relay: TripRelay, server: embedded.Server, namespace: str, *words: str) -> list[str]:
    """Run a command over the relay and return its trips."""
    environment = {**os.environ, "GRAYSPLIT_URL": relay.url(server.url), "GRAYSPLIT_NAMESPACE": namespace}
    ended = subprocess.run(
        [sys.executable, "-m", "graysplit.cli", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return relay.trips


def test_a_list_waits_three_times(relay: TripRelay, server: embedded.Server, namespace: str) -> None:
    """Connect; the fleet and how much there is; all of it, with what hooks were told."""
    trips = trips_of(relay, server, namespace, "list")
    assert len(trips) <= 3, trips


def test_guards_cost_a_list_one_trip_however_many_there_are(
    relay: TripRelay, server: embedded.Server, namespace: str
) -> None:
    """What each has counted is read together."""
    guarded = f"{namespace}-guarded"
    with graysplit.Control(server.url, namespace=guarded) as control:
        for split in ("checkout", "search", "cart"):
            control.create(split)
            control.guard(split)
            control.set(split, 10)
    trips = trips_of(relay, server, guarded, "list")
    assert len(trips) == 4, trips


def test_a_set_waits_three_times_until_it_is_written(relay: TripRelay, server: embedded.Server, namespace: str) -> None:
    """Connect; read; write. Each look at the receipts is one more, and the first one comes behind the write."""
    trips = trips_of(relay, server, namespace, "set", "checkout", "20")
    write = [number for number, trip in enumerate(trips, 1) if trip == "EVALSHA ROLE"]
    assert write == [3], trips
    assert all(trip.startswith("MULTI ZRANGE") for trip in trips[3:]), trips


def test_a_rollback_waits_three_times_until_it_is_in_force(
    relay: TripRelay, server: embedded.Server, namespace: str
) -> None:
    """Connect; log in; write, before which nothing is read. Each look at the receipts is one more."""
    trips = trips_of(relay, server, namespace, "rollback", "checkout")
    assert trips[:3] == ["connect", "PING", "EVALSHA ROLE"], trips
    assert all(trip.startswith("MULTI ZRANGE") for trip in trips[3:]), trips


@pytest.mark.parametrize("words", [("set", "checkout", "20"), ("rollback", "checkout")], ids=["set", "rollback"])
def test_a_server_that_has_just_started_costs_one_trip_more(words: Sequence[str]) -> None:
    """It knows no script: the first is sent again, whole, and the next one is whole from the start."""
    with embedded.server() as own, graysplit.Control(own.url) as control, Redis.from_url(own.url) as client:
        control.create("checkout")
        control.set("checkout", 10)
        client.script_flush()
        with TripRelay(own.port) as relay:
            trips = trips_of(relay, own, "default", *words, "--no-wait")
    assert len(trips) == 4, trips
