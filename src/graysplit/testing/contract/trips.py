"""What holds for a guard's rollback: of the release that it saw, and of no other."""

# ruff: noqa: S101 - asserts are the point
from __future__ import annotations

import json

from graysplit.core.replica.record import Load
from graysplit.stores.port import Rollback, Store, Trip
from graysplit.stores.text.records import new_id, stop_text
from graysplit.testing.contract.reads import ReadingContract
from graysplit.testing.contract.words import SOON_S, one, put, seed, start_plan, submission_of

_WHY = "18 users failed on new, 12 on old; evidence 4,061 of 857"


class TrippingContract(ReadingContract):
    """What holds for trips; a role or server that can only add the stop leaves the rest to whoever books."""

    def test_a_trip_stops_the_release_that_it_saw(self) -> None:
        """The stop says who and why; with the zero and one entry, in the same change or with the next booking."""
        store = self.make()
        trip = self._trip(self._begin(store))
        feed = store.follow()
        assert feed.trip(trip)
        said = json.loads(store.load().stops.fields[b"checkout/new"])
        assert (said["who"], said["why"], said["change"], said["release"]) == ("guard", _WHY, trip.id, trip.release)
        self._book()
        load, entry = store.load(), store.history()[0]
        assert load.weights.fields[b"checkout/new"] == b"0"
        assert (entry.id, entry.split, entry.cause, entry.actor, entry.why) == (
            *(trip.id, "checkout"),
            *("trip", "guard", _WHY),
        )
        assert entry.revision == int(load.meta.fields[b"revision"])
        assert entry.before == {"stops checkout/new": None, "weights checkout/new": "20"}
        assert entry.after == {
            "stops checkout/new": load.stops.fields[b"checkout/new"].decode(),
            "weights checkout/new": "0",
        }
        assert self._book() == 0
        feed.close()

    def test_a_trip_succeeds_twice(self) -> None:
        """Sent again, or by another process, it finds the stop and leaves it: one entry in all."""
        store = self.make()
        trip = self._trip(self._begin(store))
        feed = store.follow()
        assert feed.trip(trip)
        self._book()
        before = store.load()
        for again in (trip, trip._replace(id=new_id(), why="later")):
            assert feed.trip(again)
        self._book()
        assert _at_rest(store.load()) == _at_rest(before)
        assert [entry.cause for entry in store.history()] == ["trip", "start", "create"]
        feed.close()

    def test_a_trip_does_not_fight_another_release(self) -> None:
        """Where another release has begun, or none is known, nothing is done."""
        store = self.make()
        release = self._begin(store)
        feed = store.follow()
        assert feed.trip(self._trip(release))
        self._book()
        self.raw("stops", "checkout/new", None)
        self._book()
        self._begin(store, weight="5")
        before = store.load()
        assert not feed.trip(self._trip(release))
        assert not feed.trip(self._trip(release)._replace(field="checkout/other"))
        assert _at_rest(store.load()) == _at_rest(before)
        feed.close()

    def test_a_plans_step_does_not_save_a_release(self) -> None:
        """A release is constant through a plan: a trip compares neither weight nor revision."""
        store = self.make()
        release = self._begin(store)
        put(store, "checkout/new", "50")
        feed = store.follow()
        assert feed.trip(self._trip(release))
        self._book()
        assert store.history()[0].before["weights checkout/new"] == "50"
        feed.close()

    def test_a_trip_leaves_a_stop_as_it_is(self) -> None:
        """A stop on the field, the split or everything is enough, and nothing changes."""
        store = self.make()
        release = self._begin(store)
        feed = store.follow()
        for stop in ("checkout/new", "checkout", "*"):
            self.raw("stops", stop, "by hand")
            self._book()
            before = store.load()
            assert feed.trip(self._trip(release)), stop
            assert _at_rest(store.load()) == _at_rest(before), stop
            self.raw("stops", stop, None)
        feed.close()

    def test_a_trip_ends_the_plan(self) -> None:
        """What a plan drove is over, and resumes by nobody."""
        store = self.make()
        release = self._begin(store)
        start_plan(store)
        feed = store.follow()
        assert feed.trip(self._trip(release))
        self._book()
        assert b"plan:checkout" not in store.load().meta.fields
        assert store.load().plans.fields == {}
        feed.close()

    def test_a_trip_is_signalled(self) -> None:
        """Every follower hears of it."""
        store = self.make()
        release = self._begin(store)
        feed, other = store.follow(), store.follow()
        feed.load("", whole=True)
        assert other.trip(self._trip(release))
        assert feed.wait(SOON_S)
        feed.close()
        other.close()

    def test_in_doubt_a_trip_stops(self) -> None:
        """With `meta` lost nobody knows of another release: lowering is always allowed."""
        store = self.make()
        release = self._begin(store)
        self.drop("meta")
        feed = store.follow()
        assert feed.trip(self._trip(release))
        assert b"checkout/new" in store.load().stops.fields
        feed.close()

    def test_a_guards_stop_is_booked_as_its_trip(self) -> None:
        """A stop that a guard could only add gets its entry and its zero; what else was edited is told apart."""
        store = self.make()
        self._begin(store)
        text = stop_text(why=_WHY, who="guard", at_ms=1, change="c1", release="r")
        self.raw("stops", "checkout/new", text)
        self.raw("weights", "checkout/new", "30")
        self.raw("weights", "checkout/b", "5")
        self.raw("stops", "search", stop_text(why="no candidate", who="guard", at_ms=1, change="c2", release="r"))
        self.raw("stops", "checkout/c", "by hand")
        feed = store.follow()
        assert feed.record_raw_edits("outside") == 3  # noqa: PLR2004 - the trip, the other edits of checkout, those of search
        entries = {(entry.cause, entry.actor, entry.split): entry for entry in store.history(count=3)}
        assert set(entries) == {
            ("trip", "guard", "checkout"),
            ("edited outside", "outside", "checkout"),
            ("edited outside", "outside", "search"),
        }
        trip = entries["trip", "guard", "checkout"]
        assert (trip.id, trip.why) == ("c1", _WHY)
        assert trip.after == {"stops checkout/new": text, "weights checkout/new": "0"}
        assert trip.before == {"stops checkout/new": None, "weights checkout/new": "20"}
        assert set(entries["edited outside", "outside", "checkout"].after) == {"weights checkout/b", "stops checkout/c"}
        assert store.load().weights.fields[b"checkout/new"] == b"0"
        assert feed.record_raw_edits("outside") == 0
        feed.close()

    def test_a_plan_that_goes_back_is_told_as_its_rollback(self) -> None:
        """Weight zero and stopped, by the plan and with its reason: one entry, whoever could write it."""
        store = self.make()
        release = self._begin(store)
        start_plan(store)
        mark = store.load().meta.fields[b"plan:checkout"].decode()
        feed = store.follow()
        assert feed.trip(self._trip(release)._replace(actor="plan:ramp", cause="rollback", why="waited too long"))
        self._book()
        load, (entry, *older) = store.load(), store.history()
        said = json.loads(load.stops.fields[b"checkout/new"])
        assert (said["who"], said["why"]) == ("plan:ramp", "waited too long")
        assert (entry.cause, entry.actor, entry.why) == ("rollback", "plan:ramp", "waited too long")
        assert entry.before == {
            "stops checkout/new": None,
            "weights checkout/new": "20",
            "meta plan:checkout": mark,
        }
        assert entry.after == {
            "stops checkout/new": load.stops.fields[b"checkout/new"].decode(),
            "weights checkout/new": "0",
            "meta plan:checkout": None,
        }
        assert not [other for other in older if other.cause in {"edited outside", "rollback"}]
        assert load.weights.fields[b"checkout/new"] == b"0"
        assert b"plan:checkout" not in load.meta.fields
        feed.close()

    def test_a_stop_that_says_whose_it_is_is_booked_as_theirs(self) -> None:
        """A person's stop, added alone, is their rollback; a zero written back leaves the weight to a person."""
        store = self.make()
        self._begin(store)
        seed(store, "ranking", weight="30")
        seed(store, "search", weight="5")
        self.raw("weights", "ranking/b", "preview")
        assert self._book() == 1
        stops = {
            "checkout/new": stop_text(why="errors", who="ada", at_ms=1, change="c1", release="r"),
            "ranking": stop_text(why="slow", who="bob", at_ms=1, change="c2", release=""),
            "ranking/b": stop_text(why="worse", who="guard", at_ms=1, change="c3", release=""),
            "search/new": stop_text(why="known", who="graysplit", at_ms=1, change="c4", release=""),
        }
        for field, text in stops.items():
            self.raw("stops", field, text)
        assert self._book() == 4  # noqa: PLR2004 - one for each
        entries = {entry.id: entry for entry in store.history(count=4)}
        assert {id_: (e.cause, e.actor, e.why) for id_, e in entries.items()} == {
            "c1": ("rollback", "ada", "errors"),
            "c2": ("rollback", "bob", "slow"),
            "c3": ("trip", "guard", "worse"),
            "c4": ("rollback", "graysplit", "known"),
        }
        assert entries["c1"].before == {"stops checkout/new": None, "weights checkout/new": "20"}
        assert entries["c1"].after == {"stops checkout/new": stops["checkout/new"], "weights checkout/new": "0"}
        assert entries["c2"].after == {
            "stops ranking": stops["ranking"],
            "weights ranking/b": "0",
            "weights ranking/new": "0",
        }
        assert entries["c3"].after == {"stops ranking/b": stops["ranking/b"]}
        assert entries["c4"].after == {"stops search/new": stops["search/new"]}
        weights = store.load().weights.fields
        assert {weights[field] for field in (b"checkout/new", b"ranking/new", b"ranking/b")} == {b"0"}
        assert weights[b"search/new"] == b"5"
        assert self._book() == 0

    def test_a_rollback_after_a_trip_is_a_persons(self) -> None:
        """A person's word comes last, whatever a guard has written before."""
        store = self.make()
        release = self._begin(store)
        feed = store.follow()
        feed.trip(self._trip(release))
        store.roll_back(Rollback(new_id(), "checkout", "ada", "trouble"))
        feed.record_raw_edits("outside")
        assert [entry.cause for entry in store.history() if entry.cause in {"trip", "rollback"}] != []
        assert {b"checkout", b"checkout/new"} <= set(store.load().stops.fields)
        assert store.load().weights.fields[b"checkout/new"] == b"0"
        feed.close()

    def _begin(self, store: Store, weight: str = "20") -> str:
        """Begin a release of checkout/new, and return its id."""
        if store.load().splits.lost:
            seed(store)
        raw = store.load().weights.fields[b"checkout/new"].decode()
        start = submission_of(store, "checkout", *one("weights", "checkout/new", raw, weight), cause="start")
        store.submit(start._replace(begins=("checkout/new",)))
        return start.id

    def _trip(self, release: str) -> Trip:
        return Trip(new_id(), "checkout/new", release, _WHY)

    def _book(self) -> int:
        """Let somebody who may write the history look after it."""
        feed = self.writer().follow()
        booked = feed.record_raw_edits("outside")
        feed.close()
        return booked


def _at_rest(load: Load) -> Load:
    return load._replace(now_ms=0)
