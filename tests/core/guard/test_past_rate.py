"""A candidate that nobody is left beside is judged by what the baseline's rate was before, with a stated bound."""

from __future__ import annotations

import random
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graysplit.core.guard.evaluation import EvaluationInput, Judge, look
from graysplit.core.guard.past_rate import (
    _ABOVE,
    _BELOW,
    ALPHA,
    HOLDS_S,
    OLDEST_S,
    SUSPECT,
    Alarm,
    PastRate,
    Uncontrolled,
    alarm,
    highest,
    limits,
    past_of,
    past_text,
    read_past,
    uncontrolled,
)
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import Kept, Pair, Stage, StageTally, Tally
from graysplit.core.guard.verdict import Verdict
from graysplit.core.guard.verdict_rules import Watched
from graysplit.core.guard.windows import Book, Span, StratumName, Window, WindowSide

BEGAN = 1_000
KNOWN = PastRate(9_000, 90, 9_000, 90, BEGAN)
AT_95, AT_100 = Stage(95_000, 5_000, 1), Stage(100_000, 0, 2)
RATES = st.floats(1e-6, 0.999)


def minute(failed: int, calls: int, number: int = 1, stage: int = 2) -> Window:
    """Return a minute's window in which so many users failed."""
    book = Book(StratumName(stage), 1.0, WindowSide(calls, 0, failed), WindowSide())
    return Window(Span(60, number, BEGAN + 60 * (number - 1)), (book,))


def tally(failed: int, calls: int, *, at_s: int = BEGAN + 30, past: StageTally | None = None) -> Tally:
    """Return a release that was at 95 % before, and is at 100 % now."""
    before = past or StageTally(1, AT_95, BEGAN - 3_600, Pair(9_000, 171_000), Pair(90, 1_710), Pair(90, 1_710))
    before = before._replace(exposed=Pair(9_000, 171_000)) if past is None else before
    stages = (before, StageTally(2, AT_100, BEGAN, Pair(0, calls), Pair(0, failed)))
    kept = (Kept("errors", minute(failed, calls)),)
    return Tally("checkout/new", "r", kept, stages, now_ms=at_s * 1000)


def verdict(found: Tally, case: EvaluationInput | None = None) -> Verdict:
    """Return what is made of a tally."""
    return look(found, Judge(), case or EvaluationInput(Guard(), Watched(), BEGAN - 3_600), "me").judge.verdict


@given(RATES, st.floats(0, 1))
def test_no_factor_gains_where_the_rate_is_what_is_allowed(rate: float, part: float) -> None:
    """Each one's mean is 1 at most for every rate that is allowed: so the evidence is a supermartingale."""
    for share in _ABOVE:
        other, true = rate + (1 - rate) * share, rate * part  # new fails no more often than `rate`
        assert true * other / rate + (1 - true) * (1 - other) / (1 - rate) <= 1 + 1e-9
    for share in _BELOW:
        other, true = rate * share, rate + (1 - rate) * part  # and old no less often
        assert true * other / rate + (1 - true) * (1 - other) / (1 - rate) <= 1 + 1e-9


@settings(max_examples=30)
@given(st.integers(0, 2_000), st.integers(1, 100_000))
def test_the_highest_rate_is_above_what_was_counted(failed: int, more: int) -> None:
    """And nearer to it the more was counted."""
    calls = failed + more
    assert failed / calls < highest(failed, calls) <= 1
    assert highest(10 * failed, 10 * calls) <= highest(failed, calls) + 1e-6


def drawn(rng: random.Random, calls: int, rate: float) -> int:
    """Draw how many of so many calls fail, by the gaps between failures."""
    at, found = 0, 0
    while rate:
        at += 1 + int(log(1 - rng.random()) / log(1 - rate))
        if at > calls:
            break
        found += 1
    return found


