"""What holds for every write: compare and set, and the rollback that compares nothing."""

# ruff: noqa: S101 - asserts are the point
from __future__ import annotations

from itertools import pairwise

from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.replica.record import SENTINEL
from graysplit.errors import ConflictError, RefusedError, StoreCorruptError
from graysplit.stores.port import RAISE_WINDOW_MS, Expect, KeyName, Rollback, Store, Write, Written
from graysplit.stores.text.records import exact, new_id
from graysplit.testing.contract.reads import ReadingContract
from graysplit.testing.contract.words import (
    DEFINITION,
    EDITORS,
    EDITS,
    alike,
    one,
    put,
    raised,
    seed,
    submission_of,
    together,
)


class WritingContract(ReadingContract):
    """What holds for the writes of every store that takes them."""

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
        """A change that is sent twice is made once, and is not a conflict with itself."""
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
        """A second rollback is not an error, and is written into the history too."""
        store = self.make()
        seed(store, weight="20")
        for _ in range(2):
            store.roll_back(Rollback(new_id(), "checkout", "tester", ""))
        assert store.load().weights.fields[b"checkout/new"] == b"0"
        assert [entry.cause for entry in store.history()] == ["rollback", "rollback", "create"]

    def test_a_second_rollback_keeps_the_first_reason(self) -> None:
        """The stop still says who stopped it first, when and why; the history has both."""
        for target in ("checkout", "checkout/new"):
            store = self.make()
            seed(store, target.replace("/", "-"), weight="20")
            store.roll_back(Rollback(new_id(), target, "ada", "errors doubled"))
            first = exact(store.load().stops.fields[target.encode()])
            store.roll_back(Rollback(new_id(), target, "bob", "to be sure"))
            assert exact(store.load().stops.fields[target.encode()]) == first
            second, before, *_ = store.history()
            assert (second.actor, second.why) == ("bob", "to be sure")
            assert (before.actor, before.why) == ("ada", "errors doubled")
            assert second.before[f"stops {target}"] == second.after[f"stops {target}"] == first
            feed = store.follow()
            assert feed.record_raw_edits("outside") == 0
            feed.close()

    def test_a_rollback_over_a_stop_by_hand_keeps_what_it_says(self) -> None:
        """What a hand wrote stays, and is booked as an edit; a stop that says nothing gets this rollback's reason."""
        store = self.make()
        seed(store, weight="20")
        seed(store, "search", weight="20")
        self.raw("stops", "checkout", "by hand")
        self.raw("stops", "search", "")
        for split in ("checkout", "search"):
            store.roll_back(Rollback(new_id(), split, "ada", "errors doubled"))
        stops = store.load().stops.fields
        assert stops[b"checkout"] == b"by hand"
        assert b"errors doubled" in stops[b"search"]
        feed = store.follow()
        assert feed.record_raw_edits("outside") == 1
        feed.close()
        entry = store.history()[0]
        assert (entry.cause, entry.split, entry.after) == ("edited outside", "checkout", {"stops checkout": "by hand"})

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

    def test_a_later_release_voids_the_mark_of_a_finished_one(self) -> None:
        """Finished at 100, then by hand at zero and later at 30: it runs."""
        store, written = self._rolled_back_after_edits("0", "30", booked=2)
        assert (written.left, written.kept) == (("search",), {"search/new": "100"})
        assert store.load().weights.fields[b"checkout/new"] == b"0"

    def test_a_later_release_voids_it_also_while_the_history_is_behind(self) -> None:
        """The same where the history knows only of the zero so far."""
        store, written = self._rolled_back_after_edits("0", "30", booked=1)
        assert (written.left, written.kept) == (("search",), {"search/new": "100"})
        assert store.load().weights.fields[b"checkout/new"] == b"0"

    def test_a_finished_release_that_was_never_at_zero_is_finished(self) -> None:
        """Another weight by hand begins no release, so that a rollback of everything leaves and names it."""
        store, written = self._rolled_back_after_edits("30", booked=1)
        assert (written.left, written.kept) == (("checkout", "search"), {"checkout/new": "30", "search/new": "100"})
        assert store.load().weights.fields[b"checkout/new"] == b"30"

    def _rolled_back_after_edits(self, *weights: str, booked: int) -> tuple[Store, Written]:
        """Finish two releases at 100, edit the weight of one past the store, and roll back everything."""
        store = self.make()
        for split in ("checkout", "search"):
            seed(store, split, weight="100")
        finished_ms = store.load().now_ms
        for split in ("checkout", "search"):
            self.raw("meta", f"finished:{split}", f"f {finished_ms}")
        while store.load().now_ms == finished_ms:
            pass  # a release begins later by the server's milliseconds
        feed = store.follow()
        for number, weight in enumerate(weights):
            self.raw("weights", "checkout/new", weight)
            assert number >= booked or feed.record_raw_edits("process") == 1
        feed.close()
        return store, store.roll_back(Rollback(new_id(), EVERYTHING, "tester", ""))

    def test_a_rollback_of_everything_takes_any_number(self) -> None:
        """What is too much for one write is lowered in several, the largest shares first, each with its entry."""
        store, weights = self.make(), {f"s{number:03}/new": str(number % 100 + 1) for number in range(600)}
        seed(store, "finished", weight="100")
        self.raw("meta", "finished:finished", "1")
        for field, weight in weights.items():
            self.raw("weights", field, weight)
        rollback = Rollback(new_id(), "*", "tester", "all of it")
        written = store.roll_back(rollback)
        load = store.load()
        assert {field: load.weights.fields[field.encode()] for field in weights} == dict.fromkeys(weights, b"0")
        assert {split_of(field).encode() for field in weights} < load.stops.fields.keys()
        assert b"finished" not in load.stops.fields
        assert written.left == ("finished",)
        assert {where: written.before[where] for where in written.before if where.startswith("weights ")} == {
            f"weights {field}": weight for field, weight in weights.items()
        }
        entries = [entry for entry in store.history(count=100) if entry.cause == "rollback"]
        assert sorted(entry.id for entry in entries) == sorted(written.parts or (written.id,))
        assert written.after == {where: text for entry in entries for where, text in entry.after.items()}
        assert written.revision == max(entry.revision for entry in entries)
        shares = [[int(was or 0) for at, was in entry.before.items() if at.startswith("weights ")] for entry in entries]
        assert all(max(later) <= min(sooner) for later, sooner in pairwise(shares))
        again = store.roll_back(rollback)
        assert (again.after, again.before, again.revision) == (written.after, written.before, written.revision)
        assert len([entry for entry in store.history(count=100) if entry.cause == "rollback"]) == len(entries)

    def test_a_rollback_of_everything_with_nothing_running_changes_nothing(self) -> None:
        """Nothing runs, so nothing is written, and that is not an error."""
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
