"""Servers that die, hang, forget, refuse and change: what is in force stays, the loss is noticed, and it ends soon.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.errors import RefusedError
from tests.faults.command_line import graysplit_cli
from tests.faults.proxy import Proxy
from tests.faults.shares import Watch, following, share, watching
from tests.support import eventually

# The promise is 1.5 s for both; a busy machine gets room.
NOTICED_S = 3.0
HEALED_S = 4.0
WEIGHTS = "graysplit:{default}:weights"
STOPS = "graysplit:{default}:stops"
FIELD = "checkout/new"


class Scene(NamedTuple):
    """A server of its own, a split at 20 %, an operator, and a process behind a proxy, watched."""

    server: embedded.Server
    proxy: Proxy
    control: graysplit.Control
    client: redis.Redis
    router: graysplit.Router
    watch: Watch

    def lost(self) -> float:
        """Wait until the loss of contact is noticed, and return the time it took."""
        began = time.monotonic()
        eventually(lambda: self.router.status().mode == "lost", 20, message="the loss is noticed")
        return time.monotonic() - began

    def found(self, share: int) -> float:
        """Wait until the process is current, and return the time it took."""
        began = time.monotonic()
        self.watch.when(share, 20)
        eventually(lambda: self.router.status().mode == "tracking", 20)
        return time.monotonic() - began


@pytest.fixture(params=[False])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Return the scene; parametrized with True the server keeps an append-only file."""
    with (
        embedded.server(appendonly=request.param) as server,
        Proxy(server.port) as proxy,
        graysplit.Control(server.url) as control,
        redis.Redis.from_url(server.url) as client,
    ):
        control.create("checkout")
        control.set("checkout", 20)
        with following(proxy.url(server.url), "default") as router, watching(router) as watch:
            watch.when(20)
            yield Scene(server, proxy, control, client, router, watch)


# --- the server dies -------------------------------------------------------------------------------------------------


def test_a_server_killed_and_started_empty_costs_nobody_a_decision(scene: Scene) -> None:
    """An empty store is an outage: the last state stands, until somebody sows it again from what its processes hold."""
    scene.server.kill()
    scene.lost()
    scene.server.start()
    eventually(lambda: scene.router.status().mode == "tracking", HEALED_S + 6)
    assert scene.router.status().lost.keys() >= {"weights", "splits"}
    assert scene.watch.shares == [20]
    with pytest.raises(RefusedError, match="graysplit recover"):
        scene.control.create("checkout")
    scene.control.recover(source="fleet", confirm=True)
    scene.control.set("checkout", 35)
    scene.watch.when(35)


@pytest.mark.parametrize("scene", [True], indirect=True)
def test_a_server_killed_and_started_with_its_data_is_followed_again(scene: Scene) -> None:
    """After kill -9 with an append-only file: 20 % throughout, and the next write is seen."""
    for weight in (21, 22, 23):
        scene.server.kill()
        scene.lost()
        scene.server.start()
        scene.control.set("checkout", weight)
        assert scene.found(weight) < HEALED_S
    assert scene.watch.shares == [20, 21, 22, 23]
    assert scene.router.status().held == {}


@pytest.mark.parametrize("scene", [True], indirect=True)
def test_a_server_that_loads_its_data_is_no_empty_one(scene: Scene) -> None:
    """While the server answers -LOADING the last state stands, and the reason is said."""
    pipe = scene.client.pipeline(transaction=False)
    for number in range(12_000):
        pipe.set(f"ballast-{number}", "x")
    pipe.execute()
    scene.server.kill()
    scene.server._arguments = ("--key-load-delay", "200", "--loading-process-events-interval-bytes", "1024")
    starting = threading.Thread(target=scene.server.start)
    starting.start()
    eventually(lambda: "loading" in scene.router.status().reason, 15)
    starting.join()
    scene.control.set("checkout", 25)
    scene.found(25)
    assert scene.watch.shares == [20, 25]


# --- the server hangs ------------------------------------------------------------------------------------------------


def test_a_stopped_server_is_noticed_and_current_again_soon(scene: Scene) -> None:
    """SIGSTOP: noticed, its age reported, decisions as before; after SIGCONT what was written meanwhile is in force."""
    scene.server.pause()
    assert scene.lost() < NOTICED_S
    age = scene.router.status().age_s
    assert age is not None
    eventually(lambda: (scene.router.status().age_s or 0) > age + 0.5)
    assert scene.watch.shares == [20]
    scene.server.resume()
    began = time.monotonic()
    scene.control.set("checkout", 30)
    scene.watch.when(30)
    assert time.monotonic() - began < HEALED_S


