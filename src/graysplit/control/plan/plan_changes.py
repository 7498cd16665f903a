"""Plans as people start, stop and wave them through: the changes, and what of a plan stands at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from graysplit.control.plan.plan_request import TEMPLATE
from graysplit.control.plan.running_plan import RunningPlan
from graysplit.control.reading import Reading
from graysplit.core.address import field_of
from graysplit.core.changes import NO_MISTYPED, Mistyped, known, set_weights
from graysplit.core.definition import candidate
from graysplit.core.plan.plan import (
    Plan,
    check_waits,
    plan_record,
)
from graysplit.core.plan.progress import PLAN_ACTOR, Pause, Progress, Tick
from graysplit.core.split_state import Change, SplitState
from graysplit.core.weights import FULL, Weight, format_weight, share
from graysplit.errors import RefusedError
from graysplit.stores.port import Expect, Write
from graysplit.stores.text.records import (
    PLAN,
    TICK,
    dumps,
    progress_text,
    tick_text,
)

PAUSES_AT_MOST: Final = 20  # of one plan; more reasons do not stop it more


class PlanStart(NamedTuple):
    """A plan about to begin: the change, and what is noted of it beside the weights."""

    change: Change
    expect: tuple[Expect, ...]
    writes: tuple[Write, ...]
    notes: tuple[str, ...]
    said: str = ""  # what the history says of it, before the person's own reason
    plan: Mapping[str, object] | None = None  # where the plan stands and which step it is about, for scripts


def begin(  # noqa: PLR0913 - what a plan's start rests on
    reading: Reading,
    split: str,
    plan: Plan,
    id_: str,
    *,
    mistyped: Mistyped = NO_MISTYPED,
    cause: str = "ramp",
    driver: str = "",
    by: str = "",
    save: str | None = None,
    yes: bool = False,
    lowered: Mapping[str, Weight] = {},
) -> PlanStart:
    """Return the change that starts a plan: its first step above what is in force, or the one that stands there.

    `lowered` are the weights of other candidates that are written with it.
    """
    state = known(reading.snapshot, split)
    candidate(split, state.definition, plan.version)
    check_waits(plan)
    if plan.also and state.definition.by == "instance":
        raise RefusedError(f"'{split}' rolls over hosts, one candidate after the other: give steps of one weight each")
    for name in plan.also:
        candidate(split, state.definition, name)
    number = _first(split, plan, state)
    weight = plan.steps[number].weight
    _check_fits(split, plan, {name: part for name, part in _others(plan, state).items() if name not in lowered})
    change = set_weights(
        reading.snapshot,
        split,
        {**plan.weights(number), **lowered},
        release=id_,
        mistyped=mistyped,
        cause=cause,
        yes=yes,
        leases=reading.held.leases,
    )
    field, now_ms = field_of(split, plan.version), reading.load.now_ms
    release = id_ if field in change.releases else reading.snapshot.releases.get(field, "")
    marks: dict[str, str | None] = {} if save is None else {TEMPLATE + save: _template_text(plan)}
    writes: tuple[Write, ...] = ()
    if number + 1 < len(plan.steps) or plan.bake_s:
        marks[PLAN + split] = f"{id_} {plan.mark}"
        beside = tuple(sorted(name for name in _others(plan, state) if name not in lowered))
        progress = Progress(id_, release, number, weight, now_ms, by=by, beside=beside)
        writes = (
            Write("plans", split, progress_text(progress)),
            Write("plans", TICK + split, tick_text(Tick(now_ms, driver=driver))),
        )
    change = change._replace(
        definition=state.definition._replace(plan=plan_record(plan)),
        marks={**change.marks, **marks},
        up_to={field_of(split, name): to for name, to in plan.weights(-1).items()},
    )
    of = f" ({' and '.join(plan.versions)})" if plan.also else ""
    note = f"step {number + 1} of {len(plan.steps)}: {plan.steps[number].words}%{of}{_ahead(plan, number)}"
    return PlanStart(change, (Expect("meta", PLAN + split, reading.text("meta", PLAN + split)),), writes, (note,))


def noted(reading: Reading, split: str, cause: str, progress: Progress, plan: Plan | None = None) -> PlanStart:
    """Return a change of nothing but a plan's progress."""
    expect = (
        Expect("plans", split, reading.text("plans", split)),
        Expect("meta", PLAN + split, reading.text("meta", PLAN + split)),
    )
    left = [f"still paused by {pause.words(reading.load.now_ms)}" for pause in progress.pauses if cause == "resume"]
    more = [f"End all pauses with: graysplit resume {split} --all"] if left else []
    writes = (Write("plans", split, progress_text(progress)),)
    return PlanStart(Change(cause, split), expect, writes, (*left, *more), plan=step_values(progress, plan))


