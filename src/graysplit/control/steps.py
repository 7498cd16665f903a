"""The steps of a plan as people hand them over: weights in percent, and the gates before each next step.

control.ramp("checkout", [5, 20, 50, 100], every="10m", until="safe")
control.ramp("checkout", "5,20,50,100", every="10m")
control.ramp("checkout", [Step(5, after="1h", approve=True), Step(100)])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from graysplit.control.inputs import typed_weight
from graysplit.control.plan.plan_request import PlanRequest
from graysplit.core.durations import Span
from graysplit.core.limits import check_typed
from graysplit.core.plan.plan import BadPlanError, Overdue, PlanStep, plan_span
from graysplit.errors import BadValueError


@dataclass(frozen=True, slots=True)
class Step:
    """One weight of a plan, and the gates that stand before the next step.

    `weight` is a percentage; of a split with several candidates that rise together one for each, in their order:
    `(5, 10)` or `"5/10"`. `after` is the time that the step lasts once every process shows it (0: the next follows at
    once, on purpose), `until="safe"` the guard's verdict, `ready` that every live process is ready for the version,
    `approve` a person's yes. Past `max_wait` a person is called again (`overdue="nag"`), or everything goes back.
    """

    weight: float | str | Sequence[float | str]
    after: Span | None = None
    until: Literal["safe"] | None = None
    approve: bool = False
    max_wait: Span | None = None
    overdue: Overdue = "nag"
    ready: bool = False


Steps: TypeAlias = "str | Sequence[float | str | Step]"  # a text: `5,20,50,100`, of several candidates `5/5,20/20`


class Gates(NamedTuple):
    """What stands before each next step, where steps are weights alone."""

    every: Span | None = None
    until: Literal["safe"] | None = None
    approve: bool = False
    max_wait: Span | None = None
    overdue: Overdue = "nag"

    @property
    def named(self) -> bool:
        """Whether any was named."""
        return self != Gates()


def plan_request(  # noqa: PLR0913, PLR0917 - the ways to say a plan
    target: str,
    steps: Steps | None,
    gates: Gates,
    record: Mapping[str, object] | None,
    template: str | None,
    bake: Span | None,
) -> PlanRequest:
    """Return the plan that was asked for, in the one way in which it was said."""
    check_typed("plan", steps if isinstance(steps, str) else repr(record or ""))
    bake_s = None if bake is None else plan_span("bake", bake)
    return PlanRequest(target, planned_steps(steps, gates), record, template, bake_s)


def planned_steps(steps: Steps | None, gates: Gates) -> tuple[PlanStep, ...] | None:
    """Return the steps of a plan; None where none were given. Raise `BadValueError` where one cannot be meant."""
    if steps is None:
        if gates.named:
            raise BadValueError("gates need steps, as in: [5, 20, 50, 100], every='10m'")
        return None
    words: Iterable[float | str | Step] = steps.split(",") if isinstance(steps, str) else steps
    every, until, approve, max_wait, overdue = gates
    return tuple(
        _planned(step if isinstance(step, Step) else Step(step, every, until, approve, max_wait, overdue), number)
        for number, step in enumerate(words)
    )


def _planned(step: Step, number: int) -> PlanStep:
    weights = [_weight(part, number) for part in _parts(step.weight)]
    if not weights:
        raise BadPlanError(f"steps.{number}", "a step needs a weight")
    return PlanStep(
        weights[0],
        None if step.after is None else plan_span(f"steps.{number}.after", step.after),
        step.until,
        step.approve,
        None if step.max_wait is None else plan_span(f"steps.{number}.max_wait", step.max_wait),
        step.overdue,
        step.ready,
        tuple(weights[1:]),
    )


def _parts(weight: float | str | Sequence[float | str]) -> Sequence[float | str]:
    if isinstance(weight, str):
        return weight.split("/")
    return weight if isinstance(weight, Sequence) else (weight,)


def _weight(part: float | str, number: int) -> int:
    weight = typed_weight(part.strip() if isinstance(part, str) else part)
    if weight == "preview":
        raise BadPlanError(f"steps.{number}", "a step cannot be preview: use graysplit preview SPLIT")
    return weight