def test_a_black_hole_is_noticed_and_current_again_soon(scene: Scene) -> None:
    """A half-open connection is noticed; a rollback made meanwhile is obeyed once there is a way."""
    scene.proxy.blackhole()
    assert scene.lost() < NOTICED_S
    scene.control.rollback("checkout")
    assert scene.watch.shares == [20]
    scene.proxy.heal()
    assert scene.found(0) < HEALED_S
    assert scene.watch.shares == [20, 0]


def test_a_refusing_server_is_noticed_and_current_again_soon(scene: Scene) -> None:
    """Nobody listens: noticed at once, tried again without pause or storm, current again soon."""
    scene.proxy.refuse()
    assert scene.lost() < NOTICED_S
    scene.control.set("checkout", 30)
    scene.proxy.heal()
    assert scene.found(30) < HEALED_S
    assert scene.watch.shares == [20, 30]


def test_a_dripping_server_is_a_dead_one(scene: Scene) -> None:
    """Bytes that drip in are no answer in time: each reading has an end of its own."""
    scene.proxy.drip_s = 0.2
    assert scene.lost() < NOTICED_S + 3
    scene.proxy.heal()
    scene.control.set("checkout", 30)
    assert scene.found(30) < HEALED_S + 4


def test_a_slow_line_is_followed(scene: Scene) -> None:
    """A tenth of a second each way delays changes and loses none."""
    scene.proxy.delay_s = 0.1
    for weight in (30, 40, 0, 50):
        scene.client.hset(WEIGHTS, FIELD, str(weight))
        scene.watch.when(weight)
    assert scene.watch.shares == [20, 30, 40, 0, 50]


def test_a_paused_server_is_followed_again(scene: Scene) -> None:
    """`CLIENT PAUSE`: what cannot answer is lost, what has passed is over."""
    scene.client.client_pause(3_000)
    scene.lost()
    scene.client.ping()
    scene.control.set("checkout", 30)
    scene.found(30)
    assert scene.watch.shares == [20, 30]


# --- the connection breaks -------------------------------------------------------------------------------------------


def test_no_write_beside_a_killed_connection_is_lost(scene: Scene) -> None:
    """`CLIENT KILL` with a write right after it, before it, and between two: the last one is in force soon."""
    for number in range(20):
        weight = 30 + number
        if number % 3 == 1:
            scene.client.hset(WEIGHTS, FIELD, "7")
        scene.client.client_kill_filter(_type="normal", skipme=True)
        scene.client.hset(WEIGHTS, FIELD, str(weight))
        scene.watch.when(weight)
    assert scene.router.status().held == {}


# --- the data goes ---------------------------------------------------------------------------------------------------


def test_flushing_everything_changes_no_decision(scene: Scene) -> None:
    """FLUSHALL is an outage; the keys are named as lost; a store sown anew is followed."""
    scene.client.flushall()
    eventually(lambda: len(scene.router.status().lost) == 4)
    assert scene.watch.shares == [20]
    with pytest.raises(RefusedError, match="graysplit recover"):
        scene.control.create("checkout")
    scene.control.recover(source="fleet", confirm=True)
    scene.control.set("checkout", 40)
    scene.watch.when(40)
    assert scene.router.status().lost == {}


def test_a_stop_in_a_flushed_server_is_obeyed(scene: Scene) -> None:
    """What lowers counts even in keys that are lost: the emergency line works after a FLUSHALL."""
    scene.client.flushall()
    scene.client.hsetnx(STOPS, "checkout", "by-hand")
    scene.watch.when(0)


