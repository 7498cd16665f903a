"""Law 1: the version is a function of (snapshot, split, unit, attributes), whatever PYTHONHASHSEED."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from graysplit.core.compiled import CompiledSplit, CompileInput, compile_state, names_of
from graysplit.core.counters import Counts
from graysplit.core.decision import DecisionInput, decide
from graysplit.core.split_state import SplitState
from tests.strategies import split_states, units_near

PROGRAM = """
import hashlib
from graysplit.core.bucketing import seed_of
from graysplit.core.counters import Counts
from graysplit.core.decision import DecisionInput, decide
from graysplit.core.definition import Definition, Version
from graysplit.core.split_state import SplitState
from graysplit.core.compiled import CompileInput, compile_state, names_of

versions = {Version("old"), Version("b", 0), Version("c", 1), Version("d", 2)}
pins = {"user-1": "b", "user-2": "c", "user-3": "old"} | {f"user-{n}": "d" for n in {40, 50, 60}}
definition = Definition(tuple(versions), "old", "checkout", seed_of("checkout"), 1, pins, tuple({"user-4", "user-5"}))
split_state = SplitState("checkout", definition, {"b": 20_000, "c": 10_000, "d": 30_000})
state = compile_state(split_state, CompileInput(Counts(names_of(split_state)), None))
answers = []
for n in range(2_000):
    unit = b"user-%d" % n
    decision = decide(DecisionInput(split_state, unit, {}, None))
    index, reason = state.pick(unit)
    answers.append((decision.version, decision.reason, state.names[index], reason))
print(hashlib.sha256(repr(answers).encode()).hexdigest())
"""


def compiled(split_state: SplitState, present: frozenset[str] | None = None) -> CompiledSplit:
    """Compile a split's state as a process does."""
    return compile_state(split_state, CompileInput(Counts(names_of(split_state)), None, {}, present))


@st.composite
def cases(draw: st.DrawFn) -> DecisionInput:
    """Draw a question, with or without versions missing in this process; the baseline is always there."""
    split_state = draw(split_states())
    names = split_state.definition.names
    present = draw(st.none() | st.frozensets(st.sampled_from(names)).map(lambda found: found | {"old"}))
    return DecisionInput(split_state, draw(units_near(split_state)), {}, present)


@settings(max_examples=400)
@given(cases())
def test_the_compiled_state_answers_as_the_ladder_does(case: DecisionInput) -> None:
    """`State.pick` gives the version and the reason that the readable ladder gives."""
    assert case.unit is not None
    assert case.present is None or isinstance(case.present, frozenset)
    state = compiled(case.split_state, case.present)
    index, reason = state.pick(case.unit)
    decision = decide(case)
    assert (state.names[index], reason) == (decision.version, decision.reason)


@settings(max_examples=100)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_a_record_is_no_matter(case: DecisionInput, random: st.randoms) -> None:  # type: ignore[valid-type]
    """The same versions, pins and weights written in another order give the same decision."""
    definition = case.split_state.definition

    def shuffled(items):  # noqa: ANN001, ANN202 - any pairs or names
        found = list(items)
        random.shuffle(found)
        return found

    other = definition._replace(
        versions=tuple(shuffled(definition.versions)),
        pins=dict(shuffled(definition.pins.items())),
        denied=tuple(shuffled(definition.denied)),
    )
    split_state = case.split_state._replace(definition=other, weights=dict(shuffled(case.split_state.weights.items())))
    assert decide(case._replace(split_state=split_state)) == decide(case)
    assert names_of(split_state) == names_of(case.split_state)


def test_hash_randomisation_is_no_matter() -> None:
    """Three processes with different PYTHONHASHSEED give one answer for 2,000 units."""
    answers = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(answers) == 1
    assert len(answers.pop().strip()) == 64
