"""The text of a routed function: a straight line for each side, and for each armed, with the function's parameters.

Every name of the template begins with a prefix (`$` in this file) that no parameter begins with. What is not a
parameter is a cell, so that the text reads nothing from the module whose globals it shares.

Rules of the text, each held by a test:
* whatever of ours can raise stands before the count, so that nothing is counted twice;
* the slow path is never called inside an `except`, or the `__context__` of what a version raises would lie;
* a version is called from this frame only: one frame in a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Final, NamedTuple

from graysplit.core.compiled import NEAR
from graysplit.routes.signature import (
    ASYNC_GENERATOR,
    COROUTINE,
    FUNCTION,
    GENERATOR,
    KEYWORD_ONLY,
    POSITIONAL_ONLY,
    VAR_POSITIONAL,
    Parameter,
    Shape,
)

_SWAP: Final = """\
def $swap($new):
    nonlocal $state
    $state = $new
"""
_SWAP_PICKED: Final = """\
def $swap($new):
    $at.line.state = $new
"""
_OPENING: Final = {FUNCTION: "def", GENERATOR: "def", COROUTINE: "async def", ASYNC_GENERATOR: "async def"}
_CALLING: Final = {FUNCTION: "", GENERATOR: "yield from ", COROUTINE: "await "}

_ASKED: Final = "$s, $n, $f, $counted, $c, $t, $b"
_CHOICE: Final = """\
$s = $state
$hit = None
if $s.special is None:
    $scope = $scope_get()
    try:
        if $scope is None:
            $hit = ($h := $hash32({encoded}, $s.seed)) < $s.threshold
        else:
            $u, $k = $scope.get($s.quick, $nothing)
            if $u != {unit}:
                $k = $at.chooser.draw($scope, $s, {unit})
            if $k is not None:
                $h = ~$k
                $hit = $k == 1
    except $at.Exception:
        $hit = None
"""
# Without a unit of its own a route takes the context's: nothing to hash here, only what the request has kept.
_AMBIENT_CHOICE: Final = """\
$s = $state
$hit = None
if $s.special is None:
    $scope = $scope_get()
    try:
        $u, $k = $scope.get($s.quick, $nothing)
        if $u is not $MISSING:
            $k = $at.chooser.draw($scope, $s, $MISSING)
        if $k is not None:
            $h = ~$k
            $hit = $k == 1
            $w = $scope.unit
    except $at.Exception:
        $hit = None
"""
# Armed: the call begins on a part of the buffer, and where that part says so it is timed, and seen while under way.
_BEGUN: Final = """\
$c = $s.buffer.current
$b = $h if $scope is None else ({unit},)
if $c.timed:
    $t = [$at.clock(), {number}, $b]
    $c.{begun}.append($b)
    $l = $c.sampled
    $l += ($t,)
else:
    $t = None
    $c.{begun}.append($b)
"""
_ENDED: Final = """\
if $t is not None:
    $t[0] -= $at.clock()
$c.{ended}.append($b)
"""
# A plain function's result may be something that is not done yet: seen where calls are timed.
_LOOKED_AT: Final = """\
if $t is not None and $at.id($at.type($r)) not in $at.done:
    $at.returned($s, {number}, $c, $r)
"""
# A call that raised. Near the end of the stack nothing can be called any more: then it is not counted as a failure, but
# its end is written all the same, by operations that are not calls; what it raised passes through either way.
_FAILED: Final = """\
try:
    $at.failed($s, {number}, $e)
except $at.RecursionError:
    pass
"""
_FAILED_UNARMED: Final = f"""\
{_FAILED}for $l in $s.e_new:
    break
"""
_FAILED_ARMED: Final = """\
try:
    if $t is not None:
        $t[0] -= $at.clock()
    $at.failed($s, {number}, $e, $c, $b)
except $at.RecursionError:
    pass
$l = $c.{ended}
$l += ($b,)
"""
_FAILED_OTHER: Final = """\
if $counted:
    try:
        if $t is not None:
            $t[0] -= $at.clock()
        $at.failed($s, $n, $e, $c, $b)
    except $at.RecursionError:
        pass
    if $c is not None:
        $l = $c.ended[$n]
        $l += ($b,)
    elif $n:
        for $l in $s.counts.finished[$n].count:
            break
