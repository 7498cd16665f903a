"""How many units a verdict needs, against the published figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.guard.interval import ESTIMATE_FACTOR
from graysplit.core.guard.power import Traffic, detectable, outlook, units_needed
from graysplit.core.guard.sequential_test import Stratum, is_worse

WEIGHTS = st.floats(0.01, 0.99)


def test_what_safe_needs_is_the_published_number() -> None:
    """At 20 % without an error anywhere: 1,244 units on new where they are estimated, 3 % fewer where exact."""
    needed = units_needed(0.2)
    assert needed is not None
    assert needed / ESTIMATE_FACTOR == pytest.approx(1_244, abs=3)


@pytest.mark.parametrize(("failing", "median", "most"), [(0.001, 1_244, 1_924), (0.01, 908, 1_772), (0.05, 339, 717)])
def test_what_safe_needs_lies_within_the_published_range(failing: float, median: int, most: int) -> None:
    """Chance moves the true number; what is foretold lies between the median and the ninth of ten."""
    needed = units_needed(0.2, failing)
    assert needed is not None
    assert 0.95 * median <= needed <= most


@pytest.mark.parametrize("w", [0.0, 1.0])
def test_without_a_control_nothing_is_ever_safe(w: float) -> None:
    """Everybody on one version: there is nothing to compare with, and nothing would be found."""
    traffic = Traffic(100, 100)
    assert units_needed(w) is None
    assert detectable(w, traffic, 3_600) is None
    assert outlook(w, traffic, within_s=60) == (w, None, None, None)


@pytest.mark.parametrize(("w", "units"), [(0.2, 6), (0.5, 13)])
def test_a_version_that_always_fails_is_found_by_its_published_units(w: float, units: int) -> None:
    """Old never fails: so many failing units on new are enough, and one fewer is not."""
    enough, short = Traffic(units / w, units / w), Traffic((units - 1) / w, (units - 1) / w)
    assert detectable(w, enough, 1.0) == pytest.approx(1.0, abs=1e-3)
    assert detectable(w, short, 1.0) is None


def test_five_percent_are_found_in_the_published_time() -> None:
    """From 1 %, at 20 % of 100 calls a second: 352 calls on new at the median, and 598 nine times of ten."""
    traffic = Traffic(100, 100, 0.01)
    late, early = detectable(0.2, traffic, 352 / 20), detectable(0.2, traffic, 598 / 20)
    assert late is not None
    assert early is not None
    assert early < 0.05
    assert late < 0.06


def test_time_is_what_users_come_in() -> None:
    """Users on new per second, whatever the calls; with traffic unknown, so is the time."""
    found = outlook(0.2, Traffic(1_000, 50))
    needed = units_needed(0.2)
    assert needed is not None
    assert found.seconds == pytest.approx(needed / 10)
    assert outlook(0.2, None) == (0.2, needed, None, None)
    assert outlook(0.2, Traffic(10, 0)).seconds is None


@given(w=WEIGHTS, calls_s=st.floats(1, 1_000), failing=st.floats(0, 0.2), seconds=st.floats(1, 7_200))
def test_what_is_foretold_is_what_the_rule_says(w: float, calls_s: float, failing: float, seconds: float) -> None:
    """Never less than fails on old; and in a first minute that sees all of the step, the rule agrees."""
    found = detectable(w, Traffic(calls_s, calls_s, failing), seconds)
    if found is None or seconds > 60:
        return
    assert failing <= found <= 1
    on_new, on_old = calls_s * w * seconds, calls_s * (1 - w) * seconds
    told = Stratum(int(on_new * found) + 1, int(on_old * failing), int(on_new), int(on_old) + 1, w)
    assert is_worse([told], 1)


@given(w=WEIGHTS, calls_s=st.floats(1, 1_000), age_s=st.floats(0, 80_000))
def test_a_longer_look_finds_more(w: float, calls_s: float, age_s: float) -> None:
    """Whenever in its release a step begins."""
    traffic = Traffic(calls_s, calls_s)
    short, long = detectable(w, traffic, 30, age_s=age_s), detectable(w, traffic, 1_000, age_s=age_s)
    assert short is None or (long is not None and long <= short * 1.001)
