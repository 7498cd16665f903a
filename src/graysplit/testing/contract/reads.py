"""What holds for every store, also for one that refuses writes: readings, the log, signals."""

# ruff: noqa: S101 - asserts are the point
from __future__ import annotations

import threading
from collections.abc import Callable

from graysplit.core.address import version_of
from graysplit.core.replica.record import SENTINEL, Key
from graysplit.stores.places import FOR_ALL, OF_SPLIT, OF_VERSION, places_of
from graysplit.stores.port import Place, Rollback, Store
from graysplit.stores.text.records import exact, new_id, raw_of
from graysplit.testing.contract.words import DEFINITION, QUIET_S, SOON_S, put, seed


class ReadingContract:
    """What holds for every store, also for one that refuses writes."""

    def make(self) -> Store:
        """Open a store; within one test all of them see the same, at first empty, data."""
        raise NotImplementedError

    def raw(self, key: str, field: str, value: str | bytes | None) -> None:
        """Write one field past the store (None: take it away), as `redis-cli` would."""
        raise NotImplementedError

    def drop(self, key: str) -> None:
        """Lose a whole key."""
        raise NotImplementedError

    def writer(self) -> Store:
        """Open a store that takes writes on the same data; the same as `make` unless that refuses them."""
        return self.make()

    # --- what a reading gives ---

    def test_an_empty_namespace_is_lost_not_empty(self) -> None:
        """Where nothing was ever written, no key counts as an answer (law 8)."""
        load = self.make().load()
        assert [key.lost for key in (load.weights, load.stops, load.splits, load.meta)] == ["missing"] * 4
        assert load.entries == ()
        assert load.position == "0-0"
        assert load.whole

    def test_a_reading_holds_bytes_of_all_four_keys(self) -> None:
        """A reading gives raw fields, each key with its field `_`."""
        seed(self.writer())
        load = self.make().load()
        assert load.weights.fields == {SENTINEL: b"1", b"checkout/new": b"0"}
        assert load.splits.fields == {SENTINEL: b"1", b"checkout": DEFINITION.encode()}
        assert load.stops.fields == {SENTINEL: b"1"}
        assert load.meta.fields[b"revision"] == b"1"
        assert load.role == "master"

    def test_a_reading_for_editors_holds_the_books(self) -> None:
        """Weights and stops as the history knows them stand beside those that a raw edit has made of them."""
        seed(self.writer(), weight="5")
        self.raw("weights", "checkout/new", "20")
        load = self.make().load()
        assert load.booked.fields[b"weights checkout/new"] == b"5"

    def test_a_raw_edit_is_read_as_it_is(self) -> None:
        """A reading hides nothing: bytes that are not text come through."""
        seed(self.writer())
        self.raw("weights", "checkout/new", b"\xff\x00")
        assert self.make().load().weights.fields[b"checkout/new"] == b"\xff\x00"

    def test_a_lost_key_is_named(self) -> None:
        """A key that is gone, and one without its field `_`, are lost; the others still count."""
        seed(self.writer())
        self.drop("weights")
        self.raw("stops", "_", None)
        self.raw("stops", "checkout", "by hand")
        load = self.make().load()
        assert load.weights.lost == "missing"
        assert load.stops.lost is not None
        assert load.stops.fields == {b"checkout": b"by hand"}
        assert load.splits.lost is None

    def test_the_log_is_given_from_a_position_on(self) -> None:
        """With a position come the entries after it, oldest first, and who stands there; without one the newest."""
        writer = self.writer()
        seed(writer)
        store = self.make()
        feed = store.follow()
        first = feed.load("", whole=True)
        for weight in ("5", "20", "50"):
            put(writer, "checkout/new", weight)
        after = feed.load(first.position, whole=True)
        last = feed.load("", whole=True)
        feed.close()
        assert [entry.cause for entry in first.entries] == ["create"]
        assert [entry.after["weights checkout/new"] for entry in after.entries] == ["5", "20", "50"]
        assert last.entries[-1] == after.entries[-1]
        assert after.anchor == first.entries[-1].id
        assert last.anchor == first.anchor == ""
        assert last.position == after.position != first.position

    def test_the_history_is_newest_first(self) -> None:
        """The history gives the newest entries first, of one split or of all, with values before and after."""
        writer = self.writer()
        seed(writer)
        seed(writer, "search")
        put(writer, "checkout/new", "20", why="step 1")
        store = self.make()
        assert [entry.split for entry in store.history()] == ["checkout", "search", "checkout"]
        assert [entry.cause for entry in store.history("checkout")] == ["set", "create"]
        assert len(store.history(count=2)) == 2  # noqa: PLR2004
        entry = store.history("checkout", 1)[0]
        assert (entry.actor, entry.why, entry.revision) == ("tester", "step 1", 3)
        assert entry.before == {"weights checkout/new": "0"}
        assert entry.after == {"weights checkout/new": "20"}
        assert abs(entry.at_ms - store.load().now_ms) < 60_000  # noqa: PLR2004

    def test_the_history_of_a_split_holds_acts_on_everything(self) -> None:
        """A rollback of everything stands in the history of each split that it changed, and of no other."""
        writer = self.writer()
        seed(writer)
        seed(writer, "search")
        put(writer, "checkout/new", "20")
        writer.roll_back(Rollback(new_id(), "*", "tester", ""))
        store = self.make()
        assert store.history("checkout", 1)[0].cause == "rollback"
        assert store.history("search", 1)[0].cause == "create"

    def test_a_glance_gives_a_few_fields_at_one_moment(self) -> None:
        """Only what was asked for, to the letter, with the server's time; what is not there is None."""
        seed(self.writer(), weight="20")
        self.raw("plans", "checkout", b"\xff{}")
        feed = self.make().follow()
        asked: list[Place] = [
            ("weights", "checkout/new"),
            ("stops", "*"),
            ("splits", "checkout"),
            ("plans", "checkout"),
        ]
        for reading in (feed.read_fields(asked), self.make().read_fields(asked)):
            assert [reading.texts[place] for place in asked] == ["20", None, DEFINITION, exact(b"\xff{}")]
            assert reading.texts.keys() == set(asked)
            assert abs(reading.now_ms - self.make().load().now_ms) < 60_000  # noqa: PLR2004
        feed.close()

    def test_a_reading_of_splits_has_their_fields_and_no_others(self) -> None:
        """What concerns the splits that were asked for, as a reading of everything has it; what is absent is None."""
        writer, store = self.writer(), self.make()
        for split in ("checkout", "ranking", "search"):
            seed(writer, split, weight="5")
        record = '{"versions":[{"name":"old"},{"name":"new"}]}'
        for split in ("checkout", "ranking"):
            self.raw("splits", split, record)
            for key, prefix in (*OF_SPLIT[1:], *OF_VERSION):
                self.raw(key, f"{prefix}{split}/new", f"{prefix}of {split}")
        self.raw("stops", "*", b"\xffby hand")
        self.raw("meta", "freezes", "[]")
        found = store.read_splits(["ranking", "checkout"])
        names = ("old", "new")
        assert set(found.texts) == {*FOR_ALL, *places_of("checkout", names), *places_of("ranking", names)}
        load = store.load()
        keys = {"weights": load.weights, "stops": load.stops, "splits": load.splits, "meta": load.meta}
        for (key, field), value in found.texts.items():
            raw = (load.plans if key == "plans" else keys[key]).fields.get(raw_of(field))
            assert value == (None if raw is None else exact(raw)), (key, field)
        assert found.texts["stops", "*"] == exact(b"\xffby hand")
        assert found.texts["meta", "release:ranking/new"] == "release:of ranking"
        assert found.texts["weights", "checkout/old"] is None
        assert abs(found.now_ms - load.now_ms) < 60_000  # noqa: PLR2004

    def test_a_reading_of_splits_believes_no_record(self) -> None:
        """Where a definition is absent, or no definition, no version is named; a lost key lacks its field `_`."""
        seed(self.writer())
        records = (
            "",
            "{",
            "[]",
            '{"versions":{"new":1}}',
            '{"versions":[1,{"name":2},{"name":"b"}]}',
            '{"tombstone":"c"}',
        )
        for record in records:
            self.raw("splits", "checkout", record)
            found = self.make().read_splits(["checkout", "nobody"])
            known = {version_of(field) for key, field in found.texts if key == "weights" and "/" in field}
            assert known == ({"b"} if '"b"' in record else set()), record
            assert found.texts["splits", "nobody"] is None
        self.drop("stops")
        assert self.make().read_splits(["checkout"]).texts["stops", "_"] is None

    def test_a_tally_of_nothing_is_empty(self) -> None:
        """Where nothing was ever counted there are windows without books, no stages and no judge."""
        store = self.make()
        feed = store.follow()
        for tally in (store.tally("checkout/new", "r1", 0), feed.tally("checkout/new", "r1", 0)):
            assert (tally.field, tally.release, tally.judge) == ("checkout/new", "r1", "")
            assert (tally.stages, tally.running, dict(tally.named), tally.course) == ((), (), {}, ())
            assert {one.window.books for one in tally.kept} == {()}
            assert abs(tally.now_ms - store.load().now_ms) < 60_000  # noqa: PLR2004
        feed.close()

    # --- following ---

    def test_the_log_is_given_with_positions(self) -> None:
        """From a position on come positions and entries, oldest first and no more than asked; who stands is first."""
        writer = self.writer()
        seed(writer)
        store = self.make()
        end = store.read_cursors()
        for weight in ("5", "20", "50"):
            put(writer, "checkout/new", weight)
        rows = store.log(end.position, 3)
        assert rows[0][0] == end.position
        assert [entry.cause for _, entry in rows] == ["create", "set", "set"]
        assert store.log(rows[2][0], 9)[1][0] == store.read_cursors().position
        assert (end.revision, store.read_cursors().revision) == (1, 4)

    def test_nobody_has_been_told_at_first(self) -> None:
        """Where nothing was ever written the log ends at its beginning, and no hook has a record."""
        store = self.make()
        told = store.read_cursors()
        assert (dict(told.texts), told.position, told.revision) == ({}, "0-0", 0)
        assert store.log("0-0", 9) == ()
        assert told.now_ms > 0

    def test_a_feed_that_has_read_nothing_says_so(self) -> None:
        """Before the first load a signal stands."""
        feed = self.make().follow()
        assert feed.wait(QUIET_S)
        feed.close()

    def test_quiet_is_quiet(self) -> None:
        """After a load nothing is signalled until something is written."""
        seed(self.writer())
        feed = self.make().follow()
        feed.load("", whole=True)
        assert not feed.wait(QUIET_S)
        feed.close()

    def test_any_writer_is_signalled(self) -> None:
        """A change by anybody is a signal: a submission, a rollback, raw edits, a lost key."""
        writer = self.writer()
        seed(writer)
        acts: list[Callable[[], object]] = [
            lambda: put(writer, "checkout/new", "20"),
            lambda: self.raw("weights", "checkout/new", "30"),
            lambda: self.raw("weights", "checkout/new", None),
            lambda: self.raw("stops", "checkout", "by hand"),
            lambda: self.raw("splits", "checkout", "{}"),
            lambda: self.raw("meta", "freeze:*", "1"),
            lambda: writer.roll_back(Rollback(new_id(), "checkout", "tester", "")),
            lambda: self.drop("weights"),
        ]
        feed = self.make().follow()
        for number, act in enumerate(acts):
            feed.load("", whole=True)
            act()
            assert feed.wait(SOON_S), f"act {number} was not signalled"
        feed.close()

    def test_a_plans_progress_wakes_nobody(self) -> None:
        """It is noted once a second, and nobody decides by it: n processes would be woken for nothing."""
        seed(self.writer())
        feed = self.make().follow()
        feed.load("", whole=True)
        self.raw("plans", "tick:checkout", "1 0 1 boot")
        assert not feed.wait(QUIET_S)
        assert self.make().load().plans.fields == {b"tick:checkout": b"1 0 1 boot"}
        feed.close()

    def test_a_signal_stands_until_the_next_load(self) -> None:
        """What is written between a load and a wait is not lost, and a signal not acted upon comes again."""
        seed(self.writer())
        feed = self.make().follow()
        feed.load("", whole=True)
        self.raw("weights", "checkout/new", "30")
        assert feed.wait(SOON_S)
        assert feed.wait(SOON_S)
        assert feed.load("", whole=True).weights.fields[b"checkout/new"] == b"30"
        assert not feed.wait(QUIET_S)
        feed.close()

    def test_a_waiting_feed_is_woken(self) -> None:
        """A signal ends a wait that has already begun."""
        seed(self.writer())
        feed = self.make().follow()
        feed.load("", whole=True)
        timer = threading.Timer(QUIET_S, self.raw, ("weights", "checkout/new", "30"))
        timer.start()
        assert feed.wait(SOON_S)
        timer.join()
        feed.close()

    def test_closing_twice_does_no_harm(self) -> None:
        """Feeds and stores may be closed again."""
        store = self.make()
        feed = store.follow()
        for _ in range(2):
            feed.close()
            store.close()

    def _fields(self, store: Store, key: str) -> dict[bytes, bytes]:
        load = store.load()
        found: dict[str, Key] = {"weights": load.weights, "stops": load.stops, "splits": load.splits, "meta": load.meta}
        return dict(found[key].fields)
