"""Primaries and replicas: who is a source, who is none, and what is told of how far a rollback has come.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

import graysplit
from graysplit.errors import StoreUnreachableError
from graysplit.stores import store_from_url
from tests.faults.command_line import graysplit_cli
from tests.faults.shares import following, watching
from tests.support import eventually
from tests.topologies.servers import HOST, Pair, client, pair, since

pytestmark = pytest.mark.xdist_group("topologies-replicas")

WEIGHTS = "graysplit:{default}:weights"
STOPS = "graysplit:{default}:stops"


@pytest.fixture
def both() -> Iterator[Pair]:
    """Return a primary with a split at 20 %, and its replica in step."""
    with pair() as found, graysplit.Control(found.primary.url) as control:
        control.create("checkout")
        control.set("checkout", 20)
        found.in_step()
        yield found


def test_a_rollback_says_how_many_replicas_have_it(both: Pair) -> None:
    """One of one; of a replica that hangs it is not said to have it."""
    ran = graysplit_cli(both.primary.url, "default", "rollback", "checkout")
    assert (ran.code, "1 of 1 replicas has it" in ran.out) == (0, True), ran
    both.replica.pause()
    ran = graysplit_cli(both.primary.url, "default", "rollback", "checkout")
    assert (ran.code, "not replicated yet" in ran.out) == (0, True), ran
    said = json.loads(graysplit_cli(both.primary.url, "default", "rollback", "checkout", "--json").out)
    assert said["replicas"] == {"have": 0, "of": 1}


def test_without_replicas_nothing_is_said_of_them(redis_url: str, namespace: str) -> None:
    """A server alone has none to count."""
    ran = graysplit_cli(redis_url, namespace, "rollback", "checkout")
    assert "repli" not in ran.out + ran.err


@pytest.mark.parametrize("stale", ["yes", "no"])
def test_a_replica_cut_off_from_its_primary_is_no_source(both: Pair, stale: str) -> None:
    """It answers PING and serves what it had, or MASTERDOWN: neither is read, and the reason is said."""
    with client(both.replica) as one:
        one.config_set("replica-serve-stale-data", stale)
    both.cut()
    with graysplit.Control(both.primary.url) as control:
        control.rollback("checkout")
    store = store_from_url(both.replica.url)
    with pytest.raises(StoreUnreachableError, match="replica"):
        store.load()
    store.close()
    with graysplit.Router(both.replica.url) as router:
        eventually(lambda: "replica" in router.status().reason)
        assert router.decide("checkout", "user-1").reason == "not_ready"


@pytest.mark.parametrize("protocol", [pytest.param(2, marks=pytest.mark.soak), 3])
def test_a_primary_made_a_replica_is_left(
    both: Pair, protocol: int, record_property: Callable[[str, object], None]
) -> None:
    """REPLICAOF closes no follower's connection; the older data that it brings raises nobody, then or later.

    Timeline 2.
    """
    with (
        graysplit.Control(both.primary.url) as control,
        following(f"{both.primary.url}?protocol={protocol}", "default") as router,
        watching(router) as watch,
        client(both.primary) as primary,
        client(both.replica) as replica,
    ):
        watch.when(20)
        replica.replicaof("NO", "ONE")  # from here on it does not know what its primary does
        control.rollback("checkout")
        watch.when(0)
        begun = time.monotonic()
        primary.replicaof(HOST, both.replica.port)
        eventually(lambda: "replica" in router.status().reason, 20)
        record_property("noticed after s", since(begun))
        eventually(lambda: primary.hget(WEIGHTS, "checkout/new") == b"20", 20)
        assert watch.shares == [20, 0]
        primary.replicaof("NO", "ONE")
        eventually(lambda: router.status().mode in ("tracking", "redirect"), 10)
        eventually(lambda: bool(primary.hexists(STOPS, "checkout/new")), message="what was known to be zero is stopped")
        assert watch.shares == [20, 0]
