"""The text of a routed call with a compiled core: `$pick` takes the straight line whole.

It gives what `$rare.slow` gives ($x: state, index, function, whether it is measured, part, record, mark), and whether
there is more to do than to call the function (all but an unarmed call to the baseline); without a state the slow path
decides. There are three places to call from, each with a function of its own, which an interpreter that specialises is
quick with. Rules and names are those of `routes.template`.
"""

from __future__ import annotations

from typing import Final

from graysplit.routes.signature import FUNCTION
from graysplit.routes.text_parts import TemplateInput, asking, filled, run_of, unit_of

SWAP: Final = """\
def $swap($new):
    $rare.line.state = $new
"""
_PICKED: Final = """\
$x = $pick({unit})
$f = $x[2]
if $x[7]:
    if $x[0] is None:
        $s = $rare.line.state
        {asking}
        $f = $x[2]
    if $x[1]:
        {candidate}
    try:
        {run}
    except $rare.BaseException as $e:
        {failed_picked}
        raise
    if $x[4] is not None:
        $rare.end($x)
        {looked_at_picked}
    {judged_baseline}
    return{result}
try:
    {last}
except $rare.BaseException as $e:
    {failed_baseline}
    raise
{judged_baseline}
{end}"""
_CANDIDATE: Final = """\
try:
    {run}
except $rare.BaseException as $e:
    {failed_picked}
    raise
if $x[3]:
    $rare.end($x)
    {looked_at_picked}
    {judged_picked}
return{result}
"""
_CANDIDATE_WITH_FALLBACK: Final = """\
try:
    {run}
except $rare.Exception as $e:
    {failed_picked}
except $rare.BaseException as $e:
    {failed_picked}
    raise
else:
    if $x[3]:
        $rare.end($x)
        {looked_at_picked}
        {judged_picked}
    return{result}
$f = $x[0].calls[0] or $rare.baseline
return {again}
"""
_FAILED_BASELINE: Final = """\
try:
    $rare.failed($x[0], 0, $e)
except $rare.RecursionError:
    pass
"""
# Read in place: each name is a variable that every call would clear.
_FAILED_PICKED: Final = """\
if $x[3]:
    try:
        if $x[5] is not None:
            $x[5][0] -= $rare.clock()
        $rare.failed($x[0], $x[1], $e, $x[4], $x[6])
    except $rare.RecursionError:
        pass
    if $x[4] is not None:
        $l = $x[4].ended[$x[1]]
        $l += ($x[6],)
        $l = None
    elif $x[1]:
        for $l in $x[0].counts.finished[$x[1]].count:
            break
"""


def call_text(plan: TemplateInput) -> str:
    """Return the text, from the choice to the end of the call."""
    unit = unit_of(plan)
    blanks = {**run_of(plan), "unit": unit, "asking": asking(plan, unit, "$x")}
    blanks["looked_at_picked"] = blanks["judged_picked"] = blanks["judged_baseline"] = ""
    if plan.shape.mode == FUNCTION:
        timed = "$x[5] is not None and $rare.id($rare.type($r)) not in $rare.done"
        blanks["looked_at_picked"] = f"if {timed}:\n    $rare.returned($x[0], $x[1], $x[4], $r)\n"
    if plan.judged:
        blanks["judged_picked"] = "$rare.answered($x[0], $x[1], $r, $x[4], $x[6])\n"
        blanks["judged_baseline"] = f"if $x[3]:\n    {blanks['judged_picked']}"
    blanks["failed_baseline"] = _FAILED_BASELINE
    blanks["failed_picked"] = _FAILED_PICKED
    blanks["candidate"] = filled(_CANDIDATE_WITH_FALLBACK if plan.fallback else _CANDIDATE, blanks)
    return filled(_PICKED, blanks)
