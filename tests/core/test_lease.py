"""A raise for a time: what stands while it runs, and after.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.lease import Lease, lapsed, parse_lease, take
from graysplit.core.weights import PREVIEW, Weight, rises

WEIGHTS = st.one_of(st.integers(0, 100_000), st.just(PREVIEW))


@given(WEIGHTS, st.integers(0, 2**53), WEIGHTS)
def test_is_read_as_written_and_never_ends_higher(at: Weight, until: int, then: Weight) -> None:
    """A lease survives its text, but for an end that would raise: that ends where it is."""
    read = parse_lease(str(Lease(at, until, then)))
    assert read is not None
    assert (read.at, read.until_ms) == (at, until)
    assert read.then == (at if rises(at, then) else then)


@pytest.mark.parametrize(
    "text", ["", "20", "20 x 5", "20 -1 5", "20 1 5 6", "101 1 5", "20 \u0661 5", "20  1 5", "nan 1 5"]
)
def test_what_is_no_lease_is_none(text: str) -> None:
    """Garbage is no lease, and raises nothing."""
    assert parse_lease(text) is None


def test_ends_by_the_servers_time() -> None:
    """Before its end nothing has lapsed; from then on the weight after it stands."""
    leases = {"checkout/new": Lease(20_000, 1_000, 5_000)}
    weights: dict[str, Weight] = {"checkout/new": 20_000}
    assert lapsed(leases, weights, 999) == {}
    assert lapsed(leases, weights, 1_000) == {"checkout/new": 5_000}


def test_without_a_time_it_is_over() -> None:
    """In doubt, lower: no known time ends every lease."""
    assert lapsed({"a/b": Lease(20_000, 10**15, 0)}, {"a/b": 20_000}, None) == {"a/b": 0}


@given(WEIGHTS, WEIGHTS)
def test_another_weight_voids_it(at: Weight, stands: Weight) -> None:
    """A lease never fights an edit: it ends only the weight that it wrote."""
    over = lapsed({"a/b": Lease(at, 0, 0)}, {"a/b": stands}, 1)
    assert (over == {"a/b": 0}) is (at == stands)


def test_a_lease_within_a_lease_inherits_what_comes_after() -> None:
    """5, then 20 for a time, then 50 for a time: back to 5, not to a 20 whose lease is over (timeline 26)."""
    first = take(20_000, 5_000, 1_000, None)
    second = take(50_000, 20_000, 2_000, first)
    assert second == Lease(50_000, 2_000, 5_000)
    assert take(50_000, 30_000, 2_000, first).then == 30_000


def test_no_lease_lasts_longer_because_the_clock_was_set_back() -> None:
    """What was taken off the server's clock while it ran is added again; for others the clock counts as it is."""
    leases, weights = {"a/b": Lease(20_000, 1_000, 0), "c/d": Lease(20_000, 1_000, 0)}, {"a/b": 20_000, "c/d": 20_000}
    assert lapsed(leases, weights, 400, {"a/b": 600}) == {"a/b": 0}
