"""The redis store keeps the contract on a real server, with scripts and without, and where little else works."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from graysplit import embedded
from graysplit.core.replica.record import SENTINEL
from graysplit.errors import ConflictError, RefusedError, StoreCorruptError, StoreUnreachableError
from graysplit.stores import Rollback, Store, store_from_url
from graysplit.stores.text.records import new_id
from graysplit.stores.wrappers import ReadOnlyStore, RecordingStore
from graysplit.testing.contract import (
    BookingContract,
    FleetContract,
    NumbersContract,
    PlansContract,
    ReadingContract,
    StoreContract,
    TrippingContract,
    WritingContract,
    one,
    put,
    raised,
    report_of,
    seed,
    submission_of,
)


class _OnRedis:
    """The hooks: all stores of one test use one namespace."""

    @pytest.fixture(autouse=True)
    def _space(self, redis_url: str, namespace: str) -> Iterator[None]:
        self.url, self.namespace = redis_url, namespace
        self.opened: list[Store] = []
        self.client = Redis.from_url(redis_url)
        yield
        for store in self.opened:
            store.close()
        self.client.close()

    def inner(self) -> Store:
        self.opened.append(store_from_url(self.url, self.namespace))
        return self.opened[-1]

    def raw(self, key: str, field: str, value: str | bytes | None) -> None:
        name = f"graysplit:{{{self.namespace}}}:{key}"
        if value is None:
            self.client.hdel(name, field)
        else:
            self.client.hset(name, field, value)

    def drop(self, key: str) -> None:
        self.client.delete(f"graysplit:{{{self.namespace}}}:{key}")


class TestRedisStore(_OnRedis, StoreContract):
    """The store at redis://."""

    def make(self) -> Store:
        """Open one."""
        return self.inner()


class TestRecordingRedisStore(_OnRedis, StoreContract):
    """A wrapper that remembers."""

    def make(self) -> Store:
        """Open one."""
        return RecordingStore(self.inner())


class TestReadOnlyRedisStore(_OnRedis, ReadingContract):
    """A wrapper that refuses writes."""

    def make(self) -> Store:
        """Open one."""
        return ReadOnlyStore(self.inner())

    def writer(self) -> Store:
        """Open one that writes."""
        return self.inner()


class TestRedisStoreWithoutScripts(
    _OnRedis, WritingContract, BookingContract, NumbersContract, PlansContract, FleetContract, TrippingContract
):
    """A server that refuses scripts: WATCH and MULTI do the same, but for the evidence of guards."""

    @pytest.fixture(autouse=True)
    def _user(self, _space: None) -> Iterator[None]:
        self.client.execute_command(
            "ACL", "SETUSER", "plain", "on", ">secret", "~*", "&*", "+@all", "-eval", "-evalsha"
        )
        self.url = self.url.replace("redis://", "redis://plain:secret@")
        yield
        self.client.execute_command("ACL", "DELUSER", "plain")

    def make(self) -> Store:
        """Open one."""
        return self.inner()


@pytest.fixture
def store(redis_url: str, namespace: str) -> Iterator[Store]:
    """Return a store in an empty namespace."""
    found = store_from_url(redis_url, namespace)
    yield found
    found.close()


@pytest.fixture
def starved(server: embedded.Server, client: Redis) -> Iterator[Redis]:
    """Return a function's worth of a server without memory: `config_set("maxmemory", 1)`, ended after the test."""
    assert server.pid
    yield client
    client.config_set("maxmemory", 0)


def key(namespace: str, end: str) -> str:
    """Return a key's full name."""
    return f"graysplit:{{{namespace}}}:{end}"


# --- rollback where nothing else works -------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", ["20", None], ids=["the field is there", "the field is not there"])
@pytest.mark.parametrize("target", ["checkout", "checkout/new"])
def test_a_rollback_works_out_of_memory(
    starved: Redis, store: Store, namespace: str, target: str, weight: str | None
) -> None:
    """With maxmemory 1 a rollback writes stop, weight and history, whether or not the weight's field is there."""
    seed(store, weight="20")
    seed(store, "search", weight="20")
    if weight is None:
        starved.hdel(key(namespace, "weights"), "checkout/new")
    starved.config_set("maxmemory", 1)
    written = store.roll_back(Rollback(new_id(), target, "tester", ""))
    load = store.load()
    assert load.weights.fields.get(b"checkout/new", b"0") == b"0"
    assert target.encode() in load.stops.fields
    assert written.unrecorded is None
    assert store.history()[0].id == written.id


