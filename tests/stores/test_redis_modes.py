"""Each way to be signalled on a real server: found out at connect, its promise, what breaks it, and nothing lost."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final, NamedTuple

import pytest
from redis import Redis, exceptions

from graysplit import embedded
from graysplit.core.fleet import PROMISES
from graysplit.core.replica.record import SENTINEL
from graysplit.errors import StoreUnreachableError
from graysplit.stores import Store, store_from_url
from graysplit.stores.redis import RedisFeed, RedisStore, modes
from graysplit.testing.contract import DEFINITION, put, report_of, seed
from tests.faults.proxy import Proxy
from tests.support import eventually

FIELD: Final = "checkout/new"
POLL_S: Final = modes.POLL_S
# What brings each mode about: a user's rights, and the newest protocol asked for.
MODES: Final = {
    "tracking": (("+@all",), 3),
    "redirect": (("+@all",), 2),
    "log": (("+@all", "-client"), 3),
    "poll": (("+@all", "-client", "-xread"), 3),
}
PUSHED: Final = ("tracking", "redirect")
# Promised is less: a busy machine gets room.
AT_ONCE_S: Final = 2.0
LOST_WITHIN_S: Final = 4.0


def key(namespace: str, end: str) -> str:
    """Return a key's full name."""
    return f"graysplit:{{{namespace}}}:{end}"


class Place(NamedTuple):
    """A server, and a user on it whose rights bring one mode about."""

    mode: str
    namespace: str
    client: Redis
    store: Store
    url: str
    user: str

    def follow(self, *, port: int = 0) -> RedisFeed:
        """Open a feed, over another port where a proxy listens."""
        url = self.url if not port else self.url.replace(f":{self.client.get_connection_kwargs()['port']}", f":{port}")
        feed = RedisStore(url, self.namespace).follow()
        assert feed.mode == self.mode
        assert bool(feed.mode_why) is (self.mode != "tracking"), feed.mode_why  # a lesser one says why
        return feed

    def within(self, *, raw: bool) -> float:
        """Say how soon a change is promised, with room."""
        return AT_ONCE_S if self.mode in PUSHED or (self.mode == "log" and not raw) else AT_ONCE_S + POLL_S

    def kill_connections(self) -> None:
        """End all connections of this user, as a server does to a slow one."""
        self.client.execute_command("CLIENT", "KILL", "USER", self.user)


