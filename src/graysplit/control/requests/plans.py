"""Requests about plans: start one, choose a winner; approve the next step, pause it, let it go on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from graysplit.control.agreement import Agreement
from graysplit.control.create import joined, made
from graysplit.control.guard import guard_changes, outlook
from graysplit.control.guard.past_rate import bake_words
from graysplit.control.guard.report import report
from graysplit.control.inputs import split_and_version
from graysplit.control.operator import Operator, Seen
from graysplit.control.plan.approval import approval
from graysplit.control.plan.plan_changes import PlanStart, begin, noted, paused, resumed
from graysplit.control.plan.plan_request import PlanRequest, wanted_plan
from graysplit.control.plan.running_plan import current_plan
from graysplit.control.plan.winner import doubts_of, others_of, weights_of
from graysplit.control.proposal import Proposal
from graysplit.control.reading import Reading, check_readable
from graysplit.control.result import Result
from graysplit.core.address import split_of
from graysplit.core.changes import set_weights
from graysplit.core.definition import Definition
from graysplit.core.weights import Weight
from graysplit.errors import ConflictError

# A driver that notes a plan's progress in between must not make it fail.
NOTE_TRIES: Final = 5


class StartPlan(NamedTuple):
    """A plan to be started, and the weights that fall with its first step."""

    wish: PlanRequest
    arms: bool = True  # whether it arms a guard where none stands
    save: str | None = None  # the name of the template that it is kept as
    yes: bool = False  # whether more units may move than the difference
    cause: str = "ramp"
    lowered: Mapping[str, Weight] = {}  # by version: other candidates

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (split_of(self.wish.target),)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the first step as it would be written, with the plan's record, its progress and its guard."""
        split, version = split_and_version(self.wish.target)
        check_readable(reading, split)
        base, created = operator.ensured(reading, split, [version])
        before, reading = reading.snapshot, reading._replace(snapshot=base)
        definition, fleet = base.splits[split].definition, operator.store.fleet()
        plan = wanted_plan(reading, self.wish, fleet)
        start = begin(
            reading,
            split,
            plan,
            id_,
            mistyped=reading.mistyped(split, definition),
            cause=self.cause,
            driver=next((process.boot for process in fleet.live), ""),
            by=operator.actor,
            save=self.save,
            yes=self.yes,
            lowered=self.lowered,
        )
        change, notes = start.change, start.notes
        if created is not None:
            change = change._replace(weights={**created.weights, **change.weights})
        if self.arms and isinstance(change.definition, Definition):
            definition, said = guard_changes.begun(change.definition, fleet, split, operator.actor, reading.begun_ms)
            change, notes = change._replace(definition=definition), (*notes, *said)
        notes = (
            *notes,
            *joined(before, change),
            *guard_changes.unheard_gates(split, change.definition),
            *outlook.notes(reading, operator.store.tally, split, change),
        )
        proposal = operator.propose(reading, change, id_)._replace(created=made(created))
        bake = bake_words(plan, change.definition if isinstance(change.definition, Definition) else definition)
        return proposal.beginning(start._replace(notes=notes)).leaving(bake)


