"""What strangers write into the keys, however much: it is asked for before it is moved, and harms nobody else."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import pytest
from redis.exceptions import ResponseError

from graysplit import Router
from graysplit.control import Control
from graysplit.core.limits import VALUE, is_too_long
from graysplit.core.replica.record import Key
from graysplit.follower import follower
from graysplit.stores import store_from_url
from graysplit.stores.redis import RedisFeed, hashes, raw_edits, reader
from graysplit.stores.redis import feed as feed_module
from graysplit.stores.redis.client import Command, Reply
from graysplit.stores.redis.connection import Connection, Posted
from graysplit.stores.redis.differences import Differing
from graysplit.stores.redis.keys import keys_of
from graysplit.stores.redis.roles import rules
from graysplit.stores.redis.scripts import Script, script
from tests.stores.stage import Stage, staged
from tests.support import eventually

HUGE: Final = 8 << 20  # bytes: enough to count, little enough for a busy machine


@pytest.fixture
def stage(redis_url: str, namespace: str) -> Iterator[Stage]:
    """Make a split at 20 %."""
    with staged(redis_url, namespace) as stage:
        stage.control.set("checkout", 20)
        yield stage


def _booked(stage: Stage, most: int = 10_000) -> list[int]:
    """Book all there is as one process does; return what each call wrote."""
    feed = store_from_url(stage.url, stage.namespace).follow()
    feed.load("", whole=True)
    counts = [feed.record_raw_edits("outside")]
    while feed.unbooked:
        counts.append(feed.record_raw_edits("outside"))
        assert len(counts) < most
    feed.close()
    return counts


def test_many_raw_edits_are_booked_in_portions_and_each_once(stage: Stage) -> None:
    """Given 3,000 edits past the library, then each has one entry, and no script is told of more than a portion."""
    stage.edit(3_000)
    stage.client.hset(stage.key("stops"), "raw-000007", "by-hand")
    before = int(stage.client.hget(stage.key("meta"), "revision") or 0)

    assert sum(_booked(stage)) == 3_000  # the stop belongs to a split that was edited anyway
    assert sum(_booked(stage)) == 0

    revision = int(stage.client.hget(stage.key("meta"), "revision") or 0)
    assert revision == before + 3_000
    (entry,) = stage.store.history("raw-000007")
    assert entry.after == {"weights raw-000007/new": "5", "stops raw-000007": "by-hand"}
    assert (entry.cause, entry.actor) == ("edited outside", "outside")
    assert stage.client.hget(stage.key("meta"), "release:raw-000008/new")
    assert not stage.client.hexists(stage.key("meta"), "release:raw-000007/new")


def test_two_processes_book_many_raw_edits_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given two processes that take turns, then no edit has two entries; who finds others at it leaves it to them."""
    monkeypatch.setattr(raw_edits, "WITHIN_S", 0.0)
    stage.edit(2_000)
    feeds = [store_from_url(stage.url, stage.namespace).follow() for _ in range(2)]
    before = int(stage.client.hget(stage.key("meta"), "revision") or 0)
    monkeypatch.setattr(raw_edits, "WITHIN_S", 0.02)
    total = 0
    for _ in range(2_000):
        total += sum(feed.record_raw_edits("outside") for feed in feeds)
        if total >= 2_000:
            break
    assert total == 2_000
    assert int(stage.client.hget(stage.key("meta"), "revision") or 0) == before + 2_000
    for feed in feeds:
        feed.close()


def test_a_stop_on_everything_that_is_taken_away_begins_a_release_of_each(stage: Stage) -> None:
    """Given many splits under `*`, when somebody takes it away past the library, then each begins a release."""
    stage.edit(1_500)
    stage.client.hset(stage.key("stops"), "*", "by-hand")
    _booked(stage)
    stage.client.hdel(stage.key("stops"), "*")
    began = stage.client.hget(stage.key("meta"), "release:raw-000000/new")

    assert sum(_booked(stage)) == 1

    for number in (0, 777, 1_499):
        release = stage.client.hget(stage.key("meta"), f"release:raw-{number:06}/new")
        assert release not in {None, began}
    (entry,) = stage.store.history("*", 1)
    assert entry.after == {"stops *": None}


