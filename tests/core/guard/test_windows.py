"""What the guard counts: windows, first errors, marks, thinning; and the verdict that follows."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.guard.admission import UNITS_PER_LEVEL, Level, admits, bits_at, first_levels, next_levels
from graysplit.core.guard.interval import StageCounts
from graysplit.core.guard.sequential_test import STRATA_AT_MOST, STRICT, Stratum
from graysplit.core.guard.tally import Raised
from graysplit.core.guard.verdict import told
from graysplit.core.guard.verdict_rules import (
    UNSHOWN,
    Evidence,
    Raw,
    SeenUnits,
    Watched,
    in_full,
    is_safe,
    judge,
    local_proof,
    missing_on_new,
    ratio_is_off,
)
from graysplit.core.guard.window_counts import WindowCounts
from graysplit.core.guard.windows import (
    Book,
    Span,
    StratumName,
    Window,
    WindowSide,
    WindowTotals,
    is_lost,
    judged_spans,
    looks,
    span_of,
    strongest,
    totals,
)

BEGAN = 1_000_000
FIRST = StratumName(1)
SECOND = StratumName(2)
MINUTE = Span(60, 1, BEGAN)
GUARD = Watched()


def window(x: int, y: int, n: int, o: int, w: float = 0.2, number: int = 1, name: StratumName = FIRST) -> Window:
    """Return a window that holds these counts, long settled."""
    return Window(Span(60, number, BEGAN), (Book(name, w, WindowSide(n, 0, x), WindowSide(o, 0, y)),))


WORSE = (window(18, 12, 352, 1_408),)
FINE = Evidence(1, 0.2, counts=(StageCounts(20, 80, 10_000, 0.2),), new=Raw(2_000, 20), old=Raw(8_000, 80))


def window_counts(*names: StratumName, w: float = 0.2) -> WindowCounts:
    """Return the empty counts of a minute with these strata open."""
    found = WindowCounts(MINUTE)
    assert all(found.open(name, w) for name in names)
    return found


def test_windows_follow_each_other_from_the_release_s_beginning() -> None:
    """A window's number is a matter of the clock alone, and the last one is judged until 30 s after its end."""
    assert span_of(60, BEGAN, BEGAN) == MINUTE
    assert span_of(60, BEGAN + 59, BEGAN) == MINUTE
    assert span_of(60, BEGAN + 60, BEGAN) == Span(60, 2, BEGAN + 60)
    assert [span.number for span in judged_spans(BEGAN, BEGAN + 5)] == [1, 1, 1]
    assert [span.number for span in judged_spans(BEGAN, BEGAN + 89)] == [1, 2, 1, 1]
    assert [span.number for span in judged_spans(BEGAN, BEGAN + 91)] == [2, 1, 1]
    assert [span.length_s for span in judged_spans(BEGAN, BEGAN + 1_800)] == [60, 60, 1_800, 1_800, 21_600]


def test_a_unit_counts_once_and_its_other_failures_are_no_calls() -> None:
    """A retry storm is one unit; else it would hide itself behind its calls."""
    found = window_counts(FIRST)
    found.called(FIRST, on_new=True, calls=40)
    for second in range(20):
        found.failed(7, BEGAN + second, FIRST, on_new=True)
    assert looks(found.window(BEGAN + 60).books, BEGAN + 60)[0].strata == (Stratum(1, 0, 21, 0, 0.2),)


def test_an_earlier_begin_replaces_a_later_one() -> None:
    """However late it is known: the call on old that hung for 20 s began first."""
    found = window_counts(FIRST, SECOND)
    found.called(FIRST, on_new=False, calls=1)
    found.called(SECOND, on_new=True, calls=2)
    found.failed(7, BEGAN + 12, SECOND, on_new=True)
    found.failed(7, BEGAN + 2, FIRST, on_new=False)
    found.failed(7, BEGAN + 14, SECOND, on_new=True)
    strata = looks(found.window(BEGAN + 50).books, BEGAN + 50)[0].strata
    assert strata == (Stratum(0, 1, 0, 1, 0.2), Stratum(0, 0, 0, 0, 0.2))


def test_within_a_second_the_earlier_stage_was_first() -> None:
    """Arrival tells nothing: new fails at once where old fails late."""
    found = window_counts(FIRST, SECOND)
    found.failed(7, BEGAN + 5, SECOND, on_new=True)
    found.failed(7, BEGAN + 5, FIRST, on_new=False)
    assert [book.old.settled + book.new.settled for book in found.window(BEGAN + 60).books] == [1, 0]


errors = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30), st.booleans()), max_size=30)


