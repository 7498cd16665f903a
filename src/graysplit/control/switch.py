"""Blue-green: who is ready to take over, and the weights of a switch, at once or in steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from graysplit.control.agreement import Agreement
from graysplit.control.create import made
from graysplit.control.guard import past_rate
from graysplit.control.operator import Operator
from graysplit.control.plan import plan_changes
from graysplit.control.plan.plan_request import SWITCH
from graysplit.control.proposal import Proposal
from graysplit.control.reading import Reading, check_readable
from graysplit.control.result import Result
from graysplit.core.address import field_of, version_of
from graysplit.core.changes import set_weights
from graysplit.core.definition import candidate
from graysplit.core.fleet import Fleet
from graysplit.core.plan import plan as plans
from graysplit.core.plan.plan import SPAN_AT_MOST_S
from graysplit.core.plan.progress import SETTLED_MS, Progress
from graysplit.core.split_state import Change, Snapshot, SplitState
from graysplit.core.standby import Standby, standby_of
from graysplit.core.weights import FULL, Weight, format_weight, share, type_weight
from graysplit.errors import BadValueError, ConflictError, RefusedError, StoreUnreachableError

STEPS: Final = 10
LONGEST_S: Final = 600.0  # where the steps are made by a command that somebody waits for


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
    told: Told | None = None


class SwitchOver(NamedTuple):
    """A switch in one write, or the first step of one whose further steps the command makes."""

    wish: SwitchRequest
    step: int = STEPS

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.wish.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the weights after the step, once everybody is ready; what is asked for is the whole way."""
        wish = self.wish
        state = _ensured(operator, reading, wish)[0].splits[wish.split]
        _check_begun(operator, wish, state)
        before = shares_of(state)
        whole = _proposed(operator, wish, reading, id_, step_weights(before, wish.to, STEPS))
        if self.step == STEPS:
            return whole
        first = _proposed(operator, wish, reading, id_, step_weights(before, wish.to, self.step))
        return first._replace(ask=whole.ask, guarded=whole.guarded, said=_said(self.step))


class NextStep(NamedTuple):
    """A further step of a switch, made by the command that began it."""

    wish: SwitchRequest
    before: Mapping[str, int]  # the shares before the first step, by version
    revision: int  # of the step before
    step: int

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.wish.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the weights after the step, if what is in force is what the step before wrote."""
        wish = self.wish
        operator.check_unchanged(wish.split, self.revision)
        snapshot, _ = _ensured(operator, reading, wish)
        _check_written(wish, snapshot.splits[wish.split], step_weights(self.before, wish.to, self.step - 1))
        weights = step_weights(self.before, wish.to, self.step)
        return _proposed(operator, wish, reading, id_, weights)._replace(ask=None, said=_said(self.step))


class SpreadSwitch(NamedTuple):
    """A switch over a time: by a plan; by this command where something falls on the way, which no plan lowers."""

    wish: SwitchRequest
    over_s: float

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.wish.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the first step; raise `BadValueError` where the command would take too long."""
        wish = self.wish
        if _only_rises(_ensured(operator, reading, wish)[0].splits[wish.split], wish.to):
            return _planned(operator, wish, self.over_s, reading, id_)
        if self.over_s > LONGEST_S:
            raise BadValueError(
                f"this switch also lowers, so this command makes its steps, in at most {LONGEST_S:g} s. "
                f"Without steps: graysplit switch {wish.split} --to {wish.to}"
            )
        return SwitchOver(wish, 1).propose(operator, reading, id_)


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


def switch(operator: Operator, wish: SwitchRequest, agreement: Agreement) -> Result:
    """Send everybody to one version: in one write, or spread over a time in steps that anybody may end.

    Agreement is asked for once, before the first step. A change by somebody else between two steps is never written
    over: `OvertakenError`.
    """
    if wish.over_s is None:
        return operator.change(SwitchOver(wish), agreement)
    if not 0 < wish.over_s <= SPAN_AT_MOST_S:
        raise BadValueError(f"a switch is spread over more than 0 s and at most {SPAN_AT_MOST_S // 86_400} days")
    if agreement.dry_run:
        done = operator.change(SwitchOver(wish), agreement)
        return replace(done, notes=(*done.notes, f"{STEPS} steps, {wish.over_s:g} s"))
    first = operator.change(SpreadSwitch(wish, wish.over_s), agreement)
    _tell(wish, SwitchStep(1, first))
    return first if first.plan is not None else _spread(operator, wish, wish.over_s, agreement, first)


