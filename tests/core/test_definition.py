"""Definitions as they are made: baseline, places, salt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from graysplit.core.bucketing import seed_of
from graysplit.core.definition import Definition, Version, candidate, check_definition, define
from graysplit.errors import BadDefinitionError, UnknownVersionError
from tests.strategies import definitions

MADE = define("checkout", ("old", "new", "b"))


def test_the_first_version_is_the_baseline_and_the_others_take_places() -> None:
    """Places are given in order, from 0; the baseline has none."""
    assert MADE.baseline == "old"
    assert MADE.versions == (Version("old"), Version("new", 0), Version("b", 1))
    assert MADE.names == ("old", "new", "b")
    assert MADE.candidates == (Version("new", 0), Version("b", 1))


def test_the_salt_is_the_name_unless_given() -> None:
    """The salt is stored, so that a rename moves nobody."""
    assert (MADE.salt, MADE.seed) == ("checkout", seed_of("checkout"))
    other = define("checkout", ("old", "new"), salt="round two")
    assert (other.salt, other.seed) == ("round two", seed_of("round two"))


@given(definitions())
def test_candidates_come_by_place_and_leave_the_baseline_out(definition: Definition) -> None:
    """The order of the record is no matter."""
    places = [version.place for version in definition.candidates]
    assert places == sorted(place for place in places if place is not None)
    assert definition.baseline not in [version.name for version in definition.candidates]
    check_definition("checkout", definition)


def test_a_former_baseline_may_keep_a_place() -> None:
    """A baseline with a place is no candidate, and takes none of the buckets."""
    definition = MADE._replace(baseline="new", versions=(Version("old", 2), Version("new", 0)))
    check_definition("checkout", definition)
    assert definition.candidates == (Version("old", 2),)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"versions": (Version("old"),)}, "versions", "at least one candidate"),
        ({"versions": (Version("old"), Version("New", 0))}, "versions.1.name", "invalid name"),
        ({"versions": (Version("old"), Version("new", 0), Version("new", 1))}, "versions", "duplicate name"),
        ({"versions": (Version("old"), Version("new"))}, "versions", "a place of its own"),
        ({"versions": (Version("old"), Version("new", 3), Version("b", 3))}, "versions", "a place of its own"),
        ({"baseline": "gone"}, "baseline", "'gone' is not among the versions (old, new, b)"),
        ({"seed": 1}, "seed", "does not belong to the salt"),
        ({"salt": "\ud800"}, "seed", "does not belong to the salt"),
        ({"pins": {"user-17": "gone"}}, "pins", "a pin names 'gone'"),
    ],
)
def test_faults_are_named(change: dict[str, Any], field: str, reason: str) -> None:
    """A record that does not hold together is refused with split, field and reason, and without a unit."""
    with pytest.raises(BadDefinitionError) as failure:
        check_definition("checkout", MADE._replace(**change))
    assert failure.value.split == "checkout"
    assert failure.value.field == field
    assert reason in failure.value.reason
    assert "user-17" not in str(failure.value)


@pytest.mark.parametrize("versions", [(), ("old",), ("old", "old"), ("old", "NEW"), tuple(f"v{n}" for n in range(70))])
def test_define_refuses_what_does_not_hold_together(versions: tuple[str, ...]) -> None:
    """A split has two versions at least, all different and well named, and no more candidates than places."""
    with pytest.raises(BadDefinitionError):
        define("checkout", versions)


def test_a_candidate_by_name() -> None:
    """The baseline is no candidate, and an unknown name is answered with the known ones."""
    assert candidate("checkout", MADE, "b") == Version("b", 1)
    for name in ("old", "nwe"):
        with pytest.raises(UnknownVersionError, match="known: old, new, b"):
            candidate("checkout", MADE, name)
