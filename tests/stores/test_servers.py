"""A refusal in any words costs what was refused and nothing else, on every kind of server that the docs list."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from redis import Redis

import graysplit
from graysplit import embedded
from graysplit.control import Control
from graysplit.core.fleet import FORGET_MS
from graysplit.core.replica.record import SENTINEL
from graysplit.errors import GraysplitError, RefusedError, StoreUnreachableError
from graysplit.follower.backoff import BACKOFF_S
from graysplit.stores import store_from_url
from graysplit.stores.port import Trip
from graysplit.stores.redis import RedisStore, modes
from graysplit.stores.text.records import new_id
from graysplit.testing.contract import put, report_of, seed
from graysplit.testing.contract.words import raised
from tests.stores.refusing import Profile, RefusingProxy
from tests.stores.servers import PAGE, PROFILES, TABLE, Found, run, table
from tests.support import eventually

FIELD = "checkout/new"
WORDS = ("ERR command is not allowed", "unsupported command '{command}'", "Command is not available", "no")
DECLARED_ONLY = Profile(declared_only=True)


@pytest.fixture
def through(server: embedded.Server) -> Iterator[Through]:
    """Lead to the shared server through a proxy that refuses."""
    found = Through(server)
    yield found
    found.close()


class Through:
    """Makes stores that reach the shared server through a proxy with a profile."""

    def __init__(self, server: embedded.Server) -> None:
        """Remember what is to be closed."""
        self._server = server
        self._proxies: list[RefusingProxy] = []

    def proxy(self, profile: Profile) -> RefusingProxy:
        """Start a proxy."""
        self._proxies.append(RefusingProxy(self._server.port, profile).__enter__())
        return self._proxies[-1]

    def url(self, profile: Profile) -> str:
        """Return the address of a new proxy."""
        return self.proxy(profile).url(self._server.url)

    def close(self) -> None:
        """End them all."""
        for proxy in self._proxies:
            proxy.__exit__(None, None, None)


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROFILES)
def test_the_page_says_what_works(
    name: str, redis_url: str, server: embedded.Server, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each row is what a run gives; where the application does not start, its log names what is missing."""
    caplog.set_level(logging.WARNING, "graysplit")
    found = run(redis_url, server.port, name, namespace)
    row = found.row(name)
    assert row in PAGE.read_text("utf-8").splitlines(), f"{row}\nwrite the page: python -m tests.stores.servers"
    assert found.cells[3] == "yes", "a rollback is never refused"
    if not found.starts:
        assert "graysplit needs " in found.said
        assert any("graysplit needs " in record.getMessage() for record in caplog.records)


def test_the_page_has_no_other_rows() -> None:
    """What is no profile any more leaves the page."""
    page = TABLE.search(PAGE.read_text("utf-8"))
    assert page is not None
    rows = [line.split("|")[1].strip() for line in page[0].splitlines() if line.startswith("| ")]
    assert rows[1:] == list(PROFILES)
    assert table({"x": Found(("yes",), "")}).endswith("| x | yes |  |\n")


# --- refused in any words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", WORDS)
def test_what_is_only_wished_for_may_be_refused_in_any_words(words: str, through: Through, namespace: str) -> None:
    """The application follows and is counted, and every verb writes."""
    wished = frozenset({"ROLE", "INFO", "WAIT", "CONFIG", "CLIENT", "HELLO", "TIME"})
    url = through.url(Profile(wished, words))
    with Control(url, namespace=namespace) as control, closing(graysplit.Router(url, namespace=namespace)) as router:
        router.start()
        control.create("checkout", ["old", "new"])
        control.set(FIELD, "20", allow_needless=True)
        eventually(lambda: router.status().revision == 2, 10)
        assert len(control.fleet().live) == 1
        control.set(FIELD, "30", allow_needless=True)
        control.doctor()
        control.rollback("checkout")


def test_a_full_disk_is_not_taken_for_a_server_without_scripts(
    through: Through, redis_url: str, namespace: str
) -> None:
    """MISCONF speaks of commands that are disabled: the whole server takes no writes, by no other way either."""
    words = "MISCONF Redis is configured to save RDB snapshots. Commands that may modify the data set are disabled"
    proxy = through.proxy(Profile(frozenset({"EVAL", "EVALSHA"}), words))
    store = store_from_url(proxy.url(redis_url), namespace)
    fault = raised(StoreUnreachableError, lambda: seed(store))
    assert "cannot save to its disk" in fault.reason
    assert b"WATCH" not in proxy.asked
    store.close()


@pytest.mark.parametrize("spoils", [True, False])
@pytest.mark.parametrize("command", ["XADD", "HINCRBY", "HSET"])
def test_without_scripts_a_write_does_all_or_nothing(
    command: str, spoils: bool, through: Through, redis_url: str, namespace: str
) -> None:
    """A proxy that refuses one command by itself would have the server do the others."""
    owner = store_from_url(redis_url, namespace)
    seed(owner, weight="20")
    before = owner.load()
    store = store_from_url(
        through.url(Profile(frozenset({"EVAL", "EVALSHA", command}), "no", spoils=spoils)), namespace
    )
    fault = raised(RefusedError, lambda: put(store, FIELD, "30", expect="20"))
    assert "was not written: no" in str(fault)
    assert owner.load()._replace(now_ms=0) == before._replace(now_ms=0)
    store.close()
    owner.close()


