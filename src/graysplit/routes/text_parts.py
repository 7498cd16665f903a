"""The parts that both texts of a routed call are made of: what it depends on, its unit, how a version runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from graysplit.routes.signature import ASYNC_GENERATOR, COROUTINE, FUNCTION, GENERATOR, KEYWORD_ONLY, Parameter, Shape

_CALLING: Final = {FUNCTION: "", GENERATOR: "yield from ", COROUTINE: "await "}
# PEP 525 has no `yield from`: each step is taken outside the handler, so that no context is added.
_DELEGATION: Final = """\
$g = $f({arguments})
$step = $g.__anext__()
try:
    while True:
        $r = await $step
        try:
            $step = $g.asend((yield $r))
        except $rare.BaseException as $e:
            $step = $g.athrow($rare.passed_on($e))
except $rare.StopAsyncIteration:
    pass"""


class ParameterReading(NamedTuple):
    """An expression over the parameters; `parameter` where it is one and nothing else."""

    expression: str
    parameter: str | None = None


class TemplateInput(NamedTuple):
    """What a routed function's text depends on."""

    shape: Shape
    prefix: str
    readings: tuple[ParameterReading, ...]
    attributes: str | None  # an expression
    annotation: str  # of the parameter that is the unit: "str", "int" or anything else
    fallback: bool
    judged: bool = False  # whether a result may be declared a failure
    has_core: bool = False  # whether a compiled core takes the straight lines


def indented(lines: str, depth: int) -> str:
    """Return lines with so many spaces before each."""
    return "".join(f"{' ' * depth}{line}\n" for line in lines.splitlines())


def filled(template: str, blanks: Mapping[str, str]) -> str:
    """Fill a template's blanks; text of several lines is indented as deep as its blank stands."""
    lines: list[str] = []
    for line in template.splitlines():
        depth = line[: len(line) - len(line.lstrip())]
        lines += [f"{depth}{filled}" for filled in line.strip().format(**blanks).splitlines()]
    return "\n".join(lines) + "\n"


def unit_of(plan: TemplateInput) -> str:
    """Return the expression of the unit: a parameter as it is, or the variable that holds what was read."""
    first = plan.readings[0]
    if len(plan.readings) == 1 and (first.parameter or is_ambient(plan)):
        return first.expression
    return "$unit"


def is_ambient(plan: TemplateInput) -> bool:
    """Return whether the unit is the context's and nothing else."""
    return len(plan.readings) == 1 and plan.readings[0].expression == plan.prefix + "MISSING"


def asking(plan: TemplateInput, unit: str, into: str) -> str:
    """Return the lines that ask the slow path, for its answer to stand in `into`."""
    if plan.attributes is None:
        return f"{into} = $rare.slow($s, {unit}, None)\n"
    return (
        f"$v, $a = {unit}, None\n"
        "if $s.special is not None:\n"
        "    try:\n"
        f"        $a = {plan.attributes}\n"
        "    except $rare.Exception:\n"
        "        $v = None\n"
        f"{into} = $rare.slow($s, $v, $a)\n"
    )


def run_of(plan: TemplateInput) -> dict[str, str]:
    """Return the text that runs a version to its end, and what is returned after it."""
    arguments = ", ".join(_handed_over(parameter) for parameter in plan.shape.parameters)
    if plan.shape.mode == ASYNC_GENERATOR:
        steps = _DELEGATION.format(arguments=arguments)
        return {"run": steps, "last": steps, "end": "return", "result": "", "again": ""}
    call = f"{_CALLING[plan.shape.mode]}$f({arguments})"
    run = {"run": f"$r = {call}", "result": " $r", "again": call}
    if plan.judged:
        return {**run, "last": f"$r = {call}", "end": "return $r"}
    return {**run, "last": f"return ({call})" if plan.shape.mode == GENERATOR else f"return {call}", "end": ""}


def _handed_over(parameter: Parameter) -> str:
    return f"{parameter.name}={parameter.name}" if parameter.kind == KEYWORD_ONLY else str(parameter)