"""
_NEW: Final = """\
if $hit:
    $f = $s.f_new
    if $s.buffer is None:
        $next($s.c_new)
        try:
            {run}
        except $at.BaseException as $e:
            {failed_new}
            raise
        $next($s.e_new)
        {judged_new}
        return{result}
    {begun_new}
    try:
        {run}
    except $at.BaseException as $e:
        {failed_armed_new}
        raise
    {ended_new}
    {judged_armed_new}
    return{result}
"""
_NEW_WITH_FALLBACK: Final = """\
if $hit:
    $f = $s.f_new
    if $s.buffer is None:
        $next($s.c_new)
        try:
            {run}
        except $at.Exception as $e:
            {failed_new}
        except $at.BaseException as $e:
            {failed_new}
            raise
        else:
            $next($s.e_new)
            {judged_new}
            return{result}
    else:
        {begun_new}
        try:
            {run}
        except $at.Exception as $e:
            {failed_armed_new}
        except $at.BaseException as $e:
            {failed_armed_new}
            raise
        else:
            {ended_new}
            {judged_armed_new}
            return{result}
    $f = $s.f_old
    return {again}
"""
_UNARMED_OLD: Final = """\
$next($s.c_old)
$f = $s.f_old
try:
    {last}
except $at.BaseException as $e:
    {failed_old}
    raise
{judged_old}
{end}"""
_ARMED_OLD: Final = """\
{begun_old}
$f = $s.f_old
try:
    {run}
except $at.BaseException as $e:
    {failed_armed_old}
    raise
{ended_old}
{judged_armed_old}
return{result}
"""
# The baseline's lines stand twice: a test more would be paid by every plain percentage. A kept index stands as its
# complement, below zero, where no hash is.
_NOT_NEW: Final = """\
if $hit is not None:
    if $s.plain:
        {unarmed_old}
    if $s.runs is None:
        {armed_old}
    if $h < 0:
        $i = ~$h
    else:
        $k = $s.near[$h >> {near}]
        $i = $s.target_of[$k if $k >= 0 else $at.bisect_right($s.runs, $h)]
    if not $i and $s.buffer is None:
        {unarmed_old}
    $n, $count, $f, $counted = $s.targets[$i]
    if $counted and $s.buffer is not None:
        {begun_other}
    else:
        $next($count)
        $c = $t = $b = None
else:
"""
_OTHER: Final = """\
try:
    {run}
except $at.BaseException as $e:
    {failed_other}
    raise
if $counted:
    $at.finished($s, $n, $c, $t, $b)
    {looked_at_other}
    {judged_other}
return{result}
"""
_OTHER_WITH_FALLBACK: Final = """\
try:
    {run}
except $at.Exception as $e:
    {failed_other}
    if not $n:
        raise
except $at.BaseException as $e:
    {failed_other}
    raise
else:
    if $counted:
        $at.finished($s, $n, $c, $t, $b)
        {looked_at_other}
        {judged_other}
    return{result}
$f = $s.calls[0] or $at.baseline
return {again}
"""
# With a compiled core `$pick` takes the straight line whole: it gives what `$slow` gives, and whether there is more to
# do than to call the function (all but an unarmed call to the baseline); no state where the slow path decides. Three
# places to call from, each with a function of its own, which an interpreter that specialises is quick with.
_PICKED: Final = """\
$x = $pick({unit})
$f = $x[2]
if $x[7]:
    if $x[0] is None:
        $s = $at.line.state
        {asking}
        $f = $x[2]
    if $x[1]:
        {candidate}
    try:
        {run}
    except $at.BaseException as $e:
        {failed_picked}
        raise
    if $x[4] is not None:
        $at.end($x)
        {looked_at_picked}
    {judged_baseline}
    return{result}
try:
    {last}
except $at.BaseException as $e:
    {failed_baseline}
    raise
{judged_baseline}
{end}"""
_CANDIDATE: Final = """\
try:
    {run}
except $at.BaseException as $e:
    {failed_picked}
    raise
if $x[3]:
    $at.end($x)
    {looked_at_picked}
    {judged_picked}
return{result}
"""
_CANDIDATE_WITH_FALLBACK: Final = """\
try:
    {run}
