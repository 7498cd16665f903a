"""A connection at rest: one wake-up for each PING, none for its answer, at once for everything else."""

from __future__ import annotations

import select
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from graysplit.errors import StoreUnreachableError
from graysplit.stores.redis import RedisFeed, RedisStore
from graysplit.stores.redis.connection import PONG, Connection
from graysplit.stores.redis.pulse import NEAR_S, PONG_WITHIN_S, SILENCE_S, Pulse, rest
from graysplit.stores.redis.wakeup import Wakeup
from tests.support import eventually

LONG_S = 30.0  # for whoever is woken at once
SHORT_S = 0.2  # for whoever is not woken


@pytest.fixture
def feed(redis_url: str, namespace: str) -> Iterator[RedisFeed]:
    """Return a feed that has read once."""
    found = RedisStore(redis_url, namespace).follow()
    try:
        found.load("", whole=True)
        yield found
    finally:
        found.close()


@pytest.fixture
def line(feed: RedisFeed) -> Connection:
    """Return its connection, on which nothing is under way."""
    (found,) = set(feed.lines())
    found.drain()
    return found


def asked(line: Connection) -> Pulse:
    """Send the PING that is due after some silence, and wait until its answer lies there."""
    pulse = Pulse(line)
    line.heard -= SILENCE_S
    assert pulse.check(time.monotonic())
    sock = line.socket
    assert sock is not None
    assert select.select([sock], [], [], LONG_S)[0]  # it lies there, and redis-py has not read it
    return pulse


def test_a_loss_is_noticed_within_the_time_that_is_promised() -> None:
    """Silence, the wait that may be over a little later, and the time for an answer."""
    assert pytest.approx(1.25) == SILENCE_S + NEAR_S + PONG_WITHIN_S


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an answer may end a wait")
def test_the_answer_to_a_ping_ends_no_wait(line: Connection) -> None:
    """It lies there, and is read when something else ends the wait."""
    pulse = asked(line)
    assert not rest([pulse], SHORT_S, Wakeup())
    assert pulse.is_awaited
    pulse.read()
    assert not pulse.is_awaited
    assert not line.dirty


def test_a_signal_behind_an_unread_answer_ends_it(line: Connection, client: Redis, namespace: str) -> None:
    """A rollback is obeyed at once, whatever lies before it."""
    pulse = asked(line)
    client.hset(f"graysplit:{{{namespace}}}:weights", "checkout/new", "0")
    assert rest([pulse], LONG_S, Wakeup())
    eventually(lambda: pulse.read() or line.dirty)
    assert not pulse.is_awaited


def test_an_answer_is_taken_only_where_it_lies_alone(line: Connection, client: Redis, namespace: str) -> None:
    """What lies beside it is read in its order."""
    pulse = asked(line)
    client.hset(f"graysplit:{{{namespace}}}:weights", "checkout/new", "0")
    assert rest([pulse], LONG_S, Wakeup())
    assert not line.take_pong()
    eventually(lambda: pulse.read() or line.dirty)


def test_what_redis_py_has_read_already_comes_first(line: Connection, client: Redis, namespace: str) -> None:
    """A signal is not passed over for the answer behind it."""
    client.hset(f"graysplit:{{{namespace}}}:weights", "checkout/new", "0")
    assert line.readable(LONG_S)
    pulse = asked(line)
    assert not line.take_pong()
    pulse.read()
    assert line.dirty
    assert not pulse.is_awaited


def test_a_short_answer_to_something_else_is_heard(line: Connection) -> None:
    """The connection is quiet about few bytes only while somebody rests."""
    pulse = asked(line)
    rest([pulse], 0.0, Wakeup())
    (answer,) = line.ask(("EXISTS", "nothing"), within_s=LONG_S)
    assert answer == 0  # `:0` and an end of line: shorter than the answer to a PING
    assert len(b":0\r\n") < len(PONG)
    assert not pulse.is_awaited


def test_an_answer_says_that_the_other_end_lived_when_it_was_asked(line: Connection) -> None:
    """However long it has lain there."""
    pulse = asked(line)
    before = time.monotonic()
    pulse.read()
    assert line.heard <= before
    line.heard -= SILENCE_S
    assert pulse.due_at <= before


def test_an_answer_that_does_not_come_is_a_loss(line: Connection) -> None:
    """After the time that it has; not for the time in which this process stood still."""
    pulse = Pulse(line)
    line.heard -= SILENCE_S
    line.ping = lambda: line.post(("CLIENT", "REPLY", "OFF"))  # type: ignore[method-assign] # the server answers no more
    now = time.monotonic()
    assert pulse.check(now)
    pulse.forgive(LONG_S)
    assert not pulse.check(now + LONG_S)
    with pytest.raises(StoreUnreachableError) as lost:
        pulse.check(now + 2 * LONG_S)
    assert lost.value.silent


def test_whoever_waits_is_woken_from_another_thread(feed: RedisFeed) -> None:
    """For good: the goodbye of a process that ends waits for no turn."""
    waiting = threading.Thread(target=lambda: [feed.wait(LONG_S) for _ in range(100)], daemon=True)
    waiting.start()
    feed.wake()
    waiting.join(LONG_S / 2)
    assert not waiting.is_alive()


def test_a_wakeup_may_come_at_any_time() -> None:
    """Before the first wait, twice, and after its end; its sockets are let go of."""
    wakeup = Wakeup()
    wakeup.set()
    assert wakeup.wait([], LONG_S)
    for _ in range(3):
        wakeup.set()
        assert wakeup.wait([], LONG_S)
    before = len([*Path("/proc/self/fd").iterdir()]) if sys.platform == "linux" else 2
    wakeup.close()
    wakeup.close()
    wakeup.set()
    if sys.platform == "linux":
        assert len([*Path("/proc/self/fd").iterdir()]) == before - 2


def test_a_forked_child_wakes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sockets that it inherits are those of its parent, which would find no rest any more."""
    wakeup = Wakeup()
    assert not wakeup.wait([], 0.0)
    monkeypatch.setattr("graysplit.stores.redis.wakeup.os.getpid", lambda: 0)
    wakeup.set()
    assert wakeup.is_set
    wakeup.is_set = False  # as it is in the parent
    assert not wakeup.wait([], 0.0)
    wakeup.close()


def test_a_feed_at_rest_wakes_for_nothing_but_its_pings(feed: RedisFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner's turns are in step with them, whenever they begin."""
    waits, pings = list[float](), list[int]()
    wait, ping = Wakeup.wait, Connection.ping
    monkeypatch.setattr(Wakeup, "wait", lambda *given: waits.append(given[2]) or wait(*given))
    monkeypatch.setattr(Connection, "ping", lambda line: pings.append(1) or ping(line))
    feed.wait(0.1)
    waits.clear()
    turns = 4
    for _ in range(turns):
        assert not feed.wait(SILENCE_S + NEAR_S - 0.005)
    assert len(pings) <= turns + 1
    if sys.platform == "linux":
        assert len(waits) <= turns + 1
