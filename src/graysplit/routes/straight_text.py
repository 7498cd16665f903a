"""The text of a routed call in pure Python: a straight line for each side, and for each armed.

Whoever asks reads `$state`, a cell that is swapped. Rules and names are those of `routes.template`.
"""

from __future__ import annotations

from typing import Final

from graysplit.core.compiled import NEAR
from graysplit.routes.signature import FUNCTION
from graysplit.routes.text_parts import TemplateInput, asking, filled, indented, is_ambient, run_of, unit_of

SWAP: Final = """\
def $swap($new):
    nonlocal $state
    $state = $new
"""
_ASKED: Final = "$s, $n, $f, $counted, $c, $t, $b"
# What a request has kept may be a third version, of which one threshold knows nothing: the slow path has its line.
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
                $k = $rare.chooser.draw($scope, $s, {unit})
            if $k is not None and ($k < 2 or $s.runs is not None):
                $h = ~$k
                $hit = $k == 1
    except $rare.Exception:
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
            $k = $rare.chooser.draw($scope, $s, $MISSING)
        if $k is not None and ($k < 2 or $s.runs is not None):
            $h = ~$k
            $hit = $k == 1
            $w = $scope.unit
    except $rare.Exception:
        $hit = None
"""
# Armed: the call begins on a part of the buffer, and where that part says so it is timed, and seen while under way.
_BEGUN: Final = """\
$c = $s.buffer.current
$b = $h if $scope is None else ({unit},)
if $c.timed:
    $t = [$rare.clock(), {number}, $b]
    $c.{begun}.append($b)
    $l = $c.sampled
    $l += ($t,)
else:
    $t = None
    $c.{begun}.append($b)
"""
_ENDED: Final = """\
if $t is not None:
    $t[0] -= $rare.clock()
$c.{ended}.append($b)
"""
# A plain function's result may be something that is not done yet: seen where calls are timed.
_LOOKED_AT: Final = """\
if $t is not None and $rare.id($rare.type($r)) not in $rare.done:
    $rare.returned($s, {number}, $c, $r)
"""
# A call that raised. Near the end of the stack nothing can be called any more: then it is not counted as a failure, but
# its end is written all the same, by operations that are not calls; what it raised passes through either way. An
# exception that the program keeps holds this frame and its locals: the list is let go, or its part would stay too.
_FAILED: Final = """\
try:
    $rare.failed($s, {number}, $e)
except $rare.RecursionError:
    pass
"""
_FAILED_UNARMED: Final = f"""\
{_FAILED}for $l in $s.e_new:
    break
"""
_FAILED_ARMED: Final = """\
try:
    if $t is not None:
        $t[0] -= $rare.clock()
    $rare.failed($s, {number}, $e, $c, $b)
except $rare.RecursionError:
    pass
$l = $c.{ended}
$l += ($b,)
$l = None
"""
_FAILED_OTHER: Final = """\
if $counted:
    try:
        if $t is not None:
            $t[0] -= $rare.clock()
        $rare.failed($s, $n, $e, $c, $b)
    except $rare.RecursionError:
        pass
    if $c is not None:
        $l = $c.ended[$n]
        $l += ($b,)
        $l = None
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
        except $rare.BaseException as $e:
            {failed_new}
            raise
        $next($s.e_new)
        {judged_new}
        return{result}
    {begun_new}
    try:
        {run}
    except $rare.BaseException as $e:
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
        except $rare.Exception as $e:
            {failed_new}
        except $rare.BaseException as $e:
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
        except $rare.Exception as $e:
            {failed_armed_new}
        except $rare.BaseException as $e:
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
except $rare.BaseException as $e:
    {failed_old}
    raise
{judged_old}
{end}"""
_ARMED_OLD: Final = """\
{begun_old}
$f = $s.f_old
try:
    {run}
except $rare.BaseException as $e:
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
        $i = $s.target_of[$k if $k >= 0 else $rare.bisect_right($s.runs, $h)]
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
except $rare.BaseException as $e:
    {failed_other}
    raise
if $counted:
    $rare.finished($s, $n, $c, $t, $b)
    {looked_at_other}
    {judged_other}
return{result}
"""
_OTHER_WITH_FALLBACK: Final = """\
try:
    {run}
except $rare.Exception as $e:
    {failed_other}
    if not $n:
        raise
except $rare.BaseException as $e:
    {failed_other}
    raise
else:
    if $counted:
        $rare.finished($s, $n, $c, $t, $b)
        {looked_at_other}
        {judged_other}
    return{result}
$f = $s.calls[0] or $rare.baseline
return {again}
"""


def call_text(plan: TemplateInput) -> str:
    """Return the text, from the choice to the end of the call."""
    unit, ambient = unit_of(plan), is_ambient(plan)
    choice = _AMBIENT_CHOICE if ambient else _CHOICE
    blanks = _blanks(plan, "$w" if ambient else unit)
    parts = (
        choice.format(unit=unit, encoded=_encoded(unit, plan.annotation)),
        filled(_NEW_WITH_FALLBACK if plan.fallback else _NEW, blanks),
        filled(_NOT_NEW, blanks),
        indented(asking(plan, unit, _ASKED), 4),
        filled(_OTHER_WITH_FALLBACK if plan.fallback else _OTHER, blanks),
    )
    return "".join(parts)


def _blanks(plan: TemplateInput, unit: str) -> dict[str, str]:
    """Return all that the templates leave open; `unit` is the expression of a unit that has been decided for."""
    blanks = {**run_of(plan), "unit": unit, "near": str(NEAR)}
    for side, number, begun, ended in (
        ("new", "1", "b_new", "x_new"),
        ("old", "0", "b_old", "x_old"),
        ("other", "$n", "begun[$n]", ""),
    ):
        blanks[f"begun_{side}"] = _BEGUN.format(begun=begun, number=number, unit=unit)
        looked_at = _LOOKED_AT.format(number=number) if plan.shape.mode == FUNCTION else ""
        blanks[f"ended_{side}"] = _ENDED.format(ended=ended) + looked_at
        blanks[f"looked_at_{side}"] = looked_at
        judged = f"$rare.answered($s, {number}, $r, {{}})" if plan.judged else ""
        blanks[f"judged_{side}"] = judged.format("None, 0" if side != "other" else "$c, $b")
        blanks[f"judged_armed_{side}"] = judged.format("$c, $b")
        blanks[f"failed_armed_{side}"] = _FAILED_ARMED.format(number=number, ended=ended)
    blanks["failed_new"], blanks["failed_old"] = _FAILED_UNARMED.format(number="1"), _FAILED.format(number="0")
    blanks["failed_other"] = _FAILED_OTHER
    blanks["unarmed_old"] = filled(_UNARMED_OLD, blanks)
    blanks["armed_old"] = filled(_ARMED_OLD, blanks)
    return blanks


def _encoded(unit: str, annotation: str) -> str:
    """Return the bytes to hash. An int left to the `except` would cost 25 times as much."""
    if annotation == "str":
        return f"{unit}.encode() or None"
    text, number = f"{unit}.encode() if $c is $str", f"b'%d' % {unit} if $c is $int"
    first, second = (number, text) if annotation == "int" else (text, number)
    first = first.replace("$c", f"($c := {unit}.__class__)")
    return f"({first} else {second} else None) or None"