def test_lost_books_are_taken_anew_in_portions_without_history(stage: Stage) -> None:
    """Given many weights, when the books are lost, then what stands is taken as known: no entry, and none later."""
    stage.edit(1_200)
    _booked(stage)
    stage.client.delete(stage.key("booked"))
    revision = stage.client.hget(stage.key("meta"), "revision")

    assert sum(_booked(stage)) == 0
    assert sum(_booked(stage)) == 0

    assert stage.client.hget(stage.key("meta"), "revision") == revision
    assert stage.client.hget(stage.key("booked"), "weights raw-001199/new") == b"5"
    assert stage.client.hlen(stage.key("booked")) == stage.client.hlen(stage.key("weights")) + 0


def test_the_longest_command_of_booking_does_not_grow_with_the_edits(stage: Stage) -> None:
    """Given three times the edits, then the longest script takes about as long: a portion is a portion."""

    def longest(count: int) -> int:
        stage.edit(count, value=str(count % 99 + 1))
        stage.client.slowlog_reset()
        _booked(stage)
        told = stage.client.slowlog_get(10_000)
        return max(entry["duration"] for entry in told if entry["command"].startswith(b"EVAL"))

    kept = {name: stage.client.config_get(name)[name] for name in ("slowlog-log-slower-than", "slowlog-max-len")}
    stage.client.config_set("slowlog-max-len", 10_000)
    stage.client.config_set("slowlog-log-slower-than", 500)
    try:
        few, many = longest(1_100), longest(3_300)
    finally:
        for name, value in kept.items():
            stage.client.config_set(name, value)
    assert many < 10 * few  # in one step it would be a second, and what waits for a processor comes on top
    assert many < 250_000  # microseconds; quiet, 10,000


def test_a_huge_stop_holds_and_its_text_is_never_moved_or_copied(stage: Stage) -> None:
    """Given megabytes of text under a stop, then it stops, is told by its length, and goes nowhere."""
    with Router(stage.url, namespace=stage.namespace) as router:
        split = router.split("checkout", "old", "new")
        assert router.wait_ready(20)
        unit = next(f"u{n}" for n in range(100) if split.choose(f"u{n}") == "new")
        stage.client.hset(stage.key("stops"), "checkout/new", "x" * HUGE)
        before = stage.bytes_out()
        eventually(lambda: split.choose(unit) == "old")
        eventually(lambda: stage.client.hexists(stage.key("booked"), "stops checkout/new"))
        view = stage.control.show("checkout")
        assert stage.bytes_out() - before < HUGE // 4
    assert stage.client.hstrlen(stage.key("booked"), "stops checkout/new") < 100
    assert (stage.client.memory_usage(stage.key("log"), samples=0) or 0) < HUGE // 4
    assert is_too_long(view.stops["checkout/new"].encode())
    assert str(HUGE) in view.stops["checkout/new"]
    assert str(VALUE) in view.stops["checkout/new"]

    stage.control.rollback("checkout", why="tidy")
    assert (stage.client.memory_usage(stage.key("log"), samples=0) or 0) < HUGE // 4
    stage.control.unstop("checkout", confirm=True)
    stage.control.unstop("checkout/new", confirm=True)
    assert not stage.client.hexists(stage.key("stops"), "checkout/new")


def test_a_rollback_over_a_huge_stop_says_whose_the_stop_is_now(stage: Stage) -> None:
    """Given a huge text where the stop goes, then a rollback puts its own reason there, and copies nothing."""
    stage.client.hset(stage.key("stops"), "checkout", "x" * HUGE)
    before = stage.bytes_out()
    result = stage.control.rollback("checkout", why="too many failures")
    assert stage.bytes_out() - before < HUGE // 4
    assert is_too_long((note.text if (note := result.stops["checkout"][0]) else "").encode())
    assert "too many failures" in str(stage.client.hget(stage.key("stops"), "checkout"))
    assert (stage.client.memory_usage(stage.key("log"), samples=0) or 0) < HUGE // 4


