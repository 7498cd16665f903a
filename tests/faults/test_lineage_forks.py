"""A fork is told: once by each process, once in the history, and no revision means two things."""

from __future__ import annotations

import logging

import pytest

from tests.faults.pairs import FIELD, Pair, settled
from tests.faults.shares import share
from tests.support import eventually


def forks(pair: Pair) -> list[tuple[int, str]]:
    """Return the forks in the second server's history, with their revisions."""
    return [(entry.revision, entry.why) for entry in pair.two.control.history(None, 20) if entry.cause == "fork"]


def test_a_raise_that_a_failover_lost_is_told_by_each_and_once_in_the_history(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """It only lowers, so that nothing is held; and the next change has a number that nobody has seen."""
    pair.two.become(pair.one.dump())
    with pair.process() as one, pair.process() as other, caplog.at_level(logging.INFO, "graysplit"):
        # Given two raises that the second server has not
        for weight in (60, 70):
            pair.one.control.set("checkout", weight)
        eventually(lambda: {share(one), share(other)} == {70})
        lost, stood = pair.one.control.overview().revision, pair.two.control.overview().revision
        # When
        pair.fail_over()
        # Then
        eventually(lambda: {share(one), share(other)} == {50}, 10)
        eventually(lambda: len(forks(pair)) == 1, 10)
        told = f"the store has lost 2 changes that had been followed (after revision {stood}, up to {lost})"
        eventually(lambda: sum(told in line and "checkout/new 70% -> 50%" in line for line in caplog.messages) == 2)
        assert not one.status().held
        (revision, why), *_ = forks(pair)
        assert revision == lost + 1
        assert told in why
        entry = pair.two.control.history("checkout", 1)[0]
        assert (entry.before[f"lost {FIELD}"], entry.after[f"lost {FIELD}"]) == ("70", "50")
        # And nothing was raised by what it names, nor is it told again
        written = pair.two.control.set("checkout", 55)
        assert written.revision == lost + 2
        settled(one, 55)
        assert len(forks(pair)) == 1


def test_whoever_writes_before_the_fork_is_entered_counts_on_above_it(pair: Pair) -> None:
    """A rollback in the first moment: no process that followed more knows its number as another change."""
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.one.control.set("checkout", 60)
        eventually(lambda: share(router) == 60)
        lost = pair.one.control.overview().revision
        pair.fail_over()
        eventually(lambda: len(pair.two.control.fleet().live) == 1, 10)
        assert pair.two.control.rollback("checkout").revision > lost
        settled(router, 0)
        numbers = [entry.revision for entry in pair.two.control.history(None, 20)]
        assert len(set(numbers)) == len(numbers)


def test_a_store_sown_anew_is_told_as_a_fork(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """It shares no change: what stands nevertheless is held, and the fork is told beside it."""
    with pair.process() as router, caplog.at_level(logging.INFO, "graysplit"):
        eventually(lambda: share(router) == 50)
        pair.two.control.create("bystander")
        pair.fail_over()
        eventually(lambda: len(forks(pair)) == 1, 10)
        assert "the store has another history" in forks(pair)[0][1]
        assert any("another history" in line and "checkout/new 50% -> absent" in line for line in caplog.messages)
        assert share(router) == 50
        assert router.status().held
