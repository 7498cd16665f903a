"""The ladder of a decision: its rungs, their order, and the reason that each gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.decision import LADDER, DecisionInput, climb, decide
from graysplit.core.split_state import SplitState
from graysplit.core.weights import PREVIEW
from tests.strategies import plain, split_states, units_near

HALF = plain({"new": 50_000})
PINNED = HALF._replace(definition=HALF.definition._replace(pins={"tester": "new", "boss": "old"}, denied=("vip",)))
CASE = DecisionInput(PINNED, b"tester", {}, None)


def test_the_ladder_has_the_rungs_of_the_design_in_order() -> None:
    """Who wins is a table that can be read."""
    assert [reason for reason, _ in LADDER] == ["off", "stopped", "kept", "denied", "pin", "bucket", "baseline"]


@pytest.mark.parametrize(
    ("case", "version", "reason"),
    [
        (CASE._replace(off=True, kept="new"), "old", "off"),
        (CASE._replace(split_state=PINNED._replace(stops={"checkout": ""}), kept="new"), "old", "stopped"),
        (CASE._replace(unit=b"vip", kept="new"), "new", "kept"),
        (CASE._replace(kept="old"), "old", "kept"),
        (CASE._replace(unit=b"vip"), "old", "denied"),
        (CASE, "new", "pin"),
        (CASE._replace(unit=b"boss"), "old", "pin"),
        (CASE._replace(unit=b"user-0"), "new", "bucket"),
        (CASE._replace(unit=b"user-1"), "old", "bucket"),
        (CASE._replace(split_state=PINNED._replace(weights={})), "old", "baseline"),
        (CASE._replace(split_state=PINNED._replace(weights={"new": PREVIEW})), "new", "pin"),
        (CASE._replace(unit=b"user-0", split_state=PINNED._replace(weights={"new": PREVIEW})), "old", "baseline"),
        (CASE._replace(unit=None), "old", "no_unit"),
        (CASE._replace(present=("old",)), "old", "version_absent"),
    ],
)
def test_each_rung_answers_with_its_reason(case: DecisionInput, version: str, reason: str) -> None:
    """The first rung that gives a version wins, and the reason is its name."""
    decision = decide(case, revision=7, stale=True)
    assert decision == ("checkout", version, reason, 7, True)


def test_one_candidate_stopped_leaves_the_other_open() -> None:
    """A stop on a version is not one on its split."""
    split_state = plain({"new": 50_000, "b": 50_000})._replace(stops={"checkout/new": "bad"})
    answers = {decide(DecisionInput(split_state, b"user-%d" % n, {}, None))[1:3] for n in range(50)}
    assert answers == {("b", "bucket"), ("old", "bucket")}


@given(split_states(), st.data())
def test_climbing_ends_with_the_rung_that_answered(split_state: SplitState, data: st.DataObject) -> None:
    """`explain` prints the steps: only the last has a version, and it is the decision's."""
    case = DecisionInput(split_state, data.draw(units_near(split_state)), {}, None, off=data.draw(st.booleans()))
    steps = climb(case)
    decision = decide(case)
    assert [step.version for step in steps[:-1]] == [None] * (len(steps) - 1)
    assert (steps[-1].version, steps[-1].reason) == (decision.version, decision.reason)
    assert all(step.asked for step in steps)


def test_a_step_never_names_a_unit() -> None:
    """What `explain` says of pins is their number."""
    for unit in (b"tester", b"vip", b"user-17"):
        assert not any(unit.decode() in step.asked for step in climb(CASE._replace(unit=unit)))
