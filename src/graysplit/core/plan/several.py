"""A plan of several candidates: which of them have left it, and whether what is in force is what it wrote.

One candidate leads: its weight stands in the plan's progress. The others go with it, step by step and by one clock. A
candidate that is stopped leaves the plan, which pauses; it continues with the others once a person resumes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from graysplit.core.guard.verdict import Verdict
from graysplit.core.plan.plan import Plan
from graysplit.core.plan.progress import Progress
from graysplit.core.weights import Weight, format_weight

_SEVERITY = ("safe", "unclear", "no control", "suspect", "worse")


class PlanWeights(NamedTuple):
    """How the candidates of a plan stand."""

    weight: Weight  # the leading one's, or what the plan wrote where it has left
    fallen: tuple[str, ...]  # those that were stopped since the last look
    strayed: str  # which other weight ends the plan


def stands(plan: Plan, progress: Progress, in_force: Mapping[str, Weight], stopped: Collection[str]) -> PlanWeights:
    """Return how a plan's candidates stand; with one candidate its weight alone says it."""
    if not plan.also or progress.step >= len(plan.steps):
        return PlanWeights(in_force.get(plan.version, 0), (), "")
    wanted = plan.weights(progress.step, progress.out)
    fallen = tuple(name for name in wanted if name in stopped and not in_force.get(name, 0))
    left = [name for name in wanted if name not in fallen]
    if not left:
        return PlanWeights(progress.at, (), f"{' and '.join(plan.versions)} are stopped")
    strayed = [name for name in left if in_force.get(name, 0) != wanted[name]]
    words = ", ".join(
        f"{name} is at {format_weight(in_force.get(name, 0))} %, and the plan wrote {format_weight(wanted[name])} %"
        for name in strayed
    )
    return PlanWeights(progress.at, fallen, words)


def weightiest(verdicts: Mapping[str, Verdict], *, several: bool) -> Verdict:
    """Return the verdict that a plan goes by: that on its one candidate, or the weightiest, with whose it is."""
    name, found = max(
        verdicts.items(),
        key=lambda one: _SEVERITY.index(one[1].word) if one[1].word in _SEVERITY else len(_SEVERITY),
        default=("", Verdict()),
    )
    return found._replace(why=f"{name}: {found.why}" if found.why else name) if several and name else found