def test_equal_rates_raise_no_more_alarms_than_the_bound_says() -> None:
    """Looked at again and again: as often as old, and on the limit of what is allowed; the bound is 1 in 1,000."""
    rng, runs, false = random.Random(7), 300, {"equal": 0, "on the limit": 0}
    for _ in range(runs):
        rate = rng.choice((0.0, 0.001, 0.01, 0.05))
        calls = rng.choice((500, 5_000))
        failed = drawn(rng, calls, rate)
        past = PastRate(calls, failed, calls, failed, BEGAN)
        where = Uncontrolled(BEGAN, 2, past)
        for case, true in (("equal", rate), ("on the limit", SUSPECT.rho * rate + SUSPECT.delta)):
            x = n = 0
            for _ in range(20):
                x, n = x + drawn(rng, 50, true), n + 50
                if alarm([minute(x, n)], where) is not None:
                    false[case] += 1
                    break
    assert false["equal"] == 0
    assert false["on the limit"] <= 2  # 300 times 0.001, and room


def test_uneven_users_raise_none_at_equal_rates() -> None:
    """Some fail always and call often: each counts once, on either side, and few users tell little."""
    rng, false = random.Random(11), 0
    for _ in range(100):
        users = [(rng.lognormvariate(0, 1.5), 0.9 if rng.random() < 0.05 else 0.002) for _ in range(400)]
        on_old = [user for user in users if rng.random() < 0.05]
        past = _counted(rng, on_old, minutes=30)
        failed, calls, repeats = _minute(rng, users)
        window = Window(
            Span(60, 1, BEGAN), (Book(StratumName(2), 1.0, WindowSide(calls, repeats, failed), WindowSide()),)
        )
        false += alarm([window], Uncontrolled(BEGAN, 2, past)) is not None
    assert false == 0


def _minute(rng: random.Random, users: list[tuple[float, float]]) -> tuple[int, int, int]:
    failed = calls = repeats = 0
    for often, rate in users:
        own = [rng.random() < rate for _ in range(min(30, int(rng.expovariate(1 / often))))]
        calls += len(own)
        failed += any(own)
        repeats += max(0, sum(own) - 1)
    return failed, calls, repeats


def _counted(rng: random.Random, users: list[tuple[float, float]], minutes: int) -> PastRate:
    calls = failures = 0
    failing: set[int] = set()
    for _ in range(minutes):
        for number, user in enumerate(users):
            failed, own, repeats = _minute(rng, [user])
            calls, failures = calls + own, failures + failed + repeats
            failing |= {number} if failed else set()
    return PastRate(calls, failures, len(users), len(failing), BEGAN)


@pytest.mark.parametrize(
    ("failed", "calls", "word"),
    [
        (1, 100, "no control"),  # as before
        (4, 4, "no control"),  # fewer than five users
        (60, 3_000, "no control"),  # twice as often
        (60, 600, "suspect"),
        (100, 200, "worse"),
    ],
)
def test_what_a_minute_shows(failed: int, calls: int, word: str) -> None:
    """One per cent before: ten per cent is a doubt, fifty is beyond doubt."""
    found = verdict(tally(failed, calls))
    assert found.word == word
    said = "old before: 1 % of 9,000 calls"
    assert said in found.why
    if word != "no control":
        assert found.why.startswith(
            f"{failed} users failed in {calls:,} calls of new within 1 min; {said} (compared with the past"
        )
    else:
        assert "everybody is on new: compared with the past only, for 5 h 59 min more" in found.why


def test_the_action_is_asked() -> None:
    """Where the guard must not roll back, what is beyond doubt is a doubt; a person may accept it."""
    case = EvaluationInput(Guard("pause"), Watched(), BEGAN - 3_600)
    assert verdict(tally(100, 200), case).word == "suspect"
    assert verdict(tally(100, 200), case._replace(accepted=2)).word == "unclear"
    assert verdict(tally(60, 600), case._replace(guard=Guard(), accepted=2)).word == "no control"


