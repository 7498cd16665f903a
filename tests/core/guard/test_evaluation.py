"""A tally is judged: what it is taken for, what is handed on, and what a store has lost."""

from __future__ import annotations

from graysplit.core.guard.evaluation import SILENT_MS, EvaluationInput, Judge, charges, counts_of, forgotten, look
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import (
    Begun,
    Failed,
    Kept,
    Pair,
    Raised,
    RunningCalls,
    Stage,
    StageTally,
    Tally,
    duration_bucket,
)
from graysplit.core.guard.verdict import What
from graysplit.core.guard.verdict_rules import Watched
from graysplit.core.guard.windows import Book, Span, StratumName, Window, WindowSide
from graysplit.stores.text.judge import judge_text, read_judge

BEGAN = 1_000
NOW = BEGAN + 55
CASE = EvaluationInput(Guard(), Watched(), BEGAN)
AT_20 = Stage(20_000, 80_000, 7)


def book(x: int, y: int, n: int, o: int, *, at: int = BEGAN + 10, stage: int = 1) -> Book:
    """Return a stratum's book at 20 %."""
    return Book(StratumName(stage), 0.2, WindowSide(n, 0, 0, {at: x}), WindowSide(o, 0, 0, {at: y}))


def kept(found: Book, what: What = "errors") -> Kept:
    """Return the first minute's window."""
    return Kept(what, Window(Span(60, 1, BEGAN), (found,)))


def tally(found: Book, stage: StageTally | None = None, running: tuple[RunningCalls, ...] = ()) -> Tally:
    """Return a tally of one window and one stage."""
    return Tally(
        "checkout/new",
        "r1",
        (kept(found),),
        (stage or StageTally(1, AT_20, BEGAN, Pair(1_408, 352), Pair(12, 18), Pair(12, 18)),),
        running,
        now_ms=NOW * 1000,
    )


def test_the_worked_example_is_worse() -> None:
    """18 and 12 of 352 and 1,408 calls at 20 %: the counts and the evidence are told."""
    verdict = look(tally(book(18, 12, 352, 1_408)), Judge(), CASE, "me").judge.verdict
    assert verdict.word == "worse"
    assert verdict.why == "18 users failed on new, 12 on old, 6 expected on new; evidence 4,061 of 857"


def test_calls_of_old_under_way_are_taken_for_failed_ones() -> None:
    """Else an outage that old meets a few seconds later would be a sure false rollback."""
    running = (RunningCalls("t", 3, NOW * 1000, 1, (Begun(BEGAN + 35, False, 40), Begun(BEGAN + 35, True, 5))),)
    found = tally(book(18, 12, 352, 1_408, at=BEGAN + 36), running=running)
    assert look(found, Judge(), CASE, "me").judge.verdict.word != "worse"


def test_calls_of_old_under_way_count_past_their_deadline_too() -> None:
    """Old may fail a minute after new: for as long as its buffer tells of a call it may be one of them."""
    running = (RunningCalls("t", 3, NOW * 1000, 1, (Begun(NOW - 45, False, 40),)),)
    assert look(tally(book(18, 12, 352, 1_408), running=running), Judge(), CASE, "me").judge.verdict.word != "worse"


def test_a_version_that_is_slower_is_not_safe_before_the_slow_rule_says_so() -> None:
    """3 of 100 timed calls above the limit on new, 2 on old: within the margin or not, as the rule has it."""
    fast, late = duration_bucket(10**7), duration_bucket(10**9)

    def said(slow: int, slow_s: float | None = 0.5) -> tuple[str, str]:
        times = ({fast: 980, late: 20}, {fast: 1_000 - slow, late: slow})
        stage = StageTally(1, AT_20, BEGAN, Pair(8_000, 2_000), exposed=Pair(8_000, 2_000), durations=times)
        case = CASE._replace(guard=Guard(slow_s=slow_s))
        return look(tally(book(0, 0, 2_000, 8_000), stage), Judge(), case, "me").judge.verdict[:2]

    assert said(29)[0] == "safe"
    assert said(31) == ("unclear", "3.10 % of the timed calls are slow on new, 2.00 % on old")
    assert said(31, None)[0] == "safe"


def test_what_must_not_roll_back_doubts() -> None:
    """With another action the same evidence makes the plan wait."""
    case = CASE._replace(guard=Guard("pause"))
    verdict = look(tally(book(18, 12, 352, 1_408)), Judge(), case, "me").judge.verdict
    assert (verdict.word, verdict.why[:15]) == ("suspect", "18 users failed")


def test_a_doubt_stands_until_somebody_accepts_it_or_the_stage_is_another() -> None:
    """Whatever the evidence says later."""
    case = CASE._replace(guard=Guard("pause"))
    doubting = look(tally(book(18, 12, 352, 1_408)), Judge(), case, "me").judge
    calm = tally(book(19, 80, 900, 3_600), StageTally(1, AT_20, BEGAN, Pair(3_600, 900), Pair(80, 19), Pair(80, 19)))
    assert look(calm, doubting, case, "other").judge.verdict == doubting.verdict._replace(proof=None)
    assert look(calm, doubting, case._replace(accepted=1), "other").judge.verdict.word == "unclear"
    following = StageTally(2, Stage(50_000, 50_000, 9), BEGAN + 50)
    assert look(calm._replace(stages=(*calm.stages, following)), doubting, case, "me").judge.verdict.word == "unclear"


