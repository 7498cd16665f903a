"""What is known of a baseline's rate before a change leaves nobody on it, and what is not watched from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graysplit.control.guard.verdicts import Armed, Tallies, armed
from graysplit.core.address import field_of, split_of
from graysplit.core.guard.past_rate import (
    HOLDS_S,
    OLDEST_S,
    PAST,
    PastRate,
    limits,
    past_of,
    past_text,
    past_words,
    span_words,
)
from graysplit.core.plan.plan import CONTROL, Plan
from graysplit.core.split_state import SplitState
from graysplit.core.weights import FULL, rises, share
from graysplit.stores.text.judge import read_judge
from graysplit.stores.text.records import PLAN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graysplit.control.reading import Reading
    from graysplit.core.changes import Applied
    from graysplit.core.definition import Definition

SPAN = span_words(HOLDS_S)


class Remembered(NamedTuple):
    """What a change keeps of the rate before it, and what is said of what it leaves unwatched."""

    marks: Mapping[str, str | None]
    unwatched: str = ""  # "": somebody stays on the baseline, or nobody rises


NOTHING = Remembered({})


def remembered(reading: Reading, done: Applied, tallies: Tallies) -> Remembered:
    """Return what a change keeps where it raises candidates and leaves nobody on the baseline."""
    change = done.change
    before, after = (found.splits.get(change.split) for found in (reading.snapshot, done.after))
    if after is None or not change.weights or left(after):
        return NOTHING
    names = [one.name for one in after.definition.candidates]
    risen = [name for name in names if rises(0 if before is None else before.in_force(name), after.in_force(name))]
    if not risen:
        return NOTHING
    guard = armed(after.split, after.definition)
    past = None if guard is None or before is None else _counted(reading, after, tallies)
    begun = [PAST + field for field in change.releases if split_of(field) == after.split]
    known = None if past is None else past_text(past)
    marks = {mark: known for mark in begun if known is not None or reading.raw("meta", mark) is not None}
    named = " and ".join(field_of(after.split, name) for name in risen)
    planned = bool(change.marks.get(PLAN + after.split))
    words = without_control(guard, past, " or ".join(risen), after.definition.baseline, planned=planned)
    words = words if len(risen) == 1 else words.replace("at 100 % has", "together at 100 % have", 1)
    look = f"Watch it yourself: graysplit watch {after.split}; to roll back: graysplit rollback {after.split}"
    return Remembered(marks, f"{named} {words}. {look}")


def left(state: SplitState) -> int:
    """Return the share that the baseline keeps, in thousandths of a percent."""
    return FULL - sum(share(state.in_force(one.name)) for one in state.definition.candidates)


def without_control(
    guard: Armed | None, past: PastRate | None, version: str, baseline: str, *, planned: bool = False
) -> str:
    """Return what is not watched while everybody is on one version, and what watches it instead."""
    alone = f"at 100 % has no control: nobody is on {baseline} for a comparison with {version}"
    if guard is None:
        return f"{alone}, and no guard is armed"
    if past is None:
        return (
            f"{alone}, and {baseline}'s rate before is not known: for {SPAN} its guard warns once over half of the "
            "calls fail, and stops it only for an exception named with --stop-on"
        )
    doubts = "pauses its plan and warns" if planned and guard.guard.action != "warn" else "warns"
    suspect, worse = (100 * one for one in limits(past))
    if suspect >= 100:  # noqa: PLR2004 - per cent
        return f"{alone}, and too few users were counted on {baseline} before ({past.users:,}) to judge it by them"
    beyond = f", rolls back above {worse:.2g} %" if worse < 100 else ", never rolls back: too little is known"  # noqa: PLR2004 - per cent
    return (
        f"{alone}. For {SPAN} its guard judges its errors only by the past ({past_words(past, baseline)}): it "
        f"{doubts} above {suspect:.2g} % failing{beyond if guard.guard.action == 'rollback' else ''}"
    )


def bake_words(plan: Plan, definition: Definition) -> str:
    """Return what a plan that begins leaves unwatched while it bakes, and at its end; "" for nothing."""
    if plan.bake_s and plan.steps[-1].total == FULL and len(plan.steps) > 1:
        before = "To bake with a control, add a step at 95 % before it and let that step wait instead"
        return f"the bake {end_words(plan, definition)}. {before}"
    bakes = plan.bake_s or any(step.total >= CONTROL and step.after_s for step in plan.steps[:-1])
    if bakes and definition.guard is None:
        return "no guard is armed: nothing watches the bake or stops the plan"
    return ""


def end_words(plan: Plan, definition: Definition) -> str:
    """Return what watches the last step of a plan that takes everybody over."""
    versions = " or ".join(plan.versions)
    alone = f"at 100 % has no control: nobody is on {definition.baseline} for a comparison with {versions}"
    if armed("", definition) is None:
        return f"{alone}, and no guard is armed"
    return f"{alone}. For {SPAN} its guard judges it by {definition.baseline}'s rate in the steps before it only"


def _counted(reading: Reading, after: SplitState, tallies: Tallies) -> PastRate | None:
    """Return what was counted of the baseline last, beside any candidate, in the releases before this change."""
    found: list[PastRate] = []
    now_s = reading.load.now_ms // 1000
    for version in after.definition.candidates:
        field = field_of(after.split, version.name)
        release, began_ms = reading.held.begun.get(field), reading.held.releases.get(field, 0)
        if not release:
            continue
        tally = tallies(field, release, began_ms // 1000)
        ended_s = min(now_s, (read_judge(tally.judge).at_ms // 1000) or now_s)
        past = past_of(tally.stages, ended_s)
        if past is not None and now_s - past.until_s <= OLDEST_S:
            found.append(past)
    return max(found, key=lambda one: one.until_s, default=None)
