"""What holds for plans: their progress, and the steps that whoever is first takes."""

# ruff: noqa: S101 - asserts are the point
from __future__ import annotations

from graysplit.errors import ConflictError, NotYetError
from graysplit.stores.port import SETTLE_MS, Due, Expect, ProgressUpdate, Rollback, Store, Write
from graysplit.stores.text.records import exact, new_id
from graysplit.testing.contract.reads import ReadingContract
from graysplit.testing.contract.words import (
    EDITORS,
    PROGRESS,
    TICKED,
    one,
    raised,
    seed,
    start_plan,
    step_of,
    submission_of,
    together,
)


class PlansContract(ReadingContract):
    """What holds for the progress of plans."""

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
        ticking = ProgressUpdate("checkout", PROGRESS, TICKED, "{}", "2 1 1 boot")
        assert not feed.save_progress(ticking._replace(progress="other"))
        assert not feed.save_progress(ticking._replace(tick="other"))
        assert not feed.save_progress(ticking._replace(split="search"))
        assert self._plan(store) == {b"checkout": PROGRESS.encode(), b"tick:checkout": TICKED.encode()}
        assert feed.save_progress(ticking)
        assert not feed.save_progress(ticking)
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
            if feeds[number].save_progress(ProgressUpdate("checkout", PROGRESS, TICKED, PROGRESS, f"2 1 1 {number}")):
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
            assert {*store.history()[0].ended_plans} == {"checkout", "search"} - left, f"{target} tells which ended"

    def test_a_rollback_of_everything_in_the_dark_ends_all_plans(self) -> None:
        """With weights lost nobody knows what runs: the stop is on everything, and no plan outlives it."""
        store = self.make()
        seed(store, weight="20")
        start_plan(store)
        self.drop("weights")
        store.roll_back(Rollback(new_id(), "*", "tester", ""))
        assert self._plans(store) == set()
        assert store.history()[0].ended_plans == ("checkout",)

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
            assert feed.record_raw_edits("process") == 1
            assert self._plans(store) == ({"checkout"} if left else set()), f"{key} {field}"
            assert store.history()[0].ended_plans == (() if left else ("checkout",)), f"{key} {field}"
        feed.close()

    def _plan(self, store: Store) -> dict[bytes, bytes]:
        """Return what is noted of plans."""
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
