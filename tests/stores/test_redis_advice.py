"""What the doctor is told of real servers: what may lose weights, and what cannot be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pytest
from redis import Redis

from graysplit import embedded
from graysplit.control import Control
from graysplit.embedded import HOST
from graysplit.stores.redis import RedisStore
from graysplit.stores.redis.advice import Version, advise
from graysplit.stores.redis.line import Line
from graysplit.stores.redis.topology import RESP2, Timeouts, Topology
from tests.faults.command_line import graysplit_cli
from tests.support import eventually


@contextmanager
def line(url: str) -> Iterator[Line]:
    """Give a connection."""
    found = Line(Topology(url).pool("key", Timeouts(1.0, 1.0), protocol=RESP2), "store", 1.0)
    yield found
    found.close()


def limited(url: str, *rules: str) -> str:
    """Make a user of these rights."""
    with Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all", *rules)
    return url.replace("redis://", "redis://limited:pw@")


@contextmanager
def in_memory_alone(*arguments: str) -> Iterator[embedded.Server]:
    """Give a server that was not started for trying out: its folder is another."""
    with TemporaryDirectory(prefix="kept-") as folder, embedded.server(arguments=("--dir", folder, *arguments)) as own:
        yield own


def test_persistence_or_a_replica_is_wanted() -> None:
    """F4: a server in memory alone is unhealthy, with exit 7; the command printed mends it."""
    with in_memory_alone() as own, Control(own.url) as control, Redis.from_url(own.url) as client:
        control.create("checkout")
        ran = graysplit_cli(own.url, "default", "doctor")
        assert (ran.code, "append-only" in ran.out) == (7, True), ran
        (finding,) = control.doctor()
        assert (finding.severity, finding.where) == ("problem", "server")
        client.execute_command(*finding.command.split()[1:])
        eventually(lambda: client.info("persistence")["aof_enabled"] == 1)
        assert control.doctor() == ()


def test_a_replica_is_persistence_enough() -> None:
    """F4: with a replica nothing is found, and without it again it is."""
    with in_memory_alone("--repl-diskless-sync-delay", "0") as own, line(own.url) as one:
        with embedded.server(arguments=("--replicaof", HOST, str(own.port))):
            eventually(lambda: advise(one, failing_over=False) == [], 10)
        eventually(lambda: [advice.serious for advice in advise(one, failing_over=False)] == [True], 10)


def test_a_server_for_trying_out_is_only_noted() -> None:
    """An embedded server is meant to keep nothing: `doctor` says so and ends with 0."""
    with embedded.server() as bare, embedded.server(appendonly=True) as kept, line(bare.url) as one:
        ran = graysplit_cli(bare.url, "default", "doctor")
        assert (ran.code, "append-only" in ran.out) == (0, True), ran
        assert [advice.serious for advice in advise(one, failing_over=False)] == [False]
        with line(kept.url) as other:
            assert advise(other, failing_over=False) == []
    with in_memory_alone() as own, line(limited(own.url, "-config")) as one:
        assert [advice.serious for advice in advise(one, failing_over=False)] == [True], (
            "not known to be for trying out"
        )


def test_eviction_is_a_problem() -> None:
    """A server that may throw away any key is unhealthy, and the doctor's command mends it."""
    evicting = ("--maxmemory-policy", "allkeys-lru")
    with embedded.server(appendonly=True, arguments=evicting) as own, Control(own.url) as control:
        control.create("checkout")
        (finding,) = control.doctor()
        assert (finding.severity, finding.where) == ("problem", "server")
        _, *words = finding.command.split()
        with Redis.from_url(own.url) as client:
            client.execute_command(*words)
        assert control.doctor() == ()


def test_what_may_not_be_looked_at_is_said(server: embedded.Server) -> None:
    """INFO and CONFIG are refused on managed servers: that is told, and is nothing unhealthy."""
    with line(limited(server.url, "-info", "-config")) as one:
        found = advise(one, failing_over=True)
    assert [advice.what.partition(":")[0] for advice in found] == [
        "cannot look at persistence, eviction and version",
        "cannot look at min-replicas-to-write",
    ]
    assert not any(advice.serious for advice in found)


def test_under_sentinel_a_primary_alone_must_not_write() -> None:
    """min-replicas-to-write is wanted where somebody may be put in the primary's place."""
    with embedded.server(appendonly=True) as own, line(own.url) as one, Redis.from_url(own.url) as client:
        (advice,) = advise(one, failing_over=True)
        assert "min-replicas-to-write" in advice.what
        assert advice.serious
        client.execute_command(*advice.command.split()[1:])
        assert advise(one, failing_over=True) == []


def test_the_version_is_told(server: embedded.Server) -> None:
    """Which server it is, and whether it knows roles; one that keeps it to itself is none."""
    store = RedisStore(server.url)
    found = store.version()
    assert found is not None
    assert found.supported
    store.close()
    store = RedisStore(limited(server.url, "-info"))
    assert store.version() is None
    store.close()


@pytest.mark.parametrize(
    ("version", "supported", "roles"),
    [
        (Version("Redis", 6, 0), False, False),
        (Version("Redis", 6, 2), True, False),
        (Version("Redis", 7, 0), True, True),
        (Version("Redis", 8, 2), True, True),
        (Version("Valkey", 7, 1), False, True),
        (Version("Valkey", 7, 2), True, True),
        (Version("Valkey", 9, 1), True, True),
    ],
)
def test_the_floor_stands(version: Version, supported: bool, roles: bool) -> None:
    """Redis 6.2 and Valkey 7.2; roles from 7.0."""
    assert (version.supported, version.has_roles) == (supported, roles)
