"""Wait, through outages, until a split is where somebody wants it, or until it is clear that it will not come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple, TypeAlias

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.control.guard.verdicts import Heard
from graysplit.control.inputs import NEVER, planned_version, split_and_version
from graysplit.control.operator import Operator
from graysplit.control.plan.awaited import Awaited, awaited, start_of
from graysplit.control.plan.running_plan import running
from graysplit.control.reading import Reading
from graysplit.control.receipts import wait_for
from graysplit.control.result import Receipts
from graysplit.control.views import in_force, rows_of
from graysplit.core.address import field_of, version_of
from graysplit.core.definition import candidate
from graysplit.core.fleet import Fleet
from graysplit.core.plan.plan import parse_plan
from graysplit.core.plan.progress import Over, rule
from graysplit.core.split_state import SplitState
from graysplit.core.weights import format_weight, type_weight
from graysplit.errors import RefusedError, StoreCorruptError, StoreUnreachableError
from graysplit.stores.text.records import GUARD, PLAN, raw_of, read_signed

POLL_S: Final = 0.2

Until: TypeAlias = Literal["confirmed", "safe", "done"]
# met: it is so; undone: it was rolled back, stopped or ended early, and will not come by itself; late: not yet.
Outcome: TypeAlias = Literal["met", "undone", "late"]


class WaitGoal(NamedTuple):
    """What to wait for."""

    target: str  # a split, or one candidate
    until: str  # "confirmed", "safe", "done", or a weight

    @property
    def split(self) -> str:
        """The split that it is about."""
        return split_and_version(self.target)[0]

    @property
    def weight(self) -> str | None:
        """The weight that is to be in force, if it is one that is waited for."""
        return None if self.until in {"confirmed", "safe", "done"} else format_weight(type_weight(self.until))


class Waited(NamedTuple):
    """How a wait ended."""

    outcome: Outcome
    why: str
    receipts: Receipts
    plan: Awaited | None = None  # where one runs


class WaitLook(NamedTuple):
    """A split at one moment."""

    reading: Reading
    fleet: Fleet
    state: SplitState
    weights: Mapping[str, str]  # in force, by the field of each candidate that is waited for
    all_weights: Mapping[str, str]  # in force, by candidate
    plan: Awaited | None
    said: Mapping[str, Heard]  # by a guard, of the split's candidates above zero, by field

    @property
    def stops(self) -> frozenset[str]:
        """The stops that hold a candidate that is waited for."""
        names = (version_of(field) for field in self.weights)
        return frozenset(filter(None, map(self.state.stop_on, names)))

    def release(self, field: str) -> str:
        """Return the release of a candidate that began last."""
        return self.reading.snapshot.releases.get(field, "")


class Listener(NamedTuple):
    """Who hears of a wait while it goes on."""

    told: Callable[[str], None]  # of outages
    looked: Callable[[Awaited], None] | None = None  # at each look, where the plan stands


def unheard(words: str) -> None:
    """Tell nobody."""


def wait_until(
    operator: Operator, goal: WaitGoal, within_s: float, listener: Listener, clock: Clock = SYSTEM_CLOCK
) -> Waited:
    """Look again and again until the goal is met, cannot be met any more, or the time is over.

    Raises at once what the first look raises. Once there was contact, an outage is told and outlived; one that lasts
    until the time is over raises.
    """
    began = clock.monotonic()
    seen = first = _look(operator, goal)
    if goal.until == "safe" and seen.state.definition.guard is None:
        raise RefusedError(
            f"'{goal.split}' has no guard, so it never becomes safe. Arm one with: graysplit guard {goal.split}"
        )
    patience = _Patience(operator, goal, listener.told, clock, began + within_s)
    while True:
        if listener.looked is not None and seen.plan is not None:
            listener.looked(seen.plan)
        found = _judged(operator, goal, first, seen)
        if found.outcome != "late" or patience.over:
            return found._replace(receipts=replace(found.receipts, seconds=round(clock.monotonic() - began, 3)))
        seen = patience.next_look()


class _Patience:
    """Looks on, through outages, until the time is over."""

    def __init__(
        self, operator: Operator, goal: WaitGoal, told: Callable[[str], None], clock: Clock, deadline: float
    ) -> None:
        self._operator = operator
        self._goal = goal
        self._told = told
        self._clock = clock
        self._deadline = deadline
        self._lost = False

    @property
    def over(self) -> bool:
        """Return whether the time is over."""
        return self._clock.monotonic() >= self._deadline

    def next_look(self) -> WaitLook:
        """Look once more, a little later; raises where the time is over before there is contact again."""
        while True:
            threading.Event().wait(max(0.0, min(POLL_S, self._deadline - self._clock.monotonic())))
            try:
                seen = _look(self._operator, self._goal, again=True)
            except (StoreUnreachableError, StoreCorruptError) as fault:
                if self.over:
                    raise
                if not self._lost:
                    reason = fault.reason if isinstance(fault, StoreUnreachableError) else str(fault)
                    self._told(f"no contact to the store, still waiting: {reason}")
                self._lost = True
                continue
            if self._lost:
                self._told("contact to the store again")
            self._lost = False
            return seen


def _look(operator: Operator, goal: WaitGoal, *, again: bool = False) -> WaitLook:
    """Read the split; `again`: an empty answer is an outage by then, and no unknown split."""
    reading = operator.read()
    if again and reading.held.lost:
        raise StoreCorruptError("the store answers, but has lost keys. Repair it with: graysplit recover")
    operator.check_known(reading, goal.split)
    found = reading.snapshot.splits[goal.split]
    _, version = split_and_version(goal.target)
    if version:
        candidate(goal.split, found.definition, version)
    fleet = operator.store.fleet()
    weights = in_force(rows_of(reading, fleet, found))
    if not version and goal.until == "done":
        version = planned_version(found.definition.plan, None) or ""
    chosen = [version] if version in weights else [*weights]
    said: Mapping[str, Heard] = operator.verdicts(reading, [goal.split]) if goal.until in {"safe", "done"} else {}
    return WaitLook(
        reading,
        fleet,
        found,
        {field_of(goal.split, name): weights[name] for name in chosen},
        weights,
        awaited(reading, fleet, goal.split, weights, said),
        said,
    )


def _judged(operator: Operator, goal: WaitGoal, first: WaitLook, seen: WaitLook) -> Waited:
    """Return how the wait ends by what is seen now, or that it is not over yet."""
    receipts = wait_for(operator.store, "", NEVER, seen.weights, within_s=0.0)
    undone = _undone(goal, first, seen)
    if undone:
        return Waited("undone", undone, receipts, seen.plan)
    if goal.until == "done":
        outcome, why = _plan_done(goal, first, seen)
        return Waited(outcome, why, receipts, seen.plan)
    if goal.until == "safe":
        outcome, why = _safe(seen)
        return Waited(outcome, why, receipts, seen.plan)
    if goal.weight is not None and set(seen.weights.values()) != {goal.weight}:
        now = ", ".join(f"{field} {weight}" for field, weight in seen.weights.items())
        return Waited("late", f"{now}, not {goal.weight}", replace(receipts, confirmed=0), seen.plan)
    refused = sorted(field for field in seen.weights if ("weights", field) in seen.reading.held.refused)
    if refused:  # what runs instead does not prove what was asked for
        why = f"invalid weight in the store, ignored by all processes: {', '.join(refused)}"
        return Waited("late", why, replace(receipts, confirmed=0), seen.plan)
    return Waited("late" if receipts.lagging else "met", "", receipts, seen.plan)


def _undone(goal: WaitGoal, first: WaitLook, seen: WaitLook) -> str:
    """Return what has brought down what is waited for, or nothing."""
    if goal.weight == "0":
        return ""
    known_stops = first.stops if goal.until == "confirmed" else frozenset[str]()
    stops = sorted(seen.stops - known_stops)
    if stops:
        return _stopped(seen.state, stops)
    if goal.until != "confirmed":
        fell = sorted(f for f, weight in seen.weights.items() if weight == "0" != first.weights.get(f, "0"))
        if fell:
            return f"{', '.join(fell)} fell to zero"
    return ""


def _stopped(state: SplitState, stops: Sequence[str]) -> str:
    """Return by which stops it was brought down; a guard's and a plan's say why."""
    signed = (read_signed(raw_of(state.stops.get(stop, ""))) for stop in stops)
    own = next((said for said in signed if said and (said.who == GUARD or said.who.startswith(PLAN))), None)
    if own is None:
        return f"stopped by {', '.join(stops)}"
    return f"the {own.who.partition(':')[0]} rolled it back: {own.why}"


def _safe(seen: WaitLook) -> tuple[Outcome, str]:
    """Return whether every candidate above zero that is waited for is shown to be safe."""
    if seen.state.definition.guard is None:
        return "late", "its guard was removed"
    said = [seen.said[field] for field in seen.weights if field in seen.said]
    if not said:
        return "late", f"nobody is on {', '.join(seen.weights)}"
    missing = next((found for found in said if found.verdict.word != "safe"), None)
    if missing is not None:
        return "late", f"{missing.field} is {missing.verdict.word}: {missing.verdict.why}"
    return "met", "; ".join(f"{found.field} is {found.verdict.word}: {found.verdict.why}" for found in said)


def _plan_done(goal: WaitGoal, first: WaitLook, seen: WaitLook) -> tuple[Outcome, str]:
    """Return whether the plan has come to its end, and by which it has."""
    running_plan = running(seen.reading, goal.split)
    if running_plan is not None:
        return ("late", "") if seen.plan is not None else _ending(goal, seen)
    record = seen.state.definition.plan
    if record is None:
        raise RefusedError(f"no plan of '{goal.split}' has run. Start one with: graysplit ramp {goal.split}")
    plan = parse_plan(record)
    field = field_of(goal.split, plan.version)
    if first.plan is not None and first.release(field) != seen.release(field):
        return "undone", "another release has begun in the meantime"
    at, last = seen.all_weights.get(plan.version, "0"), format_weight(plan.steps[-1].weight)
    if at != last:
        return "undone", f"its plan was ended at {at}%, before its last step {last}%"
    return "met", f"its plan is done, at {at}%"


def _ending(goal: WaitGoal, seen: WaitLook) -> tuple[Outcome, str]:
    """Judge a plan that is over, though no driver has said so yet."""
    running_plan = running(seen.reading, goal.split)
    if running_plan is None or running_plan.plan is None:
        return "late", ""
    start = start_of(seen.reading, seen.fleet, goal.split, running_plan.plan, seen.all_weights)
    ruling = None if start is None else rule(running_plan.plan, *start[:3])
    if not isinstance(ruling, Over):
        return "late", ""
    return ("met", "its plan is done") if ruling.done else ("undone", f"its plan is over: {ruling.reason}")