@given(errors, st.randoms(use_true_random=False))
def test_the_order_of_arrival_tells_nothing(found: list[tuple[int, int, bool]], shuffle: Random) -> None:
    """Units, calls and sides are the same whatever is flushed first, but for ties within one second."""
    first: dict[tuple[int, int], bool] = {}
    once = [(unit, second, first.setdefault((unit, second), on_new)) for unit, second, on_new in found]
    mixed = once.copy()
    shuffle.shuffle(mixed)
    books = []
    for order in (once, mixed):
        kept = window_counts(FIRST)
        for unit, second, on_new in order:
            kept.failed(unit, BEGAN + second, FIRST, on_new=on_new)
            kept.called(FIRST, on_new=on_new, calls=1)
        books.append(kept.window(BEGAN + 31).books)
    assert books[0] == books[1]
    assert totals(books[0]).units == len({unit for unit, _, _ in found})


def test_at_each_mark_running_calls_of_old_count_as_failed() -> None:
    """X of calls begun by then, Y with the running calls of old, and all calls."""
    found = window_counts(FIRST)
    found.called(FIRST, on_new=True, calls=50)
    for ago in range(40):
        found.failed(ago, BEGAN + 50 - ago, FIRST, on_new=True)
    running = {FIRST: {BEGAN + 50: 3, BEGAN + 46: 4, BEGAN - 1: 9}}  # the last is of another window
    marks = looks(found.window(BEGAN + 50, running).books, BEGAN + 50)
    assert [look.strata[0].x for look in marks] == [39, 38, 35, 30, 10]
    assert [look.running for look in marks] == [4, 4, 0, 0, 0]
    assert {look.strata[0].n for look in marks} == {50}


def test_an_outage_that_old_meets_later_is_no_trip() -> None:
    """New fails at once, old hangs: the running calls speak for new until they have ended."""
    found = window_counts(FIRST)
    for unit in range(30):
        found.failed(unit, BEGAN + 20, FIRST, on_new=True)
    found.called(FIRST, on_new=True, calls=30)
    found.called(FIRST, on_new=False, calls=120)
    seen = found.window(BEGAN + 25, {FIRST: {BEGAN + 20: 120}})
    hung = strongest([seen], BEGAN + 25)
    assert hung is not None
    assert not hung.convicts
    blind = strongest([found.window(BEGAN + 25)], BEGAN + 25)
    assert blind is not None
    assert blind.convicts


def test_a_hanging_new_call_delays_nothing() -> None:
    """Only the running calls of old are waited for, and older marks see what has ended."""
    found = window_counts(FIRST)
    for unit in range(30):
        found.failed(unit, BEGAN + 10, FIRST, on_new=True)
    found.called(FIRST, on_new=True, calls=30)
    found.called(FIRST, on_new=False, calls=120)
    proof = strongest([found.window(BEGAN + 25, {FIRST: {BEGAN + 20: 120}})], BEGAN + 25)
    assert proof is not None
    assert proof.convicts
    assert proof.running == 0


def test_the_33rd_stratum_is_left_out() -> None:
    """Strata that stand are counted on."""
    found = window_counts(*map(StratumName, range(STRATA_AT_MOST)))
    assert not found.open(StratumName(99), 0.5)
    assert found.open(StratumName(3), 0.5)
    assert len(found.window(BEGAN).books) == STRATA_AT_MOST


def test_less_than_was_seen_before_is_lost_evidence() -> None:
    """Counts only grow."""
    found = totals(WORSE[0].books)
    assert found == WindowTotals(1_760, 0, 30)
    assert not is_lost(found, found)
    assert not is_lost(found, found._replace(calls=2_000))
    assert is_lost(found, found._replace(units=29))


def test_a_level_is_published_before_its_first_second() -> None:
    """One bit more for each 4,096 units, and never back."""
    levels = first_levels(BEGAN)
    assert next_levels(levels, UNITS_PER_LEVEL - 1, BEGAN + 5) == levels
    thinner = next_levels(levels, UNITS_PER_LEVEL, BEGAN + 5)
    assert thinner == (Level(BEGAN, 0), Level(BEGAN + 8, 1))
    assert next_levels(thinner, 10, BEGAN + 6) == thinner
    assert [bits_at(thinner, BEGAN + second) for second in (-1, 0, 7, 8, 100)] == [0, 0, 0, 1, 1]
    assert first_levels(BEGAN, 10_000)[0].bits == 0
    assert first_levels(BEGAN, 79_000)[0].bits == 3


def test_admission_asks_for_the_hash_alone() -> None:
    """Who is in stays, whatever its side, and half as many enter at each level."""
    units = [Random(1).getrandbits(64) for _ in range(1)] + [Random(n).getrandbits(64) for n in range(4_000)]
    entered = [sum(admits(bits, unit) for unit in units) for bits in range(4)]
    assert entered[0] == len(units)
    assert all(abs(found / len(units) - 0.5**bits) < 0.05 for bits, found in enumerate(entered))
    kept = window_counts(FIRST)
    kept.levels = (Level(BEGAN, 0), Level(BEGAN + 3, 1))
    for unit in range(10):
        kept.failed(unit, BEGAN + unit, FIRST, on_new=unit % 4 == 0)
    assert len(kept) == 3 + 3  # 0, 1, 2; then 4, 6, 8
    assert not kept.knows(3)


