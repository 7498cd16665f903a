"""Law 5: missing unit, version not in this process, nothing loaded: baseline, with a reason, never an exception."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.bucketing import encode_unit
from graysplit.core.compiled import CompileInput, constant_state
from graysplit.core.counters import Counts
from graysplit.core.decision import DecisionInput, decide
from graysplit.core.split_state import SplitState
from tests.strategies import BASELINE, plain, split_states, units


class Odd(str):
    """A unit of a class of its own, which counts as its text."""

    __slots__ = ()


@pytest.mark.parametrize(
    "unit",
    [None, True, False, 1.0, float("nan"), "", b"", "\ud800", "a\udfffb", [], {}, object(), type, ("a",), 10**5000],
    ids=range(15),
)
def test_what_is_no_unit_has_no_bytes(unit: object) -> None:
    """None, bool, float, empty and broken texts and other objects are no unit, and raise nothing."""
    assert encode_unit(unit) is None


@pytest.mark.parametrize(
    ("unit", "encoded"),
    [
        ("user-17", b"user-17"),
        (Odd("user-17"), b"user-17"),
        (1, b"1"),
        ("1", b"1"),
        (0, b"0"),
        (-7, b"-7"),
        (2**64, b"18446744073709551616"),
        (UUID(int=17), b"00000000-0000-0000-0000-000000000011"),
        (b"\xff\x00", b"\xff\x00"),
        ("nul\x00", b"nul\x00"),
        ("x" * 1_000_000, b"x" * 1_000_000),
    ],
    ids=range(11),
)
def test_what_is_a_unit_is_hashed_as_its_text(unit: object, encoded: bytes) -> None:
    """Text, whole numbers and UUIDs count as their text, bytes as they are."""
    assert encode_unit(unit) == encoded
    assert type(encode_unit(unit)) is bytes


@given(st.text() | st.integers() | st.floats() | st.binary() | st.booleans() | st.none() | st.uuids())
def test_encoding_never_raises(unit: object) -> None:
    """Any value gives bytes or None."""
    encoded = encode_unit(unit)
    assert encoded is None or len(encoded) > 0


@given(split_states(), st.none() | st.sampled_from(("new", "b")))
def test_no_unit_is_baseline_also_at_full_weight(split_state: SplitState, kept: str | None) -> None:
    """Without a unit the answer is the baseline and the reason `no_unit`."""
    decision = decide(DecisionInput(split_state, None, {}, None, kept=kept))
    assert (decision.version, decision.reason) == (BASELINE, "no_unit")


@given(split_states(), units)
def test_a_version_not_in_this_process_is_baseline(split_state: SplitState, unit: bytes) -> None:
    """A process that knows the old path alone runs it, and says so where another was chosen."""
    here = decide(DecisionInput(split_state, unit, {}, frozenset((BASELINE,))))
    anywhere = decide(DecisionInput(split_state, unit, {}, None))
    assert here.version == BASELINE
    assert here.reason == (anywhere.reason if anywhere.version == BASELINE else "version_absent")


@given(split_states(), units)
def test_break_glass_stands_above_everything(split_state: SplitState, unit: bytes) -> None:
    """Switched off, every unit gets the baseline and the reason `off`."""
    decision = decide(DecisionInput(split_state, unit, {}, None, off=True, kept="new"))
    assert (decision.version, decision.reason) == (BASELINE, "off")


@pytest.mark.parametrize("reason", ["not_ready", "not_configured", "off", "unknown_split", "stale"])
def test_a_constant_state_answers_baseline_for_its_reason(reason: str) -> None:
    """Before anything is loaded, and whenever nothing may be decided, the state gives the baseline."""
    names = ("old", "new")
    state = constant_state("checkout", names, reason, CompileInput(Counts(names), None))
    assert state.pick(b"user-17") == (0, reason)
    assert state.special is not None
    assert state.special(b"user-17") == (0, reason)
    assert state.threshold == 0


def test_full_weight_reaches_everybody_else() -> None:
    """At 100 % every unit is on the new path, so that the cases above show something."""
    assert decide(DecisionInput(plain({"new": 100_000}), b"user-17", {}, None)).version == "new"