@contextmanager
def placed(url: str, mode: str, namespace: str) -> Iterator[Place]:
    """Return a place with a split at 20 %."""
    rights, protocol = MODES[mode]
    name = f"u{os.urandom(4).hex()}"
    store = store_from_url(url, namespace)
    seed(store, weight="20")
    with Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", "~*", "&*", *rights)
        own = url.replace("redis://", f"redis://{name}:secret@") + f"?protocol={protocol}"
        yield Place(mode, namespace, client, store, own, name)
        with suppress(exceptions.ConnectionError):
            client.execute_command("ACL", "DELUSER", name)
    store.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often than every two seconds, where the interval is not what a test is about."""
    monkeypatch.setattr(modes, "POLL_S", 0.3)


@pytest.fixture(params=MODES)
def place(request: pytest.FixtureRequest, redis_url: str, namespace: str) -> Iterator[Place]:
    """Return a place on the shared server, in each mode."""
    with placed(redis_url, request.param, namespace) as found:
        yield found


@pytest.fixture(params=MODES)
def own(request: pytest.FixtureRequest, namespace: str) -> Iterator[tuple[embedded.Server, Place]]:
    """Return a server that the test may stop or starve, in each mode."""
    with embedded.server(appendonly=True) as server, placed(server.url, request.param, namespace) as found:
        yield server, found


class Follower(threading.Thread):
    """The least that a careful follower does: open, read, wait, read; and from the beginning when a feed breaks.

    It has no full reading under it: what it is not told of, it never sees.
    """

    def __init__(self, place: Place, *, port: int = 0) -> None:
        """Begin to follow."""
        super().__init__(daemon=True)
        self.weights: dict[bytes, bytes] = {}
        self.losses = 0
        self.loads = 0
        self.empty = 0
        self._place = place
        self._port = port
        self._ending = threading.Event()
        self.start()

    def run(self) -> None:
        """Follow until the end."""
        while not self._ending.is_set():
            with suppress(StoreUnreachableError):
                self._follow()
            self.losses += 1
            self._ending.wait(0.01)

    def end(self) -> None:
        """Stop following."""
        self._ending.set()
        self.join(10)

    def sees(self, weight: str, within: float, field: str = FIELD) -> float:
        """Wait until a weight is seen, and return the time that took."""
        begun = time.monotonic()
        eventually(lambda: self.weights.get(field.encode()) == weight.encode(), within, message=f"{field} at {weight}")
        return time.monotonic() - begun

    def _follow(self) -> None:
        with closing(self._place.follow(port=self._port)) as feed:
            position = ""
            while not self._ending.is_set():
                load = feed.load(position, whole=False)
                position, self.loads = load.position, self.loads + 1
                if SENTINEL in load.weights.fields:
                    self.weights = dict(load.weights.fields)
                else:
                    self.empty += 1
                while not self._ending.is_set() and not feed.wait(0.25):
                    pass


@contextmanager
def following(place: Place, *, port: int = 0) -> Iterator[Follower]:
    """Return a follower that has read once."""
    follower = Follower(place, port=port)
    try:
        follower.sees("20", 10)
        yield follower
    finally:
        follower.end()


# --- what is found out at connect ------------------------------------------------------------------------------------


def test_the_mode_follows_from_protocol_and_rights(place: Place) -> None:
    """Each step down is taken where the one above is refused, and each mode has a promise to print."""
    feed = place.follow()
    assert feed.mode == place.mode
    assert PROMISES[feed.mode]
    feed.close()


def test_a_server_without_the_new_protocol_is_followed_too(namespace: str) -> None:
    """Where RESP3 is unknown the old protocol serves for all: signals, loads, heartbeats, booking, stops."""
    with embedded.server(arguments=("--rename-command", "HELLO", "")) as own:
        store = store_from_url(own.url, namespace)
        seed(store, weight="20")
        feed = RedisStore(own.url, namespace).follow()
        assert feed.mode == "redirect"
        assert feed.load("", whole=True).splits.lost is None
        assert feed.report(report_of("boot-1", weight="0"), about=True)
        assert feed.record_raw_edits("process") == 0
        assert feed.stop_if_older(FIELD, "known", 0)
        assert feed.load("", whole=True).stops.fields.keys() == {SENTINEL, FIELD.encode()}
        feed.close()
        store.close()


def test_a_channel_that_may_not_be_heard_is_no_signal(redis_url: str, namespace: str) -> None:
    """RESP2's subscription needs a right of its own; without it the log is asked."""
    with placed(redis_url, "redirect", namespace) as place:
        place.client.execute_command("ACL", "SETUSER", place.user, "resetchannels")
        feed = RedisStore(place.url, namespace).follow()
        assert feed.mode == "log"
        feed.close()


def test_a_log_of_the_wrong_type_is_no_signal(redis_url: str, namespace: str) -> None:
    """A feed that asks the log breaks when that can no longer be read, and the next one looks by itself."""
    with placed(redis_url, "log", namespace) as place:
        feed = place.follow()
        feed.load("", whole=True)
        place.client.delete(key(namespace, "log"))
        place.client.set(key(namespace, "log"), "x")
        with pytest.raises(StoreUnreachableError):
            eventually(lambda: feed.wait(0.2) and feed.load("", whole=True) and False, 10)
        feed.close()
        feed = RedisStore(place.url, namespace).follow()
        assert feed.mode == "poll"
        assert feed.load("", whole=True).weights.fields[FIELD.encode()] == b"20"
        feed.close()


# --- the promise -----------------------------------------------------------------------------------------------------


def test_each_kind_of_change_arrives_as_promised(place: Place) -> None:
    """What graysplit writes, raw edits, deletions and whole keys put in the place of others."""
    weights = key(place.namespace, "weights")
    with following(place) as follower:
        put(place.store, FIELD, "30", expect="20")
        follower.sees("30", place.within(raw=False))
        place.client.hset(weights, FIELD, "40")
        follower.sees("40", place.within(raw=True))
        place.client.hdel(weights, FIELD)
        eventually(lambda: FIELD.encode() not in follower.weights, place.within(raw=True))
        place.client.hset(f"{weights}-new", mapping={SENTINEL: "1", FIELD: "50"})
        place.client.rename(f"{weights}-new", weights)
        follower.sees("50", place.within(raw=True))
        assert follower.losses == 0


