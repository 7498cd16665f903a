from __future__ import annotations

from graysplit.core.address import (
    EVERYTHING,
    Address,
    covers,
    field_of,
    parse_address,
    split_of,
    stop_on,
    stops_over,
    version_of,
)


def test_an_address_has_a_split_and_a_version() -> None:
    """A target is a candidate or a whole split; both are read by the same function."""
    assert parse_address("checkout/new") == Address("checkout", "new")
    assert parse_address("checkout") == Address("checkout", "")
    assert field_of("checkout", "new") == "checkout/new"
    assert (split_of("checkout/new"), version_of("checkout/new")) == ("checkout", "new")
    assert (split_of("checkout"), version_of("checkout")) == ("checkout", "")


def test_a_candidate_is_covered_by_its_own_stop_its_splits_and_the_one_on_everything() -> None:
    """Three stops hold a candidate at zero; a name that only begins alike is none of them."""
    assert stops_over("checkout/new") == ("checkout/new", "checkout", EVERYTHING)
    assert all(covers(stop, "checkout/new") for stop in ("checkout/new", "checkout", "*"))
    assert not any(covers(stop, "checkout/new") for stop in ("checkout/newer", "check", "new", ""))


def test_the_narrowest_stop_is_named() -> None:
    """Where several stops hold a candidate, the narrowest is the one to name."""
    assert stop_on("checkout/new", {"*", "checkout", "checkout/new"}) == "checkout/new"
    assert stop_on("checkout/new", {"*", "checkout"}) == "checkout"
    assert stop_on("checkout/new", {"*"}) == "*"
    assert stop_on("checkout/new", {"checkout/b", "ranking"}) is None
