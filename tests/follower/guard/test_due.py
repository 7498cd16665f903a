"""How often it is looked what is to be judged: some times a second, and at once where something fails here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from graysplit.events import Events
from graysplit.follower.guard.evaluator import DUE_S, Evaluator
from tests.clocks import MovedClock


def test_a_failure_here_is_looked_at_at_once_and_a_second_one_of_it_with_the_rest() -> None:
    """Else a turn of the follower that comes a moment later does not look again."""
    clock, nobody = MovedClock(), cast("Any", SimpleNamespace())
    evaluator = Evaluator("00" * 8, nobody, nobody, Events(), clock)
    assert [evaluator._is_time(), evaluator._is_time()] == [True, False]
    evaluator.hurry("checkout/new")
    assert [evaluator._is_time(), evaluator._is_time()] == [True, False]
    evaluator.hurry("checkout/new")
    assert not evaluator._is_time()
    clock.now += DUE_S
    assert [evaluator._is_time(), evaluator._is_time()] == [True, False]
    clock.now -= 100.0  # a clock that was put back
    assert evaluator._is_time()