except $at.Exception as $e:
    {failed_picked}
except $at.BaseException as $e:
    {failed_picked}
    raise
else:
    if $x[3]:
        $at.end($x)
        {looked_at_picked}
        {judged_picked}
    return{result}
$f = $x[0].calls[0] or $at.baseline
return {again}
"""
_FAILED_BASELINE: Final = """\
try:
    $at.failed($x[0], 0, $e)
except $at.RecursionError:
    pass
"""
# Read in place: each name is a variable that every call would clear.
_FAILED_PICKED: Final = """\
if $x[3]:
    try:
        if $x[5] is not None:
            $x[5][0] -= $at.clock()
        $at.failed($x[0], $x[1], $e, $x[4], $x[6])
    except $at.RecursionError:
        pass
    if $x[4] is not None:
        $l = $x[4].ended[$x[1]]
        $l += ($x[6],)
    elif $x[1]:
        for $l in $x[0].counts.finished[$x[1]].count:
            break
"""
# PEP 525 has no `yield from`: each step is taken outside the handler, so that no context is added.
_DELEGATION: Final = """\
$g = $f({arguments})
$step = $g.__anext__()
try:
    while True:
        $r = await $step
        try:
            $step = $g.asend((yield $r))
        except $at.BaseException as $e:
            $step = $g.athrow($at.passed_on($e))
except $at.StopAsyncIteration:
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
    picks: bool = False  # whether a compiled core takes the straight lines


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
    body = "".join(_body(plan))
    swap = _SWAP_PICKED if plan.picks else _SWAP
    lines = [
        f"def $make({', '.join(['$state', *objects])}):",
        f"    {_OPENING[plan.shape.mode]} $routed({_parameters(plan.shape)}):",
        _indented(body, 8),
        _indented(swap, 4),
        "    return $routed, $swap",
        "",
    ]
    return "\n".join(lines).replace("$", plan.prefix)


def _body(plan: TemplateInput) -> Iterator[str]:
    unit, ambient = _unit(plan), _is_ambient(plan)
    yield from _unit_lines(plan)
    if plan.picks:
        yield from _picked(plan, unit)
        return
    choice = _AMBIENT_CHOICE if ambient else _CHOICE
    yield choice.format(unit=unit, encoded=_encoded(unit, plan.annotation))
    blanks = _blanks(plan, "$w" if ambient else unit)
    yield _filled(_NEW_WITH_FALLBACK if plan.fallback else _NEW, blanks)
    yield _filled(_NOT_NEW, blanks)
    yield _indented(_asking(plan, unit, _ASKED), 4)
    yield _filled(_OTHER_WITH_FALLBACK if plan.fallback else _OTHER, blanks)


def _picked(plan: TemplateInput, unit: str) -> Iterator[str]:
    blanks = {**_run(plan), "unit": unit, "asking": _asking(plan, unit, "$x")}
    blanks["looked_at_picked"] = blanks["judged_picked"] = blanks["judged_baseline"] = ""
    if plan.shape.mode == FUNCTION:
        timed = "$x[5] is not None and $at.id($at.type($r)) not in $at.done"
        blanks["looked_at_picked"] = f"if {timed}:\n    $at.returned($x[0], $x[1], $x[4], $r)\n"
    if plan.judged:
        blanks["judged_picked"] = "$at.answered($x[0], $x[1], $r, $x[4], $x[6])\n"
        blanks["judged_baseline"] = f"if $x[3]:\n    {blanks['judged_picked']}"
    blanks["failed_baseline"] = _FAILED_BASELINE
    blanks["failed_picked"] = _FAILED_PICKED
    blanks["candidate"] = _filled(_CANDIDATE_WITH_FALLBACK if plan.fallback else _CANDIDATE, blanks)
    yield _filled(_PICKED, blanks)


