"""Plans as people start, stop and wave them through: the changes, and what of a plan stands at one moment."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from graysplit.control.reading import Reading
from graysplit.core.changes import NO_MISTYPED, Mistyped, known, set_weights
from graysplit.core.definition import candidate
from graysplit.core.plan import BAKE_S, DEFAULT, BadPlanError, Plan, Step, make_plan, parse_plan, plan_record
from graysplit.core.progress import Pause, Progress, Tick
from graysplit.core.snapshot import EVERYTHING, Change
from graysplit.core.weights import Weight, field_of, format_weight, share, split_of
from graysplit.errors import ConfigurationError, RefusedError
from graysplit.stores.port import Expect, Write
from graysplit.stores.rules import drives
from graysplit.stores.wire import PLAN, TICK, dumps, progress_text, raw_of, read_progress, read_tick, tick_text

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE: Final = "template:"  # in `meta`, before a template's name: a plan without its version


class Running(NamedTuple):
    """A plan that runs, as one reading shows it."""

    plan: Plan | None  # None: this library does not understand it
    fault: str  # why it does not
    progress: Progress
    tick: Tick


class Start(NamedTuple):
    """A plan about to begin: the change, and what is noted of it beside the weights."""

    change: Change
    expect: tuple[Expect, ...]
    writes: tuple[Write, ...]
    notes: tuple[str, ...]


def running(reading: Reading, split: str) -> Running | None:
    """Give the plan that runs for a split, or None."""
    mark = reading.text("meta", PLAN + split)
    progress = read_progress(reading.text("plans", split))
    standing = reading.snapshot.splits.get(split)
    if mark is None or progress is None or progress.run != mark.partition(" ")[0] or standing is None:
        return None
    tick = read_tick(reading.text("plans", TICK + split))
    try:
        return Running(parse_plan(standing.definition.plan or {}), "", progress, tick)
    except BadPlanError as fault:
        return Running(None, str(fault), progress, tick)


def ended(reading: Reading, change: Change) -> Iterator[str]:
    """Name the splits whose plan is over with a change: their weights or stops are touched, or their release ends."""
    marks = {name.removeprefix(PLAN) for name in reading.texts("meta") if name.startswith(PLAN)}
    for split in sorted(marks):
        mark = raw_of(reading.text("meta", PLAN + split) or "")
        touched = (field for field in (*change.weights, *change.stops) if split_of(field) in {split, EVERYTHING})
        closes = change.split == split and change.cause in {"finish", "delete"}
        if closes or any(drives(mark, field) for field in touched):
            yield split


class Wish(NamedTuple):
    """The plan that was meant: of a candidate, and as far as it was said in one of the ways to say it."""

    target: str
    steps: Collection[Step] | None = None
    record: Mapping[str, object] | None = None  # a file's
    template: str | None = None
    bake_s: float | None = None

    @property
    def new(self) -> bool:
        """Say whether a plan is described, whatever runs."""
        return any(given is not None for given in self[1:])


def chosen_plan(reading: Reading, split: str, version: str, wish: Wish) -> Plan:
    """Give the plan that was meant: these steps, a file's record, a template, the last plan, or the default."""
    _, steps, record, template, bake_s = wish
    if steps is not None:
        return make_plan(version, steps, bake_s=bake_s or 0)
    if template is not None:
        record = {**_template(reading, template), "name": template}
    if record is None and reading.snapshot.splits[split].definition.plan is not None:
        last = parse_plan(reading.snapshot.splits[split].definition.plan or {})
        record = plan_record(last) if last.version == version else None
    if record is not None:
        plan = parse_plan(record, version)
        _check_version(plan, version)
        return plan if bake_s is None else plan._replace(bake_s=bake_s)
    return make_plan(version, DEFAULT, bake_s=BAKE_S if bake_s is None else bake_s)


