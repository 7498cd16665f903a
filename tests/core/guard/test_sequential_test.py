"""The rule that rolls back, against the published vectors; and its law: the order of counting tells nothing."""

from __future__ import annotations

from math import inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.guard.sequential_test import (
    MINIMUM,
    NORMAL,
    STRICT,
    Stratum,
    evidence,
    expected_on_new,
    is_worse,
    limit,
    ln_evidence,
    ln_mean,
)

EXAMPLE = Stratum(18, 12, 352, 1_408, 0.2)

strata = st.builds(
    lambda x, y, more, o, w: Stratum(x, y, x + more, o, w),
    st.integers(0, 200),
    st.integers(0, 200),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.floats(0.001, 0.999),
)


def test_the_worked_example() -> None:
    """Each part of the mixture, the evidence, and the limit of the first window."""
    assert [round(part, 6) for part in ln_evidence([EXAMPLE])] == [
        2.802704,
        5.248933,
        7.927730,
        9.732135,
        9.438809,
        4.543039,
        -5.472810,
        -18.727881,
    ]
    assert evidence([EXAMPLE]) == pytest.approx(4061.40, abs=0.005)
    assert evidence([EXAMPLE], STRICT) == pytest.approx(16148.0, abs=0.05)
    assert [limit(1), limit(3), limit(40)] == pytest.approx([857.143, 5142.86, 702857.0], rel=1e-6)
    assert is_worse([EXAMPLE], 1)
    assert expected_on_new([EXAMPLE]) == pytest.approx(6)


@pytest.mark.parametrize(
    ("stratum", "window", "found", "worse"),
    [
        ((4, 0, 4, 396, 0.01), 1, 1.92773e06, False),  # fewer than five: a floor
        ((5, 0, 5, 495, 0.01), 1, 1.11748e08, True),
        ((8, 1, 2000, 198000, 0.01), 1, 2230.22, True),
        ((5, 0, 25, 75, 0.2), 1, 225.199, False),
        ((6, 0, 30, 120, 0.2), 1, 2481.18, True),
        ((18, 12, 352, 1408, 0.2), 40, 4061.4, False),
        ((40, 0, 2000, 8000, 0.2), 3, 9.56874e23, True),
        ((60, 20, 9000, 12000, 0.2), 1, 2519.15, True),
        ((0, 50, 1000, 4000, 0.2), 1, 0.00495614, False),
        ((12, 0, 12, 12, 0.5), 1, 804.754, False),
        ((13, 0, 13, 13, 0.5), 1, 1482.61, True),
        ((165, 0, 165, 9, 0.95), 1, 857.916, True),
        ((100, 0, 100, 0, 1), 1, 1.0, False),  # no control
    ],
)
def test_the_vectors(stratum: tuple[int, int, int, int, float], window: int, found: float, worse: bool) -> None:
    """Six digits, and the verdict."""
    made = Stratum(*stratum)
    assert evidence([made]) == pytest.approx(found, rel=5e-6)
    assert is_worse([made], window) is worse


def test_two_strata_are_weighed_each_by_its_own_chance() -> None:
    """Their log factors are added, never their counts."""
    two = [Stratum(4, 3, 100, 1900, 0.05), Stratum(9, 4, 300, 1200, 0.2)]
    assert evidence(two) == pytest.approx(47830.9, abs=0.05)
    assert is_worse(two, 1)


@given(st.lists(strata, min_size=1, max_size=4))
def test_at_full_weight_nothing_is_ever_shown(found: list[Stratum]) -> None:
    """Without a control E never rises above 1."""
    assert evidence([one._replace(w=1.0, o=0, y=0) for one in found]) <= 1 + 1e-9


@given(st.lists(strata, min_size=1, max_size=4), st.integers(1, 50))
def test_later_windows_and_more_calls_on_new_only_excuse(found: list[Stratum], window: int) -> None:
    """The limit grows with the window's number, and over-counting the calls of new never convicts."""
    if is_worse(found, window + 1):
        assert is_worse(found, window)
    more = [one._replace(n=one.n + 1_000) for one in found]
    assert max(a - b for a, b in zip(ln_evidence(more), ln_evidence(found), strict=True)) <= 1e-6


@given(strata)
def test_one_more_failing_user_of_old_never_convicts(found: Stratum) -> None:
    """An error on old speaks for new."""
    assert ln_mean(ln_evidence([found._replace(y=found.y + 1)])) <= ln_mean(ln_evidence([found])) + 1e-9


def test_numbers_too_large_for_a_float_are_compared_all_the_same() -> None:
    """A million failing users convict."""
    many = [Stratum(1_000_000, 0, 1_000_000, 4_000_000, 0.2)]
    assert evidence(many) == inf
    assert is_worse(many, 1_000)


def test_a_mean_of_the_smallest_is_small() -> None:
    """The mean is taken without leaving what floats hold."""
    assert ln_mean([-2_000.0, -2_000.0]) == pytest.approx(-2_000)
    assert ln_mean([log(2), log(4)]) == pytest.approx(log(3))
    assert ln_mean([-inf, -inf]) == -inf


@given(st.floats(0.01, 0.99), st.integers(MINIMUM, 40))
def test_a_healthy_split_of_errors_never_convicts(w: float, on_new: int) -> None:
    """As many on new as chance says: no verdict, however many there are."""
    units = round(on_new / w)
    assert not is_worse([Stratum(on_new, units - on_new, on_new, units - on_new, w)], 1, NORMAL)