def test_thinning_follows_the_units_that_are_in() -> None:
    """Window counts that fill up raise their own level, for seconds ahead."""
    kept = window_counts(FIRST)
    for unit in range(UNITS_PER_LEVEL):
        kept.failed(unit, BEGAN, FIRST, on_new=False)
    kept.thin(BEGAN + 1)
    assert kept.levels[-1] == Level(BEGAN + 4, 1)


def test_worse_tells_the_numbers() -> None:
    """What a person needs at 3 a.m., in one line."""
    found = judge(FINE._replace(errors=WORSE), GUARD, BEGAN + 99)
    assert (found.word, found.why) == (
        "worse",
        "18 users failed on new, 12 on old, 6 expected on new; evidence 4,061 of 857",
    )
    assert found.proof is not None
    assert found.proof.excess == pytest.approx(1.5556, abs=1e-4)
    named = judge(FINE._replace(errors=WORSE), Watched("b", "a", STRICT), BEGAN + 99)
    assert named.why == "18 users failed on b, 12 on a, 6 expected on b; evidence 16,148 of 857"
    assert told(found.proof._replace(ln_evidence=2_000.0, running=3, expected=0.34)) == (
        "18 users failed on new, 12 (3 unanswered) on old, 0.3 expected on new; evidence 10^869 of 857"
    )


def test_slow_calls_have_a_margin_and_a_limit_of_their_own() -> None:
    """The same counts that convict as errors need not convict as slow."""
    assert judge(FINE._replace(slow=WORSE), GUARD, BEGAN + 99).word == "safe"
    slow = judge(FINE._replace(slow=(window(60, 20, 352, 1_408),)), GUARD, BEGAN + 99)
    assert slow.word == "worse"
    assert slow.why.startswith("60 users met slow calls on new, 20 on old, 16 expected on new; evidence 10^")
    assert slow.why.endswith(" of 4,000")


def test_calls_cut_short_are_evidence_with_a_limit_of_its_own_and_a_veto() -> None:
    """Whoever waits no longer speaks against new where its users do so much more often; alike on both sides, no."""
    cut = judge(FINE._replace(cut=(window(60, 20, 352, 1_408),)), GUARD, BEGAN + 99)
    assert cut.word == "worse"
    assert cut.why.startswith("60 users had calls cut short on new, 20 on old, 16 expected on new; evidence 10^")
    assert cut.why.endswith(" of 12,000")
    alike = FINE._replace(new=Raw(2_000, 20, 1_000), old=Raw(8_000, 80, 4_000), cut=(window(100, 400, 2_000, 8_000),))
    assert judge(alike, GUARD, BEGAN + 99).word == "safe"
    more = judge(alike._replace(old=Raw(8_000, 80, 1_900), cut=()), GUARD, BEGAN + 99)
    assert (more.word, more.why) == ("unclear", "50.00 % of the calls are cut short on new, 23.75 % on old")


def test_a_named_exception_stops_the_release_unless_old_raised_it_too() -> None:
    """Outside the bound, as its reason says."""
    guard = Watched(named=frozenset({"PaymentLost"}))
    found = judge(FINE._replace(named={"PaymentLost": Raised(1, 0), "KeyError": Raised(9, 0)}), guard, BEGAN)
    assert found.word == "worse"
    assert found.why == (
        "PaymentLost was raised on new and never on old; it is named in stop_on (outside the bound of 1 in 100)"
    )
    assert judge(FINE._replace(named={"PaymentLost": Raised(1, 1)}), guard, BEGAN).word == "safe"


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        (
            FINE._replace(seen=(SeenUnits(2_300, 10_000, 0.2),)),
            "sample ratio mismatch: 2,300 of 10,000 users on new, 2,000",
        ),
        (FINE._replace(lost="the minute's window"), "evidence was lost: the minute's window"),
    ],
)
def test_a_doubt_pauses_until_a_person_goes_on(evidence: Evidence, why: str) -> None:
    """`suspect`, never `worse`; accepted, it still vetoes `safe`."""
    found = judge(evidence, GUARD, BEGAN + 99)
    assert found.word == "suspect"
    assert found.why.startswith(why)
    accepted = judge(evidence._replace(accepted=True), GUARD, BEGAN + 99)
    assert accepted.word == "unclear"


