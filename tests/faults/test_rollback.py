"""Going back always works: with what it does not need broken, twice, out of memory, and against a raise on its way.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.errors import GraysplitError, RefusedError
from tests.faults.command_line import graysplit_cli
from tests.faults.proxy import Proxy
from tests.faults.shares import following, share
from tests.support import eventually

Key = Callable[[str], str]


def test_back_with_a_definition_that_cannot_be_read(
    control: graysplit.Control, client: redis.Redis, key: Key, redis_url: str, namespace: str
) -> None:
    """Rollback parses nothing: broken JSON in the definition is of no matter, with exit 0 and a history entry."""
    control.create("checkout")
    control.set("checkout", 50)
    with following(redis_url, namespace) as router:
        client.hset(key("splits"), "checkout", b"\xff{broken")
        ran = graysplit_cli(redis_url, namespace, "rollback", "checkout", "--json", "--why", "errors")
        assert ran.code == 0, ran
        assert ran.json["confirmed"] == ran.json["processes"] == 1
        eventually(lambda: share(router) == 0)
    assert client.hget(key("weights"), "checkout/new") == b"0"
    assert client.hexists(key("stops"), "checkout")
    assert control.history("checkout", 1)[0].cause == "rollback"


@pytest.mark.parametrize("end", ["meta", "log", "booked", "plans", "splits", "fleet:receipts"])
def test_back_with_a_key_of_the_wrong_type(
    control: graysplit.Control, client: redis.Redis, key: Key, redis_url: str, namespace: str, end: str
) -> None:
    """A neighbour of the wrong type keeps no rollback from being written and obeyed; what is missing is said.

    Timeline 14.
    """
    control.create("checkout")
    control.set("checkout", 50)
    with following(redis_url, namespace) as router:
        client.delete(key(end))
        client.set(key(end), "x")
        ran = graysplit_cli(redis_url, namespace, "rollback", "checkout", "--no-wait")
        assert ran.code == 0, ran
        assert ("no entry" in ran.err) == (end in ("meta", "log")), ran
        eventually(lambda: share(router) == 0)
    assert client.hget(key("weights"), "checkout/new") == b"0"
    assert client.hexists(key("stops"), "checkout")


@pytest.mark.parametrize("end", ["weights", "stops"])
def test_back_with_one_of_its_own_keys_of_the_wrong_type(
    control: graysplit.Control, client: redis.Redis, key: Key, redis_url: str, namespace: str, end: str
) -> None:
    """As soon as stop or weight stands the rollback has worked."""
    control.create("checkout")
    control.set("checkout", 50)
    with following(redis_url, namespace) as router:
        client.delete(key(end))
        client.set(key(end), "x")
        ran = graysplit_cli(redis_url, namespace, "rollback", "checkout", "--no-wait")
        assert ran.code == 0, ran
        eventually(lambda: share(router) == 0)


def test_back_when_redis_is_out_of_memory(namespace: str) -> None:
    """With `maxmemory 1` a rollback is written, obeyed, confirmed and in the history; a raise is refused.

    Timeline 13.
    """
    with (
        embedded.server(arguments=("--maxmemory-policy", "noeviction")) as own,
        redis.Redis.from_url(own.url) as client,
        graysplit.Control(own.url, namespace=namespace, confirm=True) as control,
    ):
        control.create("checkout")
        control.set("checkout", 50)
        with following(own.url, namespace) as router:
            client.config_set("maxmemory", 1)
            with pytest.raises(GraysplitError, match="memory"):
                control.set("checkout", 60)
            ran = graysplit_cli(own.url, namespace, "rollback", "checkout", "--json")
            assert ran.code == 0, ran
            assert ran.json["confirmed"] == ran.json["processes"] == 1
            assert ran.json["unrecorded"] is None
            assert share(router) == 0
            assert control.history("checkout", 1)[0].cause == "rollback"


def test_back_by_hand_when_redis_is_out_of_memory(namespace: str) -> None:
    """Timeline 13: `HDEL`, the emergency line for a full server, is obeyed; the process goes on to be counted."""
    with (
        embedded.server(arguments=("--maxmemory-policy", "noeviction")) as own,
        redis.Redis.from_url(own.url) as client,
        graysplit.Control(own.url, namespace=namespace, confirm=True) as control,
    ):
        control.create("checkout")
        control.set("checkout", 50)
        with following(own.url, namespace) as router:
            client.config_set("maxmemory", 1)
            with pytest.raises(redis.OutOfMemoryError):
                client.hset(f"graysplit:{{{namespace}}}:weights", "checkout/new", "0")
            client.hdel(f"graysplit:{{{namespace}}}:weights", "checkout/new")
            eventually(lambda: share(router) == 0)
            eventually(lambda: control.history("checkout", 1)[0].cause == "edited outside")
            assert len(control.fleet().live) == 1


def test_back_twice(control: graysplit.Control, redis_url: str, namespace: str) -> None:
    """A second rollback succeeds like the first."""
    control.create("checkout")
    control.set("checkout", 50)
    with following(redis_url, namespace) as router:
        for _ in range(2):
            ran = graysplit_cli(redis_url, namespace, "rollback", "checkout", "--json")
            assert (ran.code, ran.json["confirmed"], ran.json["processes"]) == (0, 1, 1), ran
            assert share(router) == 0


def test_back_for_one_candidate_of_three(control: graysplit.Control, redis_url: str, namespace: str) -> None:
    """The candidate that is named goes to zero; its neighbours' units stay where they are."""
    control.create("ranking", ["old", "a", "b", "c"])
    control.set("ranking", weights={"a": 20, "b": 20, "c": 20})
    units = [f"user-{number}" for number in range(2_000)]
    with following(redis_url, namespace) as router:
        before = {unit: router.choose("ranking", unit) for unit in units}
        ran = graysplit_cli(redis_url, namespace, "rollback", "ranking/b", "--json")
        assert (ran.code, ran.json["confirmed"]) == (0, 1), ran
        after = {unit: router.choose("ranking", unit) for unit in units}
    assert {before[unit] for unit in units} == {"old", "a", "b", "c"}
    assert after == {unit: "old" if version == "b" else version for unit, version in before.items()}


