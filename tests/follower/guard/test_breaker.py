"""The local breaker: the rule on one process's own counts, and nothing that grows without bound."""

from __future__ import annotations

from collections.abc import Iterator

from graysplit.core.guard.sequential_test import NORMAL
from graysplit.core.guard.tally import Batch, Begun, Failed, Stage
from graysplit.follower.guard.breaker import Breaker

BEGAN = 1_000
HALF = Stage(50_000, 50_000, 1)


def batches(new: int, old: int, *, at: int = BEGAN + 5, stage: Stage = HALF, under_way: int = 0) -> Iterator[Batch]:
    """Return what a buffer tells of users who failed on either version, among a hundred calls on each."""
    failing = [(number, number < new) for number in range(new + old)]
    errors = tuple(Failed(at, 1_000 * at + number, on_new) for number, on_new in failing)
    calls = (Begun(at, False, 100), Begun(at, True, 100))
    running = (Begun(at, False, under_way),) if under_way else ()
    yield Batch("checkout/new", "r1", BEGAN, "tape", 1, stage, calls, errors=errors, running=running)


def test_it_breaks_by_the_rule_and_by_its_part_of_the_budget() -> None:
    """What convicts one process of ten does not convict one of a million."""
    breaker = Breaker(BEGAN)
    for batch in batches(30, 0):
        breaker.add(batch)
    proof = breaker.proof(BEGAN + 20, 10, NORMAL)
    assert proof is not None
    assert (proof.on_new, proof.on_old) == (30, 0)
    assert breaker.proof(BEGAN + 20, 10_000_000, NORMAL) is None


def test_what_both_meet_breaks_nothing() -> None:
    """Also where old meets it later: its calls under way are taken for failed ones."""
    breaker = Breaker(BEGAN)
    for batch in batches(30, 0, under_way=30):
        breaker.add(batch)
    assert breaker.proof(BEGAN + 20, 1, NORMAL) is None


def test_a_weight_that_changed_is_another_stratum() -> None:
    """Counts of two shares are never added; their evidence is."""
    breaker = Breaker(BEGAN)
    for batch in (*batches(9, 0), *batches(9, 0, at=BEGAN + 9, stage=Stage(20_000, 80_000, 2))):
        breaker.add(batch)
    proof = breaker.proof(BEGAN + 20, 1, NORMAL)
    assert proof is not None
    assert proof.expected == 9 * 0.5 + 9 * 0.2


def test_windows_of_the_past_are_forgotten() -> None:
    """A day of minutes leaves no more than those that can still be judged."""
    breaker = Breaker(BEGAN)
    for minute in range(1_440):
        for batch in batches(1, 1, at=BEGAN + 60 * minute):
            breaker.add(batch)
    assert breaker.windows <= 6
