"""Blue-green: who is ready to take over, and the weights of a switch, at once or in steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from graysplit.control.create import made
from graysplit.control.guard import past_rate
from graysplit.control.plan import plan_changes
from graysplit.control.proposal import Proposal
from graysplit.control.reading import Reading
from graysplit.control.result import Result
from graysplit.core.address import field_of
from graysplit.core.changes import set_weights
from graysplit.core.definition import candidate
from graysplit.core.fleet import Fleet
from graysplit.core.plan import plan as plans
from graysplit.core.plan.plan import SPAN_AT_MOST_S
from graysplit.core.plan.progress import SETTLED_MS, Progress
from graysplit.core.split_state import Change, Snapshot, SplitState
from graysplit.core.standby import Standby, standby_of
from graysplit.core.weights import FULL, Weight, format_weight, share
from graysplit.errors import BadValueError, ConflictError, RefusedError, StoreUnreachableError

STEPS: Final = 10
LONGEST_S: Final = 600.0  # where the steps are made by a command that somebody waits for

Plan: TypeAlias = Callable[[Reading, str], Proposal]


class SwitchStep(NamedTuple):
    """One step of a switch that is spread over a time, as it was written."""

    number: int
    result: Result


Told: TypeAlias = Callable[[Standby | SwitchStep], None]


class SwitchRequest(NamedTuple):
    """What a switch is to do, and who is told of it while it goes on."""

    split: str
    to: str
    over_s: float | None = None
    why: str = ""
    told: Told | None = None


class SwitchAccess(NamedTuple):
    """What of an operator's hand a switch needs."""

    ensured: Callable[[Reading], tuple[Snapshot, Change | None]]  # the split, and the change that creates it
    propose: Callable[[Reading, Change, str], Proposal]
    change: Callable[[Plan, str], Result]  # plan, ask, submit; with a reason
    unchanged: Callable[[int], None]  # raises `ConflictError` where the split has changed since a revision
    fleet: Callable[[], Fleet]
    actor: str


class OvertakenError(ConflictError):
    """Somebody else changed the split between two steps of a switch, which ends there."""

    def __init__(self, fault: ConflictError, step: int) -> None:
        """Keep what was expected and found; the message says how far it came."""
        super().__init__(fault.split, fault.expected, fault.found)
        self.step = step
        said = (
            f"conflict: '{fault.split}' was changed by someone else after step {step} of {STEPS} "
            f"(expected {fault.expected}, found {fault.found}). The switch ends there, and their change stays in "
            f"force. See it with: graysplit show {fault.split}"
        )
        self.args = (said,)


def switch(hands: SwitchAccess, wish: SwitchRequest, *, dry_run: bool = False) -> Result:
    """Send everybody to one version: in one write, or spread over a time in steps that anybody may end.

    Agreement is asked for once, before the first step. A change by somebody else between two steps is never written
    over: `OvertakenError`.
    """
    if wish.over_s is not None and not 0 < wish.over_s <= SPAN_AT_MOST_S:
        raise BadValueError(f"a switch is spread over more than 0 s and at most {SPAN_AT_MOST_S // 86_400} days")
    if wish.over_s is not None and not dry_run:
        return _over(hands, wish, wish.over_s)
    done = hands.change(lambda reading, id_: _begin(hands, wish, reading, id_, STEPS), wish.why)
    return done if wish.over_s is None else done._replace(notes=(*done.notes, f"{STEPS} steps, {wish.over_s:g} s"))


def _over(hands: SwitchAccess, wish: SwitchRequest, over_s: float) -> Result:
    """Start the plan that makes the steps; where something falls on the way, which no plan lowers, make them here."""
    shown: list[SplitState] = []  # where the split stood before the first step, where they are made from here

    def first(reading: Reading, id_: str) -> Proposal:
        standing = hands.ensured(reading)[0].splits[wish.split]
        if _only_rises(standing, wish.to):
            shown.clear()
            return _as_plan(hands, wish, over_s, reading, id_)
        if over_s > LONGEST_S:
            raise BadValueError(
                f"this switch also lowers, so this command makes its steps, in at most {LONGEST_S:g} s. "
                f"Without steps: graysplit switch {wish.split} --to {wish.to}"
            )
        shown[:] = [standing]
        proposal = _begin(hands, wish, reading, id_, 1)
        whole = _proposed(hands, wish, reading, id_, STEPS)
        return proposal._replace(ask=whole.ask, guarded=whole.guarded, said=_said(1))

    result = hands.change(first, wish.why)
    _tell(wish, SwitchStep(1, result))
    return _spread(hands, wish, over_s, shown[0], result) if shown else result


