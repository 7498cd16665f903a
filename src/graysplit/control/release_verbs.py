"""The verbs of releases and their plans."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal

from graysplit.control.agreement import Agreement, Confirm
from graysplit.control.inputs import split_and_version, typed_weight
from graysplit.control.operator import ControlVerbs
from graysplit.core.address import field_of
from graysplit.core.durations import Span
from graysplit.core.limits import check_typed
from graysplit.core.weights import share
from graysplit.deprecation import renamed, warn_renamed
from graysplit.errors import RefusedError

if TYPE_CHECKING:
    from graysplit.control.result import Result
    from graysplit.control.steps import Steps
    from graysplit.core.guard.settings import Action, Sensitivity


class ReleaseVerbs(ControlVerbs):
    """Starts plans, stops their clock, waves them through, and ends releases."""

    @renamed(record="plan", bake_s="bake", yes="allow_needless")
    def ramp(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        target: str,
        steps: Steps | None = None,
        *,
        every: Span | None = None,
        until: Literal["safe"] | None = None,
        approve: bool = False,
        max_wait: Span | None = None,
        overdue: Literal["nag", "rollback"] = "nag",
        plan: Mapping[str, object] | None = None,
        template: str | None = None,
        bake: Span | None = None,
        save: str | None = None,
        guard: bool = True,
        allow_needless: bool = False,
        why: str = "",
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> Result:
        """Start a plan: the first of its steps now, each later one when its gates are open.

        The plan is `steps`, weights in percent (`[5, 20, 50, 100]`, `"5,20,50,100"`) with the same gates before each
        next one (`every`, `until`, `approve`), or `Step`s with gates of their own; else the record of a file (`plan`),
        a saved `template`, the split's last plan, or 20 %, approve, 50 %, approve, 95 % for an hour (`bake`), 100 %. A
        step without a gate is refused; `every=0` lets the next one follow at once, on purpose.

        It begins at the first step that lowers nothing. `save` keeps it as a template. It is a raise to its last step,
        and judged as one: freezes, protection, the question for 100 %. Live processes whose role may write weights
        drive it; any other weight in force ends it. With `guard` it arms the guard, where none stands and there is
        something to watch. A stop that it clears needs `unstop`; to take the place of a plan that is paused, or that
        somebody else has started, `replace`.
        """
        from graysplit.control.requests.plans import StartPlan
        from graysplit.control.steps import Gates, plan_request

        wish = plan_request(target, steps, Gates(every, until, approve, max_wait, overdue), plan, template, bake)
        request = StartPlan(wish, guard, save, allow_needless or dry_run)
        return self._operator.change(request, Agreement(why, confirm, unstop, replace, dry_run))

    @renamed(record="plan", bake_s="bake")
    def winner(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        version: str,
        steps: Steps | None = None,
        *,
        every: Span | None = None,
        until: Literal["safe"] | None = None,
        approve: bool = False,
        max_wait: Span | None = None,
        overdue: Literal["nag", "rollback"] = "nag",
        plan: Mapping[str, object] | None = None,
        template: str | None = None,
        bake: Span | None = None,
        why: str = "",
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> Result:
        """Choose a version: everybody gets it, and all other candidates go to zero, in one change.

        At once, or with `steps` (a file's record as `plan`, a saved `template`, the default plan for so long a `bake`)
        by a plan: then the others go to zero with its first step. To a candidate it is a raise as any to 100 %. To the
        baseline all candidates become a plain zero, without a stop. What is not shown of the chosen version is told in
        `doubts`, and refuses nothing. It ends the plan that runs.
        """
        from graysplit.control.requests.plans import ChooseWinner
        from graysplit.control.steps import Gates, plan_request

        gates = Gates(every, until, approve, max_wait, overdue)
        wish = plan_request(field_of(split, version), steps, gates, plan, template, bake)
        if any(step.also for step in wish.steps or ()):
            raise RefusedError(
                f"one version wins, so give steps of one weight: graysplit winner {split} {version} 50,100"
            )
        request = ChooseWinner(split, version, wish)
        return self._operator.change(request, Agreement(why, confirm, unstop, replace, dry_run))

    def guard(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        *,
        action: Action | None = None,
        sensitivity: Sensitivity | None = None,
        slow: Span | None = None,
        every_call: bool | None = None,
        stop_on: Collection[str] = (),
        ignore: Collection[str] = (),
        deadline: Span | None = None,
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
        candidate raises stops it; those in `ignore` are not failures: both by their class, `DataLoss` or
        `shop.errors.DataLoss`. What is not named stays as it is. Refused where live processes
        measure no call of the split.
        """
        from graysplit.control.guard.guard_changes import GuardRequest, armed_at
        from graysplit.control.requests.guards import ArmGuard

        agreement = Agreement(why, confirm, dry_run=dry_run)
        for name in (*stop_on, *ignore):
            check_typed("class name", name)
        if off:
            warn_renamed("guard(off=True)", "unguard()")
            return self.unguard(split, why=why, confirm=confirm, dry_run=dry_run)
        settings = GuardRequest(action, sensitivity, slow, every_call, tuple(stop_on), tuple(ignore), deadline)
        revision = self._operator.judged([split], lambda reading: armed_at(reading, split, settings))
        if revision is not None:
            from graysplit.control.result import Result

            notes = (f"{split}: armed already",)
            return Result(cause="guard", split=split, moves={}, revision=revision, notes=notes)
        return self._operator.change(ArmGuard(split, settings, bool(why.strip()) or dry_run), agreement)

    def unguard(self, split: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """End the watch of a split: nothing rolls its candidates back any more."""
        from graysplit.control.requests.guards import DisarmGuard

        agreement = Agreement(why, confirm, dry_run=dry_run)
        return self._operator.change(DisarmGuard(split, agreement), agreement)

    def approve(
        self,
        split: str,
        step: float | str | None = None,
        *,
        why: str = "",
        confirm: Confirm | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Approve a plan's next step, once: bound to this release and this step; twice is the same as once.

        `step` is the weight of the step that you saw; without it a yes is refused in the ten seconds after the step
        under way was taken or confirmed, for it may be meant for the one before. It is a raise to that step, and judged
        as one: a freeze, protection, the question for 100 %. Before the step's other gates are open it is noted, and
        counts for that step alone. Where a candidate is suspect, it also accepts the doubts of this stage, with or
        without a plan.
        """
        from graysplit.control.requests.plans import ApproveStep, write_note

        note = ApproveStep(split, None if step is None else share(typed_weight(step)))
        return write_note(self._operator, note, Agreement(why, confirm, dry_run=dry_run))

    def pause(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Stop a plan's clock; its weight stays. Lowering is free, and no step is taken.

        A second pause keeps both reasons, each with its own `resume`.
        """
        from graysplit.control.requests.plans import PausePlan, write_note

        return write_note(self._operator, PausePlan(split, why), Agreement(why, dry_run=dry_run))

    def resume(self, split: str, *, everybody: bool = False, why: str = "", dry_run: bool = False) -> Result:
        """End your pauses of a plan, or with `everybody` all of them.

        Once none is left, its clock runs on from where it stopped: the rest shifts, and nothing is skipped.
        """
        from graysplit.control.requests.plans import ResumePlan, write_note

        return write_note(self._operator, ResumePlan(split, everybody), Agreement(why, dry_run=dry_run))

    def finish(self, split: str, *, at: float | str | None = None, why: str = "", dry_run: bool = False) -> Result:
        """Mark a release as over: its weights stay, and `rollback("*")` leaves it alone.

        Refused while a plan runs, and below 100 % unless `at` is the share that its candidates hold. The next change of
        its weights is a release again.
        """
        from graysplit.control.requests.freezes import FinishRelease

        request = FinishRelease(split, None if at is None else share(typed_weight(at)))
        return self._operator.change(request, Agreement(why, dry_run=dry_run))

    def rebalance(self, split: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """Take dead instances from the waves of a split, and fill them up to what the weights ask for.

        Nothing else does, where instances cross over: who comes, goes or crashes moves nobody. Refused where nothing
        would change.
        """
        from graysplit.control.requests.freezes import RebalanceWaves

        return self._operator.change(RebalanceWaves(split), Agreement(why, confirm, dry_run=dry_run))

    def delete(self, target: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """Take a split's record away and free its name; with an address (`ranking/c`) one candidate of it.

        Refused while a weight is above zero, unless its release is finished and no code declares it any more. A
        candidate must be at zero, without pins and without a plan that runs; all others keep their places.
        """
        from graysplit.control.requests.records import DeleteSplit, RemoveVersion

        split, version = split_and_version(target)
        request = RemoveVersion(split, version) if version else DeleteSplit(split)
        return self._operator.change(request, Agreement(why, confirm, dry_run=dry_run))
