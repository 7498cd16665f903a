"""What a person's yes means: the next step of a plan, and the doubts of a stage that they go on with."""

from __future__ import annotations

from graysplit.control.planning import Start, approved, noted, running, standing_plan
from graysplit.control.reading import Reading
from graysplit.control.verdicts import Heard, Tallies, doubts
from graysplit.core.changes import known
from graysplit.core.progress import Progress
from graysplit.core.snapshot import Change
from graysplit.follower.evaluator import ACCEPTED
from graysplit.stores.port import Expect


def approval(reading: Reading, tallies: Tallies, split: str, who: str) -> Start | None:
    """Give the change that says yes; None where all of it is said already.

    Where nothing is in doubt a step must wait for it, or it is refused.
    """
    known(reading.snapshot, split)
    doubted = doubts(reading, tallies, split)
    progress = _step(reading, split, who) if doubted else approved(standing_plan(reading, split), split, who)
    accepted = {ACCEPTED + said.field: said for said in doubted}
    fresh = {mark: said for mark, said in accepted.items() if reading.text("meta", mark) != _text(said)}
    if progress is None and not fresh:
        return None
    change = Change("approve", split, marks={mark: _text(said) for mark, said in fresh.items()})
    places = [f"release:{said.field}" for said in fresh.values()]
    expect = tuple(Expect("meta", place, reading.text("meta", place)) for place in places)
    notes = tuple(f"accepted for this stage, {said.field} is {said.said}: {said.why}" for said in fresh.values())
    step = None if progress is None else noted(reading, split, "approve", progress)
    return Start(change, (*expect, *(step.expect if step else ())), step.writes if step else (), notes)


def _step(reading: Reading, split: str, who: str) -> Progress | None:
    """Give a plan's progress with its next step approved, where one runs that waits for it."""
    found = running(reading, split)
    if found is None or found.plan is None or found.progress.approved:
        return None
    step = found.progress.step
    waits = step + 1 < len(found.plan.steps) and found.plan.steps[step].approve
    return found.progress._replace(approved=who) if waits else None


def _text(said: Heard) -> str:
    return f"{said.release} {said.stage}"