def read_plan_file(path: Path) -> dict[str, object]:
    """Read a plan's file, JSON or (`.toml`) TOML; raises `ConfigurationError`."""
    import tomllib

    try:
        content = path.read_bytes()
        found: object = tomllib.loads(content.decode()) if path.suffix == ".toml" else json.loads(content)
    except (OSError, ValueError) as fault:
        raise ConfigurationError(f"the plan file {path.name} cannot be read: {type(fault).__name__}: {fault}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(
            f'the plan file {path.name} holds no object. It should look like {{"steps": [{{"weight": "20", '
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
    driver: str = "",
    save: str | None = None,
    yes: bool = False,
) -> Start:
    """Give the change that starts a plan: its first step above what is in force, or the one that stands there."""
    standing = known(reading.snapshot, split)
    candidate(split, standing.definition, plan.version)
    number, weight = _first(split, plan, standing.effective(plan.version))
    change = set_weights(
        reading.snapshot,
        split,
        {plan.version: weight},
        release=id_,
        mistyped=mistyped,
        cause="ramp",
        yes=yes,
        leases=reading.held.leases,
    )
    field, now_ms = field_of(split, plan.version), reading.load.now_ms
    release = id_ if field in change.releases else reading.snapshot.releases.get(field, "")
    marks: dict[str, str | None] = {} if save is None else {TEMPLATE + save: _template_text(plan)}
    writes: tuple[Write, ...] = ()
    if number + 1 < len(plan.steps) or plan.bake_s:
        marks[PLAN + split] = f"{id_} {plan.version}"
        progress = Progress(id_, release, number, weight, now_ms)
        writes = (
            Write("plans", split, progress_text(progress)),
            Write("plans", TICK + split, tick_text(Tick(now_ms, driver=driver))),
        )
    change = change._replace(
        definition=standing.definition._replace(plan=plan_record(plan)), marks={**change.marks, **marks}
    )
    notes = (f"step {number + 1} of {len(plan.steps)}: {format_weight(weight)}%{_ahead(plan, number)}",)
    return Start(change, (Expect("meta", PLAN + split, reading.text("meta", PLAN + split)),), writes, notes)


def noted(reading: Reading, split: str, cause: str, progress: Progress) -> Start:
    """Give a change of nothing but a plan's progress."""
    expect = (
        Expect("plans", split, reading.text("plans", split)),
        Expect("meta", PLAN + split, reading.text("meta", PLAN + split)),
    )
    return Start(Change(cause, split), expect, (Write("plans", split, progress_text(progress)),), ())


def standing_plan(reading: Reading, split: str) -> Running:
    """Give the plan that runs, or refuse with the way to start one."""
    known(reading.snapshot, split)
    found = running(reading, split)
    if found is None:
        raise RefusedError(f"no plan runs for '{split}'. Start one with: graysplit ramp {split}")
    return found


def approved(found: Running, split: str, who: str) -> Progress | None:
    """Give a plan's progress with its next step approved; None where that is said already."""
    progress, plan = found.progress, found.plan
    if plan is None:
        raise RefusedError(f"the plan of '{split}' is not understood here ({found.fault}): use a newer graysplit")
    if progress.step + 1 >= len(plan.steps) or not plan.steps[progress.step].approve:
        raise RefusedError(
            f"no step of '{split}' waits for approval now. See what it waits for with: graysplit show {split}"
        )
    return None if progress.approved else progress._replace(approved=who)


def paused(found: Running, who: str, why: str, now_ms: int) -> Progress | None:
    """Give a plan's progress with its clock stopped; None where it stands already."""
    return None if found.progress.paused else found.progress._replace(paused=Pause(who, why, now_ms))


def resumed(found: Running, now_ms: int) -> Progress | None:
    """Give a plan's progress with its clock running on from where it stopped; None where it runs."""
    return found.progress._replace(paused=None, resumed_ms=now_ms) if found.progress.paused else None


def _first(split: str, plan: Plan, before: Weight) -> tuple[int, int]:
    """Give the number and weight of the step to begin with: nothing is ever lowered by a plan."""
    for number, step in enumerate(plan.steps):
        if step.weight >= share(before):
            return number, step.weight
    raise RefusedError(
        f"'{split}' is at {format_weight(before)} %, above every step of the plan, and a plan never lowers. "
        f"Go back first with: graysplit rollback {split}; or lower it with: graysplit set {split} 5"
    )


def _ahead(plan: Plan, number: int) -> str:
    """Say what stands between a step and the next."""
    if number + 1 == len(plan.steps):
        return f", then it bakes for {plan_record(plan)['bake']}" if plan.bake_s else ", and the plan is done"
    gates = ", ".join(plan.steps[number].gates) or "at once"
    return f", then {format_weight(plan.steps[number + 1].weight)}% ({gates})"


def _check_version(plan: Plan, version: str) -> None:
    if plan.version != version:
        raise RefusedError(f"the plan is for the version '{plan.version}', and '{version}' was named. Name only one")


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