def test_failures_of_few_users_are_a_note_that_stops_nothing() -> None:
    """It stands beside whatever the verdict is, of its own stage alone; a rollback says enough by itself."""
    note = "18 failures, one per user and 10 s, on new, 12 on old, 6 expected on new; "
    found = judge(FINE._replace(doubts=WORSE), GUARD, BEGAN + 99)
    assert (found.word, found.note.startswith(note)) == ("safe", True)
    lost = judge(FINE._replace(doubts=WORSE, lost="all"), GUARD, BEGAN + 99)
    assert (lost.word, lost.note.startswith(note)) == ("suspect", True)
    assert judge(FINE._replace(doubts=WORSE, errors=WORSE), GUARD, BEGAN + 99)[::3] == ("worse", "")
    assert judge(FINE._replace(doubts=WORSE, stage=2), GUARD, BEGAN + 99)[::3] == ("safe", "")


@pytest.mark.parametrize("w", [0.0, 1.0])
def test_without_a_control_nothing_is_promised(w: float) -> None:
    """At 0 and 100 % there is nobody to compare with; half the calls failing is said."""
    found = judge(FINE._replace(w=w, minute=Raw(100, 61)), GUARD, BEGAN)
    assert found.word == "no control"
    assert found.why.endswith("61 % of the last minute's calls failed")
    assert judge(FINE._replace(w=w), GUARD, BEGAN).why.endswith("nothing to compare with")


def test_unclear_says_what_is_missing() -> None:
    """Units, traffic, or a version that fails too often; raw calls may veto."""
    few, fewer = (
        judge(FINE._replace(counts=(StageCounts(0, 0, 1_000, 0.2),)), GUARD, BEGAN),
        (StageCounts(0, 0, 1_000, 0.2),),
    )
    assert (few.word, few.why) == ("unclear", UNSHOWN)
    assert in_full(few, fewer, "new").why == "about 1,100 more users are needed on new"
    assert in_full(few, fewer, "new", 4).why == "about 4,100 more users are needed on new"
    assert judge(Evidence(1, 0.2), GUARD, BEGAN).why == "no traffic yet"
    often = (StageCounts(500, 100, 10_000, 0.2),)
    worse = in_full(judge(FINE._replace(counts=often), GUARD, BEGAN), often, "new")
    assert (worse.word, worse.why) == ("unclear", "new fails too often to be safe")
    raw = judge(FINE._replace(new=Raw(2_000, 60)), GUARD, BEGAN)
    assert (raw.word, raw.why) == ("unclear", "3.00 % of the calls fail on new, 1.00 % on old")


def test_calls_that_return_before_their_work_is_done_show_nothing() -> None:
    """How they end nobody sees: never `safe`."""
    found = judge(FINE._replace(unfinished=1), GUARD, BEGAN)
    assert (found.word, found.why[:41]) == ("unclear", "calls return before their work is done (a")


def test_safe_joins_strata_each_with_its_own_share() -> None:
    """Two halves say less than the whole, and a stratum without a control says nothing."""
    whole = StageCounts(0, 0, 8_000, 0.2)
    halves = [StageCounts(0, 0, 4_000, 0.2)] * 2
    assert is_safe([whole])
    assert not is_safe(halves)
    assert is_safe([whole, StageCounts(900, 0, 1_000, 1.0)])
    assert missing_on_new(halves) == pytest.approx(1_340, rel=0.2)
    assert missing_on_new([whole]) == 0


def test_the_sample_ratio_is_looked_at_over_all_strata() -> None:
    """Two small surprises are one large one; later stages need more."""
    half = SeenUnits(1_120, 5_000, 0.2)
    assert not ratio_is_off([half], 1)
    assert ratio_is_off([half, half], 1)
    assert not ratio_is_off([half, half], 1_000)
    assert not ratio_is_off([SeenUnits(5_000, 5_000, 1.0)], 1)


def test_a_process_alone_has_its_part_of_one_budget() -> None:
    """What convicts for a fleet of one need not convict in one of a hundred processes."""
    found = [window(22, 10, 352, 1_408)]
    assert local_proof(found, 1, BEGAN + 99)
    assert local_proof(found, 0, BEGAN + 99)
    assert not local_proof(found, 100_000, BEGAN + 99)
    assert not local_proof([], 1, BEGAN)


def test_four_users_convict_nobody() -> None:
    """However strong the evidence: a floor."""
    found = strongest([window(4, 0, 4, 396, 0.01)], BEGAN + 99)
    assert found is not None
    assert found.excess > 7
    assert not found.convicts


def test_the_strongest_window_speaks() -> None:
    """Those without books say nothing; a later window of the same counts is weaker."""
    assert strongest([Window(MINUTE, ())], BEGAN) is None
    found = strongest([window(18, 12, 352, 1_408, number=40), *WORSE], BEGAN + 99)
    assert found is not None
    assert found.window == 1
