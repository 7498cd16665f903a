"""What a person's yes means: the next step of a plan, and the doubts of a stage that they go on with.

A yes is bound to the step that the person saw. Who names the step says so; a bare one is refused for `SEEN_MS` after
the step under way was taken or confirmed, for until then a screen may have shown the step before.
"""

from __future__ import annotations

from typing import Final

from graysplit.control.guard.verdicts import Heard, Tallies, armed, doubts, may_stop, of_plan, verdicts
from graysplit.control.plan.plan_changes import PlanStart, noted
from graysplit.control.plan.running_plan import RunningPlan, current_plan, running
from graysplit.control.reading import Reading
from graysplit.core.address import field_of
from graysplit.core.changes import known
from graysplit.core.plan.plan import Plan, PlanStep
from graysplit.core.plan.progress import Go, PlanView, Progress, Wait, rule
from graysplit.core.split_state import Change
from graysplit.core.weights import format_weight
from graysplit.errors import RefusedError
from graysplit.follower.guard.evaluator import ACCEPTED
from graysplit.stores.port import RAISE_WINDOW_MS, Expect

SEEN_MS: Final = RAISE_WINDOW_MS  # as for every raise: it rests on nothing that was read longer ago


def approval(reading: Reading, tallies: Tallies, split: str, who: str, step: int | None = None) -> PlanStart | str:
    """Return the change that says yes, or why there is nothing left to be said.

    `step` is the weight of the step that is meant, in thousandths of a percent. Where nothing is in doubt a step must
    wait for it, or it is refused.
    """
    known(reading.snapshot, split)
    doubted = doubts(reading, tallies, split)
    running_plan = running(reading, split) if doubted and step is None else current_plan(reading, split)
    ahead = None if running_plan is None else _ahead(running_plan, split, doubted=bool(doubted))
    if running_plan is not None and step is not None:
        taken = _check_named(running_plan, split, step, ahead)
        if taken:
            return taken
    progress = None if running_plan is None or ahead is None else _granted(running_plan, ahead, who)
    accepted = {ACCEPTED + said.field: said for said in doubted}
    fresh = {mark: said for mark, said in accepted.items() if reading.text("meta", mark) != _text(said)}
    if progress is None and not fresh:
        return _said_already(running_plan, split, ahead)
    if running_plan is not None and ahead is not None and step is None:
        _check_seen(running_plan, split, ahead, reading.load.now_ms)
    return _start(reading, tallies, split, running_plan, progress, fresh)


def _start(  # noqa: PLR0913, PLR0917 - what a yes rests on
    reading: Reading,
    tallies: Tallies,
    split: str,
    running_plan: RunningPlan | None,
    progress: Progress | None,
    fresh: dict[str, Heard],
) -> PlanStart:
    plan = None if running_plan is None else running_plan.plan
    shown = progress or (None if running_plan is None else running_plan.progress)
    places = [f"release:{said.field}" for said in fresh.values()]
    expect = [Expect("meta", place, reading.text("meta", place)) for place in places]
    notes = [f"accepted for this stage, {said.field} is {said.said}: {said.why}" for said in fresh.values()]
    step = None if shown is None else noted(reading, split, "approve", shown, plan)
    up_to: dict[str, int] = {}
    said = ""
    if plan is not None and shown is not None and shown.step + 1 < len(plan.steps):
        ahead_weights = plan.weights(shown.step + 1, shown.out)
        up_to = {field_of(split, name): to for name, to in ahead_weights.items()}
    values = None if step is None else dict(step.plan or {})
    if plan is not None and progress is not None and values is not None:
        early = _early(reading, tallies, split, plan, progress)
        said = _named(plan, progress.step + 1) + (", early" if early else "")
        notes.insert(
            0, f"approved: {said}, before its other gates are open ({early})" if early else f"approved: {said}"
        )
        values |= {"approves": float(format_weight(progress.approves)), "early": bool(early)}
    change = Change("approve", split, marks={mark: _text(one) for mark, one in fresh.items()}, up_to=up_to)
    return PlanStart(
        change,
        (*expect, *(step.expect if step else ())),
        step.writes if step and progress else (),
        tuple(notes),
        said,
        values,
    )


