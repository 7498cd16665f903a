"""What a state holds for calls off the two straight lines."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.bucketing import HASHES
from graysplit.core.compiled import NEAR, recount, with_calls
from graysplit.core.counters import Counts
from tests.routes.making import a_state

WEIGHTS = st.lists(st.integers(0, 25_000).map(lambda milli: milli / 1000), min_size=1, max_size=4)


@given(WEIGHTS, st.lists(st.integers(0, HASHES - 1), max_size=50))
def test_the_near_table_agrees_with_bisect(weights: list[float], hashes: list[int]) -> None:
    """For every hash, at every border too, the table gives the branch that a bisect finds, or sends there."""
    state = a_state({f"v{place}": weight for place, weight in enumerate(weights)})
    if state.runs is None:
        assert state.near == ()
        return
    assert len(state.near) == HASHES >> NEAR
    borders = [hashed for bound in state.runs for hashed in (bound - 1, bound, bound + 1) if 0 <= hashed < HASHES]
    for hashed in (*hashes, *borders, 0, HASHES - 1):
        place = state.near[hashed >> NEAR]
        assert place in {-1, bisect_right(state.runs, hashed)}
    assert state.near.count(-1) <= len(set(state.runs))


def test_a_recounted_state_counts_elsewhere_only() -> None:
    """A route's copy of a state counts every target, end and side in its own counts."""
    state = a_state({"b": 20, "c": 20}, {"old": print, "b": print, "c": print})
    counts = Counts(state.names, routed=True)
    copy = recount(state, counts)
    assert [count for _, count, _, _ in copy.targets] == [meter.count for meter in counts.started]
    assert copy.e_new is counts.finished[1].count
    assert copy.c_old is counts.started[0].count
    assert [branch.counter for branch in copy.branches] == [
        counts.started[branch.number].count for branch in copy.branches
    ]


def test_the_codes_baseline_stands_in_for_whatever_is_missing() -> None:
    """Where the store's baseline has no function, the code's answers for it and for each absent version."""
    copy = with_calls(a_state({"b": 20, "c": 20}, {"b": print}), (repr, print, None))
    assert copy.calls == (repr, print, repr)
    assert copy.f_old is repr
    assert [call for _, _, call, _ in copy.targets] == [repr, print, repr, repr]
    assert [evidence for *_, evidence in copy.targets] == [True, True, True, False]
