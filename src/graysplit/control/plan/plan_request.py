"""The plan that is meant: these steps, a file's record, a template, the last plan, or the default."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from graysplit.control.inputs import planned_version, split_and_version
from graysplit.control.reading import Reading
from graysplit.control.waves import hosts_of
from graysplit.core.changes import only_candidate
from graysplit.core.definition import Definition
from graysplit.core.limits import TYPED
from graysplit.core.plan.plan import (
    BAKE_S,
    BadPlanError,
    Plan,
    PlanStep,
    check_gated,
    default_steps,
    make_plan,
    parse_plan,
    plan_record,
)
from graysplit.errors import ConfigurationError, RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from graysplit.core.fleet import Fleet


SWITCH: Final = "switch"  # the name of the plans that a switch over a time makes
TEMPLATE: Final = "template:"  # in `meta`, before a template's name: a plan without its version


class PlanRequest(NamedTuple):
    """The plan that was meant: of a candidate, and as far as it was said in one of the ways to say it."""

    target: str
    steps: Collection[PlanStep] | None = None
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


def _several_named(split: str, definition: Definition, version: str, steps: Collection[PlanStep] | None) -> str:
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


def _going_with(reading: Reading, split: str, steps: Collection[PlanStep]) -> tuple[str, ...]:
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
        decoded: object = tomllib.loads(content.decode()) if path.suffix == ".toml" else json.loads(content)
    except (OSError, ValueError) as fault:
        raise ConfigurationError(f"the plan file {path.name} cannot be read: {type(fault).__name__}: {fault}") from None
    if not isinstance(decoded, dict):
        raise ConfigurationError(
            f'the plan file {path.name} is not an object. It should look like {{"steps": [{{"weight": "20", '
            '"approve": true}, {"weight": "100"}], "bake": "1h"}'
        )
    return cast("dict[str, object]", decoded)  # the keys of JSON and TOML are texts


def _check_version(plan: Plan, version: str) -> None:
    if plan.version != version:
        raise RefusedError(f"the plan is for the version '{plan.version}', but '{version}' was given. Give only one")


def _template(reading: Reading, name: str) -> dict[str, object]:
    text = reading.text("meta", TEMPLATE + name)
    decoded: object = None if text is None else json.loads(text)
    if not isinstance(decoded, dict):
        names = sorted(field.removeprefix(TEMPLATE) for field in reading.texts("meta") if field.startswith(TEMPLATE))
        raise RefusedError(
            f"no template '{name}' (templates: {', '.join(names) or 'none'}). "
            f"Save one with: graysplit ramp SPLIT 5,20,50,100 --every 10m --save {name}"
        )
    return cast("dict[str, object]", decoded)