def _blanks(plan: TemplateInput, unit: str) -> dict[str, str]:
    """Return all that the templates leave open; `unit` is the expression of a unit that has been decided for."""
    blanks = {**_run(plan), "unit": unit, "near": str(NEAR)}
    for side, number, begun, ended in (
        ("new", "1", "b_new", "x_new"),
        ("old", "0", "b_old", "x_old"),
        ("other", "$n", "begun[$n]", ""),
    ):
        blanks[f"begun_{side}"] = _BEGUN.format(begun=begun, number=number, unit=unit)
        looked_at = _LOOKED_AT.format(number=number) if plan.shape.mode == FUNCTION else ""
        blanks[f"ended_{side}"] = _ENDED.format(ended=ended) + looked_at
        blanks[f"looked_at_{side}"] = looked_at
        judged = f"$at.answered($s, {number}, $r, {{}})" if plan.judged else ""
        blanks[f"judged_{side}"] = judged.format("None, 0" if side != "other" else "$c, $b")
        blanks[f"judged_armed_{side}"] = judged.format("$c, $b")
        blanks[f"failed_armed_{side}"] = _FAILED_ARMED.format(number=number, ended=ended)
    blanks["failed_new"], blanks["failed_old"] = _FAILED_UNARMED.format(number="1"), _FAILED.format(number="0")
    blanks["failed_other"] = _FAILED_OTHER
    blanks["unarmed_old"] = _filled(_UNARMED_OLD, blanks)
    blanks["armed_old"] = _filled(_ARMED_OLD, blanks)
    return blanks


def _indented(lines: str, depth: int) -> str:
    return "".join(f"{' ' * depth}{line}\n" for line in lines.splitlines())


def _filled(template: str, blanks: Mapping[str, str]) -> str:
    """Fill a template's blanks; text of several lines is indented as deep as its blank stands."""
    lines: list[str] = []
    for line in template.splitlines():
        depth = line[: len(line) - len(line.lstrip())]
        lines += [f"{depth}{filled}" for filled in line.strip().format(**blanks).splitlines()]
    return "\n".join(lines) + "\n"


def _unit(plan: TemplateInput) -> str:
    """Return the expression of the unit: a parameter as it is, or the variable that holds what was read."""
    first = plan.readings[0]
    if len(plan.readings) == 1 and (first.parameter or _is_ambient(plan)):
        return first.expression
    return "$unit"


def _is_ambient(plan: TemplateInput) -> bool:
    return len(plan.readings) == 1 and plan.readings[0].expression == plan.prefix + "MISSING"


def _unit_lines(plan: TemplateInput) -> Iterator[str]:
    """Read a unit that is not a bare parameter, once; what raises gives none."""
    if _unit(plan) != "$unit":
        return
    for number, reading in enumerate(plan.readings):
        asked = f"try:\n    $unit = {reading.expression}\nexcept $at.Exception:\n    $unit = None\n"
        yield f"if not $at.is_unit($unit):\n{_indented(asked, 4)}" if number else asked


def _encoded(unit: str, annotation: str) -> str:
    """Return the bytes to hash. An int left to the `except` would cost 25 times as much."""
    if annotation == "str":
        return f"{unit}.encode() or None"
    text, number = f"{unit}.encode() if $c is $str", f"b'%d' % {unit} if $c is $int"
    first, second = (number, text) if annotation == "int" else (text, number)
    first = first.replace("$c", f"($c := {unit}.__class__)")
    return f"({first} else {second} else None) or None"


def _asking(plan: TemplateInput, unit: str, into: str) -> str:
    if plan.attributes is None:
        return f"{into} = $at.slow($s, {unit}, None)\n"
    return (
        f"$v, $a = {unit}, None\n"
        "if $s.special is not None:\n"
        "    try:\n"
        f"        $a = {plan.attributes}\n"
        "    except $at.Exception:\n"
        "        $v = None\n"
        f"{into} = $at.slow($s, $v, $a)\n"
    )


def _run(plan: TemplateInput) -> dict[str, str]:
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


def _parameters(shape: Shape) -> str:
    """Return the parameters without defaults: the function's own default objects are put in place afterwards."""
    parts = [str(parameter) for parameter in shape.of(POSITIONAL_ONLY)]
    parts += ["/"] if parts else []
    for parameter in shape.parameters[len(shape.of(POSITIONAL_ONLY)) :]:
        if parameter.kind == KEYWORD_ONLY and "*" not in parts and not shape.of(VAR_POSITIONAL):
            parts.append("*")
        parts.append(str(parameter))
    return ", ".join(parts)