def _only_rises(state: SplitState, to: str) -> bool:
    """Return whether a plan can do it: a candidate rises, and no other is in the way."""
    others = (share(state.in_force(one.name)) for one in state.definition.candidates if one.name != to)
    return to != state.definition.baseline and state.in_force(to) != FULL and not any(others)


def switch_plan(state: SplitState, to: str, over_s: float) -> plans.Plan:
    """Return the plan of a switch: steps on a straight line, each for its part of the time and until all are ready.

    Where a guard stands each step lasts until its verdict has settled, which is part of the time.
    """
    shares = shares_of(state)
    weights = sorted({step_weights(shares, to, step)[to] for step in range(1, STEPS + 1)} - {0})
    settles_s = SETTLED_MS / 1000 if state.definition.guard is not None else 0
    after_s = round(max(0.0, over_s / (STEPS - 1) - settles_s), 3)
    steps = [plans.PlanStep(weight, after_s, ready=True) for weight in weights]
    return plans.make_plan(to, (*steps[:-1], plans.PlanStep(FULL)), name=SWITCH)


def _planned(operator: Operator, wish: SwitchRequest, over_s: float, reading: Reading, id_: str) -> Proposal:
    """Return the first step of the plan that makes all of them, once everybody is ready."""
    snapshot, created = _ensured(operator, reading, wish)
    state = snapshot.splits[wish.split]
    fleet = _check_begun(operator, wish, state)
    plan = switch_plan(state, wish.to, over_s)
    start = plan_changes.begin(
        reading._replace(snapshot=snapshot),
        wish.split,
        plan,
        id_,
        mistyped=reading.mistyped(wish.split, state.definition),
        cause="switch",
        driver=next((process.boot for process in fleet.live), ""),
        by=operator.actor,
        yes=True,
    )
    change = start.change
    if created is not None:
        change = change._replace(weights={**created.weights, **change.weights})
    goes_on = f"it continues by itself: a live process takes each next step when all are ready. {_follow(wish.split)}"
    notes = (*start.notes, goes_on)
    values = plan_changes.step_values(Progress(id_, "", 0, plan.steps[0].weight, 0, by=operator.actor), plan)
    start = start._replace(notes=notes, said=f"step 1 of {len(plan.steps)}", plan=values)
    proposal = operator.propose(reading._replace(snapshot=snapshot), change, id_)._replace(created=made(created))
    words = f"{field_of(wish.split, wish.to)} {past_rate.end_words(plan, state.definition)}"
    look = f"Watch it yourself: graysplit watch {wish.split}; to roll back: graysplit rollback {wish.split}"
    return proposal.beginning(start).leaving(f"{words}. {look}")


def _follow(split: str) -> str:
    return f"Follow it: graysplit wait {split} --until done; stop it: graysplit pause {split}, or rollback {split}"


def _spread(operator: Operator, wish: SwitchRequest, over_s: float, agreement: Agreement, first: Result) -> Result:
    """Write the further steps at even intervals, the last when the time is up."""
    results = [first]
    before = {version_of(field): share(type_weight(text or "0")) for field, (text, _) in first.moves.items()}
    began = time.monotonic()
    for step in range(2, STEPS + 1):
        threading.Event().wait(max(0.0, began + over_s * (step - 1) / (STEPS - 1) - time.monotonic()))
        results.append(_next(operator, NextStep(wish, before, results[-1].revision, step), agreement))
        _tell(wish, SwitchStep(step, results[-1]))
    return _whole(results)


def _tell(wish: SwitchRequest, what: Standby | SwitchStep) -> None:
    if wish.told is not None:
        wish.told(what)


def _ensured(operator: Operator, reading: Reading, wish: SwitchRequest) -> tuple[Snapshot, Change | None]:
    """Return a snapshot that knows the split and the version, and the change that creates what live code declares."""
    check_readable(reading, wish.split)
    return operator.ensured(reading, wish.split, [wish.to])


