"""The contract of every store: plain asserts, one test for each sentence of `graysplit.stores.port`.

Subclass `StoreContract`, give it the three hooks, and let pytest collect it:

    class TestMyStore(StoreContract):
        def make(self): return MyStore(self.name)
        def raw(self, key, field, value): ...
        def drop(self, key): ...
"""

# ruff: noqa: S101 - asserts are the point
from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from graysplit.core.fleet import Declared, Effect, Receipt
from graysplit.core.record import SENTINEL, Key
from graysplit.errors import ConflictError, GraysplitError, NotYetError, RefusedError, StoreCorruptError
from graysplit.stores.port import (
    RAISE_WINDOW_MS,
    SETTLE_MS,
    Due,
    Expect,
    KeyName,
    Place,
    Report,
    Rollback,
    Store,
    Submission,
    Ticking,
    Write,
    Written,
)
from graysplit.stores.wire import exact, new_id

E = TypeVar("E", bound=BaseException)

EDITORS: Final = 8
EDITS: Final = 50
SOON_S: Final = 5.0
QUIET_S: Final = 0.1

# What a re-encoding would change: an empty list, digits beyond a float's, an order of fields, letters beyond ASCII.
PROGRESS: Final = '{"run":"run","step":0}'
TICKED: Final = "1 0 0 boot"
DEFINITION: Final = '{"versions":[],"z":33.333000000000001,"a":9007199254740993,"ü":null}'


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
        """A reading hides nothing: bytes that are no text come through."""
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
        glance = feed.glance(asked)
        assert [glance.texts[place] for place in asked] == ["20", None, DEFINITION, exact(b"\xff{}")]
        assert glance.texts.keys() == set(asked)
        assert abs(glance.now_ms - self.make().load().now_ms) < 60_000  # noqa: PLR2004
        feed.close()

    # --- following ---

    def test_the_log_is_given_with_positions(self) -> None:
        """From a position on come positions and entries, oldest first and no more than asked; who stands is first."""
        writer = self.writer()
        seed(writer)
        store = self.make()
        end = store.told()
        for weight in ("5", "20", "50"):
            put(writer, "checkout/new", weight)
        rows = store.log(end.position, 3)
        assert rows[0][0] == end.position
        assert [entry.cause for _, entry in rows] == ["create", "set", "set"]
        assert store.log(rows[2][0], 9)[1][0] == store.told().position
        assert (end.revision, store.told().revision) == (1, 4)

    def test_nobody_has_been_told_at_first(self) -> None:
        """Where nothing was ever written the log ends at its beginning, and no hook has a record."""
        store = self.make()
        told = store.told()
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


