"""Two candidates beside each other: by units that are each on either with a known chance, in stages they share."""

from __future__ import annotations

import random

from graysplit.core.guard.pairs import Counted, PairReport, pairs_of
from graysplit.core.guard.report import Subject
from graysplit.core.guard.tally import MICRO, Converted, Pair, Stage, StageTally, Tally


def stage(new: int, old: int, revision: int, users: int, failed: int, **more: object) -> StageTally:
    """Return what a stage has counted of a candidate."""
    found = StageTally(revision, Stage(new, old, revision), 1_000 + revision)
    found = found._replace(units=Pair(0, failed), exposed=Pair(0, users), ratio=Pair(0, users))
    return found._replace(**more)  # type: ignore[arg-type] # the fields' own types


def counted(version: str, *stages: StageTally, share: int = 20_000) -> Counted:
    """Return a candidate with its stages."""
    numbered = tuple(one._replace(number=number) for number, one in enumerate(stages, 1))
    subject = Subject("ranking", version, "a", f"r-{version}", 1, 2_000_000, share, 60_000)
    return Counted(subject, Tally(subject.field, subject.release, (), numbered))


def pair(first: Counted, second: Counted, candidates: int = 2) -> PairReport:
    """Return the one pair."""
    (found,) = pairs_of((first, second), candidates)
    return found


def test_bounds_hold_the_truth_however_thinned_and_whoever_else_runs() -> None:
    """Shares 10 and 30 %, failing and converting alike or not: nothing is missed in 150 draws; 5 % may be."""
    rng, missed = random.Random(5), 0
    for _ in range(150):
        rates = rng.choice(((0.02, 0.02), (0.02, 0.05), (0.3, 0.3)))
        thin = (rng.choice((0, 1)), rng.choice((0, 2)))
        users, failed = [0, 0], [0, 0]
        for _ in range(4_000):
            side = int(rng.random() < 0.75)
            users[side] += 1
            failed[side] += rng.random() < rates[side] and rng.random() < 0.5 ** thin[side]
        found = pair(
            counted("b", stage(10_000, 60_000, 1, users[0], failed[0], unit_bits=thin[0]), share=10_000),
            counted("c", stage(30_000, 60_000, 1, users[1], failed[1], unit_bits=thin[1]), share=30_000),
        )
        (shared,) = found.stages
        assert shared.failing is not None
        low, high = shared.failing.alone.difference
        missed += not low <= rates[0] - rates[1] <= high
        wide = shared.failing.jointly.difference
        assert wide.low <= low
        assert high <= wide.high
    assert missed <= 2


def test_nobody_on_the_baseline_is_no_obstacle() -> None:
    """Half and half: no control for either, and each is one for the other."""
    found = pair(counted("b", stage(50_000, 0, 1, 9_000, 90)), counted("c", stage(50_000, 0, 1, 9_000, 900)))
    assert found.stages[0].failing is not None
    assert found.stages[0].failing.alone.difference.high < 0


def test_only_a_time_of_constant_weights_of_both_is_compared() -> None:
    """The same changes must have begun and ended it; one that goes to zero has ended with it."""
    first, second = stage(20_000, 60_000, 1, 500, 5), stage(20_000, 60_000, 1, 500, 5)
    later = stage(30_000, 60_000, 2, 500, 5)
    both = pair(counted("b", first, later._replace(stage=Stage(20_000, 50_000, 2))), counted("c", second, later))
    assert [one.numbers for one in both.stages] == [(1, 1)]  # in the second, what is left to the baseline differs
    unlike = pair(counted("b", first), counted("c", second, later))
    assert unlike.stages == ()  # b's goes on with other weights of c
    over = pair(counted("b", first, later), counted("c", second, share=0))
    assert [one.numbers for one in over.stages] == [(1, 1)]
    other = pair(counted("b", first), counted("c", second._replace(stage=Stage(20_000, 60_000, 7))))
    assert other.stages == ()


def test_the_number_of_comparisons_is_named_and_widens_the_joint_bounds() -> None:
    """Three candidates and the baseline are six comparisons."""
    sides = (counted("b", stage(20_000, 20_000, 1, 900, 9)), counted("c", stage(20_000, 20_000, 1, 900, 30)))
    two, three = pair(*sides, 2), pair(*sides, 3)
    assert (two.comparisons, three.comparisons) == (3, 6)
    narrow, wide = two.stages[0].failing, three.stages[0].failing
    assert narrow is not None
    assert wide is not None
    assert narrow.alone == wide.alone
    assert wide.jointly.difference.low < narrow.jointly.difference.low < narrow.alone.difference.low
    assert len(pairs_of((*sides, counted("d", stage(20_000, 20_000, 1, 900, 9))), 3)) == 3


def test_goals_and_their_values_are_compared() -> None:
    """Each unit once, and where they have values the mean of these."""
    goals = (
        {"buy": Converted(Pair(0, 300), Pair(0, 150 * MICRO))},
        {"buy": Converted(Pair(0, 100), Pair(0, 50 * MICRO))},
    )
    found = pair(
        counted("b", stage(20_000, 60_000, 1, 1_000, 0, goals=goals[0])),
        counted("c", stage(20_000, 60_000, 1, 1_000, 0, goals=goals[1])),
    )
    (goal,) = found.stages[0].goals
    assert (goal.name, goal.converted, goal.users) == ("buy", (300, 100), (1_000, 1_000))
    assert goal.rates is not None
    assert goal.rates.alone.difference.low > 0.05
    assert goal.means is not None
    assert goal.means.alone.difference.low > 0
    one = pair(counted("b", stage(20_000, 60_000, 1, 0, 0)), counted("c", stage(20_000, 60_000, 1, 0, 0)))
    assert one.stages[0].failing is None


def test_a_ratio_that_is_off_is_found() -> None:
    """Of two candidates at one weight one has lost a third of its users."""
    sides = (counted("b", stage(20_000, 60_000, 1, 6_000, 0)), counted("c", stage(20_000, 60_000, 1, 4_000, 0)))
    (shared,) = pair(*sides).stages
    assert shared.ratio is not None
    assert (shared.ratio.on_new, shared.ratio.units, shared.ratio.off) == (6_000, 10_000, True)
    assert shared.invalid == "sample ratio mismatch"
