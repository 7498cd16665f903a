"""Foretell a plan from where everything stands now: its dates, and who moves at each step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from graysplit.control.guard import guard_changes, outlook
from graysplit.control.guard.past_rate import bake_words
from graysplit.control.guard.verdicts import Tallies, armed, may_stop
from graysplit.control.inputs import split_and_version
from graysplit.control.operator import Operator
from graysplit.control.plan import plan_changes
from graysplit.control.plan.awaited import start_of
from graysplit.control.plan.plan_request import PlanRequest, wanted_plan
from graysplit.control.plan.running_plan import running
from graysplit.control.reading import Reading, check_readable, check_whole
from graysplit.control.views import in_force, rows_of
from graysplit.core.address import field_of
from graysplit.core.allocation import moved
from graysplit.core.cohort import Cohort, cohort, moving, on_each
from graysplit.core.definition import Definition
from graysplit.core.fleet import Fleet
from graysplit.core.freeze import FREEZES, frozen
from graysplit.core.guard.power import Outlook
from graysplit.core.plan.forecast import Forecast, ForecastStart, foresee, fresh
from graysplit.core.plan.plan import Plan
from graysplit.core.split_state import Snapshot, SplitState, apply
from graysplit.core.waves import NOBODY, crossed, instances, raised
from graysplit.core.weights import share
from graysplit.errors import RefusedError
from graysplit.stores.text.freezes import read_freezes


class Crossed(NamedTuple):
    """The hosts at one step, by those that live now."""

    joining: tuple[str, ...]  # who crosses with it
    on: int  # how many have crossed from then on
    of: int


class Moves(NamedTuple):
    """Who moves at one step: buckets, and where units are known how many of them."""

    buckets: int | None  # thousandths of a percent of all units; None: the step was taken before
    units: int | None = None
    on: int | None = None  # how many of the units are on the candidate from then on
    hosts: Crossed | None = None  # the same of hosts, where they cross over


class Simulation(NamedTuple):
    """A plan's future."""

    split: str
    version: str
    plan: Plan
    now_ms: int  # server time
    runs: bool  # whether the plan runs already
    forecast: Forecast
    moves: tuple[Moves, ...]  # for each of the forecast's steps
    units: int | None  # how many units were given, each counted once
    notes: tuple[str, ...] = ()
    outlooks: Mapping[int, Outlook] = {}  # by the step's number, where it waits for `safe`

    @property
    def field(self) -> str:
        """The address of the candidate that it raises."""
        return field_of(self.split, self.version)


class SimulatedSplit(NamedTuple):
    """What a simulation rests on."""

    reading: Reading
    fleet: Fleet
    base: Snapshot  # with the split in it, also where only live code declares it
    tallies: Tallies


def simulate(
    operator: Operator,
    wish: PlanRequest,
    confirm_s: float,
    units: Callable[[], Iterable[bytes]] | None,
) -> Simulation:
    """Return a plan's future; `units` are read once it is known that there is one."""
    split, version = split_and_version(wish.target)
    reading = operator.read()
    check_readable(reading, split)
    check_whole(reading)
    base, _ = operator.ensured(reading, split, [version])
    seen = SimulatedSplit(reading, operator.store.fleet(), base, operator.store.tally)
    if units is not None and base.splits[split].definition.by == "instance":
        raise RefusedError(f"'{split}' moves by instance, so single units cannot be counted. Repeat without --units")
    return _simulated(seen, wish, confirm_s, units)


def _simulated(
    seen: SimulatedSplit,
    wish: PlanRequest,
    confirm_s: float,
    units: Callable[[], Iterable[bytes]] | None,
) -> Simulation:
    split, version = split_and_version(wish.target)
    state = seen.base.splits[split]
    found = None if wish.new else _running(seen, split, version)
    plan, start, after, notes = found or _starting(seen, wish, split)
    forecast = foresee(plan, start, int(confirm_s * 1000))
    ages_s = {taken.step: (taken.at_ms - start.view.now_ms) / 1000 for taken in forecast.steps}
    rates = outlook.traffic(seen.reading, seen.tallies, split, plan.version) if _waits(plan) else None
    known = None if units is None else cohort(state.definition, units())
    moves = tuple(_moves(known, None if found else state, after, plan, forecast))
    if state.definition.by == "instance":
        hosts = _hosts(seen, state, plan, forecast)
        moves = tuple(move._replace(hosts=crossed) for move, crossed in zip(moves, hosts, strict=True))
    return Simulation(
        split,
        plan.version,
        plan,
        start.view.now_ms,
        found is not None,
        forecast,
        moves,
        None if known is None else known.size,
        notes,
        outlook.outlooks(plan, after, rates, ages_s),
    )


