"""A follower's connection on a real server: what it signals, what it survives, and how soon it says that it is lost."""

from __future__ import annotations

import itertools
import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from redis import Redis
from redis.connection import Connection

from graysplit import embedded
from graysplit.core.fleet import FORGET_MS
from graysplit.core.replica.record import SENTINEL
from graysplit.errors import RefusedError, StoreUnreachableError
from graysplit.stores import Store, store_from_url
from graysplit.stores.redis import RedisFeed, RedisStore, connection
from graysplit.testing.contract import DEFINITION, one, put, report_of, seed, submission_of
from tests.stores.proxy import Proxy

# What a stopped or half-open server may take to be noticed is 1.5 s; this leaves a busy machine room.
NOTICED_S = 4.0


@pytest.fixture
def store(redis_url: str, namespace: str) -> Iterator[Store]:
    """Return a store in an empty namespace."""
    found = store_from_url(redis_url, namespace)
    yield found
    found.close()


@contextmanager
def following(url: str, namespace: str) -> Iterator[RedisFeed]:
    """Return a feed that has read once."""
    feed = RedisStore(url, namespace).follow()
    try:
        feed.load("", whole=True)
        yield feed
    finally:
        feed.close()


@contextmanager
def user(client: Redis, url: str, *rules: str) -> Iterator[str]:
    """Return an address of the same server with a user of these rights."""
    name = f"u{os.urandom(4).hex()}"
    client.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", *rules)
    try:
        yield url.replace("redis://", f"redis://{name}:secret@")
    finally:
        client.execute_command("ACL", "DELUSER", name)


def weights(namespace: str) -> str:
    """Return the key of the weights."""
    return f"graysplit:{{{namespace}}}:weights"


def took(act: object) -> float:
    """Say how long something takes that ends with the store unreachable."""
    begun = time.monotonic()
    with pytest.raises(StoreUnreachableError):
        act()  # type: ignore[operator]
    return time.monotonic() - begun


# --- signals ---------------------------------------------------------------------------------------------------------


def test_a_server_with_tracking_is_followed_by_tracking(store: Store, redis_url: str, namespace: str) -> None:
    """The promise in force is printed: any writer, at once."""
    seed(store)
    with following(redis_url, namespace) as feed:
        assert feed.mode == "tracking"


def test_many_writes_are_one_signal(store: Store, client: Redis, redis_url: str, namespace: str) -> None:
    """A burst of pushes is drained by one load; nothing is left that would cost another."""
    seed(store)
    with following(redis_url, namespace) as feed:
        for number in range(100):
            client.hset(weights(namespace), "checkout/new", number)
        assert feed.wait(5)
        assert feed.load("", whole=True).weights.fields[b"checkout/new"] == b"99"
        assert not feed.wait(0.1)


def test_the_last_of_many_writes_is_never_lost(store: Store, client: Redis, redis_url: str, namespace: str) -> None:
    """Writes that fall into a load, a heartbeat or a booking still end in a signal."""
    seed(store)
    with following(redis_url, namespace) as feed:
        for last in (b"300", b"600", b"900"):
            writer = threading.Thread(
                target=lambda until=int(last): [
                    client.hset(weights(namespace), "checkout/new", number) for number in range(until - 299, until + 1)
                ]
            )
            writer.start()
            deadline = time.monotonic() + 20
            while feed.load("", whole=True).weights.fields[b"checkout/new"] != last:
                feed.report(report_of("boot-1", weight="0"), about=False)
                feed.record_raw_edits("process")
                assert time.monotonic() < deadline
                assert feed.wait(5)
            writer.join()


def test_other_keys_of_the_namespace_are_no_signal(store: Store, client: Redis, redis_url: str, namespace: str) -> None:
    """Only the four keys that are decided from are followed, in this namespace only."""
    seed(store)
    with following(redis_url, namespace) as feed:
        client.hset(f"graysplit:{{{namespace}}}:plans", "checkout", "tick")
        client.hset(f"graysplit:{{{namespace}}}:tally:checkout", "calls", 1)
        client.hset(weights(f"{namespace}-other"), "checkout/new", 1)
        assert not feed.wait(0.1)
        client.rename(weights(f"{namespace}-other"), weights(namespace))
        assert feed.wait(5)


# --- loss of contact -------------------------------------------------------------------------------------------------


