"""What the doctor is told of real servers: what may lose weights, and what cannot be looked at.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis import Redis

from graysplit import embedded
from graysplit.control import Control
from graysplit.embedded import HOST
from graysplit.stores.redis import RedisStore
from graysplit.stores.redis.advice import ServerVersion, advise
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.keys import keys_of
from graysplit.stores.redis.topology import RESP2, Timeouts, Topology
from tests.faults.command_line import graysplit_cli
from tests.support import eventually

KEYS = keys_of("default")


@contextmanager
def line(url: str) -> Iterator[Connection]:
    """Return a connection."""
    found = Connection(Topology(url).pool("key", Timeouts(1.0, 1.0), protocol=RESP2), "store", 1.0)
    yield found
    found.close()


def limited(url: str, *rules: str) -> str:
    """Make a user of these rights."""
    with Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all", *rules)
    return url.replace("redis://", "redis://limited:pw@")


def typed(server: embedded.Server, command: str) -> None:
    """Do what a line for a shell does, which names the server."""
    program, option, url, *words = shlex.split(command)
    assert (program, option, url) == ("redis-cli", "-u", f"redis://{HOST}:{server.port}/0"), command
    with Redis.from_url(url) as client:
        client.execute_command(*words)


@contextmanager
def in_memory_alone(*arguments: str) -> Iterator[embedded.Server]:
    """Return a server that was not started for trying out: its folder is another."""
    with TemporaryDirectory(prefix="kept-") as folder, embedded.server(arguments=("--dir", folder, *arguments)) as own:
        yield own


def test_persistence_or_a_replica_is_wanted() -> None:
    """Timeline 4: a server in memory alone is unhealthy, with exit 7; the command printed mends it."""
    with in_memory_alone() as own, Control(own.url) as control, Redis.from_url(own.url) as client:
        control.create("checkout")
        ran = graysplit_cli(own.url, "default", "doctor")
        assert (ran.code, "append-only" in ran.out) == (7, True), ran
        (finding,) = control.doctor()
        assert (finding.severity, finding.where) == ("problem", "server")
        typed(own, finding.command)
        eventually(lambda: client.info("persistence")["aof_enabled"] == 1)
        assert control.doctor() == ()


def test_a_replica_is_persistence_enough() -> None:
    """Timeline 4: with a replica nothing is found, and without it again it is."""
    with in_memory_alone("--repl-diskless-sync-delay", "0") as own, line(own.url) as one:
        with embedded.server(arguments=("--replicaof", HOST, str(own.port))):
            eventually(lambda: advise(one, KEYS, failing_over=False) == [], 10)
        eventually(lambda: [advice.serious for advice in advise(one, KEYS, failing_over=False)] == [True], 10)


def test_a_server_for_trying_out_is_only_noted() -> None:
    """An embedded server is meant to keep nothing: `doctor` says so and ends with 0."""
    with embedded.server() as bare, embedded.server(appendonly=True) as kept, line(bare.url) as one:
        ran = graysplit_cli(bare.url, "default", "doctor")
        assert (ran.code, "append-only" in ran.out) == (0, True), ran
        assert [advice.serious for advice in advise(one, KEYS, failing_over=False)] == [False]
        with line(kept.url) as other:
            assert advise(other, KEYS, failing_over=False) == []
    with in_memory_alone() as own, line(limited(own.url, "-config")) as one:
        (advice,) = advise(one, KEYS, failing_over=False)
        assert "append-only" in advice.what


def test_eviction_is_a_problem() -> None:
    """A server that may throw away any key is unhealthy, and the doctor's command mends it."""
    evicting = ("--maxmemory-policy", "allkeys-lru")
    with embedded.server(appendonly=True, arguments=evicting) as own, Control(own.url) as control:
        control.create("checkout")
        (finding,) = control.doctor()
        assert (finding.severity, finding.where) == ("problem", "server")
        typed(own, finding.command)
        assert control.doctor() == ()


def test_what_may_not_be_looked_at_is_said(server: embedded.Server) -> None:
    """INFO and CONFIG are refused on managed servers: that is told, and is nothing unhealthy."""
    with line(limited(server.url, "-info", "-config")) as one:
        found = advise(one, KEYS, failing_over=True)
    assert [advice.what.partition(":")[0] for advice in found] == [
        "cannot look at persistence, eviction and version",
        "cannot look at min-replicas-to-write",
    ]
    assert not any(advice.serious for advice in found)


def test_under_sentinel_a_primary_alone_must_not_write() -> None:
    """min-replicas-to-write is wanted where somebody may be put in the primary's place."""
    with embedded.server(appendonly=True) as own, line(own.url) as one, Redis.from_url(own.url) as client:
        (advice,) = advise(one, KEYS, failing_over=True)
        assert "min-replicas-to-write" in advice.what
        assert advice.serious
        client.execute_command(*advice.command.split()[1:])
        (advice,) = advise(one, KEYS, failing_over=True)
        assert "too few replicas" in advice.what  # it stands alone here: that is what was asked for


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
        (ServerVersion("Redis", 6, 0), False, False),
        (ServerVersion("Redis", 6, 2), True, False),
        (ServerVersion("Redis", 7, 0), True, True),
        (ServerVersion("Redis", 8, 2), True, True),
        (ServerVersion("Valkey", 7, 1), False, True),
        (ServerVersion("Valkey", 7, 2), True, True),
        (ServerVersion("Valkey", 9, 1), True, True),
    ],
)
def test_the_floor_stands(version: ServerVersion, supported: bool, roles: bool) -> None:
    """Redis 6.2 and Valkey 7.2; roles from 7.0."""
    assert (version.supported, version.has_roles) == (supported, roles)


