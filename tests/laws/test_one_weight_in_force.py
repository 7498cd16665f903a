"""Whoever asks for the weight in force gets one answer: decisions, screens, plans, the guard, receipts."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.clock import SystemClock
from graysplit.codec import dump_definition, parse_definition
from graysplit.core.compiled import CompileInput, compile_state, names_of
from graysplit.core.counters import Counts
from graysplit.core.definition import Definition, define
from graysplit.core.in_force import in_force
from graysplit.core.plan.plan import Plan, parse_plan
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import state_of
from graysplit.core.weights import FULL, Weight, format_weight, share
from graysplit.follower.guard.evaluator import Evaluator
from graysplit.follower.guard.guards import Guards
from graysplit.follower.guard.reporter import GuardReporter
from graysplit.follower.plan_driver import PlanDriver, PlanFacts
from graysplit.router.view import weight_in

SPLIT: Final = "checkout"
CANDIDATES: Final = ("new", "b")
FIELDS: Final = tuple(f"{SPLIT}/{name}" for name in CANDIDATES)
MISTYPED: Final = (SPLIT, f"{SPLIT}/old")
DEFINITION: Final = define(SPLIT, ("old", *CANDIDATES))._replace(guard={"action": "rollback"})

PLAN: Final[Plan] = parse_plan({"steps": [{"weight": "10"}]}, "new")

some: Final = st.sampled_from((0, 1_000, 20_000, 50_000, FULL, "preview"))


class Drawn(NamedTuple):
    """What a process has adopted of one split."""

    weights: Mapping[str, Weight]
    stops: Mapping[str, str]
    lapsed: Mapping[str, Weight]

    @property
    def held(self) -> Adopted:
        """What a follower makes of it."""
        return Adopted(
            self.weights,
            self.stops,
            {SPLIT: dump_definition(DEFINITION).encode()},
            begun=dict.fromkeys(FIELDS, "r1"),
            lapsed=self.lapsed,
            seen={"stops": {stop.encode(): b"" for stop in self.stops}},
        )


@st.composite
def adopted(draw: st.DrawFn) -> Drawn:
    """Draw what a process may have adopted: weights good and mistyped, stops, leases that are over."""
    weights = draw(st.dictionaries(st.sampled_from((*FIELDS, *MISTYPED)), some, max_size=4))
    stops = draw(st.sets(st.sampled_from((*FIELDS, SPLIT, "*", "other")), max_size=2))
    # A lease is over only while its weight stands.
    over = draw(st.dictionaries(st.sampled_from(FIELDS), st.sampled_from((0, 1_000, "preview")), max_size=2))
    lapsed = {field: weight for field, weight in over.items() if field in weights}
    return Drawn(weights, dict.fromkeys(stops, "{}"), lapsed)


def by_decisions(held: Adopted, field: str) -> Weight:
    """Return what the compiled state of the hot path lets in."""
    split_state = state_of(held, SPLIT, DEFINITION)
    state = compile_state(split_state, CompileInput(Counts(names_of(split_state)), None))
    return state.weights[state.names.index(field.removeprefix(f"{SPLIT}/"))]


def by_screens(held: Adopted, field: str) -> Weight:
    """Return what `show`, `list` and the page print."""
    return state_of(held, SPLIT, DEFINITION).in_force(field.removeprefix(f"{SPLIT}/"))


def by_effects(held: Adopted, field: str) -> Weight:
    """Return what a process tells of a split that nobody has asked for."""
    return weight_in(held, SPLIT, "old", field.removeprefix(f"{SPLIT}/"))


def by_plans(held: Adopted, field: str) -> Weight:
    """Return what a plan's step rests on."""
    driver = PlanDriver("0" * 24, _replica(held), cast("Any", None), SystemClock(), None)
    at = (*FIELDS, *MISTYPED)
    texts: dict[tuple[str, str], str | None] = {("weights", f): None for f in at}
    texts |= {("weights", f): format_weight(weight) for f, weight in held.weights.items()}
    texts |= {("stops", stop): held.stops.get(stop) for stop in (*at, "*")}
    found = PlanFacts(SPLIT, DEFINITION, PLAN, cast("Any", None), cast("Any", None), cast("Any", texts), 0)
    return driver._in_force(found, field.removeprefix(f"{SPLIT}/"))


@pytest.mark.parametrize("read", [by_decisions, by_screens, by_effects, by_plans])
@given(said=adopted(), field=st.sampled_from(FIELDS))
def test_every_reader_asks_the_one_rule(read: Any, said: Drawn, field: str) -> None:
    """Whatever was adopted, each reader's weight is the rule's."""
    assert read(said.held, field) == in_force(field, "old", said.weights, said.stops, said.lapsed).weight


@given(said=adopted(), field=st.sampled_from(FIELDS))
def test_the_guard_judges_and_breaks_only_where_somebody_is_on_the_candidate(said: Drawn, field: str) -> None:
    """A candidate that nobody reaches is not judged, and not stopped by a process alone."""
    replica = _replica(said.held)
    somebody = share(in_force(field, "old", said.weights, said.stops, said.lapsed).weight) > 0
    guards = Guards(replica, cast("Any", None))
    evaluator = Evaluator("0" * 24, replica, guards, cast("Any", None), SystemClock())
    assert evaluator.due([field]) == ([field] if somebody else [])

    watch = GuardReporter("0" * 24, replica, cast("Any", None), cast("Any", _Silent()), SystemClock())
    watch._breakers = {(field, "r1"): cast("Any", _Convinced())}
    assert watch._break(1, alone=True) is somebody
    assert replica.tripped == ([field] if somebody else [])


class _Convinced:
    """A breaker that has seen enough."""

    def proof(self, *_: object) -> Any:
        from graysplit.core.guard.verdict import Proof

        return Proof("errors", 60, 1, 30, 0, 0, 6.0, 20.0, 5.0, convicts=True)


class _Silent:
    def warning(self, *_: object) -> None:
        """Say nothing."""


def _replica(held: Adopted) -> Any:
    tripped: list[str] = []
    return SimpleNamespace(
        adopted=held, parse=_parse, tripped=tripped, trip=lambda field, _release, _text: tripped.append(field)
    )


def _parse(split: str, raw: bytes) -> Definition | None:
    return parse_definition(split, raw)