def test_it_holds_for_six_hours_and_not_past_the_end_of_a_release() -> None:
    """Later old's rate says little; a release that a person has finished is not judged by it."""
    assert verdict(tally(100, 200, at_s=BEGAN + HOLDS_S - 1)).word == "worse"
    late = verdict(tally(100, 200, at_s=BEGAN + HOLDS_S))
    assert (late.word, late.why.partition(";")[0]) == (
        "no control",
        "everybody is on new: there is nothing to compare with",
    )
    assert verdict(tally(100, 200), EvaluationInput(Guard(), Watched(), BEGAN, finished=True)).word == "no control"


def test_where_nothing_is_known_of_old_half_of_the_calls_is_a_doubt_and_never_more() -> None:
    """A first switch: nobody has counted old before."""
    first = tally(90, 100)._replace(
        stages=(StageTally(1, AT_100, BEGAN),), kept=(Kept("errors", minute(90, 100, stage=1)),)
    )
    found = verdict(first)
    assert (found.word, "old's rate before is not known" in found.why) == ("suspect", True)
    few = first._replace(kept=(Kept("errors", minute(20, 100, stage=1)),))
    assert verdict(few).why == (
        "everybody is on new, and old's rate before is not known: suspect for 5 h 59 min more once over half of its "
        "calls fail"
    )


def test_what_was_kept_of_the_release_before_is_known_for_a_day() -> None:
    """Of a switch; a rate that is older says little, and one of the release itself comes first."""
    alone = (StageTally(1, AT_100, BEGAN),)
    for age_s, known in ((0, KNOWN), (OLDEST_S, KNOWN), (OLDEST_S + 1, None)):
        kept = KNOWN._replace(until_s=BEGAN - age_s)
        found = uncontrolled(alone, kept)
        assert found is not None
        assert found.past == (None if known is None else kept)
    assert read_past(past_text(KNOWN)) == KNOWN
    assert [read_past(text) for text in ("", "1 2 3", "1 2 3 4 x", "1 2 3 4 -5", "9" * 400)] == [None] * 5
    mine = uncontrolled(tally(0, 10).stages, KNOWN._replace(calls=1))
    assert mine is not None
    assert mine.past == KNOWN
    assert uncontrolled(tally(0, 10).stages[:1]) is None


def test_the_stage_that_counts_is_chosen_by_its_users_and_not_by_its_failures() -> None:
    """The last with enough of them, else the one with most."""
    stages = [
        StageTally(number, stage, BEGAN + number, Pair(users, 1), Pair(failed, 0), exposed=Pair(users, 1))
        for number, stage, users, failed in ((1, AT_95, 900, 9), (2, AT_95, 600, 60), (3, AT_95, 40, 0))
    ]
    assert past_of(stages, BEGAN + 10) == PastRate(600, 60, 600, 0, BEGAN + 3)
    assert past_of(stages[2:], BEGAN + 10) == PastRate(40, 0, 40, 0, BEGAN + 10)
    assert past_of((), BEGAN) is None


def test_few_users_tell_too_little_to_convict_anybody() -> None:
    """Twenty users without a failure: nothing is beyond doubt, and nothing is above what they allow."""
    few = PastRate(5_000, 0, 20, 0, BEGAN)
    assert limits(few)[1] > 1
    found = alarm([minute(1_000, 1_000)], Uncontrolled(BEGAN, 2, few))
    assert found == Alarm(1_000, 1_000, 60, 1, beyond_doubt=False)


def test_an_alarm_becomes_harder_with_each_window() -> None:
    """All of a release's windows share one budget."""
    assert alarm([minute(60, 600)], Uncontrolled(BEGAN, 2, KNOWN)) is not None
    assert alarm([minute(60, 600, number=10**6)], Uncontrolled(BEGAN, 2, KNOWN)) is None
    assert ALPHA == 0.001
