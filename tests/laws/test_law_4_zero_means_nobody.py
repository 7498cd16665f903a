"""Law 4: at weight zero, or stopped, nothing reaches the version: no pin, no choice kept in a request.

Missing, `null`, `""`, `0`, `"0"`, `0.0` never mean a share. The weight `preview` admits named audiences only, and a
stop beats it.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graysplit.core.compiled import CompileInput, compile_state, names_of
from graysplit.core.counters import Counts
from graysplit.core.decision import DecisionInput, decide
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import adopt_brakes, state_of
from graysplit.core.replica.record import Key, Load
from graysplit.core.split_state import SplitState
from graysplit.core.weights import PREVIEW, parse_weight, share
from tests.strategies import BASELINE, SPLIT, plain, split_states, units_near

ZEROS = ("", "null", '""', '"0"', "0", "0.0", "0.000", "00", "000.00")


def pick(split_state: SplitState, unit: bytes) -> str:
    """Ask the compiled state."""
    state = compile_state(split_state, CompileInput(Counts(names_of(split_state)), None))
    return state.names[state.pick(unit)[0]]


@settings(max_examples=400)
@given(split_states(), st.data())
def test_no_path_reaches_a_version_at_zero(split_state: SplitState, data: st.DataObject) -> None:
    """Whatever is pinned, kept or asked, the version chosen is the baseline or has a weight in force."""
    unit = data.draw(units_near(split_state))
    kept = data.draw(st.none() | st.sampled_from(split_state.definition.names))
    for version in (decide(DecisionInput(split_state, unit, {}, None, kept=kept)).version, pick(split_state, unit)):
        assert version == BASELINE or split_state.in_force(version) != 0


@settings(max_examples=200)
@given(split_states(), st.data())
def test_preview_admits_pins_only(split_state: SplitState, data: st.DataObject) -> None:
    """A version at `preview` is reached by units pinned to it, and by nobody through the hash."""
    unit = data.draw(units_near(split_state))
    version = pick(split_state, unit)
    if version != BASELINE and split_state.in_force(version) == PREVIEW:
        assert split_state.definition.pins[unit.decode()] == version
        assert unit.decode() not in split_state.definition.denied


@pytest.mark.parametrize("stop", [f"{SPLIT}/new", SPLIT, "*"])
def test_a_stop_beats_preview_and_every_weight(stop: str) -> None:
    """A stop on the version, the split or everything sends its pinned units to the baseline."""
    free = plain({"new": 100_000})
    pinned = free._replace(definition=free.definition._replace(pins={"tester": "new"}))
    for weight in (PREVIEW, 20_000, 100_000):
        split_state = pinned._replace(weights={"new": weight}, stops={stop: ""})
        assert pick(split_state, b"tester") == pick(split_state, b"user-17") == BASELINE
        assert decide(DecisionInput(split_state, b"tester", {}, None)).reason == "stopped"
        assert pick(split_state._replace(stops={}), b"tester") == "new"


@pytest.mark.parametrize("text", ZEROS)
def test_texts_like_zero_are_no_share(text: str) -> None:
    """Whatever was written to mean nothing, in the store it ends even the access of pinned units."""
    assert parse_weight(text) == 0
    definition = plain({"new": 0}).definition._replace(pins={"tester": "new"})
    load = Load(weights=Key({b"_": b"1", b"checkout/new": text.encode()}), stops=Key({b"_": b"1"}))
    held, _ = adopt_brakes(Adopted(weights={"checkout/new": 50_000}), load)
    split_state = state_of(held, SPLIT, definition)
    assert split_state.in_force("new") == 0
    assert pick(split_state, b"tester") == BASELINE


def test_a_missing_field_is_no_share() -> None:
    """A candidate without a field in a sound key is at zero."""
    load = Load(weights=Key({b"_": b"1"}), stops=Key({b"_": b"1"}))
    held, _ = adopt_brakes(Adopted(weights={"checkout/new": 50_000}), load)
    assert state_of(held, SPLIT, plain({"new": 0}).definition).in_force("new") == 0


@given(split_states())
def test_what_is_at_zero_owns_no_bucket(split_state: SplitState) -> None:
    """Only versions with a share in force own runs."""
    for run in split_state.runs():
        assert share(split_state.in_force(run.version)) > 0