class StoreContract(ReadingContract):
    """What holds for every store that takes writes."""

    # --- ordinary writes ---

    def test_the_first_write_makes_the_namespace(self) -> None:
        """The first write into an empty namespace makes all four keys, a lineage and revision 1."""
        store = self.make()
        written = seed(store)
        load = store.load()
        assert all(key.lost is None for key in (load.weights, load.stops, load.splits, load.meta))
        assert load.meta.fields[b"lineage"] == written.id.encode()
        assert load.meta.fields[b"schema"] == b"1"
        assert written.revision == 1

    def test_a_write_says_what_it_did(self) -> None:
        """The answer names revision, server time, and the fields before and after."""
        store = self.make()
        seed(store)
        written = put(store, "checkout/new", "20")
        assert written.revision == 2  # noqa: PLR2004
        assert written.before == {"weights checkout/new": "0"}
        assert written.after == {"weights checkout/new": "20"}
        assert written.unrecorded is None
        assert abs(written.at_ms - store.load().now_ms) < 60_000  # noqa: PLR2004

    def test_a_definition_is_kept_to_the_letter(self) -> None:
        """No store encodes a definition again."""
        store = self.make()
        seed(store)
        assert store.load().splits.fields[b"checkout"] == DEFINITION.encode()
        assert store.history()[0].after["splits checkout"] == DEFINITION

    def test_what_is_not_as_expected_is_not_written(self) -> None:
        """A field that is not what the editor saw is a conflict, and then nothing is written at all."""
        store = self.make()
        seed(store)
        submission = submission_of(
            store,
            "checkout",
            expect=(Expect("stops", "checkout", None), Expect("weights", "checkout/new", "5")),
            writes=(Write("stops", "checkout", "x"), Write("weights", "checkout/new", "20")),
        )
        error = raised(ConflictError, lambda: store.submit(submission))
        assert "'5'" in error.expected
        assert "'0'" in error.found
        load = store.load()
        assert load.weights.fields[b"checkout/new"] == b"0"
        assert load.stops.fields == {SENTINEL: b"1"}
        assert len(store.history()) == 1

    def test_absence_is_compared_too(self) -> None:
        """A field expected to be absent is a conflict where it is there, and the other way round."""
        store = self.make()
        seed(store)
        absent = submission_of(store, "checkout", expect=(Expect("splits", "checkout", None),))
        present = submission_of(store, "checkout", expect=(Expect("stops", "checkout", "a stop"),))
        raised(ConflictError, lambda: store.submit(absent))
        raised(ConflictError, lambda: store.submit(present))

    def test_bytes_that_are_no_text_can_be_compared(self) -> None:
        """An editor that saw garbage can replace it, comparing exactly what it saw."""
        store = self.make()
        seed(store)
        self.raw("weights", "checkout/new", b"\xff")
        seen = exact(store.load().weights.fields[b"checkout/new"])
        store.submit(submission_of(store, "checkout", *one("weights", "checkout/new", seen, "20")))
        assert store.load().weights.fields[b"checkout/new"] == b"20"
        assert str(store.history()[0]).encode()  # printable

    def test_none_takes_a_field_away(self) -> None:
        """A write of None removes the field; the key stands."""
        store = self.make()
        seed(store)
        store.submit(submission_of(store, "checkout", *one("weights", "checkout/new", "0", None)))
        assert store.load().weights.fields == {SENTINEL: b"1"}

    def test_a_write_needs_an_expectation(self) -> None:
        """What was not compared is not written: the program is wrong."""
        store = self.make()
        blind = submission_of(store, "checkout", expect=(), writes=(Write("weights", "checkout/new", "1"),))
        raised(ValueError, lambda: store.submit(blind))
        assert store.load().weights.lost == "missing"

    def test_the_same_id_again_gives_the_first_answer(self) -> None:
        """A change that is sent twice is made once, and is no conflict with itself."""
        store = self.make()
        seed(store)
        submission = submission_of(store, "checkout", *one("weights", "checkout/new", "0", "20"))
        first = store.submit(submission)
        put(store, "checkout/new", "50")
        assert alike(store.submit(submission), first)
        assert store.load().weights.fields[b"checkout/new"] == b"50"
        assert len(store.history()) == 3  # noqa: PLR2004

    def test_a_raise_on_an_old_reading_is_refused(self) -> None:
        """No delayed raise overtakes a rollback: more than 10 s after its reading it is refused."""
        store = self.make()
        seed(store)
        fresh = submission_of(store, "checkout", *one("weights", "checkout/new", "0", "20"), raises=True)
        old = fresh._replace(read_at_ms=fresh.read_at_ms - RAISE_WINDOW_MS - 1)
        ahead = fresh._replace(read_at_ms=fresh.read_at_ms + 10 * RAISE_WINDOW_MS)
        raised(RefusedError, lambda: store.submit(old))
        raised(RefusedError, lambda: store.submit(ahead))
        assert store.load().weights.fields[b"checkout/new"] == b"0"
        store.submit(fresh._replace(id=new_id()))
        assert store.load().weights.fields[b"checkout/new"] == b"20"

    def test_a_lowering_is_never_too_late(self) -> None:
        """Fences hold back raises only (law 6)."""
        store = self.make()
        seed(store, weight="20")
        late = submission_of(store, "checkout", *one("weights", "checkout/new", "20", "5"))
        store.submit(late._replace(read_at_ms=0))
        assert store.load().weights.fields[b"checkout/new"] == b"5"

    def test_a_release_begins_with_its_change(self) -> None:
        """A started candidate has the change's id and the server's time as its release."""
        store = self.make()
        seed(store)
        started = submission_of(store, "checkout", *one("weights", "checkout/new", "0", "20"))
        written = store.submit(started._replace(begins=("checkout/new",)))
        assert store.load().meta.fields[b"release:checkout/new"] == f"{written.id} {written.at_ms}".encode()

    def test_a_lost_key_refuses_ordinary_writes(self) -> None:
        """Where one of the keys is lost, an ordinary write is refused with the key's name, and changes nothing."""
        for key in ("weights", "stops", "splits", "meta"):
            store = self.make()
            seed(store, f"split-{key}")
            before = self._fields(store, key)
            self.drop(key)
            error = raised(StoreCorruptError, lambda: put(store, "checkout/new", "20", expect=None))  # noqa: B023
            assert f"'{key}'" in str(error)
            assert "graysplit doctor" in str(error)
            assert self._fields(store, key) == {}
            for field, value in before.items():
                self.raw(key, exact(field), value)

    def test_a_key_without_its_mark_refuses_ordinary_writes(self) -> None:
        """A key without its field `_` is as good as lost."""
        store = self.make()
        seed(store)
        self.raw("weights", "_", None)
        raised(StoreCorruptError, lambda: put(store, "checkout/new", "20"))
        assert store.load().weights.fields == {b"checkout/new": b"0"}

    def test_a_lost_key_is_made_whole_by_who_says_so(self) -> None:
        """A submission that mends a lost key writes its field `_` in the same step; another lost key still refuses."""
        for key in ("weights", "stops", "splits", "meta"):
            store = self.make()
            split = f"split-{key}"
            seed(store, split)
            self.drop(key)
            found: KeyName = key
            writes = one(found, split, None, "whole again")
            mending = submission_of(store, split, *writes)._replace(mends=(found,))
            self.drop("stops" if key == "weights" else "weights")
            raised(StoreCorruptError, lambda: store.submit(mending))  # noqa: B023
            assert self._fields(store, key) == {}
            self.raw("stops" if key == "weights" else "weights", "_", "1")
            store.submit(mending)
            fields = self._fields(store, key)
            assert fields[SENTINEL] == b"1"
            assert fields[split.encode()] == b"whole again"
            seed(store, f"after-{key}")

    def test_a_mending_compares_what_stands(self) -> None:
        """What is without its field `_` keeps its other fields, and is compared like anything else."""
        store = self.make()
        seed(store, weight="20")
        self.raw("weights", "_", None)
        mending = submission_of(store, "checkout", *one("weights", "checkout/new", "50", "50"))._replace(
            mends=("weights",)
        )
        raised(ConflictError, lambda: store.submit(mending))
        assert SENTINEL not in self._fields(store, "weights")
        put_back = submission_of(store, "checkout", *one("weights", "checkout/new", "20", "5"))
        store.submit(put_back._replace(mends=("weights",)))
        assert self._fields(store, "weights") == {SENTINEL: b"1", b"checkout/new": b"5"}

    def test_no_edit_is_lost_in_a_race(self) -> None:
        """Eight editors make 400 edits of one split; none is lost, and all stand in the history, in order."""
        store = self.make()
        seed(store)
        together(EDITORS, lambda _: self._edit_often())
        assert store.load().weights.fields[b"checkout/new"] == str(EDITORS * EDITS).encode()
        entries = store.history("checkout", 2 * EDITORS * EDITS)
        assert [entry.revision for entry in entries] == list(range(EDITORS * EDITS + 1, 0, -1))
        steps = [entry.after["weights checkout/new"] for entry in reversed(entries)]
        assert steps == [str(number) for number in range(EDITORS * EDITS + 1)]

    def _edit_often(self) -> None:
        store = self.make()
        for _ in range(EDITS):
            while True:
                seen = exact(store.load().weights.fields[b"checkout/new"])
                try:
                    put(store, "checkout/new", str(int(seen) + 1), expect=seen)
                except ConflictError:
                    continue
                break
        store.close()

    # --- rollback ---

    def test_a_rollback_of_a_split_stops_it_and_zeroes_its_candidates(self) -> None:
        """The split is stopped, every candidate of it is at zero, others are left alone; the stop says why."""
        store = self.make()
        seed(store, weight="20")
        self.raw("weights", "checkout/b", "preview")
        self.raw("weights", "checkout2/new", "30")
        written = store.roll_back(Rollback(new_id(), "checkout", "tester", "errors doubled"))
        load = store.load()
        assert load.weights.fields[b"checkout/new"] == load.weights.fields[b"checkout/b"] == b"0"
        assert load.weights.fields[b"checkout2/new"] == b"30"
        assert load.stops.fields.keys() == {SENTINEL, b"checkout"}
        for word in ("errors doubled", "tester", written.id):
            assert word.encode() in load.stops.fields[b"checkout"]
        assert written.before["weights checkout/new"] == "20"
        assert written.before["stops checkout"] is None
        assert written.after["weights checkout/new"] == "0"
        entry = store.history()[0]
        assert (entry.id, entry.revision, entry.cause) == (written.id, written.revision, "rollback")
        assert entry.before == written.before
        assert entry.after == written.after

    def test_a_rollback_of_one_candidate_leaves_the_others(self) -> None:
        """With three candidates, one can be taken back alone."""
        store = self.make()
        seed(store, "ranking", weight="20")
        self.raw("weights", "ranking/b", "10")
        store.roll_back(Rollback(new_id(), "ranking/b", "tester", ""))
        load = store.load()
        assert load.weights.fields[b"ranking/b"] == b"0"
        assert load.weights.fields[b"ranking/new"] == b"20"
        assert load.stops.fields.keys() == {SENTINEL, b"ranking/b"}

    def test_a_rollback_succeeds_twice(self) -> None:
        """A second rollback is no error, and is written into the history too."""
        store = self.make()
        seed(store, weight="20")
        for _ in range(2):
            store.roll_back(Rollback(new_id(), "checkout", "tester", ""))
        assert store.load().weights.fields[b"checkout/new"] == b"0"
        assert [entry.cause for entry in store.history()] == ["rollback", "rollback", "create"]

    def test_a_rollback_sent_again_is_made_once(self) -> None:
        """The same rollback again gives the first answer."""
        store = self.make()
        seed(store, weight="20")
        rollback = Rollback(new_id(), "checkout", "tester", "")
        first = store.roll_back(rollback)
        assert alike(store.roll_back(rollback), first)
        assert len(store.history()) == 2  # noqa: PLR2004

    def test_a_rollback_of_an_unknown_split_leaves_a_stop(self) -> None:
        """Nobody knows the split: the stop stands all the same, and no weight is invented."""
        store = self.make()
        seed(store)
        store.roll_back(Rollback(new_id(), "nobody", "tester", ""))
        load = store.load()
        assert b"nobody" in load.stops.fields
        assert load.weights.fields == {SENTINEL: b"1", b"checkout/new": b"0"}

    def test_a_rollback_works_in_an_empty_namespace_and_makes_no_keys_whole(self) -> None:
        """A namespace that was lost stays lost: a rollback adds its stop, never the field `_`."""
        store = self.make()
        store.roll_back(Rollback(new_id(), "checkout", "tester", ""))
        load = store.load()
        assert load.stops.fields.keys() == {b"checkout"}
        assert load.weights.lost is not None
        assert load.meta.lost is not None

    def test_what_was_lowered_before_the_first_write_stands(self) -> None:
        """A stop and a zero that came before there was a namespace do not keep it from being made."""
        store = self.make()
        store.roll_back(Rollback(new_id(), "checkout/new", "tester", ""))
        seed(store, "search", weight="20")
        load = store.load()
        assert b"checkout/new" in load.stops.fields
        assert load.weights.fields == {SENTINEL: b"1", b"checkout/new": b"0", b"search/new": b"20"}

    def test_a_rollback_of_everything_takes_what_runs(self) -> None:
        """Every split with a candidate above zero, previewed or unreadable is lowered; finished ones are named."""
        store = self.make()
        for split, weight in (("a", "20"), ("b", "preview"), ("c", "0"), ("d", "100"), ("e", "1_0"), ("f", "000.000")):
            seed(store, split, weight=weight)
        self.raw("meta", "finished:d", "1")
        written = store.roll_back(Rollback(new_id(), "*", "tester", ""))
        load = store.load()
        assert load.stops.fields.keys() == {SENTINEL, b"a", b"b", b"e"}
        assert load.weights.fields[b"a/new"] == load.weights.fields[b"b/new"] == load.weights.fields[b"e/new"] == b"0"
        assert load.weights.fields[b"d/new"] == b"100"
        assert written.left == ("d",)

    def test_a_rollback_of_everything_with_nothing_running_changes_nothing(self) -> None:
        """Nothing runs, so nothing is written, and that is no error."""
        store = self.make()
        seed(store)
        written = store.roll_back(Rollback(new_id(), "*", "tester", ""))
        assert written.after == {}
        assert store.load().stops.fields == {SENTINEL: b"1"}
        assert len(store.history()) == 1

    def test_a_rollback_of_everything_with_weights_lost_stops_everything(self) -> None:
        """Where nobody can tell what runs, the stop is on everything."""
        store = self.make()
        seed(store, weight="20")
        self.drop("weights")
        store.roll_back(Rollback(new_id(), "*", "tester", ""))
        assert b"*" in store.load().stops.fields

    def test_a_rollback_does_without_its_neighbours(self) -> None:
        """With `meta` lost, weight and stop are written, numbers do not begin again, and the answer says so."""
        store = self.make()
        seed(store, weight="20")
        self.drop("meta")
        self.drop("splits")
        written = store.roll_back(Rollback(new_id(), "checkout", "tester", ""))
        load = store.load()
        assert load.weights.fields[b"checkout/new"] == b"0"
        assert b"checkout" in load.stops.fields
        assert load.meta.fields == {}
        assert written.revision == 0
        assert written.unrecorded is not None

    def test_a_rollback_leaves_a_stop_that_an_older_raise_meets(self) -> None:
        """A raise that was decided before a rollback conflicts with its stop, though the weight is the same (ABA)."""
        store = self.make()
        seed(store)
        expect = (Expect("weights", "checkout/new", "0"), Expect("stops", "checkout", None))
        delayed = submission_of(
            store, "checkout", expect=expect, writes=(Write("weights", "checkout/new", "20"),), raises=True
        )
        store.roll_back(Rollback(new_id(), "checkout", "tester", ""))
        raised(ConflictError, lambda: store.submit(delayed))
        assert store.load().weights.fields[b"checkout/new"] == b"0"

    # --- raw edits and the books ---

    def test_what_the_store_writes_is_booked(self) -> None:
        """After submissions and rollbacks there is nothing to book."""
        store = self.make()
        feed = store.follow()
        seed(store, weight="20")
        put(store, "checkout/new", "30")
        assert feed.book("process") == 0
        store.roll_back(Rollback(new_id(), "checkout", "tester", ""))
        assert feed.book("process") == 0
        feed.close()

    def test_a_raw_edit_is_booked_with_before_and_after(self) -> None:
        """A raw edit gets one history entry per split, with a revision of its own and who noticed it."""
        store = self.make()
        seed(store, weight="20")
        seed(store, "search", weight="5")
        feed = store.follow()
        self.raw("weights", "checkout/new", "0")
        self.raw("stops", "checkout", "by hand")
        self.raw("weights", "search/new", None)
        assert feed.book("web-1/7") == 2  # noqa: PLR2004
        assert feed.book("web-1/7") == 0
        feed.close()
        newest, older, *_ = store.history()
        assert [newest.split, older.split] == ["search", "checkout"]
        assert {newest.cause, older.cause} == {"edited outside"}
        assert [newest.revision, older.revision] == [4, 3]
        assert newest.actor == "web-1/7"
        assert newest.id != older.id
        assert older.before == {"weights checkout/new": "20", "stops checkout": None}
        assert older.after == {"weights checkout/new": "0", "stops checkout": "by hand"}
        assert newest.after == {"weights search/new": None}

    def test_racing_processes_book_once(self) -> None:
        """Eight processes notice a raw edit at the same moment; one of them books it."""
        store = self.make()
        seed(store)
        feeds = [self.make().follow() for _ in range(EDITORS)]
        self.raw("weights", "checkout/new", "20")
        counts: list[int] = []
        together(EDITORS, lambda number: counts.append(feeds[number].book(f"web/{number}")))
        for feed in feeds:
            feed.close()
        assert sorted(counts) == [0] * (EDITORS - 1) + [1]
        assert [entry.cause for entry in store.history()] == ["edited outside", "create"]

    def test_a_raw_start_begins_a_release(self) -> None:
        """A raw weight above zero, and a raw end of a stop over such a weight, begin a release; a lowering does not."""
        store = self.make()
        seed(store, weight="0")
        feed = store.follow()

        def release_after(key: str, field: str, value: str | None) -> bytes | None:
            self.raw(key, field, value)
            assert feed.book("process") == 1
            return store.load().meta.fields.get(b"release:checkout/new")

        first = release_after("weights", "checkout/new", "20")
        assert first is not None
        assert first.startswith(store.history()[0].id.encode())
        assert release_after("weights", "checkout/new", "30") == first
        assert release_after("stops", "checkout", "by hand") == first
        cleared = release_after("stops", "checkout", None)
        assert cleared not in (None, first)
        assert release_after("stops", "*", "by hand") == cleared
        everything = release_after("stops", "*", None)
        assert everything not in (None, first, cleared)
        assert release_after("weights", "checkout/new", "0") == everything
        feed.close()

    def test_a_lost_key_is_not_booked_as_zeros(self) -> None:
        """A lost key is an outage, not an edit."""
        store = self.make()
        seed(store, weight="20")
        feed = store.follow()
        self.drop("weights")
        assert feed.book("process") == 0
        feed.close()
        assert len(store.history()) == 1

    # --- brakes ---

    def test_a_process_can_stop_what_it_knows_to_be_at_zero(self) -> None:
        """A brake adds a stop that says why, and leaves the weight to those who may write it."""
        store = self.make()
        seed(store, weight="20")
        feed = store.follow()
        assert feed.brake("checkout/new", "known to stand at zero", 0)
        feed.close()
        load = store.load()
        assert b"known to stand at zero" in load.stops.fields[b"checkout/new"]
        assert load.weights.fields[b"checkout/new"] == b"20"

    def test_a_brake_leaves_a_stop_as_it_is(self) -> None:
        """Where the field, its split or everything is stopped already, nothing is written."""
        store = self.make()
        seed(store, weight="20")
        feed = store.follow()
        for stop in ("checkout/new", "checkout", "*"):
            self.raw("stops", stop, "by hand")
            assert feed.brake("checkout/new", "by machine", 0)
            assert store.load().stops.fields == {SENTINEL: b"1", stop.encode(): b"by hand"}
            self.raw("stops", stop, None)
        feed.close()

    def test_a_brake_does_not_fight_a_younger_release(self) -> None:
        """What a person began after the moment that a process knows of is left alone."""
        store = self.make()
        seed(store)
        started = submission_of(store, "checkout", *one("weights", "checkout/new", "0", "20"))
        at_ms = store.submit(started._replace(begins=("checkout/new",))).at_ms
        feed = store.follow()
        assert not feed.brake("checkout/new", "too late", at_ms - 1)
        assert store.load().stops.fields == {SENTINEL: b"1"}
        assert feed.brake("checkout/new", "known", at_ms)
        assert b"checkout/new" in store.load().stops.fields
        feed.close()

    # --- plans ---

    def test_a_plans_progress_is_no_part_of_the_history(self) -> None:
        """It is written with a change, needs no expectation, and the entry and the answer are silent on it."""
        store = self.make()
        seed(store)
        written = start_plan(store)
        assert self._plan(store) == {b"checkout": PROGRESS.encode(), b"tick:checkout": TICKED.encode()}
        assert written.after == store.history()[0].after == {"meta plan:checkout": "run new"}

    def test_a_plans_progress_can_be_compared(self) -> None:
        """Whoever notes an approval meets the step that came in between."""
        store = self.make()
        seed(store)
        start_plan(store)
        note = (Write("plans", "checkout", "{}"),)
        seen = submission_of(store, "checkout", (Expect("plans", "checkout", "other"),), note)
        raised(ConflictError, lambda: store.submit(seen))
        store.submit(submission_of(store, "checkout", (Expect("plans", "checkout", PROGRESS),), note))
        assert self._plan(store)[b"checkout"] == b"{}"

    def test_a_tick_is_written_if_nobody_was_faster(self) -> None:
        """Progress and tick are compared with what was read, and written both or neither."""
        store = self.make()
        seed(store)
        start_plan(store)
        feed = store.follow()
        ticking = Ticking("checkout", PROGRESS, TICKED, "{}", "2 1 1 boot")
        assert not feed.tick(ticking._replace(progress="other"))
        assert not feed.tick(ticking._replace(tick="other"))
        assert not feed.tick(ticking._replace(split="search"))
        assert self._plan(store) == {b"checkout": PROGRESS.encode(), b"tick:checkout": TICKED.encode()}
        assert feed.tick(ticking)
        assert not feed.tick(ticking)
        assert self._plan(store) == {b"checkout": b"{}", b"tick:checkout": b"2 1 1 boot"}
        assert [entry.cause for entry in store.history()] == ["ramp", "create"]
        feed.close()

    def test_of_racing_ticks_one_is_written(self) -> None:
        """Eight processes tick at the same moment."""
        store = self.make()
        seed(store)
        start_plan(store)
        feeds = [self.make().follow() for _ in range(EDITORS)]
        taken: list[int] = []

        def tick(number: int) -> None:
            if feeds[number].tick(Ticking("checkout", PROGRESS, TICKED, PROGRESS, f"2 1 1 {number}")):
                taken.append(number)

        together(EDITORS, tick)
        for feed in feeds:
            feed.close()
        assert self._plan(store)[b"tick:checkout"] == b"2 1 1 %d" % taken[0]
        assert len(taken) == 1

    def test_a_step_is_taken_once_by_whoever_is_first(self) -> None:
        """Eight processes take the same step over their own connections: one does, the others meet its weight."""
        store = self.make()
        seed(store, weight="5")
        start_plan(store)
        feeds = [self.make().follow() for _ in range(EDITORS)]
        taken: list[int] = []

        def step(number: int) -> None:
            try:
                feeds[number].submit(step_of(store))
            except ConflictError:
                return
            taken.append(number)

        together(EDITORS, step)
        for feed in feeds:
            feed.close()
        assert len(taken) == 1
        assert [entry.cause for entry in store.history()] == ["step", "ramp", "create"]

    def test_a_step_is_not_taken_before_its_time_nor_long_after(self) -> None:
        """The store's clock decides, not the driver's: what is refused is not written."""
        store = self.make()
        seed(store, weight="5")
        start_plan(store)
        now_ms = store.load().now_ms
        minute = 60_000
        for first, last in ((now_ms + minute, now_ms + 2 * minute), (now_ms - 2 * minute, now_ms - minute)):
            due = Due(first, last, settled=True)
            error = raised(NotYetError, lambda: store.submit(step_of(store)._replace(due=due)))  # noqa: B023
            assert "not due" in str(error)
        assert store.load().weights.fields[b"checkout/new"] == b"5"
        assert [entry.cause for entry in store.history()] == ["ramp", "create"]
        store.submit(step_of(store)._replace(due=Due(now_ms - minute, now_ms + minute, settled=False)))
        assert store.load().weights.fields[b"checkout/new"] == b"20"

    def test_no_step_is_taken_in_the_first_seconds_of_a_servers_life(self) -> None:
        """It may have forgotten a rollback: another start than the one that is known is noted, and waited out."""
        store = self.make()
        seed(store, weight="5")
        start_plan(store)
        run_id, since = store.load().meta.fields[b"run_id"].split()
        assert since == b"0"
        self.raw("meta", "run_id", "another 0")
        for _ in range(2):
            error = raised(NotYetError, lambda: store.submit(step_of(store)))
            assert "started" in str(error)
        load = store.load()
        noted, since = load.meta.fields[b"run_id"].split()
        assert noted == run_id
        assert abs(int(since) - load.now_ms) < SETTLE_MS
        self.raw("meta", "run_id", b"%s %d" % (run_id, load.now_ms - SETTLE_MS - 1))
        store.submit(step_of(store))
        assert store.load().weights.fields[b"checkout/new"] == b"20"

    def test_a_plan_that_begins_notes_the_start_of_its_server(self) -> None:
        """Where another start was known, this one counts from now."""
        store = self.make()
        seed(store, weight="5")
        self.raw("meta", "run_id", "another 0")
        at_ms = start_plan(store).at_ms
        noted, since = store.load().meta.fields[b"run_id"].split()
        assert noted != b"another"
        assert abs(int(since) - at_ms) < SETTLE_MS

    def test_a_change_can_end_a_plan(self) -> None:
        """Its progress, its tick and its mark go in the same step; a plan that begins with the change stands."""
        store = self.make()
        seed(store)
        for split in ("checkout", "search"):
            start_plan(store, split)
        ending = submission_of(store, "checkout", *one("weights", "checkout/new", "0", "5"))
        store.submit(ending._replace(ends=("checkout",)))
        assert self._plans(store) == {"search"}
        again = submission_of(store, "search", writes=(Write("plans", "search", "{}"),))
        store.submit(again._replace(ends=("search",)))
        assert self._plan(store) == {b"search": b"{}"}

    def test_a_rollback_ends_the_plan_of_what_it_brings_down(self) -> None:
        """The split's, the candidate's, or all of them; another candidate's rollback leaves it."""
        for target, left in (
            ("checkout", {"search"}),
            ("checkout/new", {"search"}),
            ("checkout/other", {"checkout", "search"}),
            ("*", set[str]()),
        ):
            store = self.make()
            for split in ("checkout", "search"):
                if split.encode() not in store.load().splits.fields:
                    seed(store, split)
                self.raw("stops", split, None)
                self.raw("weights", f"{split}/new", "20")
                self._end(split)
                start_plan(store, split)
            store.roll_back(Rollback(new_id(), target, "tester", ""))
            assert self._plans(store) == left, target

    def test_a_rollback_of_everything_in_the_dark_ends_all_plans(self) -> None:
        """With weights lost nobody knows what runs: the stop is on everything, and no plan outlives it."""
        store = self.make()
        seed(store, weight="20")
        start_plan(store)
        self.drop("weights")
        store.roll_back(Rollback(new_id(), "*", "tester", ""))
        assert self._plans(store) == set()

    def test_a_raw_edit_ends_a_plan_once_it_is_booked(self) -> None:
        """Of its candidate's weight, or of a stop that holds it; what concerns another candidate leaves it."""
        store = self.make()
        seed(store, weight="20")
        feed = store.follow()
        for key, field, left in (
            ("weights", "checkout/other", True),
            ("stops", "checkout/other", True),
            ("weights", "checkout/new", False),
            ("stops", "checkout/new", False),
            ("stops", "checkout", False),
            ("stops", "*", False),
        ):
            self._end("checkout")
            start_plan(store)
            self.raw(key, field, "0")
            assert self._plans(store) == {"checkout"}
            assert feed.book("process") == 1
            assert self._plans(store) == ({"checkout"} if left else set()), f"{key} {field}"
        feed.close()

    def _plan(self, store: Store) -> dict[bytes, bytes]:
        """Give what is noted of plans."""
        return dict(store.load().plans.fields)

    def _plans(self, store: Store) -> set[str]:
        """Name the splits whose plan runs: by mark and by progress, which never disagree."""
        load = store.load()
        marked = {exact(name)[5:] for name in load.meta.fields if name.startswith(b"plan:")}
        noted = {exact(name).removeprefix("tick:") for name in load.plans.fields}
        assert marked == noted
        return marked

    def _end(self, split: str) -> None:
        """Take a plan away past the store."""
        for key, field in (("plans", split), ("plans", f"tick:{split}"), ("meta", f"plan:{split}")):
            self.raw(key, field, None)

    # --- the fleet ---

    def test_a_feed_gives_the_fleet_too(self) -> None:
        """Over its own connection, the same as the store."""
        store = self.make()
        feed = store.follow()
        feed.report(report_of("boot-1", weight="20"), about=True)
        assert feed.fleet().processes == store.fleet().processes
        assert [process.boot for process in feed.fleet().live] == ["boot-1"]
        feed.close()

    def test_a_process_is_seen_with_what_it_says(self) -> None:
        """A heartbeat shows a process, what it declares and what it does now."""
        store = self.make()
        feed = store.follow()
        report = report_of("boot-1", weight="20")
        at_ms = feed.report(report, about=True)
        (process,) = store.fleet().processes
        assert (process.boot, process.host, process.pid, process.library) == ("boot-1", "web-7", 812, "1.0")
        assert process.declared == report.declared
        assert process.receipt == report.receipt
        assert process.seen_ms == at_ms
        assert process in store.fleet().live
        feed.close()

    def test_a_later_heartbeat_replaces_the_receipt(self) -> None:
        """The newest receipt counts; what hardly changes need not be said again."""
        store = self.make()
        feed = store.follow()
        feed.report(report_of("boot-1", weight="20"), about=True)
        feed.report(report_of("boot-1", weight="0"), about=False)
        (process,) = store.fleet().processes
        assert process.receipt.effects["checkout/new"].weight == "0"
        assert process.host == "web-7"
        feed.close()

    def test_a_process_that_was_forgotten_comes_back_whole(self) -> None:
        """A heartbeat without the rest is completed where the store has lost that."""
        store = self.make()
        feed = store.follow()
        feed.report(report_of("boot-1", weight="20"), about=False)
        (process,) = store.fleet().processes
        assert process.host == "web-7"
        feed.close()

    def test_a_goodbye_leaves_the_count(self) -> None:
        """A process that says goodbye is not silent, it is gone; saying it twice does no harm."""
        store = self.make()
        feed = store.follow()
        for boot in ("boot-1", "boot-2"):
            feed.report(report_of(boot, weight="20"), about=True)
        for _ in range(2):
            feed.leave("boot-1")
        assert [process.boot for process in store.fleet().processes] == ["boot-2"]
        feed.close()

    def test_a_heartbeat_tells_how_many_there_are(self) -> None:
        """Who follows knows the size of its fleet, and comes back to a restarted server the slower for it."""
        store = self.make()
        feed = store.follow()
        for count, boot in enumerate(("boot-1", "boot-2", "boot-3"), 1):
            feed.report(report_of(boot, weight="20"), about=True)
            assert feed.counted == count
        feed.close()

    # --- hooks ---

    def test_how_far_a_hook_was_told_is_written_as_it_was_read(self) -> None:
        """A record is compared and written: absent, then as the last writer left it; others' stay as they are."""
        store = self.make()
        assert store.tell("page", None, "one")
        assert not store.tell("page", None, "two")
        assert not store.tell("page", "other", "two")
        assert store.tell("chät", None, "ü")
        assert store.tell("page", "one", "two")
        assert dict(self.make().told().texts) == {"page": "two", "chät": "ü"}

    def test_racing_tellers_take_one_turn(self) -> None:
        """Of many who write over the same record at once, one is told that it did."""
        self.make().tell("page", None, "free")
        stores = [self.make() for _ in range(EDITORS)]
        won: list[int] = []

        def take(number: int) -> None:
            if stores[number].tell("page", "free", f"teller {number}"):
                won.append(number)

        together(EDITORS, take)
        assert len(won) == 1
        assert self.make().told().texts["page"] == f"teller {won[0]}"

    def test_telling_wakes_nobody(self) -> None:
        """No follower is signalled, and the history stays as it is."""
        store = self.make()
        seed(store)
        feed = store.follow()
        feed.load("", whole=True)
        store.tell("page", None, "one")
        woken = feed.wait(QUIET_S)
        feed.close()
        assert not woken
        assert len(store.history()) == 1

    def test_a_heartbeat_wakes_nobody(self) -> None:
        """Receipts are no signal: n processes would cost n^2 wake-ups."""
        store = self.make()
        seed(store)
        one_feed, other = store.follow(), self.make().follow()
        one_feed.load("", whole=True)
        other.report(report_of("boot-2", weight="20"), about=True)
        assert not one_feed.wait(QUIET_S)
        one_feed.close()
        other.close()

    def _fields(self, store: Store, key: str) -> dict[bytes, bytes]:
        load = store.load()
        found: dict[str, Key] = {"weights": load.weights, "stops": load.stops, "splits": load.splits, "meta": load.meta}
        return dict(found[key].fields)