def _ahead(running_plan: RunningPlan, split: str, *, doubted: bool) -> PlanStep | None:
    """Return the next step; refuse where nothing waits for a person."""
    plan, number = running_plan.plan, running_plan.progress.step
    if plan is None:
        if doubted:
            return None
        raise RefusedError(
            f"the plan of '{split}' is not understood by this graysplit ({running_plan.fault}): use a newer one"
        )
    if number + 1 < len(plan.steps) and (doubted or plan.steps[number].approve):
        return plan.steps[number + 1]
    if doubted:
        return None
    raise RefusedError(
        f"no step of '{split}' waits for approval now. See what it waits for with: graysplit show {split}"
    )


def _granted(running_plan: RunningPlan, ahead: PlanStep, who: str) -> Progress | None:
    """Return a plan's progress with its next step approved; None where it is, or waits for nobody."""
    plan, progress = running_plan.plan, running_plan.progress
    if plan is None or not plan.steps[progress.step].approve or progress.approved_for(ahead.weight):
        return None
    return progress._replace(approved=who, approves=ahead.weight)


def _check_named(running_plan: RunningPlan, split: str, step: int, ahead: PlanStep | None) -> str:
    """Return that the step that was named is taken already; refuse where it is another than the next."""
    plan, progress = running_plan.plan, running_plan.progress
    if plan is None:
        raise RefusedError(
            f"the plan of '{split}' is not understood by this graysplit ({running_plan.fault}): use a newer one"
        )
    weights = [one.weight for one in plan.steps]
    if step in weights[: progress.step + 1]:
        return f"{split}: {_named(plan, weights.index(step))} has been taken already; nothing was approved"
    if ahead is None or step != ahead.weight:
        following = "it is at its last step" if ahead is None else f"the next is {_named(plan, progress.step + 1)}"
        raise RefusedError(
            f"'{format_weight(step)}' is not the step that '{split}' takes next: {following}, and an approval counts "
            f"only for that step. Nothing was approved. See it with: graysplit show {split}"
        )
    return ""


def _check_seen(running_plan: RunningPlan, split: str, ahead: PlanStep, now_ms: int) -> None:
    """Refuse a bare yes where the screen that it rests on may have shown the step before."""
    progress, plan = running_plan.progress, running_plan.plan
    age_ms = now_ms - max(progress.since_ms, progress.confirmed_ms)
    if plan is None or age_ms >= SEEN_MS:
        return
    did = "confirmed" if progress.confirmed_ms > progress.since_ms else "taken"
    raise RefusedError(
        f"{_named(plan, progress.step)} of '{split}' was {did} {max(0, age_ms) / 1000:.1f} s ago, so your screen may "
        f"have shown the step before it. Nothing was approved. The next is {_named(plan, progress.step + 1)}; to "
        f"approve it, name it: graysplit approve {split} {format_weight(ahead.weight)} (in Python: step=). From "
        f"{SEEN_MS // 1000} s after a step on it needs no name"
    )


def _said_already(running_plan: RunningPlan | None, split: str, ahead: PlanStep | None) -> str:
    if running_plan is None or running_plan.plan is None or ahead is None or not running_plan.progress.approved:
        return f"{split}: approved already"
    step = _named(running_plan.plan, running_plan.progress.step + 1)
    return f"{split}: {step} is approved already, by {running_plan.progress.approved}"


def _early(reading: Reading, tallies: Tallies, split: str, plan: Plan, progress: Progress) -> str:
    """Return what the step waits for besides this yes; "" where nothing is known to."""
    field, running_plan = field_of(split, plan.version), running(reading, split)
    heard = verdicts(reading, tallies, [split]).get(field)
    watch = armed(split, reading.snapshot.splits[split].definition)
    missing = "" if progress.confirmed_ms else "the fleet"
    view = PlanView(
        reading.load.now_ms, progress.at, missing=missing, verdict=of_plan(watch, heard), watched=may_stop(watch)
    )
    ruling = rule(plan, progress, running_plan.tick, view) if running_plan is not None else Go(0, 0)
    return ruling.reason if isinstance(ruling, Wait) else ""


def _named(plan: Plan, number: int) -> str:
    return f"step {number + 1} of {len(plan.steps)} ({plan.steps[number].words}%)"


def _text(said: Heard) -> str:
    return f"{said.release} {said.stage}"
