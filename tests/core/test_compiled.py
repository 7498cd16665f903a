"""Splits as they are compiled: what a decision compares, and what it does not pay for."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given, settings
from hypothesis import strategies as st

from graysplit.core.bucketing import HASHES, threshold
from graysplit.core.compiled import NEAR, CompiledSplit, CompileInput, compile_state, names_of, unpinned
from graysplit.core.counters import Counts
from graysplit.core.split_state import SplitState
from graysplit.core.weights import PREVIEW
from tests.strategies import plain, split_states

KEY = object()


def old() -> str:
    """Stand for a registered baseline."""
    return "old"


def new() -> str:
    """Stand for a registered candidate."""
    return "new"


def state_of(split_state: SplitState, present: frozenset[str] | None = None) -> CompiledSplit:
    """Compile as a process does."""
    names = names_of(split_state)
    return compile_state(
        split_state, CompileInput(Counts(names), KEY, {"old": old, "new": new}, present, 7, stale=True)
    )


def test_a_plain_percentage_is_one_comparison() -> None:
    """Without pins there is no special rung and no table: a threshold says it all."""
    state = state_of(plain({"new": 20_000}))
    assert state.special is None
    assert state.runs is None
    assert state.threshold == threshold(20_000)
    assert (state.old, state.new) == ("old", "new")
    assert (state.f_old, state.f_new) == (old, new)
    assert state.d_new == ("checkout", "new", "bucket", 7, True)
    assert state.d_old == ("checkout", "old", "bucket", 7, True)
    assert state.key is KEY
    assert state.weights == (0, 20_000)


def test_nobody_and_everybody_are_thresholds() -> None:
    """0 and 100 % need no branch of their own."""
    assert state_of(plain({"new": 0})).threshold == 0
    assert state_of(plain({"new": 0})).d_old.reason == "baseline"
    assert state_of(plain({"new": 100_000})).threshold == HASHES


def test_a_stop_is_compiled_in() -> None:
    """The hot path pays nothing for stops: a stopped split is a threshold of 0 with its reason."""
    state = state_of(plain({"new": 20_000})._replace(stops={"*": "fire"}))
    assert state.threshold == 0
    assert state.special is None
    assert state.d_old.reason == "stopped"
    assert state.weights == (0, 0)


def test_several_candidates_are_a_table() -> None:
    """With more than one run, the owners stand between the bounds, with counters of their own."""
    state = state_of(plain({"new": 20_000, "b": 30_000}))
    assert state.threshold == 0
    assert state.runs == tuple(map(threshold, (0, 20_000, 70_000, 100_000)))
    assert [branch.name for branch in state.branches] == ["old", "new", "old", "b", "old"]
    assert state.branches[1].decision == ("checkout", "new", "bucket", 7, True)


def test_pins_are_a_look_up_in_front() -> None:
    """Pins to versions at zero are not compiled in; denied units are."""
    split_state = plain({"new": 20_000, "b": 0})
    definition = split_state.definition._replace(pins={"x": "new", "y": "b", "z": "old"}, denied=("v",))
    state = state_of(split_state._replace(definition=definition))
    assert state.special is not None
    asked = {unit: state.special(unit) for unit in (b"x", b"y", b"z", b"v", b"w")}
    assert asked == {b"x": (1, "pin"), b"y": None, b"z": (0, "pin"), b"v": (0, "denied"), b"w": None}


def test_a_version_absent_here_is_no_evidence() -> None:
    """Its units get the baseline, are counted apart, and its weight in force here is 0."""
    state = state_of(plain({"new": 20_000}), frozenset(("old",)))
    assert {state.pick(b"user-%d" % n) for n in range(50)} == {(0, "version_absent"), (0, "bucket")}
    assert state.weights == (0, 0)


def test_a_preview_is_shown_as_in_force() -> None:
    """A receipt tells preview from zero."""
    assert state_of(plain({"new": 0})._replace(weights={"new": PREVIEW})).weights == (0, PREVIEW)


@settings(max_examples=100)
@given(split_states(), st.integers(0, HASHES - 1))
def test_the_quick_table_never_contradicts_the_bounds(split_state: SplitState, drawn: int) -> None:
    """For any hash, those beside each bound among them, the table by top bits is right or says that it cannot say."""
    state = state_of(split_state)
    if state.runs is None:
        return
    beside = [bound + step for bound in state.runs for step in (-1, 0, 1)]
    for hashed in (drawn, 0, HASHES - 1, *(hashed for hashed in beside if 0 <= hashed < HASHES)):
        assert state.near[hashed >> NEAR] in (-1, bisect_right(state.runs, hashed))
    assert len(state.near) == HASHES >> NEAR
    assert state.near.count(-1) <= len(state.runs)


@settings(max_examples=60)
@given(split_states(), st.text(min_size=1, max_size=8))
def test_what_no_pin_can_name_is_answered_by_one_look(split_state: SplitState, unit: str) -> None:
    """The short way past the pins gives nothing, or what the ladder gives."""
    state = state_of(split_state)
    try:
        owner = unpinned(state, unit)
    except UnicodeEncodeError:
        return
    if owner is not None:
        assert (owner.number, owner.decision.reason) == state.pick(unit.encode())
    if unit in split_state.definition.pins or unit in split_state.definition.denied:
        assert owner is None
