"""Guards as they are written: what is understood, and what is refused with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.guard.sequential_test import NORMAL, STRICT
from graysplit.core.guard.settings import ACTIONS, SENSITIVITIES, BadGuardError, Guard, guard_record, parse_guard

names = st.lists(st.text("abc.XYZ", min_size=1, max_size=9), max_size=3).map(tuple)
guards = st.builds(
    Guard,
    st.sampled_from(ACTIONS),
    st.sampled_from(SENSITIVITIES),
    st.none() | st.integers(1, 90_000).map(lambda ms: ms / 1000),
    st.booleans(),
    names,
    names,
    st.integers(0, 2**45),
    st.text(max_size=9),
    st.none() | st.integers(1_000, 600_000).map(lambda ms: ms / 1000),
)


@given(guards)
def test_what_is_written_is_read_again(guard: Guard) -> None:
    """A guard's record gives the same guard."""
    assert parse_guard(guard_record(guard)) == guard


def test_everything_may_be_left_out() -> None:
    """An empty record is a guard with its defaults."""
    assert parse_guard({}) == Guard("rollback", "normal")
    assert parse_guard({}).margin == NORMAL
    assert parse_guard({"sensitivity": "strict"}).margin == STRICT


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"action": "page"}, "action"),
        ({"action": ["rollback"]}, "action"),
        ({"sensitivity": "very"}, "sensitivity"),
        ({"slow": 5}, "slow"),
        ({"slow": "soon"}, "slow"),
        ({"slow": "0s"}, "slow"),
        ({"every_call": 1}, "every_call"),
        ({"deadline": 5}, "deadline"),
        ({"deadline": "soon"}, "deadline"),
        ({"deadline": "0s"}, "deadline"),
        ({"deadline": "999ms"}, "deadline"),
        ({"deadline": "11m"}, "deadline"),
        ({"deadline": None}, "deadline"),
        ({"stop_on": "DataLoss"}, "stop_on"),
        ({"stop_on": [""]}, "stop_on"),
        ({"ignore": [5]}, "ignore"),
        ({"at": True}, "at"),
        ({"at": "now"}, "at"),
        ({"at": 10**20}, "at"),
        ({"by": None}, "by"),
        ({"tomorrow": 1}, "tomorrow"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(record: dict[str, object], field: str) -> None:
    """A guard that misreads its orders would be worse than one that says so."""
    with pytest.raises(BadGuardError) as refused:
        parse_guard(record)
    assert refused.value.field == field
    assert field in str(refused.value)