class ChooseWinner(NamedTuple):
    """A version that everybody is to get, at once or by a plan."""

    split: str
    version: str
    wish: PlanRequest

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the change that gives a winner everybody, with what is not shown of it."""
        split, version = self.split, self.version
        check_readable(reading, split)
        others = others_of(reading.snapshot, split, version, planned=self.wish.new)
        definition = reading.snapshot.splits[split].definition
        if self.wish.new:
            proposal = StartPlan(self.wish, yes=True, cause="winner", lowered=others).propose(operator, reading, id_)
        else:
            change = set_weights(
                reading.snapshot,
                split,
                weights_of(reading.snapshot, split, version),
                release=id_,
                mistyped=reading.mistyped(split, definition),
                cause="winner",
                yes=True,  # who moves needlessly gets where everybody goes
                leases=reading.held.leases,
            )
            proposal = operator.propose(reading, change, id_)
        names = tuple(one.name for one in definition.candidates)
        rivals = ", ".join(name for name in (definition.baseline, *names) if name != version)
        said = f"{version} won over {rivals}"
        seen = report(reading, operator.store, operator.namespace, split)
        return proposal._replace(
            doubts=doubts_of(seen, version, definition.baseline, names),
            said=f"{said}, {proposal.said}" if proposal.said else said,
        )


Cause: TypeAlias = Literal["approve", "pause", "resume"]


class PlanNote(Protocol):
    """A note on a plan or on a stage of its guard."""

    @property
    def split(self) -> str:
        """The split whose plan it is."""
        ...

    @property
    def cause(self) -> Cause:
        """The verb."""
        ...

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        ...

    def noted(self, operator: Operator, reading: Reading) -> PlanStart | str:
        """Return what is noted, or why there is nothing left to be noted."""
        ...

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return it as it would be written."""
        ...


class ApproveStep(NamedTuple):
    """A person's yes to the next step, and to the doubts of this stage."""

    split: str
    step: int | None = None  # the weight of the step that was seen, in thousandths of a percent
    cause: Literal["approve"] = "approve"

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def noted(self, operator: Operator, reading: Reading) -> PlanStart | str:
        """Return the yes, bound to the release and the step."""
        return approval(reading, operator.store.tally, self.split, operator.actor, self.step)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the yes as it would be written."""
        return _proposed(self, operator, reading, id_)


class PausePlan(NamedTuple):
    """A plan's clock to be stopped, with a reason of its own."""

    split: str
    why: str
    cause: Literal["pause"] = "pause"

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def noted(self, operator: Operator, reading: Reading) -> PlanStart | str:
        """Return the progress with one more pause."""
        plan = current_plan(reading, self.split)
        progress = paused(plan, operator.actor, self.why, reading.load.now_ms)
        if progress is None:
            return f"{self.split}: paused already"
        return noted(reading, self.split, self.cause, progress, plan.plan)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the pause as it would be written."""
        return _proposed(self, operator, reading, id_)


class ResumePlan(NamedTuple):
    """A plan's clock to run on, from where it stopped."""

    split: str
    everybody: bool  # ends the pauses of other people too
    cause: Literal["resume"] = "resume"

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def noted(self, operator: Operator, reading: Reading) -> PlanStart | str:
        """Return the progress without this person's pauses."""
        plan = current_plan(reading, self.split)
        progress = resumed(plan, self.split, operator.actor, reading.load.now_ms, everybody=self.everybody)
        if progress is None:
            return f"{self.split}: it is not paused"
        return noted(reading, self.split, self.cause, progress, plan.plan)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the end of the pauses as it would be written."""
        return _proposed(self, operator, reading, id_)


def _proposed(note: PlanNote, operator: Operator, reading: Reading, id_: str) -> Proposal:
    start = note.noted(operator, reading)
    if isinstance(start, str):
        raise ConflictError(note.split, f"no {note.cause} yet", f"that {start}, in between")
    return operator.propose(reading, start.change, id_).beginning(start)


def _looked_at(note: PlanNote, operator: Operator, reading: Reading) -> tuple[PlanStart | str, int]:
    return note.noted(operator, reading), reading.snapshot.revision


def write_note(operator: Operator, note: PlanNote, agreement: Agreement, seen: Seen | None = None) -> Result:
    """Write a note, once more where a driver noted something in between; return why where nothing is left to note."""
    for _ in range(NOTE_TRIES):
        start, revision = operator.judged(note.about, lambda reading: _looked_at(note, operator, reading))
        if isinstance(start, str):
            return Result(cause=note.cause, split=note.split, moves={}, revision=revision, notes=(start,))
        with suppress(ConflictError):
            return operator.change(note, agreement, seen)
    return operator.change(note, agreement, seen)
