"""What holds for the evidence of guards: batches are added once, and counts read back and judged."""

# ruff: noqa: S101, PLR2004, FBT003 - asserts are the point, small numbers what is counted, and a side is yes or no
from __future__ import annotations

from typing import Final, NamedTuple

from graysplit.core.guard.sequential_test import STOPWATCHES_S, STRATA_AT_MOST
from graysplit.core.guard.tally import (
    EXPOSED_AT_MOST,
    MICRO,
    Batch,
    Begun,
    Converted,
    Exposed,
    Failed,
    Goal,
    Judgement,
    Kept,
    Pair,
    Raised,
    RunningCalls,
    Sample,
    Stage,
    Tally,
)
from graysplit.core.guard.verdict import What
from graysplit.core.guard.windows import Span, WindowSide, judged_spans
from graysplit.stores.port import Feed, Store, Wanted
from graysplit.testing.contract.reads import ReadingContract
from graysplit.testing.contract.words import QUIET_S, seed, together

FIELD: Final = "checkout/new"
RELEASE: Final = "r1"
TWENTY: Final = Stage(20_000, 80_000, 1)
FIFTY: Final = Stage(50_000, 50_000, 2)
_BIG: Final = 0xFEDC_BA98_7654_3210  # no number of Lua's is so exact


class Release(NamedTuple):
    """A release that began ten seconds ago, with who counts in it: no window of it ends within a test."""

    feed: Feed
    now_s: int

    @property
    def started_s(self) -> int:
        """Return when it began."""
        return self.now_s - 10

    def batch(self, number: int = 1, buffer: str = "tape", stage: Stage = TWENTY) -> Batch:
        """Return an empty batch."""
        return Batch(FIELD, RELEASE, self.started_s, buffer, number, stage)

    def tally(self) -> Tally:
        """Read what is counted."""
        return self.feed.tally(FIELD, RELEASE, self.started_s)

    def judgement(self, before: str = "", after: str = "judge") -> Judgement:
        """Return a judgement that says nothing else."""
        return Judgement(FIELD, RELEASE, before, after)