def test_a_note_stands_for_its_stage_beside_the_verdict_and_comes_back_from_the_store() -> None:
    """Whatever the evidence says later, as a doubt does; the verdict is another's, and no plan waits."""
    few = tally(book(0, 0, 352, 1_408))
    doubted = few._replace(kept=(*few.kept, Kept("doubt", tally(book(18, 12, 352, 1_408)).kept[0].window)))
    noting = look(doubted, Judge(), CASE, "me").judge
    assert (noting.verdict.word, noting.verdict.note[:11], noting.doubt) == ("unclear", "18 failures", "")
    heard = read_judge(judge_text(noting))
    assert heard.verdict == noting.verdict
    assert look(few, heard, CASE, "other").judge.verdict.note == noting.verdict.note
    following = StageTally(2, Stage(50_000, 50_000, 9), BEGAN + 50)
    assert not look(few._replace(stages=(*few.stages, following)), heard, CASE, "me").judge.verdict.note


def test_evidence_that_was_lost_is_never_safe_and_its_window_is_dead() -> None:
    """A store that shows less than was seen has lost something: the window says nothing more."""
    many = StageTally(1, AT_20, BEGAN, Pair(8_000, 2_000), Pair(), Pair(), 0, Pair(8_000, 2_000))
    seen = look(tally(book(0, 0, 2_000, 8_000), many), Judge(), CASE, "me").judge
    assert seen.verdict.word == "safe"
    less = look(tally(book(18, 12, 352, 1_408), many), seen, CASE, "other").judge
    assert (less.verdict.word, less.dead) == ("suspect", ("errors 60 1",))
    assert "evidence was lost" in less.verdict.why
    again = look(tally(book(0, 0, 2_000, 8_000), many), less, CASE._replace(accepted=1), "me").judge
    assert again.verdict.word == "unclear"


def test_a_flood_of_failures_that_was_thinned_is_never_safe() -> None:
    """Fewer users are known to have failed than did: the same counts are safe where all were told."""
    stage = StageTally(1, AT_20, BEGAN, Pair(40_000, 10_000), Pair(10, 2), Pair(10, 2), 0, Pair(20_000, 5_000))
    few = book(2, 10, 10_000, 40_000)
    assert look(tally(few, stage), Judge(), CASE, "me").judge.verdict.word == "safe"
    verdict = look(tally(few, stage._replace(unblamed=1_234)), Judge(), CASE, "me").judge.verdict
    assert (verdict.word, "1,234" in verdict.why) == ("unclear", True)


def test_a_tally_that_has_vanished_is_noticed_by_whoever_judged_it() -> None:
    """All keys are gone and the counts begin anew: what was seen is remembered by the process that saw it."""
    seen = look(tally(book(0, 0, 2_000, 8_000)), Judge(), CASE, "me").judge
    anew = look(tally(book(0, 0, 1, 1)), Judge(), CASE._replace(remembered=seen), "me").judge
    assert anew.verdict.word == "suspect"


def test_a_named_exception_stops_unless_old_raised_it_too() -> None:
    """Its owner has said so: outside the bound."""
    case = CASE._replace(watched=Watched(named=frozenset({"DataLoss"})))
    found = tally(book(1, 0, 10, 40))._replace(named={"DataLoss": Raised(1, 0)})
    assert look(found, Judge(), case, "me").judge.verdict.word == "worse"
    both = found._replace(named={"DataLoss": Raised(1, 1)})
    assert look(both, Judge(), case, "me").judge.verdict.word == "unclear"


def test_exposed_units_are_scaled_to_the_subset_of_the_failing_ones() -> None:
    """And rather under-counted, once they are an estimate."""
    stage = StageTally(1, AT_20, BEGAN, units=Pair(12, 18), unit_bits=1, exposed=Pair(800, 200), exposed_bits=3)
    found = counts_of(stage, 0.2)
    assert (found.x, found.y, found.w) == (18, 12, 0.2)
    assert found.n == 1_000 * 8 * 0.97 / 2


def test_processes_that_are_heard_no_more_are_charged_with_what_they_had_begun() -> None:
    """Both sides alike: a call of a dead process never ends."""
    hanging = (Failed(BEGAN + 5, 0xA, on_new=True), Failed(BEGAN + 5, 0xB, on_new=False))
    silent = RunningCalls("t", 3, NOW * 1000 - SILENT_MS - 1, 1, (), hanging)
    found = tally(book(0, 0, 10, 40), running=(silent, silent._replace(buffer="u", at_ms=NOW * 1000)))
    (batch,) = charges(found, BEGAN)
    assert (batch.buffer, batch.number, batch.errors, batch.failures) == ("t", 4, hanging, Pair(1, 1))
    assert forgotten(found) == ("t",)


def test_admission_is_thinned_ahead() -> None:
    """A window that has taken in thousands asks for one more bit, three seconds ahead."""
    found = look(tally(book(2_000, 3_000, 352, 1_408)), Judge(), CASE, "me")
    assert [(what, span.number, levels[-1]) for what, span, levels in found.levels] == [("errors", 1, (NOW + 3, 1))]


def test_a_sample_is_taken_when_something_has_changed_and_now_and_then() -> None:
    """The picture of a release is made of some two hundred of them for each doubling of its age."""
    first = look(tally(book(0, 0, 352, 1_408)), Judge(), CASE, "me")
    assert first.sample is not None
    assert first.sample.verdict == first.judge.verdict.word
    assert look(tally(book(0, 0, 352, 1_408)), first.judge, CASE, "me").sample is None
    later = tally(book(0, 0, 352, 1_408))._replace(now_ms=(NOW + 10) * 1000)
    assert look(later, first.judge, CASE, "me").sample is not None