@pytest.mark.parametrize("rules", [("-config",), ("-config", "-zadd")])
def test_where_config_is_blocked_nothing_is_unhealthy_for_ever(rules: tuple[str, ...]) -> None:
    """A managed server's settings are another's: the advice stays, as a note, and its command is none to type here."""
    with in_memory_alone("--maxmemory-policy", "allkeys-lru") as own, Control(own.url) as admin:
        admin.create("checkout")
        assert {found.severity for found in admin.doctor()} == {"problem"}
        with Control(limited(own.url, *rules)) as control:
            findings = control.doctor()
            ran = graysplit_cli(limited(own.url, *rules), "default", "doctor")
    assert [found.severity for found in findings] == ["note", "note"]
    assert all(found.command.startswith("ask the operator of this server to set: ") for found in findings)
    assert ran.code == 0


@pytest.mark.parametrize("key", ["weights", "stops", "splits", "meta", "plans", "booked", "log"])
def test_a_key_that_expires_is_a_problem(key: str) -> None:
    """Somebody's `EXPIRE` would make it lost; the printed command takes it back."""
    with embedded.server(appendonly=True) as own, Control(own.url) as control, Redis.from_url(own.url) as client:
        control.create("checkout")
        client.hset(f"graysplit:{{default}}:{key}", "_", "1") if key == "plans" else None
        assert control.doctor() == ()
        client.expire(f"graysplit:{{default}}:{key}", 600)
        (finding,) = control.doctor()
        assert (finding.severity, f"{key} expires in 59" in finding.what) == ("problem", True), finding
        typed(own, finding.command)
        assert control.doctor() == ()


def told(url: str, *rules: str) -> str:
    """Return what is said of a server that takes no writes, as a user of these rights is told; "" for nothing."""
    with line(limited(url, *rules) if rules else url) as one:
        found = [advice for advice in advise(one, KEYS, failing_over=False) if "takes no writes" in advice.what]
    assert all(advice.serious for advice in found)
    return " | ".join(f"{advice.what} -> {advice.command}" for advice in found)


BLIND = ("-zadd",)  # who may not ask it by a write goes by what INFO says


def test_a_server_out_of_memory_is_named() -> None:
    """Under noeviction it refuses what may grow; the command ends it."""
    with embedded.server(appendonly=True) as own, Redis.from_url(own.url) as client:
        assert told(own.url) == told(own.url, *BLIND) == ""
        client.config_set("maxmemory", 1)
        for rules in ((), BLIND):
            assert "it is out of memory" in told(own.url, *rules)
            assert "CONFIG SET maxmemory 0" in told(own.url, *rules)
        client.config_set("maxmemory", 0)
        assert told(own.url) == told(own.url, *BLIND) == ""


def test_a_server_that_cannot_save_is_named() -> None:
    """Its disk is gone: it takes no writes, and the command lets it again; `stop-writes-on-bgsave-error no` is fine."""
    with TemporaryDirectory(prefix="kept-") as folder:
        gone = Path(folder, "disk")
        gone.mkdir()
        arguments = ("--dir", str(gone), "--save", "3600 1")
        with embedded.server(arguments=arguments) as own, Redis.from_url(own.url) as client:
            client.set("some", "thing")
            gone.rmdir()
            client.bgsave()
            eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 10)
            for rules in ((), BLIND, (*BLIND, "-config")):
                assert "disk" in told(own.url, *rules)
                assert "stop-writes-on-bgsave-error no" in told(own.url, *rules)
            client.config_set("stop-writes-on-bgsave-error", "no")
            assert told(own.url) == told(own.url, *BLIND) == ""


def test_a_server_without_the_replicas_it_wants_is_named() -> None:
    """min-replicas-to-write is not met."""
    with embedded.server(appendonly=True, arguments=("--min-replicas-to-write", "1")) as own:
        assert "too few replicas" in told(own.url)
        assert "CONFIG SET min-replicas-to-write 0" in told(own.url)


def test_a_server_whose_writes_are_paused_is_named() -> None:
    """It answers reads, and a write not at all; what else was found is told all the same."""
    with embedded.server(appendonly=True) as own, Control(own.url) as control, Redis.from_url(own.url) as client:
        control.create("checkout")
        client.expire("graysplit:{default}:weights", 600)
        client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        findings = [found for found in control.doctor() if found.where == "server"]
        assert [found.command for found in findings][1:] == [f"redis-cli -u redis://{HOST}:{own.port}/0 CLIENT UNPAUSE"]
        assert "no answer in time" in findings[1].what
        client.execute_command("CLIENT", "UNPAUSE")
        assert len(control.doctor()) == 1


def test_asking_whether_writes_are_taken_changes_nothing() -> None:
    """No key is made, none is changed, nobody is signalled."""
    with embedded.server(appendonly=True) as own, line(own.url) as one, Redis.from_url(own.url) as client:
        before = client.info("persistence")["rdb_changes_since_last_save"]
        advise(one, KEYS, failing_over=False)
        assert client.keys() == []
        assert client.info("persistence")["rdb_changes_since_last_save"] == before
