"""Followed through Sentinel: a failover costs no decision, and a stale replica in the primary's place raises nobody.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from redis import Redis, exceptions

import graysplit
from graysplit import embedded
from graysplit.errors import StoreUnreachableError
from graysplit.stores import Store, store_from_url
from tests.faults.command_line import graysplit_cli
from tests.faults.shares import following, share, watching
from tests.support import eventually
from tests.topologies.servers import HOST, SERVICE, Pair, client, pair, replication, sentinels, since

pytestmark = pytest.mark.xdist_group("topologies-sentinel")

WEIGHTS = "graysplit:{default}:weights"
FAILED_OVER_WITHIN_S = 40.0
ASK_AGAIN_S = 8.0  # a second failover would undo the first
KNOWN_WITHIN_S = 5.0  # the promise is 2 s; a busy machine gets room
REPLACED_BY = ("replicaof", "slaveof", "client|kill", "config")


def promoted(found: Pair) -> bool:
    """Return whether the replica has taken the primary's place; while it takes it, it may break connections off."""
    with client(found.replica) as one, suppress(exceptions.ConnectionError):
        return bool(one.role()[0] == b"master")
    return False


def reachable(url: str) -> Store:
    """Return a store that has just answered; Sentinel is asked again each time."""
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
            eventually(lambda: router.status().mode == "tracking")
            assert router.status().held == {}
            assert watch.shares == [20, 30]


def test_a_stale_replica_raises_nobody(record_property: Callable[[str, object], None]) -> None:
    """A rollback that died with its primary stands: the new primary gets a stop for it, and a person goes on."""
    # A replica that was cut off for ten times as long is not promoted: a busy machine gets room.
    with (
        pair() as found,
        sentinels(found.primary, 1, down_after_ms=3_000) as url,
        graysplit.Control(url) as control,
    ):
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


def test_a_primary_that_was_replaced_is_left() -> None:
    """Timeline 8: cut off from its Sentinels, or frozen by a person, it still answers; the way is asked for again."""
    with pair() as found, sentinels(found.primary, 1) as url, graysplit.Control(url) as control:
        control.create("checkout")
        control.set("checkout", 20)
        found.in_step()
        with following(url, "default") as router, watching(router) as watch:
            watch.when(20)
            keep_primary(found.primary)
            found.primary.pause()
            eventually(lambda: promoted(found), FAILED_OVER_WITHIN_S)
            found.primary.resume()
            with closing(reachable(url)) as store, graysplit.Control(store) as anew:
                eventually(lambda: router.status().mode == "tracking", 20)
                anew.set("checkout", 30)
                watch.when(30, 30)


@pytest.mark.parametrize("failovers", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_a_demoted_primary_that_still_answers_is_known_within_two_seconds(
    failovers: int, caplog: pytest.LogCaptureFixture, record_property: Callable[[str, object], None]
) -> None:
    """It takes pings and reads like the real one; log and status name the server that the Sentinels name now.

    One of the three Sentinels hangs throughout.
    """
    with pair() as found, sentinels(found.primary, 3) as url, graysplit.Control(url) as control:
        control.create("checkout")
        control.set("checkout", 20)
        found.in_step()
        ports = [int(at) for at in re.findall(r":(\d+)", url)]
        now, then = found.primary, found.replica
        with hanging(ports[0]), following(url, "default") as router, caplog.at_level("INFO", "graysplit"):
            assert router.status().mode_why == ""
            for number in range(failovers):
                caplog.clear()
                keep_primary(now)
                with Redis(port=ports[1]) as sentinel:
                    fail_over(sentinel, where := f"{HOST}:{then.port}")
                begun = time.time()
                lost, back = eventually(lambda: told(caplog), 10)
                record_property(f"failover {number + 1} known and told after s", round(lost.created - begun, 2))
                record_property(f"failover {number + 1} followed after s", round(back.created - begun, 2))
                assert lost.getMessage() == (
                    "lost contact with the store: it is no longer the primary: "
                    f"its Sentinels name {where}. Keeping the last state."
                )
                assert lost.created - begun < KNOWN_WITHIN_S
                assert re.search(r"again, [0-9.]+ s without contact \(mode: tracking, ", back.getMessage())
                with client(now) as old:
                    assert old.role()[0] == b"master"
                with graysplit.Control(url) as anew:
                    anew.set("checkout", 30 + number)
                eventually(lambda number=number: share(router) == 30 + number)
                if number + 1 < failovers:
                    give_up(now, to=then)
                now, then = then, now


def test_without_any_sentinel_it_is_said_that_a_failover_would_not_be_known(caplog: pytest.LogCaptureFixture) -> None:
    """The server answers, and nobody tells whether it is the primary: status and log say so, and when it is over."""
    with pair() as found, sentinels(found.primary, 1) as url, graysplit.Control(url) as control:
        control.create("checkout")
        with following(url, "default") as router, caplog.at_level("INFO", "graysplit"):
            with hanging(int(url.rpartition(":")[2].partition("/")[0])):
                eventually(lambda: "no Sentinel answers" in router.status().mode_why, 10)
                assert router.status().mode == "tracking"
                eventually(lambda: "no Sentinel answers" in caplog.messages[-1])
            eventually(lambda: router.status().mode_why == "", 20)
            eventually(lambda: "no Sentinel answers" not in caplog.messages[-1])


def keep_primary(server: embedded.Server) -> None:
    """Let nobody make a server a replica, nor end its connections: as if it were cut off from its Sentinels."""
    with client(server) as one:
        one.execute_command("ACL", "SETUSER", "default", *(f"-{word}" for word in REPLACED_BY))


def give_up(server: embedded.Server, *, to: embedded.Server) -> None:
    """Let a server become the replica of another, and wait until it is."""
    with client(server) as one:
        one.execute_command("ACL", "SETUSER", "default", *(f"+{word}" for word in REPLACED_BY))
        one.execute_command("REPLICAOF", HOST, to.port)
    eventually(lambda: replication(server)["master_link_status"] == "up", FAILED_OVER_WITHIN_S)


def fail_over(sentinel: Redis, to: str) -> None:
    """Have a Sentinel put another server in the primary's place; it gives up where it knows no good replica yet."""
    asked = float("-inf")

    def done() -> bool:
        nonlocal asked
        if named(sentinel) == to:
            return True
        if time.monotonic() - asked > ASK_AGAIN_S:
            with suppress(exceptions.ResponseError):
                sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)
                asked = time.monotonic()
        return False

    eventually(done, FAILED_OVER_WITHIN_S, message=f"{to} is the primary")


def named(sentinel: Redis) -> str:
    """Return the address that a Sentinel names."""
    host, port = sentinel.sentinel_get_master_addr_by_name(SERVICE)
    return f"{host.decode() if isinstance(host, bytes) else host}:{port}"


def told(caplog: pytest.LogCaptureFixture) -> tuple[logging.LogRecord, logging.LogRecord] | None:
    """Return the lines that say that contact is lost, and back."""
    found = [record for record in caplog.records if record.name == "graysplit"]
    lost = next((record for record in found if "lost contact" in record.getMessage()), None)
    back = next((record for record in found if "following the store" in record.getMessage()), None)
    return (lost, back) if lost is not None and back is not None else None


@contextmanager
def hanging(port: int) -> Iterator[None]:
    """Let the Sentinel that listens there hang."""
    with Redis(port=port) as one:
        pid = one.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