def begin(store: Store) -> Release:
    """Begin a release; nothing of it is in the store yet."""
    feed = store.follow()
    return Release(feed, feed.tally(FIELD, RELEASE, 0).now_ms // 1000)


def kept(tally: Tally, what: What, length_s: int = 60) -> Kept:
    """Find the present window of a stopwatch."""
    return next(one for one in reversed(tally.kept) if (one.what, one.window.span.length_s) == (what, length_s))


def side(tally: Tally, what: What, *, on_new: bool, stage: int = 1, length_s: int = 60) -> WindowSide:
    """Find what a window has booked of one version in one stage."""
    book = next(one for one in kept(tally, what, length_s).window.books if one.name.stage == stage)
    return book.new if on_new else book.old


def units(of: WindowSide) -> int:
    """Count all units of a side, settled or not."""
    return of.settled + sum(of.recent.values())


class TallyContract(ReadingContract):
    """What holds for tallies."""

    # --- batches ---

    def test_a_batch_is_applied_whole_and_once(self) -> None:
        """What is sent again counts once, and says so; a lower number is older, whatever it tells."""
        now = begin(self.make())
        batch = now.batch(2)._replace(
            calls=(Begun(now.now_s, True, 3), Begun(now.now_s, False, 9)),
            failures=Pair(1, 2),
            errors=(Failed(now.now_s, _BIG, True),),
            exposed=(Exposed(1, True),),
            named={"DataLoss": Pair(0, 1)},
            durations=({4: 2}, {5: 1}),
            dropped=7,
        )
        first = now.feed.flush(batch)
        tally = now.tally()
        again = now.feed.flush(batch._replace(number=1)), now.feed.flush(batch)
        assert first.applied
        assert first.judge == ""
        assert abs(first.now_ms // 1000 - now.now_s) < 60
        assert [flushed.applied for flushed in again] == [False, False]
        assert now.tally()._replace(now_ms=0) == tally._replace(now_ms=0)
        assert now.feed.flush(batch._replace(number=3)).applied
        assert now.tally().stages[0].calls == Pair(18, 6)
        assert now.tally().stages[0].dropped == 14

    def test_a_new_buffer_begins_its_numbers_again(self) -> None:
        """A container is process 1 each time: numbers restart with a buffer's random id, and nothing is dropped."""
        now = begin(self.make())
        told = (Begun(now.now_s, True, 1),)
        assert now.feed.flush(now.batch(500, "before")._replace(calls=told)).applied
        assert now.feed.flush(now.batch(1, "after")._replace(calls=told)).applied
        assert not now.feed.flush(now.batch(500, "before")._replace(calls=told)).applied
        assert now.tally().stages[0].calls == Pair(0, 2)

    def test_a_flush_wakes_nobody(self) -> None:
        """Evidence is not a signal: n processes would cost n^2 wake-ups a second. Neither is a judgement."""
        store = self.make()
        seed(store)
        feed = store.follow()
        feed.load("", whole=True)
        now = begin(store)
        now.feed.flush(now.batch()._replace(calls=(Begun(now.now_s, True, 3),), exposed=(Exposed(1, True),)))
        assert now.feed.judge(now.judgement())
        assert not feed.wait(QUIET_S)
        feed.close()

    def test_releases_and_candidates_are_counted_apart(self) -> None:
        """Nothing of one is seen in another."""
        now = begin(self.make())
        now.feed.flush(now.batch()._replace(calls=(Begun(now.now_s, True, 3),)))
        assert now.feed.tally(FIELD, "r2", now.started_s).stages == ()
        assert now.feed.tally("checkout/other", RELEASE, now.started_s).stages == ()
        assert now.feed.tally(FIELD, RELEASE, now.started_s)._replace(now_ms=0) == now.tally()._replace(now_ms=0)

    # --- stages ---

    def test_a_stage_begins_with_a_newer_change(self) -> None:
        """Equal shares are one stage; others, told with a change that is newer than all, the next one."""
        now = begin(self.make())
        assert self._flushed(now, TWENTY, FIFTY) == [(1, TWENTY), (2, FIFTY)]

    def test_a_stage_keeps_the_earliest_change_told(self) -> None:
        """Processes that start later tell later changes of one stage; one that does not know tells none."""
        now = begin(self.make())
        late, unknown = TWENTY._replace(revision=7), TWENTY._replace(revision=0)
        assert self._flushed(now, late, unknown, TWENTY._replace(revision=5)) == [(1, TWENTY._replace(revision=5))]

    def test_going_back_to_a_weight_is_another_stage(self) -> None:
        """20, 50 and 20 again are three stages, and a host that is late tells of the one that it knows."""
        now = begin(self.make())
        back = TWENTY._replace(revision=3)
        stages = [(1, TWENTY), (2, FIFTY), (3, back)]
        assert self._flushed(now, TWENTY, FIFTY, back) == stages
        now.feed.flush(now.batch(1, "late", FIFTY)._replace(calls=(Begun(now.now_s, True, 5),)))
        tally = now.tally()
        assert [(stage.number, stage.stage) for stage in tally.stages] == stages
        assert [stage.calls.new for stage in tally.stages] == [1, 6, 1]

    def test_a_late_host_tells_of_its_own_stage(self) -> None:
        """What an old snapshot counts belongs to the old stage, also while a newer one runs."""
        now = begin(self.make())
        assert self._flushed(now, TWENTY, FIFTY, TWENTY) == [(1, TWENTY), (2, FIFTY)]
        assert [stage.calls.new for stage in now.tally().stages] == [2, 1]

    def test_shares_never_seen_are_a_new_stage(self) -> None:
        """Also where they are told late: nothing is pooled."""
        now = begin(self.make())
        older = Stage(5_000, 95_000, 1)
        assert self._flushed(now, FIFTY, older) == [(1, FIFTY), (2, older)]

    def _flushed(self, now: Release, *stages: Stage) -> list[tuple[int, Stage]]:
        for number, stage in enumerate(stages):
            told = now.batch(1, f"tape {number}", stage)._replace(calls=(Begun(now.now_s, True, 1),))
            assert now.feed.flush(told).applied
        return [(stage.number, stage.stage) for stage in now.tally().stages]

    # --- windows ---

    def test_the_windows_to_be_judged_are_given(self) -> None:
        """Of each stopwatch, in three kinds, also where nothing is booked: what is lost must be seen."""
        now = begin(self.make())
        began_s = now.now_s - 65
        tally = now.feed.tally(FIELD, RELEASE, began_s)
        spans = list(judged_spans(began_s, tally.now_ms // 1000))
        assert len(spans) > 3
        assert [(one.window.span, one.what) for one in tally.kept] == [
            (span, what) for span in spans for what in ("errors", "slow", "cut", "doubt")
        ]

    def test_a_call_belongs_to_the_windows_of_its_begin(self) -> None:
        """However late it is told; and what began before the release is not evidence."""
        now = begin(self.make())
        began_s = now.now_s - 65
        batch = now.batch()._replace(
            started_s=began_s,
            calls=(Begun(began_s - 1, True, 1), Begun(began_s + 59, True, 2), Begun(began_s + 60, False, 4)),
            errors=(Failed(began_s - 1, 1, True), Failed(began_s + 59, 2, True)),
        )
        now.feed.flush(batch)
        tally = now.feed.tally(FIELD, RELEASE, began_s)
        found = {one.window.span[:2]: one.window.books[0] for one in tally.kept if one.what == "errors"}
        assert {span: (book.new.calls, units(book.new), book.old.calls) for span, book in found.items()} == {
            (60, 1): (2, 1, 0),
            (60, 2): (0, 0, 4),
            (1800, 1): (2, 1, 4),
            (21600, 1): (2, 1, 4),
        }

    def test_a_unit_counts_by_the_error_begun_first(self) -> None:
        """Once per window over all stages; an earlier begin replaces a later one, and all others are repeats."""
        now = begin(self.make())
        self._fail(now, 1, TWENTY, Failed(now.now_s, _BIG, True, 3))
        assert side(now.tally(), "errors", on_new=True) == WindowSide(0, 2, 0, {now.now_s: 1})
        self._fail(now, 2, FIFTY, Failed(now.now_s, _BIG, False))
        assert side(now.tally(), "errors", on_new=False, stage=2) == WindowSide(0, 1)
        self._fail(now, 3, FIFTY, Failed(now.now_s - 2, _BIG, False, 2))
        for length_s in STOPWATCHES_S:
            tally = now.tally()
            assert side(tally, "errors", on_new=True, length_s=length_s) == WindowSide(0, 3)
            first = side(tally, "errors", on_new=False, stage=2, length_s=length_s)
            assert first == WindowSide(0, 2, 0, {now.now_s - 2: 1})

    def test_slow_calls_are_counted_apart(self) -> None:
        """Of the calls those that were timed; a unit that failed before may be slow."""
        now = begin(self.make())
        batch = now.batch()._replace(
            calls=(Begun(now.now_s, True, 160),),
            errors=(Failed(now.now_s, 1, True),),
            timed=(Begun(now.now_s, True, 10),),
            slow=(Failed(now.now_s, 1, True, 2), Failed(now.now_s, 2, True)),
        )
        now.feed.flush(batch)
        assert side(now.tally(), "errors", on_new=True) == WindowSide(160, 0, 0, {now.now_s: 1})
        assert side(now.tally(), "slow", on_new=True) == WindowSide(10, 1, 0, {now.now_s: 2})

    def test_calls_cut_short_are_counted_apart(self) -> None:
        """Of all calls; a unit that failed before may have been cut short, and counts once for that too."""
        now = begin(self.make())
        batch = now.batch()._replace(
            calls=(Begun(now.now_s, True, 160),),
            errors=(Failed(now.now_s, 1, True),),
            cuts=Pair(2, 4),
            cut=(Failed(now.now_s, 1, True, 2), Failed(now.now_s - 1, 1, True), Failed(now.now_s, 2, True)),
        )
        now.feed.flush(batch)
        assert side(now.tally(), "errors", on_new=True) == WindowSide(160, 0, 0, {now.now_s: 1})
        assert side(now.tally(), "cut", on_new=True) == WindowSide(160, 2, 0, {now.now_s - 1: 1, now.now_s: 1})
        assert now.tally().stages[0].cuts == Pair(2, 4)

    def test_a_doubt_is_a_unit_and_ten_seconds_whatever_process_it_failed_in(self) -> None:
        """Beside all calls, by second and side, late ones too."""
        now = begin(self.make())
        last = (now.now_s // 10 + 2) * 10 - 1  # of ten seconds; 20 s before it the release had begun
        told = [(last, 1, True), (last - 5, 1, True), (last - 1, 1, True), (last, 2, False), (last - 10, 1, True)]
        told += [(last - 3, 1, True), (last - 20, 1, True), (last - 20, 1, True), (last, 3, True)]
        for number, (second, unit, on_new) in enumerate(told):
            batch = now.batch(1, f"tape {number % 9}")._replace(
                calls=(Begun(last, True, 10),), errors=(Failed(second, unit, on_new, 2),)
            )
            now.feed.flush(batch)
        new, old = (side(now.tally(), "doubt", on_new=on_new) for on_new in (True, False))
        assert (new.calls, new.recent) == (90, {last - 20: 1, last - 10: 1, last: 2})
        assert (old.calls, old.recent) == (0, {last: 1})

    def test_a_window_counts_32_stages(self) -> None:
        """Later ones are left out; each book says the chance of its own stage."""
        now = begin(self.make())
        for number in range(1, STRATA_AT_MOST + 3):
            stage = Stage(1_000 * number, 100_000 - 1_000 * number, number)
            self._fail(now, number, stage, Failed(now.now_s, number, True), calls=2)
        tally = now.tally()
        assert len(tally.stages) == STRATA_AT_MOST + 2
        books = kept(tally, "errors").window.books
        assert [book.name.stage for book in books] == list(range(1, STRATA_AT_MOST + 1))
        assert [book.w for book in books] == [number / 100 for number in range(1, STRATA_AT_MOST + 1)]
        assert {(book.new.calls, units(book.new)) for book in books} == {(2, 1)}

    def _fail(self, now: Release, number: int, stage: Stage, *errors: Failed, calls: int = 0) -> None:
        told = (Begun(now.now_s, True, calls),) if calls else ()
        assert now.feed.flush(now.batch(number, stage=stage)._replace(errors=errors, calls=told)).applied

    # --- stages' counts ---

    def test_a_stage_is_counted_by_side(self) -> None:
        """Calls, failures, durations, units; named exceptions count for the release."""
        now = begin(self.make())
        for number in (1, 2):
            now.feed.flush(
                now.batch(number)._replace(
                    calls=(Begun(now.now_s - 1, True, 2), Begun(now.now_s, True, 1), Begun(now.now_s, False, 8)),
                    failures=Pair(1, 2),
                    errors=(Failed(now.now_s, 7, True), Failed(now.now_s, 8, False)),
                    exposed=(Exposed(1, True), Exposed(2, False), Exposed(0, False), Exposed(0xFFFF_FFFF, False)),
                    durations=({3: 4, 90: 1}, {5: 1}),
                    named={"DataLoss": Pair(0, 1), "shop.Ü:1": Pair(2, 0)},
                )
            )
        tally = now.tally()
        (stage,) = tally.stages
        assert (stage.calls, stage.failures, stage.units, stage.exposed) == (
            *(Pair(16, 6), Pair(2, 4)),
            *(Pair(1, 1), Pair(3, 1)),
        )
        assert (stage.ratio, stage.unit_bits, stage.exposed_bits) == (Pair(3, 1), 0, 0)
        assert stage.durations == ({3: 8, 90: 2}, {5: 2})
        assert abs(stage.since_s - now.now_s) < 60
        assert dict(tally.named) == {"DataLoss": Raised(2, 0), "shop.Ü:1": Raised(0, 4)}

    def test_many_units_are_kept_by_a_subset(self) -> None:
        """When more than 65,536 are in, those whose hash ends in one more zero bit are; all counts stay exact."""
        now = begin(self.make())
        for number in range(1, 8):
            some = range((number - 1) * 10_000, number * 10_000)
            now.feed.flush(
                now.batch(number)._replace(
                    exposed=tuple(Exposed(unit, unit % 8 == 2) for unit in some),
                    errors=tuple(Failed(now.now_s, unit << 1, unit % 4 == 1) for unit in some) if number < 3 else (),
                )
            )
        stage = now.tally().stages[0]
        assert stage.exposed_bits == 1
        assert stage.exposed == Pair(35_000 - 8_750, 8_750)
        first = range(EXPOSED_AT_MOST)
        on_new = sum(unit % 8 == 2 for unit in first)
        assert stage.ratio == Pair(EXPOSED_AT_MOST - on_new, on_new)
        assert (stage.unit_bits, stage.units) == (0, Pair(15_000, 5_000))
        again = tuple(Exposed(unit, unit % 8 == 2) for unit in range(40_000, 60_000))
        now.feed.flush(now.batch(8)._replace(exposed=(*again, Exposed(70_001, True), Exposed(70_002, True))))
        assert now.tally().stages[0].exposed == Pair(35_000 - 8_750, 8_751)

    def test_a_unit_that_met_the_split_counts_once_for_a_goal(self) -> None:
        """With its first value, on the side that it met; others count for nothing."""
        now = begin(self.make())
        now.feed.flush(now.batch(1)._replace(exposed=(Exposed(1, True), Exposed(2, False), Exposed(4, True))))
        goals = (Goal("buy", 1, 250_000), Goal("buy", 1), Goal("buy", 2), Goal("buy", 3), Goal("read", 1, 0))
        now.feed.flush(now.batch(2)._replace(goals=goals))
        now.feed.flush(now.batch(3)._replace(exposed=(Exposed(3, True),), goals=(Goal("buy", 3), Goal("buy", 2))))
        assert dict(now.tally().stages[0].goals) == {
            "buy": Converted(Pair(1, 2), Pair(MICRO, MICRO + 250_000)),
            "read": Converted(Pair(0, 1), Pair(0, 0)),
        }

    def test_a_stage_has_twenty_goals(self) -> None:
        """Those that came first; the next stage has its own."""
        now = begin(self.make())
        goals = tuple(Goal(f"goal {number}", 1) for number in range(21))
        now.feed.flush(now.batch(1)._replace(exposed=(Exposed(1, True),), goals=goals))
        now.feed.flush(now.batch(1, "next", FIFTY)._replace(exposed=(Exposed(1, True),), goals=goals[20:]))
        first, second = now.tally().stages
        assert set(first.goals) == {goal.name for goal in goals[:20]}
        assert set(second.goals) == {"goal 20"}

    # --- calls under way ---

    def test_calls_under_way_are_told_anew_each_time(self) -> None:
        """A buffer's last word replaces the one before; a buffer with nothing under way has none."""
        now = begin(self.make())
        told = (Begun(now.now_s, False, 2), Begun(now.now_s - 9, True, 1))
        hanging = (Failed(now.now_s - 9, _BIG, True, 2),)
        flushed = now.feed.flush(now.batch(1)._replace(running=(Begun(now.now_s, False, 7),)))
        assert now.tally().running == (RunningCalls("tape", 1, flushed.now_ms, 1, (Begun(now.now_s, False, 7),)),)
        now.feed.flush(now.batch(1, "other", FIFTY)._replace(running=told[:1]))
        flushed = now.feed.flush(now.batch(2)._replace(running=told, hanging=hanging))
        running = {one.buffer: one for one in now.tally().running}
        assert running["tape"] == RunningCalls("tape", 2, flushed.now_ms, 1, told, hanging)
        assert running["other"].stage == 2
        now.feed.flush(now.batch(3))
        assert [one.buffer for one in now.tally().running] == ["other"]

    # --- judgements ---

    def test_a_judgement_is_written_if_nobody_was_faster(self) -> None:
        """The text is compared as a whole; every flush hands it back, repeated or not."""
        now = begin(self.make())
        assert now.feed.judge(now.judgement(after="mine"))
        assert not now.feed.judge(now.judgement(after="yours"))
        assert now.feed.judge(now.judgement("mine", "ours ü"))
        flushed = now.feed.flush(now.batch()), now.feed.flush(now.batch())
        assert {one.judge for one in flushed} == {"ours ü"}
        assert now.tally().judge == "ours ü"

    def test_of_racing_judges_one_writes(self) -> None:
        """Whoever read the same text: one is first."""
        store = self.make()
        now = begin(store)
        feeds = [store.follow() for _ in range(4)]
        written: list[int] = []

        def judge(number: int) -> None:
            if feeds[number].judge(now.judgement(after=f"judge {number}")):
                written.append(number)

        together(len(feeds), judge)
        assert [f"judge {number}" for number in written] == [now.tally().judge]
        for feed in feeds:
            feed.close()

    def test_a_judgement_that_came_late_leaves_no_trace(self) -> None:
        """All of it, or nothing: levels, settled seconds, samples, buffers."""
        now = begin(self.make())
        self._fail(now, 1, TWENTY, Failed(now.now_s - 5, 1, True))
        now.feed.flush(now.batch(2)._replace(running=(Begun(now.now_s, False, 1),)))
        before = now.tally()
        late = now.judgement("somebody else's")._replace(
            levels=(("errors", kept(before, "errors").window.span, ((now.now_s, 3),)),),
            settled_s=now.now_s,
            sample=_sample(now.now_s),
            forget=("tape",),
        )
        assert not now.feed.judge(late)
        assert now.tally()._replace(now_ms=0) == before._replace(now_ms=0)

    def test_a_window_is_thinned_by_the_levels_published(self) -> None:
        """By the second a call began and its unit's hash; who is in stays, and what is not admitted is not a repeat."""
        now = begin(self.make())
        later = now.now_s + 3
        self._fail(now, 1, TWENTY, Failed(now.now_s, 0b01, True))
        span = kept(now.tally(), "errors").window.span
        levels = ((span.begin_s, 0), (later, 2))
        assert now.feed.judge(now.judgement()._replace(levels=(("errors", span, levels),)))
        assert kept(now.tally(), "errors").levels == levels
        assert kept(now.tally(), "slow").levels == ()
        self._fail(
            *(now, 2, TWENTY),
            *(Failed(later, 0b01, True), Failed(later, 0b10, True, 2), Failed(later, 0b100, True)),
            *(Failed(now.now_s, 0b11, True), Failed(later, 0, False)),
        )
        assert side(now.tally(), "errors", on_new=True) == WindowSide(0, 1, 0, {now.now_s: 2, later: 1})
        assert side(now.tally(), "errors", on_new=False) == WindowSide(0, 0, 0, {later: 1})

    def test_levels_are_published_before_a_window_begins(self) -> None:
        """So that it is thinned from its first second."""
        now = begin(self.make())
        self._fail(now, 1, TWENTY, Failed(now.now_s, 1, True))
        ahead = Span(60, 2, now.started_s + 60)
        level = ((ahead.begin_s, 1),)
        assert now.feed.judge(now.judgement()._replace(levels=(("slow", ahead, level), ("errors", ahead, level))))
        self._fail(now, 2, TWENTY, Failed(ahead.begin_s, 0b1, True), Failed(ahead.begin_s, 0b10, True))
        begun = now.feed.tally(FIELD, RELEASE, now.started_s - 60)  # as if a minute had passed
        assert kept(begun, "errors").window.span.number == 2
        assert units(side(begun, "errors", on_new=True)) == 1
        assert kept(begun, "slow").levels == level

    def test_what_is_settled_is_still_counted(self) -> None:
        """Seconds that no mark tells apart may be folded up; an error that comes later still replaces a later begin."""
        now = begin(self.make())
        self._fail(now, 1, TWENTY, Failed(now.now_s - 8, 1, True), Failed(now.now_s - 7, 2, True))
        assert now.feed.judge(now.judgement()._replace(settled_s=now.now_s - 5))
        assert units(side(now.tally(), "errors", on_new=True)) == 2
        assert units(side(now.tally(), "doubt", on_new=True)) == 2
        self._fail(now, 3, TWENTY, Failed(now.now_s - 9, 1, True), Failed(now.now_s, 3, True))
        self._fail(now, 4, FIFTY, Failed(now.now_s - 9, 2, False))
        found = side(now.tally(), "errors", on_new=True)
        assert (units(found), found.repeats, found.recent[now.now_s]) == (2, 2, 1)
        assert units(side(now.tally(), "errors", on_new=False, stage=2)) == 1
        assert units(side(now.tally(), "doubt", on_new=True)) >= 3

    def test_a_judgement_forgets_buffers(self) -> None:
        """Their calls under way are gone, their numbers are not."""
        now = begin(self.make())
        for buffer in ("gone", "here"):
            now.feed.flush(now.batch(1, buffer)._replace(running=(Begun(now.now_s, False, 1),)))
        assert now.feed.judge(now.judgement()._replace(forget=("gone", "never there")))
        assert [one.buffer for one in now.tally().running] == ["here"]
        assert not now.feed.flush(now.batch(1, "gone")).applied

    def test_the_course_is_read_by_stores(self) -> None:
        """Samples in the order of their seconds; an evaluator, who looks each second, does without."""
        store = self.make()
        now = begin(store)
        texts = ("", "one", "two")
        for number, before in enumerate(texts[:2]):
            sample = _sample(now.now_s + number)
            assert now.feed.judge(now.judgement(before, texts[number + 1])._replace(sample=sample))
        assert store.tally(FIELD, RELEASE, now.started_s).course == (_sample(now.now_s), _sample(now.now_s + 1))
        assert now.tally().course == ()
        tally = store.tally(FIELD, RELEASE, now.started_s)
        assert tally._replace(course=(), now_ms=0) == now.tally()._replace(now_ms=0)

    # --- many at once ---

    def test_many_are_asked_at_once_and_read_while_they_are_under_way(self) -> None:
        """Each has the answer that it would have alone, in order, whatever is read between asking and taking it."""
        now = begin(self.make())
        second = now.now_s - 5
        told = [
            now.batch(number, buffer)._replace(calls=(Begun(second, True, 3),), exposed=(Exposed(number, True),))
            for buffer in ("one", "two")
            for number in (1, 2, 2)
        ]
        flushing = now.feed.flush_all(told)
        now.feed.load("", whole=True)
        while not flushing.here(QUIET_S):
            continue
        assert [not isinstance(one, Exception) and one.applied for one in flushing.take()] == [True, True, False] * 2
        wanted = [Wanted(FIELD, RELEASE, now.started_s), Wanted(FIELD, "another", now.started_s)]
        reading = now.feed.tallies(wanted, now.now_s * 1000)
        glanced = now.feed.read_fields([])
        one, other = reading.take()
        assert isinstance(one, Tally)
        assert isinstance(other, Tally)
        assert side(one, "errors", on_new=True).calls == 12
        assert not other.stages
        assert one.now_ms <= glanced.now_ms
        alone = now.tally()
        assert [kept.window.span for kept in one.kept] == [kept.window.span for kept in alone.kept]
        assert one._replace(now_ms=0) == alone._replace(now_ms=0)

    def test_a_tally_is_whole_whatever_time_was_thought_of(self) -> None:
        """The windows are those of the store's time: who is wrong about it is answered, too."""
        now = begin(self.make())
        now.feed.flush(now.batch()._replace(calls=(Begun(now.now_s - 1, False, 1),)))
        for thought_s in (0, now.now_s - 3_600, now.now_s + 3_600):
            (tally,) = now.feed.tallies([Wanted(FIELD, RELEASE, now.started_s)], thought_s * 1000).take()
            assert isinstance(tally, Tally)
            assert tally._replace(now_ms=0) == now.tally()._replace(now_ms=0)

    def test_many_judgements_are_written_at_once_each_against_what_it_read(self) -> None:
        """The first of two that read the same is taken; windows are named by who has read them."""
        now = begin(self.make())
        now.feed.flush(now.batch()._replace(errors=(Failed(now.now_s - 5, 1, True),)))
        spans = tuple(dict.fromkeys(one.window.span for one in now.tally().kept))
        settles = now.judgement()._replace(spans=spans, settled_s=now.now_s)
        late, next_ = now.judgement(after="late"), now.judgement("judge", "next")._replace(spans=spans)
        assert list(now.feed.judge_all([settles, late, next_]).take()) == [True, False, True]
        assert now.tally().judge == "next"
        assert units(side(now.tally(), "errors", on_new=True)) == 1


def _sample(at_s: int) -> Sample:
    return Sample(at_s, 2, "unclear", 20_000, -1.25, 6.75, Pair(9, 3), Pair(1, 0), Pair(1_280, 1_536))