@pytest.mark.parametrize(("key", "field"), [("weights", "checkout/new"), ("splits", "search"), ("meta", "note")])
def test_a_huge_value_of_any_key_is_refused_by_name_and_the_rest_is_followed(
    stage: Stage, key: str, field: str
) -> None:
    """Given megabytes in one field, then everything else changes as ever, and a weight stays what it was."""
    with Router(stage.url, namespace=stage.namespace) as router:
        split = router.split("checkout", "old", "new")
        assert router.wait_ready(20)
        stage.client.hset(stage.key(key), field, "x" * HUGE)
        before = stage.bytes_out()
        if key == "weights":
            eventually(lambda: str(HUGE) in str(router.status().refused))
        else:
            stage.control.set("checkout", 100, confirm=True)
            eventually(lambda: split.choose("u1") == "new")
        found = stage.control.doctor()
        assert stage.bytes_out() - before < HUGE // 4
    if key != "meta":
        assert any(field in finding.where and str(HUGE) in finding.what for finding in found)
    assert stage.control.rollback("checkout").known


def test_more_fields_than_are_followed_are_told_and_what_lowers_is_obeyed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given too many weights, then the key counts as lost by name; a known field that falls falls all the same."""
    monkeypatch.setattr(hashes, "FIELDS", 500)
    feed = store_from_url(stage.url, stage.namespace).follow()
    feed.load("", whole=True)
    stage.edit(600)
    stage.client.hset(stage.key("weights"), "checkout/new", "3")
    load = feed.load("", whole=True)
    assert load.weights.lost == "too large: 602 fields, and at most 500 are read"
    assert load.weights.fields == {b"_": b"1", b"checkout/new": b"3"}
    assert load.stops.lost is None
    feed.close()


def test_of_too_many_definitions_those_with_a_weight_are_read(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given more definitions than are read, then splits that have a weight are changed as ever, and doctor tells."""
    monkeypatch.setattr(reader, "SPLITS", 500)
    stage.client.hset(stage.key("splits"), mapping={f"junk-{number}": "{}" for number in range(600)})
    result = stage.control.set("checkout", 30)
    assert result.moves["checkout/new"] == ("20", "30")
    (told,) = (finding for finding in stage.control.doctor() if "definitions" in finding.what)
    assert "602 definitions" in told.what
    assert set(stage.control.overview().unread) == set()


def test_every_role_may_ask_how_long_a_value_is() -> None:
    """`HSTRLEN` and `MEMORY USAGE` are part of each role: without them a value would be moved to be measured."""
    for role in ("app", "drive", "ops"):
        assert {"+hstrlen", "+memory|usage", "+hlen"} <= set(rules(role, "default"))


def test_a_light_hash_is_read_at_once(stage: Stage) -> None:
    """Asking for sizes is one exchange, whatever there is: nothing is read a field at a time where nothing is long."""
    feed = store_from_url(stage.url, stage.namespace).follow()
    feed.load("", whole=True)
    before = stage.client.info("commandstats").get("cmdstat_hstrlen", {}).get("calls", 0)
    began = time.monotonic()
    feed.load("", whole=True)
    assert time.monotonic() - began < 5
    assert stage.client.info("commandstats").get("cmdstat_hstrlen", {}).get("calls", 0) == before
    feed.close()


