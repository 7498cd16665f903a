"""Followed through Sentinel: a failover costs no decision, and a stale replica in the primary's place raises nobody."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress

import pytest
from redis import exceptions

import graysplit
from graysplit.errors import StoreUnreachableError
from graysplit.stores import Store, store_from_url
from tests.faults.command_line import graysplit_cli
from tests.faults.shares import following, share, watching
from tests.support import eventually
from tests.topologies.servers import Pair, client, pair, sentinels, since

pytestmark = pytest.mark.xdist_group("topologies-sentinel")

WEIGHTS = "graysplit:{default}:weights"
FAILED_OVER_WITHIN_S = 40.0


def promoted(found: Pair) -> bool:
    """Say whether the replica has taken the primary's place; while it takes it, it may break connections off."""
    with client(found.replica) as one, suppress(exceptions.ConnectionError):
        return bool(one.role()[0] == b"master")
    return False


def reachable(url: str) -> Store:
    """Give a store that has just answered; Sentinel is asked again each time."""
    store = store_from_url(url)

    def answers() -> bool:
        with suppress(StoreUnreachableError):
            return store.load().weights.lost is None
        return False

    eventually(answers, FAILED_OVER_WITHIN_S, message="the service is back")
    return store


@pytest.mark.parametrize("watchers", [1, pytest.param(3, marks=pytest.mark.soak)])
def test_a_failover_costs_no_decision(watchers: int, record_property: Callable[[str, object], None]) -> None:
    """What was replicated is in force throughout, and the first write on the new primary is obeyed soon."""
    with (
        pair() as found,
        sentinels(found.primary, watchers) as url,
        graysplit.Control(url) as control,
    ):
        control.create("checkout")
        control.set("checkout", 20)
        found.in_step()
        with following(url, "default") as router, watching(router) as watch:
            watch.when(20)
            begun = time.monotonic()
            found.primary.kill()
            eventually(lambda: router.status().mode == "lost", 10)
            record_property("noticed after s", since(begun))
            with closing(reachable(url)):
                record_property("failover took s", since(begun))
            wrote = time.monotonic()
            control.set("checkout", 30)
            watch.when(30, 20)
            record_property("caught up after the first write in s", since(wrote))
            assert router.status().mode == "tracking"
            assert router.status().held == {}
            assert watch.shares == [20, 30]


def test_a_stale_replica_raises_nobody(record_property: Callable[[str, object], None]) -> None:
    """A rollback that died with its primary stands: the new primary gets a stop for it, and a person goes on."""
    with pair() as found, sentinels(found.primary, 1) as url, graysplit.Control(url) as control:
        for split in ("checkout", "search", "other"):
            control.create(split)
            control.set(split, 50)
        found.in_step()
        assert "1 of 1 replicas has it" in graysplit_cli(url, "default", "rollback", "other").out
        with following(url, "default") as router, watching(router) as watch:
            watch.when(50)
            found.cut()
            said = graysplit_cli(url, "default", "rollback", "checkout").out
            assert "not replicated yet" in said or "have it" not in said  # a replica that is gone is not counted
            control.set("search", 10, unstop=True)
            watch.when(0)
            eventually(lambda: share(router, "search") == 10)

            found.primary.kill()
            eventually(lambda: promoted(found), FAILED_OVER_WITHIN_S)
            begun = time.monotonic()
            eventually(lambda: router.status().mode == "tracking" and router.status().held != {}, FAILED_OVER_WITHIN_S)
            record_property("regression known after s", since(begun))
            assert "weights search/new" in router.status().held  # that checkout is at zero, a stop says before long
            with client(found.replica) as one:
                assert one.hget(WEIGHTS, "checkout/new") == b"50"
                eventually(lambda: bool(one.hexists("graysplit:{default}:stops", "checkout/new")))
            with following(url, "default") as newborn:
                assert share(newborn) == 0
                assert (share(router), share(router, "search")) == (0, 10)

                control.set("other", 40, unstop=True)  # an edit of another split changes nothing for these
                eventually(lambda: share(router, "other") == 40)
                assert (share(router), share(router, "search")) == (0, 10)
                control.set("search", 60, unstop=True)
                control.set("checkout", 30, unstop=True)
                for each in (router, newborn):
                    eventually(lambda each=each: (share(each), share(each, "search")) == (30, 60))
            eventually(lambda: router.status().held == {})
            watch.when(30)
            assert watch.shares == [50, 0, 30]


def test_a_primary_that_was_replaced_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """F8: cut off from its Sentinels, or frozen by a person, it still answers; the way is asked for again."""
    monkeypatch.setattr("graysplit.stores.redis.feed.WAY_S", 0.5)
    with pair() as found, sentinels(found.primary, 1) as url, graysplit.Control(url) as control:
        control.create("checkout")
        control.set("checkout", 20)
        found.in_step()
        with following(url, "default") as router, watching(router) as watch:
            watch.when(20)
            with client(found.primary) as one:  # nobody may make it a replica, nor end its connections
                one.execute_command("ACL", "SETUSER", "default", "-replicaof", "-slaveof", "-client|kill", "-config")
            found.primary.pause()
            eventually(lambda: promoted(found), FAILED_OVER_WITHIN_S)
            found.primary.resume()
            with closing(reachable(url)) as store, graysplit.Control(store) as anew:
                eventually(lambda: router.status().mode == "tracking", 20)
                anew.set("checkout", 30)
                watch.when(30, 30)