def test_a_hanging_server_is_noticed(namespace: str) -> None:
    """A server that stops answering, its connections open, is reported; also by those who only ask once."""
    with embedded.server() as own, following(own.url, namespace) as feed:
        store = store_from_url(own.url, namespace)
        store.load()
        own.pause()
        assert took(lambda: feed.wait(30)) < NOTICED_S
        assert took(store.load) < NOTICED_S
        assert took(store_from_url(own.url, namespace).follow) < NOTICED_S
        own.resume()
        store.load()
        store.close()


def test_a_killed_server_is_noticed_at_once_and_found_again(namespace: str) -> None:
    """A feed never connects again by itself (without tracking it would be deaf); the store does."""
    with embedded.server(appendonly=True) as own:
        store = store_from_url(own.url, namespace)
        seed(store)
        with following(own.url, namespace) as feed:
            own.kill()
            assert took(lambda: feed.wait(30)) < NOTICED_S
            own.start()
            with pytest.raises(StoreUnreachableError):
                feed.load("", whole=True)
        with following(own.url, namespace) as feed:
            assert feed.load("", whole=True).splits.lost is None
        assert store.load().splits.lost is None
        store.close()


@pytest.mark.skipif(
    "timeout" not in (Connection.read_response.__kwdefaults__ or {}), reason="redis-py 6 waits for bytes"
)
def test_a_dripping_server_is_noticed(server: embedded.Server, namespace: str) -> None:
    """An answer that comes in single bytes, each in time, is no answer in time."""
    with Proxy(server.port) as proxy, following(proxy.url(server.url), namespace) as feed:
        proxy.drip_s = 0.3
        assert took(lambda: feed.wait(30)) < NOTICED_S