def test_a_swapped_database_is_found_by_the_full_reading(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """SWAPDB pushes nothing: the full reading under it all finds it, here every half second instead of every 15 s."""
    monkeypatch.setattr("graysplit.follower.follower.FULL_READ_S", 0.5)
    scene.client.client_kill_filter(_type="normal", skipme=True)  # the next connection reads by the new interval
    scene.client.swapdb(0, 1)
    eventually(lambda: len(scene.router.status().lost) == 4)
    assert scene.watch.shares == [20]
    scene.client.swapdb(0, 1)
    eventually(lambda: scene.router.status().lost == {})
    assert scene.watch.shares == [20]


# --- rights and roles ------------------------------------------------------------------------------------------------


def acl(client: redis.Redis, url: str, *rules: str) -> str:
    """Make a user of these rights, and return the server's address with it."""
    client.execute_command("ACL", "SETUSER", "some", "reset", "on", ">pw", *rules)
    return url.replace("redis://", "redis://some:pw@")


def test_a_role_without_tracking_looks_for_itself(scene: Scene) -> None:
    """NOPERM on CLIENT TRACKING: the mode says so, and changes come all the same, within seconds."""
    url = acl(scene.client, scene.server.url, "~*", "&*", "+@all", "-client|tracking")
    with following(url, "default") as router, watching(router) as watch:
        assert router.status().mode not in ("tracking", "lost")
        scene.client.hset(WEIGHTS, FIELD, "30")
        watch.when(30)
        scene.control.rollback("checkout")
        watch.when(0)
        assert watch.shares == [20, 30, 0]


def test_a_role_that_may_only_read_follows_too(scene: Scene) -> None:
    """A process that may write neither heartbeat nor history follows like any other, and says why it is not counted."""
    url = acl(
        scene.client, scene.server.url, "%R~*", "&*", "+@all", "-@write", "-eval", "-evalsha", "-eval_ro", "-evalsha_ro"
    )
    with following(url, "default") as router, watching(router) as watch:
        for weight in (30, 0, 40):
            scene.client.hset(WEIGHTS, FIELD, str(weight))
            watch.when(weight)
        status = router.status()
        assert status.mode == "tracking"
        assert "heartbeat" in status.reason
        assert len(scene.control.fleet().live) == 1


def test_a_server_short_of_replicas_takes_no_heartbeat(scene: Scene) -> None:
    """Timeline 8: a minority primary answers PING; that it takes no write is said, and `rollback` says how to go on."""
    scene.client.config_set("min-replicas-to-write", 1)
    eventually(lambda: "replicas" in scene.router.status().reason, 10)
    ran = graysplit_cli(scene.server.url, "default", "rollback", "checkout")
    assert ran.code == 5, ran
    assert "GRAYSPLIT_OFF" in ran.err
    assert scene.watch.shares == [20]
    scene.client.config_set("min-replicas-to-write", 0)
    scene.control.rollback("checkout")
    scene.watch.when(0)
    eventually(lambda: scene.router.status().reason == "", 10)


def test_a_replica_is_no_source(scene: Scene) -> None:
    """A replica answers and may be cut off from its primary: nobody loads from it, and the reason is said."""
    scene.client.config_set("repl-diskless-sync-delay", 0)
    with embedded.server(arguments=("--replicaof", "127.0.0.1", str(scene.server.port))) as replica:
        with redis.Redis.from_url(replica.url) as other:
            eventually(lambda: bool(other.exists(WEIGHTS)), 20)
        with graysplit.Router(replica.url) as router:
            assert not router.wait_ready(1.0)
            assert "replica" in router.status().reason
            assert router.decide("checkout", "user-1").reason == "not_ready"


def test_a_primary_that_becomes_a_replica_is_left(scene: Scene) -> None:
    """REPLICAOF keeps the connection open and answers PING; its stale data and its new data count for nothing.

    Timeline 2.
    """
    with (
        embedded.server() as other,
        graysplit.Control(other.url) as theirs,
    ):
        theirs.create("checkout")
        theirs.set("checkout", 50)
        scene.control.rollback("checkout")
        scene.watch.when(0)
        scene.client.replicaof("127.0.0.1", other.port)
        eventually(lambda: "replica" in scene.router.status().reason, 20)
        assert scene.watch.shares == [20, 0]
        scene.client.replicaof("NO", "ONE")  # it now holds the other's data: 50, which no entry of ours explains
        eventually(lambda: scene.router.status().mode == "tracking", 10)
        assert scene.watch.shares == [20, 0]


def test_a_lost_server_is_left_in_peace(scene: Scene, record_property: Callable[[str, object], None]) -> None:
    """Attempts are spaced and jittered: a process makes a handful in three seconds, not hundreds.

    Each is two connections: what closes the first may be a proxy that knows nothing of tracking.
    """
    scene.server.kill()
    scene.lost()
    before, began = scene.proxy.connections, time.monotonic()
    eventually(lambda: time.monotonic() - began > 3.0)
    made = -(-(scene.proxy.connections - before) // 2)
    record_property("attempts in 3 s", made)
    assert 1 <= made <= 12
    assert share(scene.router) == 20