def test_logs_and_heartbeats_do_not_grow_with_what_is_refused(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Given a thousand fields that are no weights, then a few are named, and the number of the rest."""
    with Router(stage.url, namespace=stage.namespace) as router:
        router.split("checkout", "old", "new")
        assert router.wait_ready(20)
        stage.edit(1_000, value="garbage")
        eventually(lambda: any("more values are refused" in record.message for record in caplog.records))
        assert sum("raw-" in record.message for record in caplog.records) < 100
        eventually(lambda: any(process.receipt.refused for process in stage.store.fleet().live))
        (process,) = stage.store.fleet().live
    assert len(process.receipt.refused) == 51
    assert process.receipt.refused[-1] == "950 more values: graysplit doctor"


@pytest.mark.parametrize("edits", [20_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_rollbacks_and_heartbeats_go_on_while_very_many_raw_edits_are_booked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, edits: int
) -> None:
    """Given very many raw edits, then no turn of the follower is long, and a rollback is in force at once."""
    turns, beats = list[float](), set[float]()
    book = raw_edits.RawEdits.record

    def timed(self: raw_edits.RawEdits, actor: str) -> int:
        began = time.thread_time()
        try:
            return book(self, actor)
        finally:
            turns.append(time.thread_time() - began)

    def beat() -> float:
        return max(score for _, score in stage.client.zrange(stage.key("fleet:seen"), 0, -1, withscores=True))

    monkeypatch.setattr(raw_edits.RawEdits, "record", timed)
    with Router(stage.url, namespace=stage.namespace) as router:
        split = router.split("checkout", "old", "new")
        assert router.wait_ready(20)
        unit = next(f"u{n}" for n in range(100) if split.choose(f"u{n}") == "new")
        stage.edit(edits)
        eventually(lambda: stage.client.hlen(stage.key("booked")) > 500, 60)
        stage.control.rollback("checkout")
        eventually(lambda: split.choose(unit) == "old", 5)
        assert stage.client.hlen(stage.key("booked")) < edits  # it was at it
        eventually(lambda: beats.add(beat()) or len(beats) > 2, 12)
    assert max(turns) < 0.25


def test_booking_goes_on_as_long_as_a_reading_takes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given readings that take long, while raw edits are booked each is followed by as long a time without one.

    Else booking gets a share of the time that is the smaller, the slower the readings are.
    """
    slow_s, beside = 0.2, list[tuple[float, float]]()
    load = RedisFeed.load

    def loaded(self: RedisFeed, since: str, *, whole: bool) -> object:
        began = time.monotonic()
        found = load(self, since, whole=whole)
        threading.Event().wait(began + slow_s - time.monotonic())  # a server that is slow to answer
        if self.unbooked:
            beside.append((began, time.monotonic()))
        return found

    with Router(stage.url, namespace=stage.namespace) as router:
        router.split("checkout", "old", "new")
        assert router.wait_ready(20)
        for name, value in (("LOOKED_AT", 100), ("BOOKING_AT_LEAST_S", 0.0)):
            monkeypatch.setattr(follower, name, value)
        for name, value in (("WITHIN_S", 0.01), ("PORTIONS", (1, 2))):
            monkeypatch.setattr(raw_edits, name, value)
        monkeypatch.setattr(RedisFeed, "load", loaded)
        stage.edit(1_500)
        eventually(lambda: len(beside) > 2, 20)
    rests = [after - before for (_, before), (after, _) in itertools.pairwise(beside)]
    assert min(rests) >= slow_s


class _Differing(Differing):
    """So many splits differ; no server is asked."""

    def __init__(self, count: int) -> None:
        self._count = count
        super().__init__(cast("Connection", None), keys_of("default"))
        while self.looking:
            self.look_on()

    def _look(self) -> Iterator[bool]:
        for number in range(self._count):
            self._note(f"weights raw-{number:06}/new", differs=True)
        self._end(has_books=True, lifted=False)
        yield True


def test_to_take_what_differs_costs_no_more_than_to_find_it() -> None:
    """Given 40,000 splits that differ, then taking them in their order passes over none of those that are gone."""
    began, taken = time.thread_time(), list[str]()
    found = _Differing(40_000)
    looked = time.thread_time()
    while portion := found.take(50):
        taken += portion
    assert time.thread_time() - looked < 2 * (looked - began)
    assert taken == [f"weights raw-{number:06}/new" for number in range(40_000)]


def test_a_rollback_is_in_force_while_a_reading_of_very_much_is_under_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a reading in many pieces, then a stop written behind its first holds before the last, and after it."""
    heard: list[str] = []
    reading = threading.Event()
    load = RedisFeed.load

    def loaded(self: RedisFeed, since: str, *, whole: bool) -> object:
        reading.set()
        try:
            return load(self, since, whole=whole)
        finally:
            reading.clear()

    def rest() -> None:
        if not reading.is_set() or threading.current_thread().name != "graysplit":
            return
        if not heard:
            stage.client.hset(stage.key("stops"), "checkout", "by-hand")
        heard.append(split.choose(unit))

    with Router(stage.url, namespace=stage.namespace) as router:
        split = router.split("checkout", "old", "new")
        assert router.wait_ready(20)
        unit = next(f"u{n}" for n in range(100) if split.choose(f"u{n}") == "new")
        for name, value in (("AT_ONCE", 100), ("PIECE", 50)):
            monkeypatch.setattr(hashes, name, value)
        monkeypatch.setattr(follower, "LOOK_S", 0.0)
        monkeypatch.setattr(feed_module, "rest", rest)
        monkeypatch.setattr(RedisFeed, "load", loaded)
        stage.edit(1_500)
        eventually(lambda: "old" in heard)
        assert heard[0] == "new"
        stage.control.unstop("checkout", confirm=True)
        eventually(lambda: split.choose(unit) == "new", 20)


def test_of_very_many_weights_only_what_the_log_names_is_read_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given more weights than one command may bring, then a change brings its own fields, and a whole reading all."""
    monkeypatch.setattr(hashes, "AT_ONCE", 100)
    stage.edit(300)
    _booked(stage)
    feed, other = (store_from_url(stage.url, stage.namespace).follow() for _ in range(2))
    load = feed.load("", whole=True)
    stage.control.set("checkout", 30)
    stage.control.rollback("checkout")
    stage.client.hset(stage.key("weights"), "raw-000001/new", "50")

    def calls() -> int:
        info: Mapping[str, Any] = stage.client.info("commandstats")  # Any: as above
        return int(info.get("cmdstat_hkeys", {}).get("calls", 0))

    before = calls()
    part = feed.load(load.position, whole=False)
    assert calls() == before
    assert not part.whole  # so a whole one comes soon
    whole = other.load("", whole=True)
    assert part.weights.fields == {**whole.weights.fields, b"raw-000001/new": b"5"}
    assert (part.stops, part.meta) == (whole.stops, whole.meta)
    assert [entry.cause for entry in part.entries] == ["set", "rollback"]

    stage.client.hdel(stage.key("weights"), "raw-000002/new")
    stage.control.unstop("checkout", confirm=True)
    again = feed.load(part.position, whole=False)
    assert again.weights == other.load("", whole=True).weights
    for each in (feed, other):
        each.close()


@pytest.mark.parametrize("heavy", [False, True])
def test_what_is_read_again_is_not_held_twice(stage: Stage, monkeypatch: pytest.MonkeyPatch, *, heavy: bool) -> None:
    """Given a second reading, at once or in pieces, then what is equal is the same object, and the rest is as it is."""
    if heavy:
        for name, value in (("AT_ONCE", 100), ("PIECE", 50)):
            monkeypatch.setattr(hashes, name, value)
    stage.edit(300)
    feed, other = (store_from_url(stage.url, stage.namespace).follow() for _ in range(2))
    first = feed.load("", whole=True)
    again = feed.load(first.position, whole=True)
    for one, two in ((first.weights, again.weights), (first.splits, again.splits), (first.meta, again.meta)):
        assert one.fields is two.fields

    stage.client.hset(stage.key("weights"), mapping={"raw-000001/new": "6", "more/new": "7"})
    stage.client.hdel(stage.key("weights"), "raw-000002/new")
    stage.control.create("search")
    last = feed.load(again.position, whole=True)
    assert last._replace(now_ms=0, anchor="", entries=()) == other.load("", whole=True)._replace(
        now_ms=0, anchor="", entries=()
    )
    for before, now in ((first.weights, last.weights), (first.splits, last.splits)):
        held = {id(each) for pair in before.fields.items() for each in pair}
        fresh = [name for name, raw in now.fields.items() if {id(name), id(raw)} - held]
        assert set(fresh) <= {b"raw-000001/new", b"more/new", b"search", b"search/new"}
    for each in (feed, other):
        each.close()


@pytest.mark.parametrize("how", ["as one text", "with a zero byte", "without scripts"])
def test_very_many_fields_come_as_one_text_or_as_they_are(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Given 3,000 weights and definitions, then a reading is the same whichever way the pieces come."""
    stage.edit(3_000)
    stage.client.hset(stage.key("splits"), mapping={f"more-{number}": "no definition" for number in range(1_200)})
    if how == "with a zero byte":
        stage.client.hset(stage.key("weights"), "odd/new", b"5\x00\x00 ")
        stage.client.hset(stage.key("splits"), b"odd\x00", b"")
    for name, value in (("AT_ONCE", 100), ("PIECE", 500)):
        monkeypatch.setattr(hashes, name, value)
    evaluate, packed, plain = Connection.evaluate, list[int](), list[int]()

    def counted(self: Connection, given: Script, keys: tuple[str, ...], arguments: tuple[str, ...]) -> object:
        if given is not script("scan"):
            return evaluate(self, given, keys, arguments)
        packed.append(1)
        return ResponseError("NOPERM") if how == "without scripts" else evaluate(self, given, keys, arguments)

    monkeypatch.setattr(Connection, "evaluate", counted)
    ask = Connection.ask
    monkeypatch.setattr(
        Connection,
        "ask",
        lambda self, *c, **n: (plain.extend(len(one) for one in c if one[0] == "HSCAN"), ask(self, *c, **n))[1],
    )
    load = stage.store.load()
    assert dict(load.weights.fields) == stage.client.hgetall(stage.key("weights"))
    assert dict(load.splits.fields) == stage.client.hgetall(stage.key("splits"))
    assert len(packed) >= (6 if how == "as one text" else 2)
    assert bool(plain) is (how != "as one text")


def test_an_operator_reads_many_fields_in_pieces_and_a_follower_at_one_moment(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given more weights than are taken apart quickly, then only whoever follows asks for them with one command."""
    monkeypatch.setattr(reader, "OPERATORS_AT_ONCE", 100)
    stage.edit(300)
    asked = list[str]()
    transaction = Connection.transaction

    def noted(self: Connection, *commands: Command, writes: bool = False, begun: Posted | None = None) -> list[Reply]:
        asked.extend(str(each[0]) for each in commands if each[1:] == (stage.key("weights"),))
        return transaction(self, *commands, writes=writes, begun=begun)

    monkeypatch.setattr(Connection, "transaction", noted)
    feed = store_from_url(stage.url, stage.namespace).follow()
    own, followed = stage.store.load(), feed.load("", whole=True)
    assert own.weights == followed.weights == Key(stage.client.hgetall(stage.key("weights")))
    assert asked == ["HLEN", "HLEN", "HLEN", "HGETALL"]
    feed.close()


def test_what_a_reading_brought_of_the_log_is_let_go_of(stage: Stage) -> None:
    """Given a reading with entries, then the reader keeps the hashes alone, to know what is equal in the next one."""
    feed = store_from_url(stage.url, stage.namespace).follow()
    load = feed.load("", whole=True)
    assert load.entries
    assert isinstance(feed, RedisFeed)
    assert feed._reader._last == load._replace(entries=())
    feed.close()


def test_what_is_looked_through_of_the_log_in_one_step_is_bounded_in_bytes(stage: Stage) -> None:
    """Given big entries behind small ones, then one step of the server looks at some megabytes of them at most."""
    pipe = stage.client.pipeline(transaction=False)
    for number in range(500):
        small = {"id": f"e{number}", "rev": 1, "split": "other", "cause": "set", "from": "{}"}
        pipe.xadd(stage.key("log"), {**small, "to": "x" * (30_000 if number < 400 else 1)})
    pipe.execute()
    end, steps, sizes = "+", 0, list[int]()
    while end:
        asked = (stage.key("log"), end, "-", "nobody", 1)
        answer = stage.client.eval(script("find").source, 0, *asked)
        after = answer[0].decode()
        rows = stage.client.xrange(stage.key("log"), after or "-", end)
        sizes.append(sum(len(text) for _, fields in rows for text in fields.values()))
        end, steps = after, steps + 1
    assert 4 < steps < 20
    assert max(sizes) < 4_200_000


@pytest.mark.parametrize("searches", [True, False])
def test_a_rollback_among_very_many_weights_finds_its_own(stage: Stage, *, searches: bool) -> None:
    """Given thousands of weights, then a rollback zeroes its split's alone, also where the server may not search."""
    stage.edit(6_000)
    own = {"checkout/b": "7", "checkout/[x]": "3", "checkout-2/new": "5", "heckout/new": "5"}
    stage.client.hset(stage.key("weights"), mapping=own)
    url = stage.url
    if not searches:
        stage.client.execute_command("ACL", "SETUSER", "looks", "on", ">pw", "~*", "&*", "+@all", "-hscan")
        url = url.replace("redis://", "redis://looks:pw@")
    before = stage.client.info("commandstats").get("cmdstat_hscan", {}).get("calls", 0)
    with Control(url, namespace=stage.namespace, actor="ada@host") as control:
        control.rollback("checkout")
    after = stage.client.info("commandstats").get("cmdstat_hscan", {}).get("calls", 0)
    assert (after > before) is searches
    weights = stage.client.hgetall(stage.key("weights"))
    zeroed = {name for name, text in weights.items() if text == b"0"}
    assert zeroed == {b"checkout/new", b"checkout/b", b"checkout/[x]"}