def test_everything_can_be_rolled_back_out_of_memory(starved: Redis, store: Store) -> None:
    """With maxmemory 1 a rollback of everything works, too."""
    seed(store, "a", weight="20")
    seed(store, "b", weight="preview")
    starved.config_set("maxmemory", 1)
    store.roll_back(Rollback(new_id(), "*", "tester", ""))
    assert store.load().stops.fields.keys() == {SENTINEL, b"a", b"b"}


def test_out_of_memory_an_ordinary_write_says_so(starved: Redis, store: Store) -> None:
    """A refused write names the cause and the break-glass line."""
    seed(store)
    starved.config_set("maxmemory", 1)
    with pytest.raises(StoreUnreachableError, match=r"out of memory.*GRAYSPLIT_OFF"):
        put(store, "checkout/new", "20")


def test_heartbeats_and_booking_go_on_out_of_memory(starved: Redis, store: Store, namespace: str) -> None:
    """A fleet confirms a rollback also when the server has no memory left."""
    seed(store, weight="20")
    feed = store.follow()
    starved.hdel(key(namespace, "weights"), "checkout/new")
    starved.config_set("maxmemory", 1)
    assert feed.report(report_of("boot-1", weight="0"), about=True)
    assert feed.record_raw_edits("process") == 1
    assert store.fleet().live
    feed.close()


@pytest.mark.parametrize("broken", ["meta", "splits", "booked", "log", "plans", "stops", "weights"])
def test_a_rollback_works_with_any_one_key_of_the_wrong_type(
    client: Redis, store: Store, namespace: str, broken: str
) -> None:
    """Stop or weight stands whatever one of the keys has become; the answer says what was not recorded."""
    seed(store, weight="20")
    client.delete(key(namespace, broken))
    client.set(key(namespace, broken), "not a hash")
    written = store.roll_back(Rollback(new_id(), "checkout/new", "tester", ""))
    load = store.load()
    if broken != "weights":
        assert load.weights.fields[b"checkout/new"] == b"0"
    if broken != "stops":
        assert b"checkout/new" in load.stops.fields
    if broken in ("meta", "log"):
        assert written.unrecorded is not None
        assert "of the wrong type" in written.unrecorded
    else:
        assert store.history()[0].id == written.id
    assert client.get(key(namespace, broken)) == b"not a hash"


def test_a_rollback_works_with_a_wrong_type_and_out_of_memory_at_once(
    starved: Redis, store: Store, namespace: str
) -> None:
    """Two faults together do not stop a stop."""
    seed(store, weight="20")
    starved.delete(key(namespace, "weights"))
    starved.set(key(namespace, "weights"), "x")
    starved.config_set("maxmemory", 1)
    store.roll_back(Rollback(new_id(), "checkout", "tester", ""))
    assert b"checkout" in store.load().stops.fields


def test_a_rollback_of_everything_with_weights_of_the_wrong_type_stops_everything(
    client: Redis, store: Store, namespace: str
) -> None:
    """Nobody can tell what runs, so the stop is on everything."""
    seed(store, weight="20")
    client.delete(key(namespace, "weights"))
    client.set(key(namespace, "weights"), "x")
    store.roll_back(Rollback(new_id(), "*", "tester", ""))
    assert b"*" in store.load().stops.fields