def _hosts(seen: SimulatedSplit, state: SplitState, plan: Plan, forecast: Forecast) -> Iterable[Crossed]:
    """Return which hosts cross at each step, as each would record its wave if nobody died or came."""
    live = instances(seen.fleet, state.split, plan.version)
    before, taken = state.in_force(plan.version), state.taken(plan.version)
    wave = state.waves.get(plan.version, NOBODY)
    was = {host.name for host in live if crossed(wave, host.name, before)}
    for step in forecast.steps:
        if step.weight > share(before):
            wave = raised(wave, step.weight, live, state.definition.seed, before=before, taken=taken)
        before = step.weight
        now = {host.name for host in live if host.able and crossed(wave, host.name, before)}
        yield Crossed(tuple(sorted(now - was)), len(now), len(live))
        was = now


def _waits(plan: Plan) -> bool:
    return any(step.until for step in plan.steps[:-1])


_Begun = tuple[Plan, ForecastStart, SplitState, tuple[str, ...]]


def _running(seen: SimulatedSplit, split: str, version: str) -> _Begun | None:
    """Return the plan that runs, from where it stands, or None."""
    running_plan = running(seen.reading, split)
    if running_plan is None or version not in {"", *(running_plan.plan.versions if running_plan.plan else (version,))}:
        return None
    if running_plan.plan is None:
        raise RefusedError(
            f"the plan of '{split}' is not understood by this graysplit ({running_plan.fault}): use a newer one"
        )
    state = seen.base.splits[split]
    weights = in_force(rows_of(seen.reading, seen.fleet, state))
    start = start_of(seen.reading, seen.fleet, split, running_plan.plan, weights)
    return (
        None if start is None else (running_plan.plan, start, state, _bake_notes(running_plan.plan, state.definition))
    )


def _starting(seen: SimulatedSplit, wish: PlanRequest, split: str) -> _Begun:
    """Return the plan that would start now, as `ramp` would start it."""
    reading = seen.reading._replace(snapshot=seen.base)
    definition = seen.base.splits[split].definition
    plan = wanted_plan(reading, wish, seen.fleet)
    begun = plan_changes.begin(reading, split, plan, "", mistyped=reading.mistyped(split, definition), yes=True)
    after = apply(seen.base, begun.change).splits[split]
    weight = share(after.in_force(plan.version))
    number = next(number for number, step in enumerate(plan.steps) if step.weight == weight)
    others = sum(share(after.in_force(one.name)) for one in definition.candidates if one.name not in plan.versions)
    now_ms = reading.load.now_ms
    frost = frozen(read_freezes(reading.text("meta", FREEZES)), split, now_ms)
    notes = () if frost is None else (f"it could not start now: {frost.words}",)
    # With the guard that will be there: the one that stands, or the one that a ramp arms.
    guarded = guard_changes.begun(after.definition, seen.fleet, split, "", now_ms)[0]
    start = fresh(plan, number, now_ms, others, watched=may_stop(armed(split, guarded)))
    return plan, start, after, (*notes, *_bake_notes(plan, guarded))


def _bake_notes(plan: Plan, definition: Definition) -> tuple[str, ...]:
    """Return what the plan leaves unwatched while it bakes, as `ramp` says it."""
    return tuple(filter(None, [bake_words(plan, definition)]))


def _moves(
    known: Cohort | None, before: SplitState | None, first: SplitState, plan: Plan, forecast: Forecast
) -> Iterable[Moves]:
    """Return who moves at each step; at the first of a plan that runs nobody does any more."""
    for step in forecast.steps:
        after = first._replace(weights={**first.weights, **plan.weights(step.step)})
        buckets = None if before is None else moved(before.runs(), after.runs())
        units = None if known is None or before is None else moving(known, before, after)
        on = None if known is None else sum(on_each(known, after)[name] for name in plan.versions)
        yield Moves(buckets, units, on)
        before = after