# --- a few words to write tests with ---------------------------------------------------------------------------------


def seed(store: Store, split: str = "checkout", *, weight: str = "0") -> Written:
    """Create a split with one candidate."""
    return store.submit(
        submission_of(
            store,
            split,
            expect=(Expect("splits", split, None), Expect("weights", f"{split}/new", None)),
            writes=(Write("splits", split, DEFINITION), Write("weights", f"{split}/new", weight)),
            cause="create",
        )
    )


def put(store: Store, field: str, weight: str, *, expect: str | None = "", why: str = "") -> Written:
    """Set a weight, comparing it with what stands there now, or with what is given."""
    seen = expect
    if expect == "":
        raw = store.load().weights.fields.get(field.encode())
        seen = None if raw is None else exact(raw)
    split = field.partition("/")[0]
    return store.submit(submission_of(store, split, *one("weights", field, seen, weight), why=why))


def start_plan(store: Store, split: str = "checkout") -> Written:
    """Begin a plan: its mark, its progress and its first tick."""
    writes = (
        Write("meta", f"plan:{split}", "run new"),
        Write("plans", split, PROGRESS),
        Write("plans", f"tick:{split}", TICKED),
    )
    return store.submit(submission_of(store, split, (Expect("meta", f"plan:{split}", None),), writes, cause="ramp"))