def _only_rises(standing: SplitState, to: str) -> bool:
    """Return whether a plan can do it: a candidate rises, and no other is in the way."""
    others = (share(standing.in_force(one.name)) for one in standing.definition.candidates if one.name != to)
    return to != standing.definition.baseline and standing.in_force(to) != FULL and not any(others)


def switch_plan(standing: SplitState, to: str, over_s: float) -> plans.Plan:
    """Return the plan of a switch: steps on a straight line, each for its part of the time and until all are ready.

    Where a guard stands each step lasts until its verdict has settled, which is part of the time.
    """
    weights = sorted({share(step_weights(standing, to, step)[to]) for step in range(1, STEPS + 1)} - {0})
    settles_s = SETTLED_MS / 1000 if standing.definition.guard is not None else 0
    after_s = round(max(0.0, over_s / (STEPS - 1) - settles_s), 3)
    steps = [plans.Step(weight, after_s, ready=True) for weight in weights]
    return plans.make_plan(to, (*steps[:-1], plans.Step(FULL)), name=plan_changes.SWITCH)


def _as_plan(hands: SwitchAccess, wish: SwitchRequest, over_s: float, reading: Reading, id_: str) -> Proposal:
    snapshot, created = hands.ensured(reading)
    standing = snapshot.splits[wish.split]
    fleet = _check_begun(hands, wish, standing)
    plan = switch_plan(standing, wish.to, over_s)
    start = plan_changes.begin(
        reading._replace(snapshot=snapshot),
        wish.split,
        plan,
        id_,
        mistyped=reading.mistyped(wish.split, standing.definition),
        cause="switch",
        driver=next((process.boot for process in fleet.live), ""),
        by=hands.actor,
        yes=True,
    )
    change = start.change
    if created is not None:
        change = change._replace(weights={**created.weights, **change.weights})
    goes_on = f"it continues by itself: a live process takes each next step when all are ready. {_follow(wish.split)}"
    notes = (*start.notes, goes_on)
    values = plan_changes.step_values(Progress(id_, "", 0, plan.steps[0].weight, 0, by=hands.actor), plan)
    start = start._replace(notes=notes, said=f"step 1 of {len(plan.steps)}", plan=values)
    proposal = hands.propose(reading._replace(snapshot=snapshot), change, id_)._replace(created=made(created))
    words = f"{field_of(wish.split, wish.to)} {past_rate.end_words(plan, standing.definition)}"
    look = f"Watch it yourself: graysplit watch {wish.split}; to roll back: graysplit rollback {wish.split}"
    return proposal.beginning(start).leaving(f"{words}. {look}")


def _follow(split: str) -> str:
    return f"Follow it: graysplit wait {split} --until done; stop it: graysplit pause {split}, or rollback {split}"


def _spread(hands: SwitchAccess, wish: SwitchRequest, over_s: float, shown: SplitState, first: Result) -> Result:
    """Write the further steps at even intervals, the last when the time is up."""
    results = [first]
    began = time.monotonic()
    for step in range(2, STEPS + 1):
        threading.Event().wait(max(0.0, began + over_s * (step - 1) / (STEPS - 1) - time.monotonic()))
        results.append(_next(hands, wish, shown, results[-1], step))
        _tell(wish, SwitchStep(step, results[-1]))
    return _whole(results)


def _tell(wish: SwitchRequest, what: Standby | SwitchStep) -> None:
    if wish.told is not None:
        wish.told(what)


def _begin(hands: SwitchAccess, wish: SwitchRequest, reading: Reading, id_: str, step: int) -> Proposal:
    snapshot, _ = hands.ensured(reading)
    _check_begun(hands, wish, snapshot.splits[wish.split])
    return _proposed(hands, wish, reading, id_, step)


def _check_begun(hands: SwitchAccess, wish: SwitchRequest, standing: SplitState) -> Fleet:
    """Raise where the version is unknown, or somebody is not ready; tell who is, and return the fleet."""
    back = wish.to == standing.definition.baseline
    if not back:
        candidate(wish.split, standing.definition, wish.to)
    fleet = hands.fleet()
    found = standby_of(fleet, wish.split, wish.to, back=back)
    check_ready(wish, found, back=back)
    _tell(wish, found)
    return fleet


