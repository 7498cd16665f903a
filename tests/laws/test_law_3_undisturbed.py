"""Law 3: changing one candidate's weight moves exactly the difference, between it and the baseline."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graysplit.core.allocation import PLACES, Claim, allocate, moved
from graysplit.core.bucketing import BUCKETS
from tests.strategies import meet, segments, sizes


def assert_exact(before: list[Claim], after: list[Claim], changed: str) -> None:
    """Hold two layouts to the law."""
    old, new = allocate(before), allocate(after)
    for _, (was, now) in segments(old, new):
        assert was == now or {was, now} == {None, changed}
    assert moved(old, new) == abs(sum(c.size for c in before) - sum(c.size for c in after))


@given(sizes, sizes)
def test_one_candidate(before: int, after: int) -> None:
    """With one candidate, exactly the difference moves, always."""
    assert_exact([Claim("new", 0, before)], [Claim("new", 0, after)], "new")


@given(sizes, sizes, sizes, st.booleans())
def test_two_candidates(mine: int, then: int, other: int, first: bool) -> None:
    """With two candidates in the first two places, the bystander stays at all weights that fit."""
    assume(max(mine, then) + other <= BUCKETS)
    places = (0, 1) if first else (1, 0)
    bystander = Claim("b", places[1], other)
    assert_exact([Claim("a", places[0], mine), bystander], [Claim("a", places[0], then), bystander], "a")


@pytest.mark.parametrize(("number", "most"), [(4, 25_000), (8, 12_500)])
@settings(max_examples=60)
@given(data=st.data())
def test_four_at_a_quarter_and_eight_at_an_eighth(number: int, most: int, data: st.DataObject) -> None:
    """Up to 25 % each with four candidates, and 12.5 % each with eight, no two runs ever meet."""
    before = [Claim(str(place), place, data.draw(st.integers(0, most))) for place in range(number)]
    which = data.draw(st.integers(0, number - 1))
    after = list(before)
    after[which] = before[which]._replace(size=data.draw(st.integers(0, most)))
    assert not meet(before)
    assert_exact(before, after, str(which))


@settings(max_examples=200)
@given(st.lists(st.integers(0, PLACES - 1), min_size=1, max_size=6, unique=True), st.data())
def test_any_number_as_long_as_no_two_runs_meet(places: list[int], data: st.DataObject) -> None:
    """Wherever the places lie, runs that do not meet leave each other alone."""
    small = st.integers(0, BUCKETS // len(places))
    before = [Claim(str(place), place, data.draw(small)) for place in places]
    which = data.draw(st.integers(0, len(places) - 1))
    after = list(before)
    after[which] = before[which]._replace(size=data.draw(small))
    assume(not meet(before))
    assume(not meet(after))
    assert_exact(before, after, before[which].version)


@settings(max_examples=200)
@given(st.lists(st.integers(0, PLACES - 1), min_size=1, max_size=8, unique=True), st.data())
def test_shares_are_exact_in_every_case(places: list[int], data: st.DataObject) -> None:
    """Also where runs meet, every candidate owns exactly as many buckets as its weight says."""
    left = BUCKETS
    claims: list[Claim] = []
    for place in places:
        size = data.draw(st.integers(0, left))
        left -= size
        claims.append(Claim(str(place), place, size))
    owned = dict.fromkeys((claim.version for claim in claims), 0)
    for size, (owner,) in segments(allocate(claims)):
        if owner is not None:
            owned[owner] += size
    assert owned == {claim.version: claim.size for claim in claims}


@given(st.lists(st.integers(0, 25_000), min_size=3, max_size=3), st.integers(0, 25_000))
def test_adding_a_candidate_moves_nobody_else(three: list[int], fourth: int) -> None:
    """A fourth candidate takes its units from the baseline only; removing one gives them back to it only."""
    before = [Claim(str(place), place, size) for place, size in enumerate(three)]
    assert_exact(before, [*before, Claim("3", 3, fourth)], "3")
    assert_exact([*before, Claim("3", 3, fourth)], before, "3")


@given(st.lists(st.integers(1, 25_000), min_size=2, max_size=4), st.fractions(0, 1), st.fractions(0, 1))
def test_a_ramp_in_proportion_moves_units_only_from_the_baseline(full: list[int], one: object, other: object) -> None:
    """An A/B/n test ramped with all its weights in proportion never moves a unit between candidates."""
    low, high = sorted((one, other))  # type: ignore[type-var]
    layouts = [
        allocate(Claim(str(place), place, int(size * part)) for place, size in enumerate(full)) for part in (low, high)
    ]
    for _, (was, now) in segments(*layouts):
        assert was is None or was == now