def step_of(store: Store) -> Submission:
    """Give a plan's step from 5 to 20, due now."""
    step = submission_of(store, "checkout", *one("weights", "checkout/new", "5", "20"), cause="step", raises=True)
    due = Due(step.read_at_ms, step.read_at_ms + 30_000, settled=True)
    notes = (Write("plans", "checkout", PROGRESS), Write("plans", "tick:checkout", TICKED))
    return step._replace(writes=(*step.writes, *notes), due=due)


def one(key: KeyName, field: str, seen: str | None, value: str | None) -> tuple[tuple[Expect], tuple[Write]]:
    """Give the expectation and the write of a single field."""
    return (Expect(key, field, seen),), (Write(key, field, value),)


def submission_of(  # noqa: PLR0913 - all of what a submission says
    store: Store,
    split: str,
    expect: Iterable[Expect] = (),
    writes: Iterable[Write] = (),
    *,
    cause: str = "set",
    why: str = "",
    raises: bool = False,
) -> Submission:
    """Give a submission that rests on a reading of now."""
    return Submission(
        id=new_id(),
        split=split,
        cause=cause,
        actor="tester",
        why=why,
        expect=tuple(expect),
        writes=tuple(writes),
        read_at_ms=store.load().now_ms,
        raises=raises,
    )


def alike(again: Written, first: Written) -> bool:
    """Say whether an answer is the first one over again; its time may differ by what one write takes."""
    return again._replace(at_ms=first.at_ms) == first and abs(again.at_ms - first.at_ms) < 1_000  # noqa: PLR2004


def report_of(boot: str, *, weight: str) -> Report:
    """Give a heartbeat."""
    return Report(
        boot=boot,
        host="web-7",
        pid=812,
        library="1.0",
        declared={"checkout": Declared("old", ("old", "new"), "route", 17)},
        receipt=Receipt(
            "c1", 3, {"checkout/new": Effect(weight, 2, "off")}, "memory", ("weights x/y: bad",), {"weights a/b": "5"}
        ),
    )


def raised(kind: type[E], act: Callable[[], object]) -> E:
    """Do something that must raise, and give the error."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def together(count: int, work: Callable[[int], None]) -> None:
    """Do something in several threads that start at the same moment; what one of them raises is raised here."""
    start = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait(SOON_S)
            work(number)
        except (GraysplitError, AssertionError, threading.BrokenBarrierError, ValueError, KeyError) as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
