"""Plans as people start, stop and wave them through: the changes, and what of a plan stands at one moment."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from graysplit.control.inputs import planned_version, split_and_version
from graysplit.control.reading import Reading
from graysplit.control.waves import hosts_of
from graysplit.core.address import covers_split, field_of, split_of, version_of
from graysplit.core.changes import NO_MISTYPED, Mistyped, known, only_candidate, set_weights
from graysplit.core.definition import Definition, candidate
from graysplit.core.limits import TYPED
from graysplit.core.plan.plan import (
    BAKE_S,
    BadPlanError,
    Plan,
    Step,
    check_gated,
    check_waits,
    default_steps,
    make_plan,
    parse_plan,
    plan_record,
)
from graysplit.core.plan.progress import PLAN_ACTOR, Pause, Progress, Tick
from graysplit.core.split_state import Change, SplitState
from graysplit.core.weights import FULL, Weight, format_weight, share
from graysplit.errors import ConfigurationError, RefusedError
from graysplit.stores.port import Expect, Write
from graysplit.stores.text.records import (
    PLAN,
    TICK,
    dumps,
    exact,
    progress_text,
    raw_of,
    read_progress,
    read_tick,
    tick_text,
)
from graysplit.stores.write_rules import drives

if TYPE_CHECKING:
    from pathlib import Path

    from graysplit.core.fleet import Fleet

PAUSES_AT_MOST: Final = 20  # of one plan; more reasons do not stop it more
SWITCH: Final = "switch"  # the name of the plans that a switch over a time makes
ENDING: Final = frozenset({"delete", "ramp", "winner"})  # causes that end a split's plan, whatever weights say
TEMPLATE: Final = "template:"  # in `meta`, before a template's name: a plan without its version


class RunningPlan(NamedTuple):
    """A plan that runs, as one reading shows it."""

    plan: Plan | None  # None: this library does not understand it
    fault: str  # why it does not
    progress: Progress
    tick: Tick


class PlanStart(NamedTuple):
    """A plan about to begin: the change, and what is noted of it beside the weights."""

    change: Change
    expect: tuple[Expect, ...]
    writes: tuple[Write, ...]
    notes: tuple[str, ...]
    said: str = ""  # what the history says of it, before the person's own reason
    plan: Mapping[str, object] | None = None  # where the plan stands and which step it is about, for scripts


class Ended(NamedTuple):
    """A plan that is over with a change, as far as it still runs."""

    split: str
    words: str  # "the plan of 'checkout', step 2 of 4 (20%), started by ana, paused by bo for 5 s: do not touch"
    by: str = ""  # who started it
    paused: bool = False


def running(reading: Reading, split: str) -> RunningPlan | None:
    """Return the plan that runs for a split, or None."""
    mark = reading.text("meta", PLAN + split)
    progress = read_progress(reading.text("plans", split))
    standing = reading.snapshot.splits.get(split)
    if mark is None or progress is None or progress.run != mark.partition(" ")[0] or standing is None:
        return None
    tick = read_tick(reading.text("plans", TICK + split))
    try:
        return RunningPlan(parse_plan(standing.definition.plan or {}), "", progress, tick)
    except BadPlanError as fault:
        return RunningPlan(None, str(fault), progress, tick)


def touched(reading: Reading, change: Change) -> Iterator[tuple[str, bool]]:
    """Name the splits whose plan a change touches, each with whether the plan is over with it.

    It is where its release ends, or a weight or a stop that concerns it becomes another; the same weight, written
    again, is no change to it.
    """
    marks = {name.removeprefix(PLAN) for name in reading.texts("meta") if name.startswith(PLAN)}
    for split in sorted(marks):
        mark = raw_of(reading.text("meta", PLAN + split) or "")
        own = [f for f in (*change.weights, *change.stops) if covers_split(split_of(f), split) and _of_plan(mark, f)]
        closes = change.split == split and (change.cause in ENDING or PLAN + split in change.marks)
        if own or closes:
            yield split, closes or not (_stands(reading, split) and all(_same(reading, change, f) for f in own))


def _of_plan(mark: bytes, field: str) -> bool:
    """Return whether a field concerns a plan: of several candidates each does, where a person writes it."""
    return drives(mark, field) or version_of(field) in exact(mark).partition(" ")[2].split("+")


def _stands(reading: Reading, split: str) -> bool:
    """Return whether the weight that a plan wrote is in force: any other has ended it already."""
    found, standing = running(reading, split), reading.snapshot.splits.get(split)
    if found is None or standing is None:
        return False
    plan, progress = found.plan, found.progress
    if plan is None or not plan.also or progress.step >= len(plan.steps):
        return plan is None or standing.in_force(plan.version) == progress.at
    wanted = plan.weights(progress.step, progress.out)
    return all(standing.in_force(name) == weight for name, weight in wanted.items())


def _same(reading: Reading, change: Change, field: str) -> bool:
    """Return whether a change leaves a field as it is in force, and for no other time."""
    standing = reading.snapshot.splits.get(split_of(field))
    if standing is None or field in change.stops or field in change.leases or field not in change.weights:
        return False
    return change.weights[field] == standing.in_force(version_of(field))


def running_words(reading: Reading, split: str) -> Ended:
    """Return which plan a change ends; where only its mark is left nobody is asked."""
    found, standing = running(reading, split), reading.snapshot.splits.get(split)
    if found is None or standing is None:
        return Ended(split, f"the rest of a plan of '{split}'")
    progress, plan = found.progress, found.plan
    of = f" of {len(plan.steps)}" if plan is not None else ""
    by = f", started by {progress.by}" if progress.by else ""
    pauses = ", and by ".join(pause.words(reading.load.now_ms) for pause in progress.pauses)
    at = format_weight(progress.at)
    if plan is not None and progress.step < len(plan.steps):
        at = plan.words(progress.step, progress.out)
    words = f"the plan of '{split}', step {progress.step + 1}{of} ({at}%){by}"
    if not _stands(reading, split):
        return Ended(split, f"{words}, already ended by another weight")
    return Ended(split, words + (f", paused by {pauses}" if pauses else ""), progress.by or "somebody", bool(pauses))


class PlanRequest(NamedTuple):
    """The plan that was meant: of a candidate, and as far as it was said in one of the ways to say it."""

    target: str
    steps: Collection[Step] | None = None
    record: Mapping[str, object] | None = None  # a file's
    template: str | None = None
    bake_s: float | None = None

    @property
    def new(self) -> bool:
        """Return whether a plan is described, whatever runs."""
        return any(given is not None for given in self[1:])


def wanted_plan(reading: Reading, wish: PlanRequest, fleet: Fleet) -> Plan:
    """Return the plan that was meant: these steps, a file's record, a template, the last plan, or the default.

    Raises `BadPlanError` where a step has no gate.
    """
    split, version = split_and_version(wish.target)
    definition = reading.snapshot.splits[split].definition
    name = _several_named(split, definition, version, wish.steps) or version
    name = name or planned_version(definition.plan, wish.record) or only_candidate(split, definition)
    plan = _described(reading, split, name, wish, hosts_of(definition, fleet, split, name))
    check_gated(plan)
    return plan


def _several_named(split: str, definition: Definition, version: str, steps: Collection[Step] | None) -> str:
    """Return the candidate that leads a plan of several, or "" where the steps are of one."""
    if not any(step.also for step in steps or ()):
        return ""
    names = [one.name for one in definition.candidates]
    if version:
        raise RefusedError(
            f"these steps have weights for several candidates, but '{version}' is a single one. Name the split alone: "
            f"graysplit ramp {split} 5/5,20/20 --every 10m (in the order {', '.join(names)})"
        )
    for number, step in enumerate(steps or ()):
        if len(step.also) + 1 != len(names):
            raise BadPlanError(
                f"steps.{number}",
                f"{step.words} has {len(step.also) + 1} weights, and '{split}' has {len(names)} candidates: "
                f"{', '.join(names)}, in this order",
            )
    return names[0]


def _going_with(reading: Reading, split: str, steps: Collection[Step]) -> tuple[str, ...]:
    """Return the candidates that go with the first one, where steps have weights for all."""
    if not any(step.also for step in steps):
        return ()
    return tuple(one.name for one in reading.snapshot.splits[split].definition.candidates[1:])


def _described(reading: Reading, split: str, version: str, wish: PlanRequest, hosts: int) -> Plan:
    _, steps, record, template, bake_s = wish
    if steps is not None:
        also = _going_with(reading, split, steps)
        return make_plan(version, steps, bake_s=bake_s or 0, also=also)
    if template is not None:
        record = {**_template(reading, template), "name": template}
    if record is None and reading.snapshot.splits[split].definition.plan is not None:
        last = parse_plan(reading.snapshot.splits[split].definition.plan or {})
        record = plan_record(last) if last.version == version and last.name != SWITCH else None
    if record is not None:
        plan = parse_plan(record, version)
        _check_version(plan, version)
        return plan if bake_s is None else plan._replace(bake_s=bake_s)
    return make_plan(version, default_steps(BAKE_S if bake_s is None else bake_s, hosts=hosts))


def read_plan_file(path: Path) -> dict[str, object]:
    """Read a plan's file, JSON or (`.toml`) TOML; raises `ConfigurationError`."""
    import tomllib

    try:
        with path.open("rb") as file:
            content = file.read(TYPED["plan"] + 1)
        if len(content) > TYPED["plan"]:
            raise ConfigurationError(f"the plan file {path.name} has more than {TYPED['plan']} bytes: shorten it")
        found: object = tomllib.loads(content.decode()) if path.suffix == ".toml" else json.loads(content)
    except (OSError, ValueError) as fault:
        raise ConfigurationError(f"the plan file {path.name} cannot be read: {type(fault).__name__}: {fault}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(
            f'the plan file {path.name} is not an object. It should look like {{"steps": [{{"weight": "20", '
            '"approve": true}, {"weight": "100"}], "bake": "1h"}'
        )
    return cast("dict[str, object]", found)  # the keys of JSON and TOML are texts


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
    standing = known(reading.snapshot, split)
    candidate(split, standing.definition, plan.version)
    check_waits(plan)
    if plan.also and standing.definition.by == "instance":
        raise RefusedError(f"'{split}' rolls over hosts, one candidate after the other: give steps of one weight each")
    for name in plan.also:
        candidate(split, standing.definition, name)
    number = _first(split, plan, standing)
    weight = plan.steps[number].weight
    _check_fits(split, plan, {name: part for name, part in _others(plan, standing).items() if name not in lowered})
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
        beside = tuple(sorted(name for name in _others(plan, standing) if name not in lowered))
        progress = Progress(id_, release, number, weight, now_ms, by=by, beside=beside)
        writes = (
            Write("plans", split, progress_text(progress)),
            Write("plans", TICK + split, tick_text(Tick(now_ms, driver=driver))),
        )
    change = change._replace(
        definition=standing.definition._replace(plan=plan_record(plan)),
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


def standing_plan(reading: Reading, split: str) -> RunningPlan:
    """Return the plan that runs, or refuse with the way to start one."""
    known(reading.snapshot, split)
    found = running(reading, split)
    if found is None:
        raise RefusedError(f"no plan runs for '{split}'. Start one with: graysplit ramp {split}")
    return found


def check_over(reading: Reading, split: str) -> None:
    """Raise `RefusedError` while a plan of a split runs: its release is not over."""
    found = running(reading, split)
    if found is None:
        return
    words = running_words(reading, split).words
    raise RefusedError(
        f"{words}, still runs, so the release is not over. Nothing was written. Wait for its end: graysplit wait "
        f"{split} --until done --timeout 1h; or end the plan and keep the weight: graysplit set {split} "
        f"{format_weight(found.progress.at)} --replace"
    )


def paused(found: RunningPlan, who: str, why: str, now_ms: int) -> Progress | None:
    """Return a plan's progress with one more pause; None where this person has paused it, and has no other reason."""
    pauses = found.progress.pauses
    known = any(pause.who == who and why in {"", pause.why} for pause in pauses)
    if known or len(pauses) >= PAUSES_AT_MOST:
        return None
    return found.progress._replace(pauses=(*pauses, Pause(who, why, now_ms)))


def resumed(found: RunningPlan, split: str, who: str, now_ms: int, *, everybody: bool) -> Progress | None:
    """Return a plan's progress without a person's pauses and its own, or without any; None where none stands.

    The clock runs on from where it stopped once none is left.
    """
    pauses = found.progress.pauses
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
    return found.progress._replace(pauses=left, resumed_ms=found.progress.resumed_ms if left else now_ms)


def _first(split: str, plan: Plan, standing: SplitState) -> int:
    """Return the number of the step to begin with: nothing is ever lowered by a plan."""
    for number in range(len(plan.steps)):
        if all(to >= share(standing.in_force(name)) for name, to in plan.weights(number).items()):
            return number
    before = standing.in_force(plan.version)
    if plan.also:
        at = ", ".join(f"{name} at {format_weight(standing.in_force(name))} %" for name in plan.versions)
        raise RefusedError(
            f"'{split}' has {at}: no step of the plan is at or above all of them, and a plan never lowers"
        )
    raise RefusedError(
        f"'{split}' is at {format_weight(before)} %, above every step of the plan, and a plan never lowers. "
        f"Roll back first with: graysplit rollback {split}; or lower it with: graysplit set {split} 5"
    )


def _others(plan: Plan, standing: SplitState) -> dict[str, int]:
    """Return the shares of the split's other candidates that are in force."""
    names = [one.name for one in standing.definition.candidates if one.name not in plan.versions]
    return {name: part for name in names if (part := share(standing.in_force(name)))}


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
    """Say what stands between a step and the next."""
    if number + 1 == len(plan.steps):
        return f", then it bakes for {plan_record(plan)['bake']}" if plan.bake_s else ", and the plan is done"
    gates = ", ".join(plan.steps[number].gates) or "at once"
    return f", then {plan.steps[number + 1].words}% ({gates})"


def _check_version(plan: Plan, version: str) -> None:
    if plan.version != version:
        raise RefusedError(f"the plan is for the version '{plan.version}', but '{version}' was given. Give only one")


def _template(reading: Reading, name: str) -> dict[str, object]:
    text = reading.text("meta", TEMPLATE + name)
    found: object = None if text is None else json.loads(text)
    if not isinstance(found, dict):
        names = sorted(field.removeprefix(TEMPLATE) for field in reading.texts("meta") if field.startswith(TEMPLATE))
        raise RefusedError(
            f"no template '{name}' (templates: {', '.join(names) or 'none'}). "
            f"Save one with: graysplit ramp SPLIT 5,20,50,100 --every 10m --save {name}"
        )
    return cast("dict[str, object]", found)


def _template_text(plan: Plan) -> str:
    record = plan_record(plan)
    del record["version"]
    record.pop("name", None)
    return dumps(record)
