"""Followed in a Cluster: by the owner of the namespace's slot, which may change while processes follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

import graysplit
from graysplit import embedded
from graysplit.stores.redis.keys import keys_of
from tests.faults.shares import following, watching
from tests.support import eventually
from tests.topologies.servers import HOST, client, cluster, since

pytestmark = pytest.mark.xdist_group("topologies-cluster")

WEIGHTS = "graysplit:{default}:weights"


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[embedded.Server]]:
    """Return three primaries that cover all slots."""
    with cluster(3) as found:
        yield found


@pytest.fixture
def url(nodes: list[embedded.Server]) -> Iterator[str]:
    """Return the Cluster's address, with a split at 20 %, and an empty Cluster afterwards."""
    address = f"redis+cluster://{','.join(f'{HOST}:{node.port}' for node in nodes)}"
    with graysplit.Control(address, confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 20)
        yield address
    for node in nodes:
        with client(node) as one:
            one.flushall()


def owner_of(nodes: list[embedded.Server]) -> embedded.Server:
    """Return the node that has the namespace's keys."""
    for node in nodes:
        with client(node) as one:
            if one.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot(one)):
                return node
    raise AssertionError("no node has the keys")


def slot(one: Redis) -> int:
    """Return the one slot of the namespace."""
    found: int = one.execute_command("CLUSTER", "KEYSLOT", WEIGHTS)
    return found


def test_all_keys_of_a_namespace_are_in_one_slot(nodes: list[embedded.Server]) -> None:
    """One hash tag, so that one script and one MULTI reach all of them."""
    with client(nodes[0]) as one:
        assert len({one.execute_command("CLUSTER", "KEYSLOT", key) for key in keys_of("default")}) == 1


@pytest.mark.parametrize("first", [0, 1, 2])
def test_whichever_node_is_named_the_owner_is_followed(nodes: list[embedded.Server], url: str, first: int) -> None:
    """Tracking stands on the slot's owner (another node would never push); scripts, raw edits, rollback arrive."""
    assert url
    address = f"redis+cluster://{HOST}:{nodes[first].port}"
    with (
        following(address, "default") as router,
        watching(router) as watch,
        graysplit.Control(address, confirm=True) as control,
        client(owner_of(nodes)) as owner,
    ):
        assert router.status().mode == "tracking"
        owner.hset(WEIGHTS, "checkout/new", "30")
        watch.when(30, 5)
        control.set("checkout", 40)
        watch.when(40, 5)
        control.rollback("checkout")
        watch.when(0, 5)
        eventually(lambda: len(control.fleet().live) == 1)
        assert control.history("checkout")[0].cause == "rollback"


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_slot_that_moves_is_followed(
    nodes: list[embedded.Server], url: str, protocol: int, record_property: Callable[[str, object], None]
) -> None:
    """Key by key to another node: what was last read stands meanwhile, then the new owner is followed."""
    source = owner_of(nodes)
    target = next(node for node in nodes if node is not source)
    with (
        following(f"{url}?protocol={protocol}", "default") as router,
        watching(router) as watch,
        client(source) as old,
        client(target) as new,
    ):
        watch.when(20)
        number, names = slot(old), {node.port: _name(node) for node in nodes}
        new.execute_command("CLUSTER", "SETSLOT", number, "IMPORTING", names[source.port])
        old.execute_command("CLUSTER", "SETSLOT", number, "MIGRATING", names[target.port])
        for key in old.execute_command("CLUSTER", "GETKEYSINSLOT", number, 100):
            old.execute_command("MIGRATE", HOST, target.port, key, 0, 5_000)
            assert router.status().splits == 1
        eventually(lambda: router.status().mode == "lost", 20)
        begun = time.monotonic()
        for node in (target, source, *nodes):
            with client(node) as one:
                one.execute_command("CLUSTER", "SETSLOT", number, "NODE", names[target.port])
        mode = {2: "redirect", 3: "tracking"}[protocol]
        eventually(lambda: router.status().mode == mode, 20)
        record_property("followed again after s", since(begun))
        begun = time.monotonic()
        new.hset(WEIGHTS, "checkout/new", "70")
        watch.when(70)
        record_property("next edit seen after s", since(begun))
        assert watch.shares == [20, 70]
        with graysplit.Control(url, confirm=True) as control:
            control.rollback("checkout")
        watch.when(0)


@pytest.mark.soak
def test_a_cluster_that_is_down_is_no_source(nodes: list[embedded.Server], url: str) -> None:
    """CLUSTERDOWN is an outage: what was last read stands, and it is over when the Cluster is."""
    other = next(node for node in nodes if node is not owner_of(nodes))
    with following(url, "default") as router, watching(router) as watch:
        watch.when(20)
        other.pause()
        try:
            eventually(lambda: "the cluster is down" in router.status().reason, 30)
        finally:
            other.resume()
        eventually(lambda: router.status().mode == "tracking", 30)
        assert watch.shares == [20]


def _name(node: embedded.Server) -> str:
    with client(node) as one:
        said = one.execute_command("CLUSTER", "MYID")
    return str(said.decode() if isinstance(said, bytes) else said)
