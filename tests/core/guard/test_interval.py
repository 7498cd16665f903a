"""Always-valid intervals, against the published vectors."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.guard.interval import (
    EACH,
    StageCounts,
    difference,
    ln_mixture,
    ratio,
    total,
)
from graysplit.core.guard.verdict_rules import SeenUnits, is_safe, missing_on_new, ratio_is_off


@pytest.mark.parametrize(
    ("counts", "points", "safe"),
    [
        ((20, 80, 10000, 0.2), (-0.7085, 0.9532), True),
        ((40, 80, 10000, 0.2), (0.0223, 2.2425), False),
        ((0, 0, 6000, 0.2), (-0.1111, 0.5019), False),
    ],
)
def test_the_vectors(counts: tuple[int, int, int, float], points: tuple[float, float], safe: bool) -> None:
    """The difference in percentage points, and whether it is safe."""
    found = difference(StageCounts(*counts))
    assert (100 * found.low, 100 * found.high) == pytest.approx(points, abs=5e-5)
    assert is_safe([StageCounts(*counts)]) is safe


def test_the_check_of_the_sample_ratio() -> None:
    """2,300 of 10,000 at 20 % is no chance; 2,100 may be."""
    assert ln_mixture(2300, 10000, 0.2, 1000) == pytest.approx(23.510262, abs=5e-7)
    assert ln_mixture(2100, 10000, 0.2, 1000) == pytest.approx(1.593542, abs=5e-7)
    assert ratio_is_off([SeenUnits(2300, 10000, 0.2)], 1)
    assert not ratio_is_off([SeenUnits(2100, 10000, 0.2)], 1)


def test_units_needed_with_no_error_anywhere() -> None:
    """Some 1,210 exact units on new, 1,244 by an estimate taken at 0.97: no error is no proof before that."""
    assert not is_safe([StageCounts(0, 0, 1_200 / 0.2, 0.2)])
    assert is_safe([StageCounts(0, 0, 1_244 * 0.97 / 0.2 + 10, 0.2)])
    missing = missing_on_new([StageCounts(0, 0, 1_000, 0.2)])
    assert missing == pytest.approx(1_207 - 200, abs=15)
    assert missing_on_new([StageCounts(0, 0, 10_000, 0.2)]) == 0
    assert missing_on_new([StageCounts(500, 100, 10_000, 0.2)]) is None


@pytest.mark.parametrize("w", [0.0, 1.0])
def test_without_a_control_nothing_is_safe(w: float) -> None:
    """At 0 and 100 % there is nobody to compare with."""
    assert not is_safe([StageCounts(0, 0, 1e9, w)])


@given(st.integers(0, 500), st.floats(0.01, 0.99), st.sampled_from((0.025, 0.005)))
def test_the_bounds_are_where_chance_ends(x: int, w: float, a: float) -> None:
    """Inside them the mixture is below 1/a, a step outside it is not; and they hold the natural guess."""
    found = total(x, w, a)
    ceiling = math.log(1 / a)
    assert x <= found.low <= x / w * (1 + 1e-9) <= found.high * (1 + 1e-9)
    assert ln_mixture(x, found.high, w) < ceiling <= ln_mixture(x, found.high * 1.001 + 0.01, w)
    if found.low > x:
        assert ln_mixture(x, found.low, w) < ceiling
        assert ln_mixture(x, max(x, found.low * 0.999 - 0.01), w) >= ceiling or found.low - x < 0.02


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1_000, 100_000), st.floats(0.05, 0.95))
def test_a_stricter_interval_is_wider(x: int, y: int, n: int, w: float) -> None:
    """Less may be missed, so more is inside; and the ratio's bounds are in order."""
    counts = StageCounts(x, y, n, w)
    narrow, wide = difference(counts, EACH), difference(counts, EACH / 10)
    assert wide.low <= narrow.low <= narrow.high <= wide.high
    found = ratio(counts)
    assert found.low <= found.high