def _check_begun(operator: Operator, wish: SwitchRequest, state: SplitState) -> Fleet:
    """Raise where the version is unknown, or somebody is not ready; tell who is, and return the fleet."""
    back = wish.to == state.definition.baseline
    if not back:
        candidate(wish.split, state.definition, wish.to)
    fleet = operator.store.fleet()
    standby = standby_of(fleet, wish.split, wish.to, back=back)
    check_ready(wish, standby, back=back)
    _tell(wish, standby)
    return fleet


def _proposed(
    operator: Operator, wish: SwitchRequest, reading: Reading, id_: str, weights: Mapping[str, Weight]
) -> Proposal:
    snapshot, created = _ensured(operator, reading, wish)
    mistyped = reading.mistyped(wish.split, snapshot.splits[wish.split].definition)
    # Who moves needlessly on the way gets where everybody goes.
    change = set_weights(snapshot, wish.split, weights, release=id_, mistyped=mistyped, cause="switch", yes=True)
    if created is not None:
        change = change._replace(weights={**created.weights, **change.weights}, definition=created.definition)
    return operator.propose(reading, change, id_)._replace(created=made(created))


def _next(operator: Operator, request: NextStep, agreement: Agreement) -> Result:
    """Write a further step, if what is in force is what the one before wrote."""
    try:
        return operator.change(request, agreement)
    except ConflictError as fault:
        raise OvertakenError(fault, request.step - 1) from fault
    except StoreUnreachableError as lost:
        known = "step" if lost.written is False else "at least step"
        lost.reason = f"{lost.reason}. The switch ended there, and {known} {request.step - 1} of {STEPS} is in force"
        lost.written = True
        raise


def shares_of(state: SplitState) -> dict[str, int]:
    """Return all candidates' shares in force, by version, in thousandths of a percent."""
    return {version.name: share(state.in_force(version.name)) for version in state.definition.candidates}


def step_weights(before: Mapping[str, int], to: str, step: int) -> dict[str, int]:
    """Return all candidates' shares after a step: on a straight line from those before to all, and to nothing."""
    return {name: was + _part((FULL if name == to else 0) - was, step) for name, was in before.items()}


def _part(distance: int, step: int) -> int:
    """Return the part of the way that a step leaves behind: of a raise at most its share, of a lowering at least."""
    return distance * step // STEPS


def _check_written(wish: SwitchRequest, state: SplitState, weights: Mapping[str, Weight]) -> None:
    for name, weight in weights.items():
        found, at = state.in_force(name), f"{field_of(wish.split, name)} at"
        if found != weight:
            raise ConflictError(wish.split, f"{at} {format_weight(weight)}", f"{at} {format_weight(found)}")


def check_ready(wish: SwitchRequest, standby: Standby, *, back: bool = False) -> None:
    """Raise `RefusedError`, naming who is not ready, unless everybody is; the way back needs nobody to be there."""
    again = f"graysplit switch {wish.split} --to {wish.to}"
    if not standby.processes and not back:
        raise RefusedError(
            f"no live process declares '{wish.split}', so it is not known whether '{wish.to}' is ready. "
            f"See the processes with: graysplit fleet; then again: {again}"
        )
    if standby.waiting:
        now = f"; to roll back at once in any case: graysplit rollback {wish.split}" if back else ""
        raise RefusedError(
            f"'{wish.to}' is not ready in {standby.words()}. Nothing was written. When it is ready: {again}{now}"
        )


def _said(step: int) -> str:
    return f"step {step} of {STEPS}"


def _whole(results: list[Result]) -> Result:
    """Return the steps as one change: from where the first began to where the last ended."""
    first, last = results[0], results[-1]
    moves = {field: (pair[0], last.moves.get(field, pair)[1]) for field, pair in first.moves.items()}
    expected: dict[str, str] = {}
    for result in results:
        expected |= result.expected
    return replace(
        last,
        moves=moves,
        created=first.created,
        cleared=first.cleared,
        stops=first.stops,
        notes=(*first.notes, *filter(None, [last.unwatched])),
        moved=sum(result.moved for result in results),
        needless=sum(result.needless for result in results),
        expected=expected,
    )
