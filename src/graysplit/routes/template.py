"""The text of a routed function: its parameters, the reading of its unit, and what a call does.

Every name of the text begins with a prefix (`$` in this file and in those of the call) that no parameter begins with.
What is not a parameter is a cell, so that the text reads nothing from the module whose globals it shares; what is off
the straight lines are attributes of one cell, `$rare`, because each cell costs each call.

Rules of the text, each held by a test:
* whatever of ours can raise stands before the count, so that nothing is counted twice;
* the slow path is never called inside an `except`, or the `__context__` of what a version raises would lie;
* a version is called from this frame only: one frame in a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import CodeType
from typing import Final, NamedTuple

from graysplit.routes import picked_text, straight_text
from graysplit.routes.signature import (
    ASYNC_GENERATOR,
    COROUTINE,
    FUNCTION,
    GENERATOR,
    KEYWORD_ONLY,
    POSITIONAL_ONLY,
    VAR_POSITIONAL,
    Shape,
)
from graysplit.routes.text_parts import TemplateInput, indented, unit_of

_OPENING: Final = {FUNCTION: "def", GENERATOR: "def", COROUTINE: "async def", ASYNC_GENERATOR: "async def"}


def free_prefix(shape: Shape) -> str:
    """Return a prefix that no parameter begins with."""
    prefix = "gs_"
    while any(name.startswith(prefix) for name in shape.names):
        prefix += "_"
    return prefix


class CompiledText(NamedTuple):
    """A text, compiled: its lines for tracebacks, and the code of its factory."""

    lines: list[str]
    code: CodeType


@lru_cache(maxsize=1_000)  # functions of one shape share it: compiling costs ten times what all the rest does
def compiled(plan: TemplateInput, objects: tuple[str, ...]) -> CompiledText:
    """Return the compiled source of the factory that makes a routed function, and what swaps its state."""
    source = text(plan, objects)
    return CompiledText(source.splitlines(keepends=True), compile(source, "<graysplit>", "exec", dont_inherit=True))


def text(plan: TemplateInput, objects: Sequence[str]) -> str:
    """Return the source of the factory that makes a routed function and the function that swaps its state."""
    call = picked_text if plan.has_core else straight_text
    body = "".join((*_unit_lines(plan), call.call_text(plan)))
    lines = [
        f"def $make({', '.join(['$state', *objects])}):",
        f"    {_OPENING[plan.shape.mode]} $routed({_parameters(plan.shape)}):",
        indented(body, 8),
        indented(call.SWAP, 4),
        "    return $routed, $swap",
        "",
    ]
    return "\n".join(lines).replace("$", plan.prefix)


def _unit_lines(plan: TemplateInput) -> Iterator[str]:
    """Read a unit that is not a bare parameter, once; what raises gives none."""
    if unit_of(plan) != "$unit":
        return
    for number, reading in enumerate(plan.readings):
        asked = f"try:\n    $unit = {reading.expression}\nexcept $rare.Exception:\n    $unit = None\n"
        yield f"if not $rare.is_unit($unit):\n{indented(asked, 4)}" if number else asked


def _parameters(shape: Shape) -> str:
    """Return the parameters without defaults: the function's own default objects are put in place afterwards."""
    parts = [str(parameter) for parameter in shape.of(POSITIONAL_ONLY)]
    parts += ["/"] if parts else []
    for parameter in shape.parameters[len(shape.of(POSITIONAL_ONLY)) :]:
        if parameter.kind == KEYWORD_ONLY and "*" not in parts and not shape.of(VAR_POSITIONAL):
            parts.append("*")
        parts.append(str(parameter))
    return ", ".join(parts)
