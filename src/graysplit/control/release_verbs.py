"""The verbs of releases and their plans."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

from graysplit.control.inputs import planned_version, split_and_version, typed_weight
from graysplit.control.operator import Confirm, Operator
from graysplit.control.result import Result
from graysplit.core.address import field_of
from graysplit.core.limits import check_typed
from graysplit.core.weights import Weight, share
from graysplit.errors import ConflictError, RefusedError

if TYPE_CHECKING:
    from graysplit.control.guard import guard_changes
    from graysplit.control.plan import plan_changes
    from graysplit.control.proposal import Proposal
    from graysplit.control.reading import Reading
    from graysplit.core.guard.settings import Action, Sensitivity
    from graysplit.core.plan.plan import Step
    from graysplit.core.plan.progress import Progress
    from graysplit.core.split_state import Change, Snapshot

# A driver that notes a plan's progress in between is no reason to fail.
NOTE_TRIES: Final = 5

# What is said where nothing is left to be done.
SAID: Final = {"pause": "paused already", "resume": "it is not paused"}


class ReleaseVerbs(Operator):
    """Starts plans, stops their clock, waves them through, and ends releases."""

    def ramp(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        target: str,
        steps: Sequence[Step] | None = None,
        *,
        record: Mapping[str, object] | None = None,
        template: str | None = None,
        bake_s: float | None = None,
        save: str | None = None,
        guard: bool = True,
        yes: bool = False,
        why: str = "",
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> Result:
        """Start a plan: the first of its steps now, each later one when its gates are open.

        The plan is `steps`, a file's `record`, a saved `template`, else the split's last plan, else 20 %, approve, 50
        %, approve, 95 % for an hour (`bake_s`), 100 %. A step without a gate is refused; one that follows at once on
        purpose has `after_s=0`. It begins at the first step that lowers nothing. `save` keeps it as a template. It is a
        raise to its last step, and judged as one: freezes, protection, the question for 100 %. Live processes whose
        role may write weights drive it; any other weight in force ends it. With `guard` it arms the guard, where none
        stands and there is something to watch. A stop that it clears needs `unstop`; to take the place of a plan that
        is paused, or that somebody else has started, `replace`.
        """
        from graysplit.control.plan.plan_changes import PlanRequest

        check_typed("plan", repr(steps or record or ""))
        wish = PlanRequest(target, steps, record, template, bake_s)

        def plan(reading: Reading, id_: str) -> Proposal:
            return self._ramped(reading, id_, wish, reading.begun_ms if guard else None, save=save, yes=yes or dry_run)

        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm, unstop=unstop, replace=replace)

    def winner(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        version: str,
        steps: Sequence[Step] | None = None,
        *,
        record: Mapping[str, object] | None = None,
        template: str | None = None,
        bake_s: float | None = None,
        why: str = "",
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> Result:
        """Choose a version: everybody gets it, and all other candidates go to zero, in one change.

        At once, or with `steps` (a file's `record`, a saved `template`, the default plan for so long a `bake_s`) by a
        plan: then the others go to zero with its first step. To a candidate it is a raise as any to 100 %. To the
        baseline all candidates become a plain zero, without a stop. What is not shown of the chosen version is told in
        `doubts`, and is no reason to refuse. It ends the plan that runs.
        """
        from graysplit.control.plan.plan_changes import PlanRequest

        check_typed("plan", repr(steps or record or ""))
        wish = PlanRequest(field_of(split, version), steps, record, template, bake_s)
        if any(step.also for step in steps or ()):
            raise RefusedError(
                f"one version wins, so give steps of one weight: graysplit winner {split} {version} 50,100"
            )

        def plan(reading: Reading, id_: str) -> Proposal:
            self._check_readable(reading, split)
            return self._chosen(reading, id_, split, version, wish)

        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm, unstop=unstop, replace=replace)

    def guard(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        *,
        action: Action | None = None,
        sensitivity: Sensitivity | None = None,
        slow: float | str | None = None,
        every_call: bool | None = None,
        stop_on: Collection[str] = (),
        ignore: Collection[str] = (),
        deadline: float | str | None = None,
        off: bool = False,
        why: str = "",
        confirm: Confirm | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Watch the candidates of a split, and roll one back that is measurably worse (`action`: or only pause, warn).

        With `sensitivity="strict"` any difference counts, else one beyond 1.1 times and 0.05 points. A call that takes
        longer than `slow`, seconds or a span as in `500ms`, is a slow one, and slow calls are judged too; those of
        one second in 17 are timed, or with `every_call` all. A call that still runs after the `deadline` (30 s unless
        named; a span, or "off") is a failed call of its unit. The first exception named in `stop_on` that only the
        candidate raises stops it; those in `ignore` are no failures: both by their class, `DataLoss` or
        `shop.errors.DataLoss`. What is not named stays as it stands. `off` ends the watch. Refused where live processes
        measure no call of the split.
        """
        from graysplit.control.guard.guard_changes import GuardRequest, armed

        for name in (*stop_on, *ignore):
            check_typed("class name", name)
        wish = GuardRequest(action, sensitivity, slow, every_call, tuple(stop_on), tuple(ignore), deadline)

        def plan(reading: Reading, id_: str) -> Proposal:
            return self._armed(reading, id_, split, wish, reading.begun_ms, explained=bool(why.strip()) or dry_run)

        if off:
            return self._simple(
                split, self._without_guard(split, why, dry_run=dry_run), why=why, dry_run=dry_run, confirm=confirm
            )
        reading = self._read()
        standing = reading.snapshot.splits.get(split)
        if standing is not None and armed(split, standing.definition, wish, self.actor, 1) is None:
            notes = (f"{split}: armed already",)
            return Result("guard", split, {}, revision=reading.snapshot.revision, notes=notes)
        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm)

    def approve(
        self,
        split: str,
        step: float | str | None = None,
        *,
        why: str = "",
        confirm: Confirm | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Say yes to a plan's next step, once: bound to this release and this step; twice is the same as once.

        `step` is the weight of the step that you saw; without it a yes is refused in the ten seconds after the step
        under way was taken or confirmed, for it may be meant for the one before. It is a raise to that step, and judged
        as one: a freeze, protection, the question for 100 %. Before the step's other gates are open it is noted, and
        counts for that step alone. Where a candidate is suspect, it also accepts the doubts of this stage, with or
        without a plan.
        """
        from graysplit.control.plan.approval import approval

        named = None if step is None else share(typed_weight(step))

        def said(reading: Reading) -> plan_changes.PlanStart | str:
            return approval(reading, self.store.tally, split, self.actor, named)

        return self._note(split, "approve", said, why, dry_run=dry_run, confirm=confirm)

    def pause(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Stop a plan's clock; its weight stays. Lowering is free, and no step is taken.

        A second pause keeps both reasons, each with its own `resume`.
        """
        from graysplit.control.plan import plan_changes

        def said(reading: Reading) -> plan_changes.PlanStart | str:
            found = plan_changes.standing_plan(reading, split)
            progress = plan_changes.paused(found, self.actor, why, reading.load.now_ms)
            return f"{split}: {SAID['pause']}" if progress is None else _noted(reading, split, "pause", progress, found)

        return self._note(split, "pause", said, why, dry_run=dry_run)

    def resume(self, split: str, *, everybody: bool = False, why: str = "", dry_run: bool = False) -> Result:
        """End your pauses of a plan, or with `everybody` all of them.

        Once none is left, its clock runs on from where it stopped: the rest shifts, and nothing is skipped.
        """
        from graysplit.control.plan import plan_changes

        def said(reading: Reading) -> plan_changes.PlanStart | str:
            found = plan_changes.standing_plan(reading, split)
            progress = plan_changes.resumed(found, split, self.actor, reading.load.now_ms, everybody=everybody)
            return (
                f"{split}: {SAID['resume']}" if progress is None else _noted(reading, split, "resume", progress, found)
            )

        return self._note(split, "resume", said, why, dry_run=dry_run)

    def finish(self, split: str, *, at: float | str | None = None, why: str = "", dry_run: bool = False) -> Result:
        """Say that a release is over: its weights stay, and `rollback("*")` leaves it alone.

        Refused while a plan runs, and below 100 % unless `at` is the share that its candidates hold. The next change of
        its weights is a release again.
        """
        stays = None if at is None else share(typed_weight(at))

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.freeze import finish
            from graysplit.control.plan.plan_changes import check_over

            self._check_readable(reading, split)
            check_over(reading, split)
            return self._propose(reading, finish(reading, split, id_, stays), id_)

        return self._change(plan, why=why, dry_run=dry_run)

    def rebalance(self, split: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """Take dead instances from the waves of a split, and fill them up to what the weights ask for.

        Nothing else does, where instances cross over: who comes, goes or crashes moves nobody. Refused where nothing
        would change.
        """

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.waves import rebalance

            self._check_readable(reading, split)
            change, notes = rebalance(reading, split, self.store.fleet())
            return self._propose(reading, change, id_)._replace(notes=notes)

        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm)

    def delete(self, target: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """Take a split's record away and free its name; with an address (`ranking/c`) one candidate of it.

        Refused while a weight is above zero, unless its release is finished and no code declares it any more. A
        candidate must be at zero, without pins and without a plan that runs; all others keep their places.
        """
        split, version = split_and_version(target)
        if version:
            return self._remove(split, version, why=why, confirm=confirm, dry_run=dry_run)

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control import freeze
            from graysplit.core import changes
            from graysplit.core.guard.past_rate import PAST
            from graysplit.follower.guard.evaluator import ACCEPTED

            if split not in reading.unread:
                changes.known(reading.snapshot, split)
            weights: dict[str, Weight] = {
                field: reading.held.weights.get(field, 0) for field in reading.fields("weights", split)
            }

            finished = freeze.finished_ms(reading, split) is not None
            change = changes.delete(split, weights, reading.fields("stops", split), finished=finished)
            own = (f"{ACCEPTED}{split}/", f"{PAST}{split}/")
            change = change._replace(
                marks=dict.fromkeys(mark for mark in reading.texts("meta") if mark.startswith(own))
            )
            standing = reading.snapshot.splits.get(split)
            baseline = standing.definition.baseline if standing is not None else ""
            freeze.check_undeclared(split, weights, freeze.declaring(self.store.fleet(), split, baseline))
            return self._propose(reading, change, id_)

        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm)

    def _remove(self, split: str, version: str, *, why: str, confirm: Confirm | None, dry_run: bool) -> Result:
        """Take one candidate out of a split."""

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.plan.plan_changes import running
            from graysplit.core.changes import remove_version
            from graysplit.core.guard.past_rate import PAST
            from graysplit.core.waves import PREFIX as WAVE
            from graysplit.follower.guard.evaluator import ACCEPTED

            self._check_readable(reading, split)
            found, field = running(reading, split), field_of(split, version)
            planned = found is not None and found.plan is not None and version in found.plan.versions
            change = remove_version(reading.snapshot, split, version, planned=planned)
            marks = [
                mark for mark in (ACCEPTED + field, PAST + field, WAVE + field) if reading.raw("meta", mark) is not None
            ]
            return self._propose(reading, change._replace(marks=dict.fromkeys(marks)), id_)

        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm)

    def _note(  # noqa: PLR0913 - how a note is agreed to
        self,
        split: str,
        cause: Literal["approve", "pause", "resume"],
        said: Callable[[Reading], plan_changes.PlanStart | str],
        why: str,
        *,
        dry_run: bool,
        confirm: Confirm | None = None,
    ) -> Result:
        """Note what `said` gives of a plan or a stage; once more where a driver noted something in between.

        A text says why there is nothing left to be noted.
        """

        def plan(reading: Reading, id_: str) -> Proposal:
            start = said(reading)
            if isinstance(start, str):
                raise ConflictError(split, f"no {cause} yet", f"that {start}, in between")
            return self._propose(reading, start.change, id_).beginning(start)

        for _ in range(NOTE_TRIES):
            reading = self._read()
            done = said(reading)
            if isinstance(done, str):
                return Result(cause, split, {}, revision=reading.snapshot.revision, notes=(done,))
            with suppress(ConflictError):
                return self._change(plan, why=why, dry_run=dry_run, confirm=confirm)
        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm)

    def _ramped(  # noqa: PLR0913 - what a plan's start rests on
        self,
        reading: Reading,
        id_: str,
        wish: plan_changes.PlanRequest,
        armed_ms: int | None,
        *,
        save: str | None,
        yes: bool,
        cause: str = "ramp",
        lowered: Mapping[str, Weight] = {},
    ) -> Proposal:
        from graysplit.control import create
        from graysplit.control.guard import guard_changes, outlook
        from graysplit.control.guard.past_rate import bake_words
        from graysplit.control.plan import plan_changes
        from graysplit.control.waves import hosts_of
        from graysplit.core.changes import only_candidate
        from graysplit.core.definition import Definition

        split, version = split_and_version(wish.target)
        self._check_readable(reading, split)
        base, created = self._ensured(reading, split, [version])
        seen, reading = reading.snapshot, reading._replace(snapshot=base)
        definition, fleet = base.splits[split].definition, self.store.fleet()
        name = plan_changes.several_named(split, definition, version, wish.steps) or version
        name = name or planned_version(definition.plan, wish.record) or only_candidate(split, definition)
        wanted = plan_changes.chosen_plan(reading, split, name, wish, hosts_of(definition, fleet, split, name))
        start = plan_changes.begin(
            reading,
            split,
            wanted,
            id_,
            mistyped=reading.mistyped(split, definition),
            cause=cause,
            driver=next((process.boot for process in fleet.live), ""),
            by=self.actor,
            save=save,
            yes=yes,
            lowered=lowered,
        )
        change, notes = start.change, start.notes
        if created is not None:
            change = change._replace(weights={**created.weights, **change.weights})
        if armed_ms is not None and isinstance(change.definition, Definition):
            watched, said = guard_changes.begun(change.definition, fleet, split, self.actor, armed_ms)
            change, notes = change._replace(definition=watched), (*notes, *said)
        notes = (
            *notes,
            *create.joined(seen, change),
            *guard_changes.unheard_gates(split, change.definition),
            *outlook.notes(reading, self.store.tally, split, change),
        )
        proposal = self._propose(reading, change, id_)._replace(created=create.made(created))
        bake = bake_words(wanted, change.definition if isinstance(change.definition, Definition) else definition)
        return proposal.beginning(start._replace(notes=notes)).leaving(bake)

    def _chosen(self, reading: Reading, id_: str, split: str, version: str, wish: plan_changes.PlanRequest) -> Proposal:
        """Return the change that gives a winner everybody, with what is not shown of it."""
        from graysplit.control.guard.report import report
        from graysplit.control.plan import winner
        from graysplit.core.changes import set_weights

        others = winner.others_of(reading.snapshot, split, version, planned=wish.new)
        definition, armed_ms = reading.snapshot.splits[split].definition, reading.begun_ms
        if wish.new:
            proposal = self._ramped(reading, id_, wish, armed_ms, save=None, yes=True, cause="winner", lowered=others)
        else:
            change = set_weights(
                reading.snapshot,
                split,
                winner.weights_of(reading.snapshot, split, version),
                release=id_,
                mistyped=reading.mistyped(split, definition),
                cause="winner",
                yes=True,  # who moves needlessly gets where everybody goes
                leases=reading.held.leases,
            )
            proposal = self._propose(reading, change, id_)
        names = tuple(one.name for one in definition.candidates)
        doubts = winner.doubts_of(
            report(reading, self.store, self.namespace, split), version, definition.baseline, names
        )
        said = f"{version} won over {', '.join(name for name in (definition.baseline, *names) if name != version)}"
        return proposal._replace(doubts=doubts, said=f"{said}, {proposal.said}" if proposal.said else said)

    def _armed(  # noqa: PLR0913 - what an arming rests on
        self, reading: Reading, id_: str, split: str, wish: guard_changes.GuardRequest, at_ms: int, *, explained: bool
    ) -> Proposal:
        from graysplit.control.guard import guard_changes
        from graysplit.core.split_state import Change

        self._check_readable(reading, split)
        base, created = self._ensured(reading, split)
        definition = base.splits[split].definition
        guard_changes.check_explained(split, definition, explained=explained)
        nobody = guard_changes.check_watched(split, self.store.fleet())
        wanted = guard_changes.armed(split, definition, wish, self.actor, at_ms) or definition
        change = Change("guard", split, created.weights if created else {}, definition=wanted)
        notes = (guard_changes.record_words(wanted), nobody)
        proposal = self._propose(reading, change, id_)
        return proposal._replace(
            created=definition.names if created else (), notes=(*proposal.notes, *filter(None, notes))
        )

    @staticmethod
    def _without_guard(split: str, why: str, *, dry_run: bool) -> Callable[[Snapshot], Change]:
        def verb(snapshot: Snapshot) -> Change:
            from graysplit.control.guard.guard_changes import disarmed
            from graysplit.core.changes import known
            from graysplit.core.split_state import Change

            definition = disarmed(split, known(snapshot, split).definition, why, dry_run=dry_run)
            return Change("guard off", split, definition=definition)

        return verb


def _noted(
    reading: Reading, split: str, cause: str, progress: Progress, found: plan_changes.RunningPlan
) -> plan_changes.PlanStart:
    from graysplit.control.plan.plan_changes import noted

    return noted(reading, split, cause, progress, found.plan)
