"""Whether anything was written since everything was read: the server takes note, whoever writes and however."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from graysplit import embedded
from graysplit.core.replica.record import SENTINEL
from graysplit.stores.port import Expect, Write
from graysplit.stores.redis import RedisFeed, RedisStore
from graysplit.testing.contract import report_of, seed, submission_of

KEYS = ("weights", "stops", "splits", "meta")


@pytest.fixture
def feed(redis_url: str, namespace: str) -> Iterator[RedisFeed]:
    """Return a feed at rest: it has read everything although nothing was signalled."""
    store = RedisStore(redis_url, namespace)
    seed(store)
    found = store.follow()
    try:
        position = found.load("", whole=True).position
        assert not found.wait(0.0)
        assert not found.untouched()
        found.load(position, whole=True)
        yield found
    finally:
        found.close()


def key(namespace: str, end: str) -> str:
    """Return a key's full name."""
    return f"graysplit:{{{namespace}}}:{end}"


def test_nothing_written_is_said_again_and_again(feed: RedisFeed, client: Redis) -> None:
    """With the server's time, and without reading anything: no bytes that grow with what is held."""
    for _ in range(3):
        before = client.info("stats")["total_net_output_bytes"]
        now_ms = feed.untouched()
        assert abs(now_ms - int(client.time()[0]) * 1000) < 60_000
        assert client.info("stats")["total_net_output_bytes"] - before < 20_000
    assert not feed.wait(0.0)


@pytest.mark.parametrize("end", KEYS)
def test_whatever_is_written_is_noted(feed: RedisFeed, client: Redis, namespace: str, end: str) -> None:
    """In each of the hashes that are followed; the reading after it has it, and is not disturbed by the note."""
    client.hset(key(namespace, end), "other/new", "5")
    assert not feed.untouched()
    assert feed.wait(0.0)
    found = getattr(feed.load("", whole=True), end)
    assert found.fields[b"other/new"] == b"5"


@pytest.mark.parametrize(
    "write",
    [
        lambda client, namespace: client.xadd(key(namespace, "log"), {"id": "x"}),
        lambda client, namespace: client.delete(key(namespace, "stops")),
        lambda client, namespace: client.rename(key(namespace, "stops"), key(namespace, "away")),
        lambda client, namespace: client.pexpire(key(namespace, "weights"), 1),
    ],
    ids=["log", "deleted", "renamed", "expires"],
)
def test_however_it_is_written(feed: RedisFeed, client: Redis, namespace: str, write: Callable[..., object]) -> None:
    """Not only by hand into a hash."""
    write(client, namespace)
    assert not feed.untouched()


def test_what_pushes_nothing_is_noted_too() -> None:
    """SWAPDB exchanges everything, and signals nobody."""
    with embedded.server() as server:
        store = RedisStore(server.url, "default")
        seed(store)
        feed, client = store.follow(), Redis.from_url(server.url)
        position = feed.load("", whole=True).position
        feed.load(position, whole=True)
        assert feed.untouched()
        client.swapdb(0, 1)
        assert not feed.untouched()
        assert SENTINEL not in feed.load("", whole=True).weights.fields
        feed.close()
        client.close()


def test_heartbeats_and_evidence_are_not_what_is_followed(feed: RedisFeed, redis_url: str, namespace: str) -> None:
    """A fleet writes all the time."""
    other = RedisStore(redis_url, namespace).follow()
    other.report(report_of("other", weight="5"), about=True)
    feed.report(report_of("own", weight="5"), about=True)
    assert feed.untouched()
    other.close()


def test_another_transaction_begins_without_the_note(feed: RedisFeed, client: Redis, namespace: str) -> None:
    """It would be refused for what was written before it: readings, and writes where scripts are refused."""
    (line,) = set(feed.lines())
    client.hset(key(namespace, "weights"), "other/new", "5")
    assert line.watches
    assert line.transaction(("HGET", key(namespace, "weights"), "other/new")) == [b"5"]
    assert not line.watches
    line.watch([key(namespace, "weights")])
    client.hset(key(namespace, "weights"), "other/new", "6")
    assert line.ask(("WATCH", key(namespace, "meta"))) == [b"OK"]
    assert line.commit(("HSET", key(namespace, "weights"), "other/new", "7")) == [0]
    assert client.hget(key(namespace, "weights"), "other/new") == b"7"


def test_a_write_over_the_same_connection_is_noted(feed: RedisFeed, redis_url: str, namespace: str) -> None:
    """As any other."""
    expected, written = Expect("weights", "checkout/new", "0"), Write("weights", "checkout/new", "5")
    feed.submit(submission_of(RedisStore(redis_url, namespace), "checkout", (expected,), (written,)))
    assert not feed.untouched()


def test_the_old_protocol_knows_it_too(redis_url: str, client: Redis, namespace: str) -> None:
    """There nothing is pushed on the connection that is read from."""
    store = RedisStore(f"{redis_url}?protocol=2", namespace)
    seed(store)
    feed = store.follow()
    assert feed.mode == "redirect"
    position = feed.load("", whole=True).position
    assert not feed.wait(0.0)
    feed.load(position, whole=True)
    assert feed.untouched()
    client.hset(key(namespace, "weights"), "other/new", "5")
    assert not feed.untouched()
    assert feed.load(position, whole=True).weights.fields[b"other/new"] == b"5"
    feed.close()


def test_a_server_that_takes_no_note_is_read(redis_url: str, client: Redis, namespace: str) -> None:
    """And nothing is said to be untouched."""
    name = f"u{os.urandom(4).hex()}"
    client.execute_command("ACL", "SETUSER", name, "reset", "on", ">pw", "~*", "&*", "+@all", "-watch")
    try:
        feed = RedisStore(redis_url.replace("redis://", f"redis://{name}:pw@"), namespace).follow()
        position = feed.load("", whole=True).position
        for _ in range(2):
            feed.load(position, whole=True)
            assert not feed.untouched()
        feed.close()
    finally:
        client.execute_command("ACL", "DELUSER", name)


def test_a_refusal_inside_is_no_answer(feed: RedisFeed) -> None:
    """What is asked must have been answered; and the connection goes on."""
    (line,) = set(feed.lines())
    line.watch(["some"])
    assert line.untouched(["some"], ("NO-SUCH-COMMAND",)) is None
    assert line.untouched(["some"], ("TIME",)) is not None
    (answer,) = line.ask(("NO-SUCH-COMMAND",))
    assert isinstance(answer, ResponseError)