@pytest.mark.parametrize("denied", ["meta", "booked", "log", "plans", "splits"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_rollback_works_where_a_neighbour_is_forbidden(
    client: Redis, redis_url: str, store: Store, namespace: str, denied: str, *, scripts: bool
) -> None:
    """A user who may touch only some of the keys can still roll back."""
    seed(store, weight="20")
    ends = [end for end in ("weights", "stops", "splits", "meta", "booked", "log", "plans") if end != denied]
    allowed = [f"~{key(namespace, end)}" for end in ends]
    commands = ["+@all"] if scripts else ["+@all", "-eval", "-evalsha"]
    client.execute_command("ACL", "SETUSER", "narrow", "reset", "on", ">secret", *allowed, *commands)
    narrow = store_from_url(redis_url.replace("redis://", "redis://narrow:secret@"), namespace)
    written = narrow.roll_back(Rollback(new_id(), "checkout", "tester", ""))
    narrow.close()
    client.execute_command("ACL", "DELUSER", "narrow")
    load = store.load()
    assert load.weights.fields[b"checkout/new"] == b"0"
    assert b"checkout" in load.stops.fields
    assert (written.unrecorded is not None) == (denied in ("meta", "log") or (denied == "booked" and not scripts))


@pytest.mark.parametrize("kept", ["weights", "stops"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_one_of_stop_and_weight_is_enough(
    client: Redis, redis_url: str, store: Store, namespace: str, kept: str, *, scripts: bool
) -> None:
    """Where only one of the two may be written, that one is written."""
    seed(store, weight="20")
    commands = ["+@all"] if scripts else ["+@all", "-eval", "-evalsha"]
    client.execute_command("ACL", "SETUSER", "half", "reset", "on", ">secret", f"~{key(namespace, kept)}", *commands)
    half = store_from_url(redis_url.replace("redis://", "redis://half:secret@"), namespace)
    written = half.roll_back(Rollback(new_id(), "checkout/new", "tester", ""))
    half.close()
    client.execute_command("ACL", "DELUSER", "half")
    load = store.load()
    assert written.unrecorded is not None
    assert (load.weights.fields[b"checkout/new"] == b"0") == (kept == "weights")
    assert (b"checkout/new" in load.stops.fields) == (kept == "stops")


def test_without_scripts_and_memory_a_weight_is_taken_away(
    starved: Redis, redis_url: str, store: Store, namespace: str
) -> None:
    """The last rung: HDEL is allowed when nothing else is, and a missing weight is zero."""
    seed(store, weight="20")
    starved.execute_command("ACL", "SETUSER", "last", "reset", "on", ">secret", "~*", "+@all", "-eval", "-evalsha")
    last = store_from_url(redis_url.replace("redis://", "redis://last:secret@"), namespace)
    starved.config_set("maxmemory", 1)
    written = last.roll_back(Rollback(new_id(), "checkout", "tester", ""))
    last.close()
    starved.execute_command("ACL", "DELUSER", "last")
    assert written.unrecorded == "it is out of memory"
    assert store.load().weights.fields == {SENTINEL: b"1"}


# --- ordinary writes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["weights", "stops", "splits", "meta", "booked", "log"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_key_of_the_wrong_type_refuses_ordinary_writes(
    client: Redis, redis_url: str, store: Store, namespace: str, broken: str, *, scripts: bool
) -> None:
    """An ordinary write touches nothing where one of its keys is of the wrong type, and names it."""
    seed(store, weight="20")
    commands = ["+@all"] if scripts else ["+@all", "-eval", "-evalsha"]
    client.execute_command("ACL", "SETUSER", "some", "reset", "on", ">secret", "~*", *commands)
    some = store_from_url(redis_url.replace("redis://", "redis://some:secret@"), namespace)
    lowering = submission_of(store, "checkout", *one("weights", "checkout/new", "20", "5"))
    client.delete(key(namespace, broken))
    client.set(key(namespace, broken), "x")
    error = raised(StoreCorruptError, lambda: some.submit(lowering))
    some.close()
    client.execute_command("ACL", "DELUSER", "some")
    assert f"'{broken}' is of the wrong type" in str(error)
    assert store.load().weights.fields.get(b"checkout/new") != b"5"


def test_a_delayed_raise_does_not_overtake_a_rollback(store: Store) -> None:
    """Sent late, after a rollback and a return to the same weight, a raise is refused for its age alone."""
    seed(store)
    delayed = submission_of(store, "checkout", *one("weights", "checkout/new", "0", "20"), raises=True)
    store.roll_back(Rollback(new_id(), "checkout", "tester", ""))
    late = delayed._replace(read_at_ms=delayed.read_at_ms - 10_001)
    with pytest.raises(RefusedError, match="graysplit show checkout"):
        store.submit(late)
    assert store.load().weights.fields[b"checkout/new"] == b"0"


def test_a_raise_decided_on_the_stop_conflicts_with_it(store: Store) -> None:
    """A raise that saw no stop meets the one a rollback left, and says what it found."""
    seed(store)
    raising = submission_of(store, "checkout", *one("stops", "checkout", None, None), raises=True)
    store.roll_back(Rollback(new_id(), "checkout", "tester", "errors"))
    error = raised(ConflictError, lambda: store.submit(raising))
    assert "errors" in error.found


def test_a_revision_that_is_no_number_refuses_ordinary_writes(client: Redis, store: Store, namespace: str) -> None:
    """A script that would fail half way does not begin."""
    seed(store)
    client.hset(key(namespace, "meta"), "revision", "many")
    with pytest.raises(StoreCorruptError, match="'meta'"):
        put(store, "checkout/new", "20")
    assert store.load().weights.fields[b"checkout/new"] == b"0"


def test_lost_books_are_filled_without_a_word(client: Redis, store: Store, namespace: str) -> None:
    """Where `booked` is lost nobody can tell what was edited: what stands is taken as known, and no release begins."""
    seed(store, weight="20")
    client.delete(key(namespace, "booked"))
    feed = store.follow()
    assert feed.record_raw_edits("process") == 0
    client.hset(key(namespace, "weights"), "checkout/new", "0")
    assert feed.record_raw_edits("process") == 1
    feed.close()
    assert [entry.cause for entry in store.history()] == ["edited outside", "create"]
