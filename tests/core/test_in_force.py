from __future__ import annotations

from graysplit.core.in_force import InForce, in_force, mistyped_zeros
from graysplit.core.weights import FULL, Weight

NEW = "checkout/new"
ASKED: dict[str, Weight] = {NEW: 20_000, "checkout/b": 5_000}


def test_a_candidate_has_its_own_weight_and_an_absent_one_none() -> None:
    """Without anything else, the field of the candidate counts; absent is zero."""
    assert in_force(NEW, "old", ASKED, ()) == InForce(20_000)
    assert in_force("checkout/c", "old", ASKED, ()) == InForce(0)
    assert in_force(NEW, "old", {NEW: "preview"}, ()) == InForce("preview")


def test_a_stop_comes_before_everything_else_and_the_narrowest_is_named() -> None:
    """A stop wins over weights and leases, and only where it covers the candidate."""
    assert in_force(NEW, "old", ASKED, {"*", "checkout"}, {NEW: 1_000}) == InForce(0, stop="checkout")
    assert in_force(NEW, "old", ASKED, {"*"}) == InForce(0, stop="*")
    assert in_force(NEW, "old", ASKED, {"checkout/b"}) == InForce(20_000)


def test_two_mistyped_zeros_are_clear_and_only_lower() -> None:
    """The split's own name at 0 and the baseline at 100 mean zero; no other mistyped field means anything."""
    assert in_force(NEW, "old", {**ASKED, "checkout": 0}, ()) == InForce(0, zeros=("checkout",))
    assert in_force(NEW, "old", {**ASKED, "checkout/old": FULL}, ()) == InForce(0, zeros=("checkout/old",))
    assert mistyped_zeros("checkout", "old", {"checkout": 0, "checkout/old": FULL}) == ("checkout", "checkout/old")
    # None of these is clear.
    for unclear in ({"checkout": 50_000}, {"checkout": FULL}, {"checkout/old": 0}, {"checkout/old": 80_000}):
        assert in_force(NEW, "old", {**ASKED, **unclear}, ()) == InForce(20_000), unclear


def test_a_lease_that_is_over_leaves_what_it_was_to_fall_back_to() -> None:
    """A lease that is over puts its own weight in the place of the candidate's."""
    assert in_force(NEW, "old", ASKED, (), {NEW: 5_000}) == InForce(5_000, lapsed=True)
    assert in_force(NEW, "old", {**ASKED, "checkout": 0}, (), {NEW: 5_000}).weight == 0