def _proposed(hands: SwitchAccess, wish: SwitchRequest, reading: Reading, id_: str, step: int) -> Proposal:
    snapshot, created = hands.ensured(reading)
    standing = snapshot.splits[wish.split]
    change = _change(snapshot, wish, reading, id_, step_weights(standing, wish.to, step))
    if created is not None:
        change = change._replace(weights={**created.weights, **change.weights}, definition=created.definition)
    proposal = hands.propose(reading, change, id_)
    return proposal._replace(created=proposal.created if created is None else made(created))


def _next(hands: SwitchAccess, wish: SwitchRequest, shown: SplitState, before: Result, step: int) -> Result:
    """Write a further step, if what stands is what the one before wrote."""

    def plan(reading: Reading, id_: str) -> Proposal:
        hands.unchanged(before.revision)
        snapshot, _ = hands.ensured(reading)
        _check_written(wish, snapshot.splits[wish.split], step_weights(shown, wish.to, step - 1))
        change = _change(snapshot, wish, reading, id_, step_weights(shown, wish.to, step))
        return hands.propose(reading, change, id_)._replace(ask=None)

    try:
        return hands.change(lambda reading, id_: plan(reading, id_)._replace(said=_said(step)), wish.why)
    except ConflictError as fault:
        raise OvertakenError(fault, step - 1) from fault
    except StoreUnreachableError as lost:
        known = "step" if lost.written is False else "at least step"
        lost.reason = f"{lost.reason}. The switch ended there, and {known} {step - 1} of {STEPS} is in force"
        lost.written = True
        raise


def _change(
    snapshot: Snapshot, wish: SwitchRequest, reading: Reading, id_: str, weights: Mapping[str, Weight]
) -> Change:
    mistyped = reading.mistyped(wish.split, snapshot.splits[wish.split].definition)
    # Who moves needlessly on the way gets where everybody goes.
    return set_weights(snapshot, wish.split, weights, release=id_, mistyped=mistyped, cause="switch", yes=True)


def step_weights(standing: SplitState, to: str, step: int) -> dict[str, Weight]:
    """Return all candidates' weights after a step: on a straight line from what is in force to all, and to nothing."""
    ends = {version.name: FULL if version.name == to else 0 for version in standing.definition.candidates}
    begins = {name: share(standing.in_force(name)) for name in ends}
    return {name: begins[name] + _part(end - begins[name], step) for name, end in ends.items()}


def _part(distance: int, step: int) -> int:
    """Return the part of the way that a step leaves behind: of a raise at most its share, of a lowering at least."""
    return distance * step // STEPS


def _check_written(wish: SwitchRequest, standing: SplitState, weights: Mapping[str, Weight]) -> None:
    for name, weight in weights.items():
        found, at = standing.in_force(name), f"{field_of(wish.split, name)} at"
        if found != weight:
            raise ConflictError(wish.split, f"{at} {format_weight(weight)}", f"{at} {format_weight(found)}")


def check_ready(wish: SwitchRequest, found: Standby, *, back: bool = False) -> None:
    """Raise `RefusedError`, naming who is not ready, unless everybody is; the way back needs nobody to be there."""
    again = f"graysplit switch {wish.split} --to {wish.to}"
    if not found.processes and not back:
        raise RefusedError(
            f"no live process declares '{wish.split}', so it is not known whether '{wish.to}' is ready. "
            f"See the processes with: graysplit fleet; then again: {again}"
        )
    if found.waiting:
        now = f"; to roll back at once in any case: graysplit rollback {wish.split}" if back else ""
        raise RefusedError(
            f"'{wish.to}' is not ready in {found.words()}. Nothing was written. When it is ready: {again}{now}"
        )


def _said(step: int) -> str:
    return f"step {step} of {STEPS}"


def _whole(results: list[Result]) -> Result:
    """Tell the steps as one change: from where the first began to where the last ended."""
    first, last = results[0], results[-1]
    moves = {field: (pair[0], last.moves.get(field, pair)[1]) for field, pair in first.moves.items()}
    expected: dict[str, str] = {}
    for result in results:
        expected |= result.expected
    return last._replace(
        moves=moves,
        created=first.created,
        cleared=first.cleared,
        stops=first.stops,
        notes=(*first.notes, *filter(None, [last.unwatched])),
        moved=sum(result.moved for result in results),
        needless=sum(result.needless for result in results),
        expected=expected,
    )