def test_without_multi_nothing_is_done_one_by_one(through: Through, redis_url: str, namespace: str) -> None:
    """What was meant for a `MULTI` that is refused is not even sent."""
    owner = store_from_url(redis_url, namespace)
    seed(owner, weight="20")
    profile = Profile(frozenset({"EVAL", "EVALSHA", "MULTI", "EXEC"}), "no", spoils=False)
    store = store_from_url(through.url(profile), namespace)
    read_at = owner.load()
    fault = raised(GraysplitError, lambda: put(store, FIELD, "30", expect="20"))
    assert "graysplit needs MULTI" in str(fault)
    assert owner.load()._replace(now_ms=0) == read_at._replace(now_ms=0)
    store.close()
    owner.close()


# --- declared keys ---------------------------------------------------------------------------------------------------


def test_where_scripts_may_touch_declared_keys_only_all_is_written_and_told(
    through: Through, redis_url: str, namespace: str
) -> None:
    """A raise is written by another way, and a trip is told as the guard's."""
    owner = store_from_url(redis_url, namespace)
    url = through.url(DECLARED_ONLY)
    with Control(url, namespace=namespace) as control:
        control.create("checkout", ["old", "new"])
        control.set(FIELD, "20", allow_needless=True)
    with closing(RedisStore(url, namespace).follow()) as feed:
        load = feed.load("", whole=True)
        release = load.meta.fields[f"release:{FIELD}".encode()].decode().split(" ")[0]
        assert feed.trip(Trip(new_id(), FIELD, release, "too many failures", "guard", "trip"))
        feed.record_raw_edits("outside")
    assert [entry.cause for entry in owner.history("checkout")][:2] == ["trip", "set"]
    loaded = owner.load()
    assert loaded.weights.fields[FIELD.encode()] == b"0"
    assert loaded.stops.fields.keys() == {SENTINEL, FIELD.encode()}
    owner.close()


# --- neither pushes nor blocking -------------------------------------------------------------------------------------


def test_without_pushes_and_blocking_one_connection_is_enough(through: Through, redis_url: str, namespace: str) -> None:
    """What will be used is probed: no mode is chosen that breaks at its first question."""
    seed(store_from_url(redis_url, namespace))
    proxy = through.proxy(PROFILES["no XREAD BLOCK, no push"])
    with closing(RedisStore(proxy.url(redis_url), namespace).follow()) as feed:
        assert feed.mode == "poll"
        feed.load("", whole=True)
        made = proxy.connections
        assert eventually(lambda: feed.wait(0.25), 5)
        feed.load("", whole=True)
        assert proxy.connections == made


def test_a_connection_that_lives_for_a_moment_is_not_made_again_at_once(
    through: Through, redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is read from and breaks, again and again, is one more attempt each time: the pause grows."""

    def break_off(feed: modes.TrackingFeed, timeout_s: float) -> bool:
        begun.append(time.monotonic())
        raise StoreUnreachableError("redis", "it broke off")

    begun: list[float] = []
    monkeypatch.setattr(modes.TrackingFeed, "wait", break_off)
    seed(store_from_url(redis_url, namespace))
    with closing(graysplit.Router(through.url(Profile()), namespace=namespace)) as router:
        router.start()
        eventually(lambda: len(begun) >= 6, 20)
    first, cap = BACKOFF_S
    least = sum(min(cap, first * 2**attempt) / 2 for attempt in range(1, 6))
    assert begun[5] - begun[0] >= least


# --- the fleet without scripts ---------------------------------------------------------------------------------------


def test_without_scripts_the_silent_leave_the_fleets_keys(through: Through, redis_url: str, namespace: str) -> None:
    """Who was silent for ten minutes is dropped, and who was heard in the future is silent as of now."""
    seed(store_from_url(redis_url, namespace))
    seen, about, receipts = (f"graysplit:{{{namespace}}}:fleet:{end}" for end in ("seen", "about", "receipts"))
    with Redis.from_url(redis_url) as client:
        now_ms = client.time()[0] * 1000
        client.zadd(seen, {"gone": now_ms - FORGET_MS - 5_000, "early": now_ms + 3_600_000})
        for key in (about, receipts):
            client.hset(key, mapping={"gone": "{}", "early": "{}"})
        with closing(RedisStore(through.url(PROFILES["no scripts"]), namespace).follow()) as feed:
            feed.report(report_of("boot-1", weight="0"), about=True)
        assert set(client.zrange(seen, 0, -1)) == {b"early", b"boot-1"}
        assert client.zscore(seen, "early") < now_ms + 60_000
        assert client.hkeys(about) == [b"early", b"boot-1"]
        assert client.hkeys(receipts) == [b"early", b"boot-1"]
