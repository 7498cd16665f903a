"""What holds for raw edits, which are written into the history later, and for what a process may lower."""

# ruff: noqa: S101 - asserts are the point
from __future__ import annotations

from graysplit.core.replica.record import SENTINEL
from graysplit.stores.port import Rollback
from graysplit.stores.text.records import new_id
from graysplit.testing.contract.reads import ReadingContract
from graysplit.testing.contract.words import EDITORS, one, put, seed, submission_of, together


class BookingContract(ReadingContract):
    """What holds for raw edits, the books, and brakes."""

    def test_what_the_store_writes_is_booked(self) -> None:
        """After submissions and rollbacks there is nothing to book."""
        store = self.make()
        feed = store.follow()
        seed(store, weight="20")
        put(store, "checkout/new", "30")
        assert feed.record_raw_edits("process") == 0
        store.roll_back(Rollback(new_id(), "checkout", "tester", ""))
        assert feed.record_raw_edits("process") == 0
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
        assert feed.record_raw_edits("web-1/7") == 2  # noqa: PLR2004
        assert feed.record_raw_edits("web-1/7") == 0
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
        together(EDITORS, lambda number: counts.append(feeds[number].record_raw_edits(f"web/{number}")))
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
            assert feed.record_raw_edits("process") == 1
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
        # Where another stop covers the candidate, nobody is let in by the end of one.
        assert release_after("stops", "checkout/new", "by hand") == everything
        assert release_after("stops", "*", "by hand") == everything
        assert release_after("stops", "checkout/new", None) == everything
        assert release_after("weights", "checkout/new", "0") == everything
        feed.close()

    def test_a_lost_key_is_not_booked_as_zeros(self) -> None:
        """A lost key is an outage, not an edit."""
        store = self.make()
        seed(store, weight="20")
        feed = store.follow()
        self.drop("weights")
        assert feed.record_raw_edits("process") == 0
        feed.close()
        assert len(store.history()) == 1

    # --- brakes ---

    def test_a_process_can_stop_what_it_knows_to_be_at_zero(self) -> None:
        """A brake adds a stop that says why, and leaves the weight to those who may write it."""
        store = self.make()
        seed(store, weight="20")
        feed = store.follow()
        assert feed.stop_if_older("checkout/new", "known to be at zero", 0)
        feed.close()
        load = store.load()
        assert b"known to be at zero" in load.stops.fields[b"checkout/new"]
        assert load.weights.fields[b"checkout/new"] == b"20"

    def test_a_brake_leaves_a_stop_as_it_is(self) -> None:
        """Where the field, its split or everything is stopped already, nothing is written."""
        store = self.make()
        seed(store, weight="20")
        feed = store.follow()
        for stop in ("checkout/new", "checkout", "*"):
            self.raw("stops", stop, "by hand")
            assert feed.stop_if_older("checkout/new", "by machine", 0)
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
        assert not feed.stop_if_older("checkout/new", "too late", at_ms - 1)
        assert store.load().stops.fields == {SENTINEL: b"1"}
        assert feed.stop_if_older("checkout/new", "known", at_ms)
        assert b"checkout/new" in store.load().stops.fields
        feed.close()