def test_a_process_that_is_kept_from_running_takes_the_answers_that_lie_there(
    store: Store, namespace: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a silence of the server is limited: hours in which this process alone stood still are none."""
    seed(store)
    hours = itertools.count(step=3_600)
    with following(redis_url, namespace) as feed:
        monkeypatch.setattr(
            connection, "time", SimpleNamespace(monotonic=lambda: float(next(hours)), sleep=threading.Event().wait)
        )
        assert feed.load("", whole=True).splits.lost is None
        feed.report(report_of("boot-1", weight="0"), about=True)
        assert len(feed.fleet().processes) == 1


def test_a_load_that_drips_in_ends(store: Store, server: embedded.Server, namespace: str) -> None:
    """A load has an end, however slowly its bytes come."""
    seed(store)
    with Proxy(server.port) as proxy, following(proxy.url(server.url), namespace) as feed:
        proxy.drip_s = 0.05
        assert took(lambda: feed.load("", whole=True)) < 10


def test_a_replica_is_no_source(server: embedded.Server, store: Store, namespace: str) -> None:
    """A replica may be cut off and answer all the same: it is refused for reading, following and writing."""
    seed(store)
    with embedded.server(arguments=("--replicaof", "127.0.0.1", str(server.port))) as replica:
        other = store_from_url(replica.url, namespace)
        feed = other.follow()
        with pytest.raises(StoreUnreachableError, match="replica"):
            feed.load("", whole=True)
        with pytest.raises(StoreUnreachableError, match="replica"):
            feed.report(report_of("boot-1", weight="0"), about=True)
        with pytest.raises(StoreUnreachableError, match="replica"):
            other.load()
        with pytest.raises(StoreUnreachableError, match="replica"):
            other.submit(submission_of(store, "checkout", *one("weights", "checkout/new", "0", "1")))
        feed.close()
        other.close()


def test_a_lost_answer_is_no_conflict(store: Store, server: embedded.Server, namespace: str) -> None:
    """The line breaks after a change was made and before the answer came: it is made once, and answered."""
    seed(store)
    with Proxy(server.port) as proxy:
        behind = store_from_url(proxy.url(server.url), namespace)
        put(behind, "checkout/new", "1")
        proxy.cut_after = b"EVALSHA"
        written = put(behind, "checkout/new", "20", expect="1")
        behind.close()
    assert written.revision == 3
    assert written.after == {"weights checkout/new": "20"}
    assert [entry.id for entry in store.history(count=1)] == [written.id]
    assert len(store.history()) == 3


def test_a_fork_that_closes_its_copy_does_no_harm(store: Store, client: Redis, redis_url: str, namespace: str) -> None:
    """A child lets go of an inherited connection without shutting it down for the parent."""
    seed(store)
    with following(redis_url, namespace) as feed:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other tests' threads are of no matter to this child
            child = os.fork()
        if not child:
            feed.close()
            os._exit(0)
        os.waitpid(child, 0)
        client.hset(weights(namespace), "checkout/new", 20)
        assert feed.wait(5)
        assert feed.load("", whole=True).weights.fields[b"checkout/new"] == b"20"


# --- keys and rights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["weights", "stops", "splits", "meta"])
def test_each_key_is_judged_alone(store: Store, client: Redis, redis_url: str, namespace: str, broken: str) -> None:
    """A key of the wrong type hides nothing of the other three."""
    seed(store)
    client.delete(f"graysplit:{{{namespace}}}:{broken}")
    client.lpush(f"graysplit:{{{namespace}}}:{broken}", "x")
    with following(redis_url, namespace) as feed:
        load = feed.load("", whole=True)
    faults = {name: key.lost for name, key in load._asdict().items() if name in ("weights", "stops", "splits", "meta")}
    assert faults.pop(broken) == "of the wrong type"
    assert set(faults.values()) == {None}


def test_a_forbidden_key_is_that_keys_fault_alone(store: Store, client: Redis, redis_url: str, namespace: str) -> None:
    """A role that may not read stops and log still reads the rest; also where it may not ask for the server's role."""
    seed(store)
    allowed = [f"~graysplit:{{{namespace}}}:{end}" for end in ("weights", "splits", "meta")]
    with user(client, redis_url, *allowed, "+@all", "-role") as url, following(url, namespace) as feed:
        load = feed.load("", whole=True)
        assert load.stops.lost == "not readable (no permission)"
        assert load.weights.fields[b"checkout/new"] == b"0"
        assert load.entries == ()
        with pytest.raises(RefusedError, match="doctor"):
            feed.report(report_of("boot-1", weight="0"), about=True)


def test_a_process_that_may_only_lower_can_brake(store: Store, client: Redis, redis_url: str, namespace: str) -> None:
    """A role with `HSETNX` on the stops alone can stop a field, and neither clear one nor write a weight."""
    seed(store, weight="20")
    stops = f"graysplit:{{{namespace}}}:stops"
    rules = (f"%R~graysplit:{{{namespace}}}:*", "+@all", "-@write", "-eval", "-evalsha", "-eval_ro")
    selector = f"(%RW~{stops} +hsetnx +hget +eval +evalsha +time)"
    try:
        with user(client, redis_url, *rules, selector) as url:
            feed = store_from_url(url, namespace).follow()
            assert feed.stop_if_older("checkout/new", "known to be at zero", 0)
            with pytest.raises(RefusedError):
                feed.record_raw_edits("process")
            feed.close()
    except Exception as fault:
        if "Error in ACL" in str(fault):
            pytest.skip("this server knows no rights to read only")
        raise
    assert b"checkout/new" in store.load().stops.fields


def test_a_flushed_script_is_sent_again(store: Store, client: Redis) -> None:
    """The server forgets its scripts when it starts anew."""
    seed(store)
    client.script_flush()
    assert put(store, "checkout/new", "20").revision == 2


def test_a_process_silent_for_ten_minutes_is_dropped(
    store: Store, client: Redis, redis_url: str, namespace: str
) -> None:
    """Whoever beats takes the long silent out of all three keys; readers pass over them before."""
    fleet = f"graysplit:{{{namespace}}}:fleet"
    old = store.load().now_ms - FORGET_MS - 1_000
    client.zadd(f"{fleet}:seen", {"ghost": old})
    client.hset(f"{fleet}:about", "ghost", "{}")
    client.hset(f"{fleet}:receipts", "ghost", "[")
    assert store.fleet().processes == ()
    with following(redis_url, namespace) as feed:
        feed.report(report_of("boot-1", weight="0"), about=True)
    assert client.zrange(f"{fleet}:seen", 0, -1) == [b"boot-1"]
    assert client.hkeys(f"{fleet}:about") == client.hkeys(f"{fleet}:receipts") == [b"boot-1"]


def test_rubbish_in_the_fleet_hides_nobody(store: Store, client: Redis, redis_url: str, namespace: str) -> None:
    """A receipt that cannot be read gives a process of which nothing is known."""
    fleet = f"graysplit:{{{namespace}}}:fleet"
    with following(redis_url, namespace) as feed:
        feed.report(report_of("boot-1", weight="0"), about=True)
    client.hset(f"{fleet}:about", "boot-1", b"\xff[[[")
    (process,) = store.fleet().processes
    assert (process.boot, process.host, process.declared) == ("boot-1", "", {})


# --- big namespaces --------------------------------------------------------------------------------------------------


def fill(client: Redis, namespace: str, count: int) -> None:
    """Write many definitions at once."""
    client.hset(f"graysplit:{{{namespace}}}:splits", mapping={f"split-{number}": DEFINITION for number in range(count)})


@pytest.mark.parametrize("count", [300, 2_500])
def test_a_big_namespace_is_read_by_the_logs_word(
    store: Store, client: Redis, redis_url: str, namespace: str, count: int
) -> None:
    """All definitions come at first; later only those that the log names, unless all are asked for."""
    seed(store)
    fill(client, namespace, count)
    with following(redis_url, namespace) as feed:
        first = feed.load("", whole=True)
        assert len(first.splits.fields) == count + 2
        assert first.whole

        seed(store, "search")
        put(store, "checkout/new", "20")
        assert feed.wait(5)
        partial = feed.load(first.position, whole=False)
        assert not partial.whole
        assert partial.splits.fields == {SENTINEL: b"1", b"search": DEFINITION.encode()}
        assert partial.splits.lost is None
        assert partial.weights.fields[b"checkout/new"] == b"20"
        assert [entry.cause for entry in partial.entries] == ["create", "set"]

        client.hset(f"graysplit:{{{namespace}}}:splits", "split-7", "{}")
        assert feed.wait(5)
        unexplained = feed.load(partial.position, whole=False)
        assert not unexplained.whole  # the next whole reading finds it
        again = feed.load(partial.position, whole=True)
        assert again.whole
        assert again.splits.fields[b"split-7"] == b"{}"
        assert len(again.splits.fields) == count + 3


# --- addresses -------------------------------------------------------------------------------------------------------


def test_nobody_there_is_said_in_plain_words(namespace: str) -> None:
    """A refused connection names the address without the password, and the break-glass line."""
    store = store_from_url("redis://user:hunter2@127.0.0.1:1/0?socket_timeout=60", namespace)
    with pytest.raises(StoreUnreachableError) as found:
        store.load()
    assert found.value.reason == "connection refused"
    assert "redis://127.0.0.1:1/0" in str(found.value)
    assert "GRAYSPLIT_OFF" in str(found.value)
    assert "hunter2" not in str(found.value) + repr(found.value) + store.name
    with pytest.raises(StoreUnreachableError):
        store.follow()
    with pytest.raises(StoreUnreachableError):
        store.fleet()
    store.close()


def test_a_wrong_password_is_said_and_not_shown(redis_url: str, namespace: str) -> None:
    """A refused login is no refused connection."""
    store = store_from_url(redis_url.replace("redis://", "redis://nobody:hunter2@"), namespace)
    for act in (store.load, store.follow):
        with pytest.raises(StoreUnreachableError, match="user or the password") as found:
            act()
        assert "hunter2" not in str(found.value)


def test_a_unix_socket_is_an_address(namespace: str) -> None:
    """unix:// works for operators and followers."""
    with embedded.server(unix=True) as own:
        store = store_from_url(own.url, namespace)
        seed(store)
        with following(own.url, namespace) as feed:
            put(store, "checkout/new", "20")
            assert feed.wait(5)
        assert store.name.startswith("unix:///")
        store.close()


def test_an_address_cannot_make_text_of_bytes(redis_url: str, store: Store, client: Redis, namespace: str) -> None:
    """One bad byte would spoil every load if a URL could ask for decoded answers."""
    seed(store)
    client.hset(weights(namespace), "checkout/new", b"\xff")
    asked = store_from_url(f"{redis_url}?decode_responses=true&protocol=3&retry_on_timeout=true", namespace)
    assert asked.load().weights.fields[b"checkout/new"] == b"\xff"
    asked.close()


def test_replicas_are_counted(server: embedded.Server, store: Store) -> None:
    """A server without replicas has none with the last write; one with a replica has it on one."""
    seed(store)
    assert store.replicas(0.1) == (0, 0)
    with embedded.server(arguments=("--replicaof", "127.0.0.1", str(server.port))) as replica:
        assert replica.pid
        deadline = time.monotonic() + 20
        while store.replicas(1.0) != (1, 1):
            assert time.monotonic() < deadline


def test_a_heartbeat_that_comes_while_namespaces_are_searched_is_a_live_process(
    store: Store, client: Redis, namespace: str
) -> None:
    """The time is read first, so a heartbeat may be younger; one of an hour ahead proves nothing."""
    seconds, micros = client.time()
    now_ms = seconds * 1000 + micros // 1000
    client.zadd(f"graysplit:{{{namespace}}}:fleet:seen", {"boot-1": now_ms + 2_000, "boot-2": now_ms + 3_600_000})
    (followed,) = [one for one in store.followed() or () if one.namespace == namespace]
    assert followed.live == 1