def step_values(progress: Progress, plan: Plan | None) -> dict[str, object]:
    """Return where a plan stands for scripts: the step, the gates before the next, who has approved or paused it."""
    ahead = None if plan is None or progress.step + 1 >= len(plan.steps) else plan.steps[progress.step + 1]
    return {
        "step": progress.step + 1,
        "steps": None if plan is None else len(plan.steps),
        "weight": float(format_weight(progress.at)),
        "next": None if ahead is None else float(format_weight(ahead.weight)),
        **_several_values(plan, progress, is_last=ahead is None),
        "gates": [] if plan is None or ahead is None else list(plan.steps[progress.step].gates),
        "approved": progress.approved or None,
        "pauses": [pause._asdict() for pause in progress.pauses],
        "by": progress.by or None,
    }


def _several_values(plan: Plan | None, progress: Progress, *, is_last: bool) -> dict[str, object]:
    """Return, of a plan of several candidates, the weights by version; of another nothing."""
    if plan is None or not plan.also or progress.step >= len(plan.steps):
        return {}

    def weights(number: int) -> dict[str, float]:
        return {name: float(format_weight(to)) for name, to in plan.weights(number, progress.out).items()}

    now, ahead = weights(progress.step), None if is_last else weights(progress.step + 1)
    return {"weights": now, "next_weights": ahead, "out": list(progress.out)}


def paused(running_plan: RunningPlan, who: str, why: str, now_ms: int) -> Progress | None:
    """Return a plan's progress with one more pause; None where this person has paused it, and has no other reason."""
    pauses = running_plan.progress.pauses
    known = any(pause.who == who and why in {"", pause.why} for pause in pauses)
    if known or len(pauses) >= PAUSES_AT_MOST:
        return None
    return running_plan.progress._replace(pauses=(*pauses, Pause(who, why, now_ms)))


def resumed(running_plan: RunningPlan, split: str, who: str, now_ms: int, *, everybody: bool) -> Progress | None:
    """Return a plan's progress without a person's pauses and its own, or without any; None where none stands.

    The clock runs on from where it stopped once none is left.
    """
    pauses = running_plan.progress.pauses
    own = [pause for pause in pauses if pause.who == who or pause.who.startswith(PLAN_ACTOR)]
    left = () if everybody else tuple(pause for pause in pauses if pause not in own)
    if not pauses:
        return None
    if left == pauses:
        words = ", and by ".join(pause.words(now_ms) for pause in pauses)
        raise RefusedError(
            f"'{split}' is paused by {words}, not by {who}: only its author ends a pause. "
            f"End all pauses with: graysplit resume {split} --all"
        )
    return running_plan.progress._replace(pauses=left, resumed_ms=running_plan.progress.resumed_ms if left else now_ms)


def _first(split: str, plan: Plan, state: SplitState) -> int:
    """Return the number of the step to begin with: nothing is ever lowered by a plan."""
    for number in range(len(plan.steps)):
        if all(to >= share(state.in_force(name)) for name, to in plan.weights(number).items()):
            return number
    before = state.in_force(plan.version)
    if plan.also:
        at = ", ".join(f"{name} at {format_weight(state.in_force(name))} %" for name in plan.versions)
        raise RefusedError(
            f"'{split}' has {at}: no step of the plan is at or above all of them, and a plan never lowers"
        )
    raise RefusedError(
        f"'{split}' is at {format_weight(before)} %, above every step of the plan, and a plan never lowers. "
        f"Roll back first with: graysplit rollback {split}; or lower it with: graysplit set {split} 5"
    )


def _others(plan: Plan, state: SplitState) -> dict[str, int]:
    """Return the shares of the split's other candidates that are in force."""
    names = [one.name for one in state.definition.candidates if one.name not in plan.versions]
    return {name: part for name in names if (part := share(state.in_force(name)))}


def _check_fits(split: str, plan: Plan, others: Mapping[str, int]) -> None:
    """Refuse steps that have no room beside the other candidates as they stand: a plan lowers nobody."""
    room = FULL - sum(others.values())
    beyond = [step.words for step in plan.steps if step.total > room]
    if others and beyond:
        beside = ", ".join(f"{field_of(split, name)} at {format_weight(weight)} %" for name, weight in others.items())
        raise RefusedError(
            f"no room for {' and '.join(beyond)} % of {field_of(split, plan.version)} beside {beside}: at most "
            f"{format_weight(room)} % fit, and a plan never lowers. Use steps up to there, or lower others first with: "
            f"graysplit set {split} {' '.join(f'{name}=0' for name in others)}"
        )


def _ahead(plan: Plan, number: int) -> str:
    """Return what stands between a step and the next."""
    if number + 1 == len(plan.steps):
        return f", then it bakes for {plan_record(plan)['bake']}" if plan.bake_s else ", and the plan is done"
    gates = ", ".join(plan.steps[number].gates) or "at once"
    return f", then {plan.steps[number + 1].words}% ({gates})"


def _template_text(plan: Plan) -> str:
    record = plan_record(plan)
    del record["version"]
    record.pop("name", None)
    return dumps(record)
