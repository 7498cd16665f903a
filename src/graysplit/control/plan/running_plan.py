"""The plan that runs for a split, as one reading shows it, and which changes end it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from graysplit.control.reading import Reading
from graysplit.core.address import EVERYTHING, covers_split, split_of, version_of
from graysplit.core.changes import known
from graysplit.core.plan.plan import (
    BadPlanError,
    Plan,
    parse_plan,
)
from graysplit.core.plan.progress import Progress, Tick
from graysplit.core.split_state import Change
from graysplit.core.weights import format_weight
from graysplit.errors import RefusedError
from graysplit.stores.text.records import (
    PLAN,
    TICK,
    exact,
    read_progress,
    read_tick,
)
from graysplit.stores.write_rules import drives

ENDING: Final = frozenset({"delete", "ramp", "winner"})  # causes that end a split's plan, whatever weights say


class RunningPlan(NamedTuple):
    """A plan that runs, as one reading shows it."""

    plan: Plan | None  # None: this library does not understand it
    fault: str  # why it does not
    progress: Progress
    tick: Tick


class Ended(NamedTuple):
    """A plan that is over with a change, as far as it still runs."""

    split: str
    words: str  # "the plan of 'checkout', step 2 of 4 (20%), started by ana, paused by bo for 5 s: do not touch"
    by: str = ""  # who started it
    paused: bool = False


def running(reading: Reading, split: str) -> RunningPlan | None:
    """Return the plan that runs for a split, or None."""
    mark = reading.text("meta", PLAN + split)
    progress = read_progress(reading.text("plans", split))
    state = reading.snapshot.splits.get(split)
    if mark is None or progress is None or progress.run != mark.partition(" ")[0] or state is None:
        return None
    tick = read_tick(reading.text("plans", TICK + split))
    try:
        return RunningPlan(parse_plan(state.definition.plan or {}), "", progress, tick)
    except BadPlanError as fault:
        return RunningPlan(None, str(fault), progress, tick)


def touched(reading: Reading, change: Change) -> Iterator[tuple[str, bool]]:
    """Name the splits whose plan a change touches, each with whether the plan is over with it.

    It is where its release ends, or a weight or a stop that concerns it becomes another; the same weight, written
    again, does not change it.
    """
    splits = {change.split, *map(split_of, (*change.weights, *change.stops))}
    if EVERYTHING in splits:
        splits = {name.removeprefix(PLAN) for name in reading.texts("meta") if name.startswith(PLAN)}
    for split in sorted(splits):
        mark = reading.raw("meta", PLAN + split)
        if mark is None:
            continue
        own = [f for f in (*change.weights, *change.stops) if covers_split(split_of(f), split) and _of_plan(mark, f)]
        closes = change.split == split and (change.cause in ENDING or PLAN + split in change.marks)
        if own or closes:
            yield split, closes or not (_stands(reading, split) and all(_same(reading, change, f) for f in own))


def _of_plan(mark: bytes, field: str) -> bool:
    """Return whether a field concerns a plan: of several candidates each does, where a person writes it."""
    return drives(mark, field) or version_of(field) in exact(mark).partition(" ")[2].split("+")


def _stands(reading: Reading, split: str) -> bool:
    """Return whether the weight that a plan wrote is in force: any other has ended it already."""
    running_plan, state = running(reading, split), reading.snapshot.splits.get(split)
    if running_plan is None or state is None:
        return False
    plan, progress = running_plan.plan, running_plan.progress
    if plan is None or not plan.also or progress.step >= len(plan.steps):
        return plan is None or state.in_force(plan.version) == progress.at
    wanted = plan.weights(progress.step, progress.out)
    return all(state.in_force(name) == weight for name, weight in wanted.items())


def _same(reading: Reading, change: Change, field: str) -> bool:
    """Return whether a change leaves a field as it is in force, and for no other time."""
    state = reading.snapshot.splits.get(split_of(field))
    if state is None or field in change.stops or field in change.leases or field not in change.weights:
        return False
    return change.weights[field] == state.in_force(version_of(field))


def running_words(reading: Reading, split: str) -> Ended:
    """Return which plan a change ends; where only its mark is left nobody is asked."""
    running_plan, state = running(reading, split), reading.snapshot.splits.get(split)
    if running_plan is None or state is None:
        return Ended(split, f"the rest of a plan of '{split}'")
    progress, plan = running_plan.progress, running_plan.plan
    of = f" of {len(plan.steps)}" if plan is not None else ""
    by = f", started by {progress.by}" if progress.by else ""
    pauses = ", and by ".join(pause.words(reading.load.now_ms) for pause in progress.pauses)
    at = format_weight(progress.at)
    if plan is not None and progress.step < len(plan.steps):
        at = plan.words(progress.step, progress.out)
    words = f"the plan of '{split}', step {progress.step + 1}{of} ({at}%){by}"
    if not _stands(reading, split):
        return Ended(split, f"{words}, already ended by another weight")
    return Ended(split, words + (f", paused by {pauses}" if pauses else ""), progress.by or "somebody", bool(pauses))


def current_plan(reading: Reading, split: str) -> RunningPlan:
    """Return the plan that runs, or refuse with the way to start one."""
    known(reading.snapshot, split)
    running_plan = running(reading, split)
    if running_plan is None:
        raise RefusedError(f"no plan runs for '{split}'. Start one with: graysplit ramp {split}")
    return running_plan


def check_over(reading: Reading, split: str) -> None:
    """Raise `RefusedError` while a plan of a split runs: its release is not over."""
    running_plan = running(reading, split)
    if running_plan is None:
        return
    words = running_words(reading, split).words
    raise RefusedError(
        f"{words}, still runs, so the release is not over. Nothing was written. Wait for its end: graysplit wait "
        f"{split} --until done --timeout 1h; or end the plan and keep the weight: graysplit set {split} "
        f"{format_weight(running_plan.progress.at)} --replace"
    )