@pytest.mark.usefixtures("hurried")
def test_a_burst_ends_on_its_last_value_in_few_loads(place: Place) -> None:
    """Ten thousand writes are not ten thousand loads."""
    weights = key(place.namespace, "weights")
    with following(place) as follower:
        before = follower.loads
        for first in range(0, 10_000, 100):
            pipeline = place.client.pipeline(transaction=False)
            for number in range(first, first + 100):
                pipeline.hset(weights, FIELD, number)
            pipeline.execute()
        follower.sees("9999", place.within(raw=True))
        assert follower.loads - before < 2_000


def test_an_idle_feed_is_quiet(place: Place) -> None:
    """Nothing written, nothing signalled, but for the look every two seconds of those that must."""
    feed = place.follow()
    feed.load("", whole=True)
    assert not feed.wait(1.2)
    if place.mode in PUSHED:
        assert not feed.wait(1.2)
    feed.close()


@pytest.mark.usefixtures("hurried")
def test_a_signal_stands_until_the_next_load(place: Place) -> None:
    """Reports, bookings and further waits in between do not swallow it."""
    feed = place.follow()
    feed.load("", whole=True)
    put(place.store, FIELD, "30", expect="20")
    assert feed.wait(5)
    feed.report(report_of("boot-1", weight="0"), about=True)
    feed.record_raw_edits("process")
    assert feed.wait(0)
    assert feed.load("", whole=True).weights.fields[FIELD.encode()] == b"30"
    assert not feed.wait(0)
    feed.close()