def test_back_with_everything(
    control: graysplit.Control, client: redis.Redis, key: Key, redis_url: str, namespace: str
) -> None:
    """`rollback --all` takes every release that runs."""
    for split, weight in (("checkout", 50), ("search", 100), ("banner", 0)):
        control.create(split)
        control.set(split, weight, allow_needless=True)
    with following(redis_url, namespace) as router:
        ran = graysplit_cli(redis_url, namespace, "rollback", "--all", "--json")
        assert (ran.code, ran.json["confirmed"], ran.json["processes"]) == (0, 1, 1), ran
        assert {split: share(router, split) for split in ("checkout", "search", "banner")} == {
            "checkout": 0,
            "search": 0,
            "banner": 0,
        }
    assert client.hkeys(key("stops")) == [b"_", b"checkout", b"search"]


def test_back_from_a_role_that_may_write_nothing_else(
    control: graysplit.Control, client: redis.Redis, redis_url: str, namespace: str
) -> None:
    """NOPERM on every key but weights and stops: the rollback stands, and the missing entry is said."""
    control.create("checkout")
    control.set("checkout", 50)
    prefix = f"graysplit:{{{namespace}}}:"
    rules = ("on", ">pw", "+@all", f"~{prefix}weights", f"~{prefix}stops", f"~{prefix}fleet:*")
    client.execute_command("ACL", "SETUSER", namespace, "reset", *rules)
    try:
        with following(redis_url, namespace) as router:
            url = redis_url.replace("redis://", f"redis://{namespace}:pw@")
            ran = graysplit_cli(url, namespace, "rollback", "checkout")
            assert ran.code == 0, ran
            assert "no entry" in ran.err
            assert share(router) == 0
    finally:
        client.execute_command("ACL", "DELUSER", namespace)


def test_a_set_that_was_on_its_way_does_not_undo_a_rollback(
    control: graysplit.Control, server: embedded.Server, redis_url: str, namespace: str
) -> None:
    """Timeline 17: a raise held up in the network arrives after a rollback from zero to zero, and is refused."""
    # Given weight 0, and an operator behind a slow line
    control.create("checkout")
    with Proxy(server.port) as proxy, following(redis_url, namespace) as router:
        slow = graysplit.Control(proxy.url(redis_url), namespace=namespace, confirm=True)
        slow.show("checkout")
        faults: list[BaseException] = []

        def raise_slowly() -> None:
            try:
                slow.set("checkout", 20, unstop=True, why="held up")
            except GraysplitError as fault:
                faults.append(fault)

        # When the raise hangs, somebody rolls back, and then the bytes arrive
        proxy.hold(b"held up")
        raising = threading.Thread(target=raise_slowly)
        raising.start()
        assert proxy.holding.wait(10)
        control.rollback("checkout")
        proxy.release()
        raising.join(20)
        slow.close()
        # Then it is the rollback that stands
        assert faults
        seen = control.show("checkout")
        assert share(router) == 0
        assert [entry.cause for entry in control.history("checkout", 5)] == ["rollback", "create"]
    assert seen.stops


def test_a_set_that_was_on_its_way_for_long_is_refused(
    control: graysplit.Control, client: redis.Redis, redis_url: str, namespace: str
) -> None:
    """A raise that rests on a reading of more than ten seconds ago is refused, whatever stands."""
    from graysplit.stores import store_from_url
    from graysplit.stores.port import Expect, Submission, Write

    control.create("checkout")
    store = store_from_url(redis_url, namespace)
    late = Submission(
        id="late",
        split="checkout",
        cause="set",
        actor="slow",
        why="",
        expect=(Expect("weights", "checkout/new", "0"),),
        writes=(Write("weights", "checkout/new", "20"),),
        read_at_ms=store.load().now_ms - 10_500,
        raises=True,
    )
    with pytest.raises(RefusedError):
        store.submit(late)
    store.close()
    assert client.hget(f"graysplit:{{{namespace}}}:weights", "checkout/new") == b"0"