def test_who_may_not_wait_is_signalled_all_the_same(
    redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two pieces of work nobody waits; also where no look but the signal tells of a change."""
    monkeypatch.setattr(modes, "POLL_S", 3_600.0)
    for mode in (*PUSHED, "log"):
        with placed(redis_url, mode, f"{namespace}-{mode}") as place:
            feed = place.follow()
            feed.load("", whole=True)
            put(place.store, FIELD, "30", expect="20")
            eventually(lambda feed=feed: feed.wait(0.0), within=10)
            feed.close()


@pytest.mark.usefixtures("hurried")
def test_a_look_finds_raw_edits_of_definitions(redis_url: str, namespace: str) -> None:
    """Where no push tells of them, the two-second look reads all definitions, however many there are."""
    for mode in ("log", "poll"):
        with placed(redis_url, mode, f"{namespace}-{mode}") as place:
            splits = key(place.namespace, "splits")
            place.client.hset(splits, mapping={f"split-{number}": DEFINITION for number in range(300)})
            feed = place.follow()
            position = feed.load("", whole=True).position
            place.client.hset(splits, "split-7", "{}")
            assert feed.wait(5)
            load = feed.load(position, whole=False)
            assert load.whole
            assert load.splits.fields[b"split-7"] == b"{}"
            feed.close()


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hurried")
def test_a_write_right_after_a_killed_connection_is_not_lost(place: Place) -> None:
    """The feed breaks as a whole, and the next one reads after it has subscribed."""
    weights = key(place.namespace, "weights")
    with following(place) as follower:
        for number in range(30, 40):
            place.kill_connections()
            place.client.hset(weights, FIELD, number)
            follower.sees(str(number), place.within(raw=True))
        assert follower.losses >= 10


def test_one_dead_connection_of_two_breaks_the_pair(redis_url: str, namespace: str) -> None:
    """The subscription alone, or the connection that is read from alone: either is noticed, neither is made anew."""
    with placed(redis_url, "redirect", namespace) as place:
        for kind in ("pubsub", "normal"):
            feed = place.follow()
            feed.load("", whole=True)
            clients = place.client.client_list(_type=kind)
            (number,) = (client["id"] for client in clients if client["user"] == place.user)
            place.client.client_kill_filter(_id=number)
            begun = time.monotonic()
            with pytest.raises(StoreUnreachableError):
                feed.wait(LOST_WITHIN_S)
            assert time.monotonic() - begun < LOST_WITHIN_S
            feed.close()


@pytest.mark.parametrize("fault", ["stopped", "black hole"])
@pytest.mark.usefixtures("hurried")
def test_a_silent_server_is_noticed_and_current_again_soon(
    own: tuple[embedded.Server, Place], fault: str, record_property: Callable[[str, object], None]
) -> None:
    """A server that hangs, or a line that lets nothing through: reported in time, and what was missed is read."""
    server, place = own
    with Proxy(server.port) as proxy, following(place, port=proxy.port) as follower:
        begun = time.monotonic()
        server.pause() if fault == "stopped" else proxy.blackhole()
        eventually(lambda: follower.losses, LOST_WITHIN_S)
        record_property("noticed after s", round(time.monotonic() - begun, 2))
        if fault == "stopped":
            server.resume()
        place.client.hset(key(place.namespace, "weights"), FIELD, "60")
        proxy.heal()
        record_property("current after s", round(follower.sees("60", 5), 2))


@pytest.mark.usefixtures("hurried")
def test_a_server_that_comes_back_with_its_data_is_followed(own: tuple[embedded.Server, Place]) -> None:
    """Killed and started again from its append-only file, loading or not: followed, and never taken for empty."""
    server, place = own
    with following(place) as follower:
        server.kill()
        server.start()
        place.client.execute_command(
            "ACL", "SETUSER", place.user, "reset", "on", ">secret", "~*", "&*", *MODES[place.mode][0]
        )
        with suppress(exceptions.ConnectionError):
            place.client.ping()
        place.client.hset(key(place.namespace, "weights"), FIELD, "70")
        follower.sees("70", 5 + POLL_S)
        assert follower.empty == 0


@pytest.mark.usefixtures("hurried")
def test_a_flushed_server_is_seen_as_such(own: tuple[embedded.Server, Place]) -> None:
    """FLUSHALL signals like any change; what it leaves is no answer, and a new seed is followed at once."""
    _, place = own
    with following(place) as follower:
        place.client.flushall()
        eventually(lambda: follower.empty, place.within(raw=True))
        seed(place.store, weight="80")
        follower.sees("80", place.within(raw=False) + POLL_S)  # a new log may begin before the place in the old one


# --- the hunt --------------------------------------------------------------------------------------------------------


Writer = Callable[[list[str]], None]


def writers(place: Place) -> dict[str, tuple[Writer, int]]:
    """Return three ways to write, by the field that each has for itself, with the length of its bursts."""
    weights, url = key(place.namespace, "weights"), place.store.name.partition(" ")[0]

    def by_script(values: list[str]) -> None:
        for value in values:
            stands = place.store.load().weights.fields[FIELD.encode()].decode()
            put(place.store, FIELD, value, expect=stands)

    def raw(values: list[str]) -> None:
        with Redis.from_url(url) as client:
            for value in values:
                client.hset(weights, "search/new", value)

    def by_multi(values: list[str]) -> None:
        with Redis.from_url(url) as client:
            for value in values:
                client.pipeline().hset(weights, "ranking/new", "0").hset(weights, "ranking/new", value).execute()

    return {FIELD: (by_script, 3), "search/new": (raw, 22), "ranking/new": (by_multi, 22)}


def hunt(place: Place, rounds: int) -> float:
    """Have three kinds of writers race, the follower killed every tenth time; return the longest time to settle.

    Each round ends on values that were never there before, so that none can be right by chance.
    """
    numbers, longest = itertools.count(1), 0.0
    with following_any(place) as follower:
        for number in range(rounds):
            racing: list[threading.Thread] = []
            last: dict[str, str] = {}
            for field, (write, count) in writers(place).items():
                burst = [f"0.{next(numbers):06}" for _ in range(count)]
                last[field] = burst[-1]
                racing.append(threading.Thread(target=write, args=(burst,)))
            for thread in racing:
                thread.start()
            if number % 10 == 9:
                place.kill_connections()
            for thread in racing:
                thread.join()
            longest = max(longest, *(follower.sees(value, 10, field) for field, value in last.items()))
        assert follower.losses >= rounds // 10
    return longest


@contextmanager
def following_any(place: Place) -> Iterator[Follower]:
    """Return a follower of whatever stands there."""
    follower = Follower(place)
    try:
        eventually(lambda: follower.loads, 10)
        yield follower
    finally:
        follower.end()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("rounds", [60, pytest.param(600, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])])
def test_no_update_is_lost(place: Place, rounds: int, record_property: Callable[[str, object], None]) -> None:
    """Scripts, raw edits and MULTI race for three fields while the follower is killed: every last value arrives."""
    rounds = rounds if place.mode in PUSHED else rounds // 3  # a round is as long as an interval
    longest = hunt(place, rounds)
    record_property("rounds", rounds)
    record_property("longest s", round(longest, 3))
    assert longest < place.within(raw=True)
