"""Where a plan stands, and the pure rule that says what is due: a step, or a wait with its reason.

A plan's clock is time that was driven: it runs from a step's confirmation, from tick to tick, and only between two
ticks that both found nothing in its way and lie at most 30 s apart. So a pause, a freeze and an hour in which nobody
drove shift the plan, and nothing is caught up. All waiting is counted on it: the time of a gate, how long a gate has
waited for somebody, and `max_wait`. Server time only; nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from graysplit.core.durations import format_span
from graysplit.core.fleet import Fleet
from graysplit.core.guard.verdict import NO_VERDICT, Verdict
from graysplit.core.plan.hosts import WaveMemory, WaveView
from graysplit.core.plan.plan import SAFE, Overdue, Plan, PlanStep
from graysplit.core.weights import FULL, Weight, format_weight

GAP_MS: Final = 30_000  # a longer time between two ticks was not driven, and does not count
TICK_MS: Final = 1_000
RANK_MS: Final = 500  # whoever is next in line steps in so much later
RANKS: Final = 11  # and nobody waits longer than 5 s
PLAN_ACTOR: Final = "plan:"  # before a plan's name: who it is that steps, goes back, and pauses itself
FOR_APPROVAL: Final = "for approval of step "  # in the reason of a wait for a person's yes
SETTLED_MS: Final = 6_000  # a verdict given sooner after a step may speak of an earlier stage of the same share


class Pause(NamedTuple):
    """A person has stopped a plan's clock."""

    who: str
    why: str
    at_ms: int

    def words(self, now_ms: int) -> str:
        """Return who it is, for how long, and why."""
        return f"{self.who} for {format_span(now_ms - self.at_ms)}{f': {self.why}' if self.why else ''}"


class Progress(NamedTuple):
    """Where a plan stands: what people and drivers write, a few times per step."""

    run: str  # random, of this start of the plan
    release: str  # the release that it drives
    step: int  # the number of the step whose weight stands, from 0
    at: int  # the weight that it wrote: any other in force ends the plan
    since_ms: int  # when it was written
    confirmed_ms: int = 0  # when the fleet had shown it; 0: not yet
    approved: str = ""  # who has approved the next step
    approves: int = 0  # the weight of the step that this yes is for; 0: an older library noted it, for the next step
    pauses: tuple[Pause, ...] = ()  # each with its own resume, the first one first
    resumed_ms: int = 0  # when the last pause ended
    nagged: bool = False  # whether its waiting too long has been told
    asked: bool = False  # whether it has been told that nothing but a person's yes is missing
    hosts: WaveMemory = WaveMemory()  # where instances cross over: what was found of them in this step
    by: str = ""  # who started it; "": an older library did not note it
    beside: tuple[str, ...] = ()  # the split's other candidates that were on trial at the last look
    out: tuple[str, ...] = ()  # of several candidates of the plan, those that were stopped: it continues without them

    @property
    def paused(self) -> Pause | None:
        """The pauses as one, since the first: what an older library reads."""
        if len(self.pauses) < 2:  # noqa: PLR2004 - nothing to join
            return self.pauses[0] if self.pauses else None
        whys = (pause.why for pause in self.pauses)
        return Pause(_joined(pause.who for pause in self.pauses), _joined(whys, "; "), self.pauses[0].at_ms)

    def approved_for(self, weight: int) -> bool:
        """Return whether a person has said yes to the step of this weight."""
        return bool(self.approved) and self.approves in {0, weight}


class Tick(NamedTuple):
    """The driver's tick: up to when the clock has been counted."""

    at_ms: int
    clock_ms: int = 0  # driven time since the step was confirmed
    running: bool = False  # whether the clock ran at that moment
    driver: str = ""  # boot id of whoever drives


class PlanView(NamedTuple):
    """What a driver found at one moment."""

    now_ms: int
    weight: Weight  # in force, stops counted
    others: int = 0  # buckets that the split's other candidates own
    frozen: str = ""  # by whom and why nothing may rise
    doubt: str = ""  # why a live process keeps the fleet from rising: a broken lineage, another baseline in its code
    thawed_ms: int = 0  # when the last freeze ended
    missing: str = ""  # who has not shown the step's weight yet
    verdict: Verdict = NO_VERDICT
    watched: bool = False  # whether a guard may stop the plan, so that a step counts once its verdict has settled
    absent: str = ""  # that no live process declares the split, or has the version
    wave: WaveView | None = None  # the hosts that have crossed, where instances cross over
    short: str = ""  # that too few live hosts could cross with the next step
    unready: str = ""  # who is not ready for the version, where the step waits for all to be
    fallen: str = ""  # that another candidate was stopped since the last look
    strayed: str = ""  # which weight of a further candidate of the plan is not the one that it wrote


class Wait(NamedTuple):
    """Nothing is due, and why."""

    reason: str
    runs: bool = False  # whether the plan's clock runs meanwhile
    due_ms: int | None = None  # when time alone will have ended it, where it will
    asks: str = ""  # what a person is asked for, where nothing else is missing


class StepConfirmed(NamedTuple):
    """The fleet shows the step's weight: its clock begins."""


class Go(NamedTuple):
    """The next step is due."""

    step: int
    due_ms: int  # since when


class Late(NamedTuple):
    """It has waited at a gate for too long."""

    act: Overdue
    reason: str


class Lost(NamedTuple):
    """Hosts of the wave are lost, and nobody has been told of these yet."""

    hosts: tuple[str, ...]
    reason: str


class Halted(NamedTuple):
    """Another candidate of the split was stopped beside it: nothing rises until a person resumes."""

    reason: str


class Over(NamedTuple):
    """The plan has ended."""

    reason: str
    done: bool = False  # whether it had come to its end


Ruling: TypeAlias = Wait | StepConfirmed | Go | Late | Lost | Halted | Over


def rule(plan: Plan, progress: Progress, tick: Tick, view: PlanView) -> Ruling:
    """Return what is due."""
    if view.weight != progress.at:
        found, wrote = format_weight(view.weight), format_weight(progress.at)
        return Over(f"{found} % is in force, and the plan wrote {wrote} %")
    if progress.step >= len(plan.steps) or plan.steps[progress.step].weight != progress.at:
        return Over("the plan was replaced while it ran")
    if view.strayed:
        return Over(view.strayed)
    stopped = _stopping(progress, view)
    if stopped is not None:
        return stopped
    if not progress.confirmed_ms:
        shown = format_weight(progress.at)
        return Wait(f"for {view.missing} to show {shown} %") if view.missing else StepConfirmed()
    going = _at_the_end if progress.step + 1 == len(plan.steps) else _at_the_gates
    return _unsettled(progress, view) or going(plan, progress, tick, view)


def counted(progress: Progress, tick: Tick, view: PlanView) -> int:
    """Return the clock at a moment at which nothing stands in the plan's way; what stood there since does not count.

    Hosts must have been well for the whole time of a gate, so that it begins anew where one was not, or came back.
    """
    if view.wave is not None and view.wave.anew:
        return 0
    if not tick.running or not 0 <= view.now_ms - tick.at_ms <= GAP_MS:
        return tick.clock_ms
    return tick.clock_ms + max(0, view.now_ms - max(tick.at_ms, view.thawed_ms, progress.resumed_ms))


def ticked(progress: Progress, tick: Tick, view: PlanView, driver: str, *, runs: bool) -> Tick:
    """Return the next tick."""
    anew = view.wave is not None and view.wave.anew
    clock_ms = counted(progress, tick, view) if runs or anew else tick.clock_ms
    return Tick(view.now_ms, clock_ms, runs, driver)


def stepped(progress: Progress, plan: Plan, to: int, now_ms: int) -> Progress:
    """Return where the plan stands once a step has been written."""
    by, beside, out = progress.by, progress.beside, progress.out
    return Progress(progress.run, progress.release, to, plan.steps[to].weight, now_ms, by=by, beside=beside, out=out)


def ahead_total(plan: Plan, progress: Progress) -> int:
    """Return what the next step gives to all candidates of the plan that have not left it."""
    return sum(plan.weights(progress.step + 1, progress.out).values())


def asks_ready(plan: Plan, progress: Progress) -> bool:
    """Return whether the step that stands waits for every process to be ready."""
    return progress.step < len(plan.steps) and plan.steps[progress.step].ready


def halted(progress: Progress, plan: Plan, why: str, now_ms: int) -> Progress:
    """Return where a plan stands once it has paused itself."""
    return progress._replace(pauses=(*progress.pauses, Pause(PLAN_ACTOR + plan.name, why, now_ms)))


def _joined(texts: Iterable[str], sep: str = ", ") -> str:
    return sep.join(dict.fromkeys(filter(None, texts)))


def _stopping(progress: Progress, view: PlanView) -> Halted | Lost | Wait | None:
    """Return what somebody must be told of, or what keeps the clock from running."""
    if view.fallen:
        return Halted(view.fallen)
    if view.wave is not None and view.wave.untold:
        return Lost(view.wave.untold, view.wave.words)
    obstacle = _obstacle(progress, view)
    return Wait(obstacle) if obstacle else None


def _obstacle(progress: Progress, view: PlanView) -> str:
    """Return what keeps the clock from running, the weightiest first."""
    if progress.pauses:
        return "paused by " + ", and by ".join(pause.words(view.now_ms) for pause in progress.pauses)
    if view.frozen:
        return view.frozen
    if view.doubt:
        return view.doubt
    if view.verdict.word in ("suspect", "worse"):
        return f"the new version is {view.verdict.word}: {view.verdict.why}"
    return view.absent or ("" if view.wave is None else view.wave.words)


def _unsettled(progress: Progress, view: PlanView) -> Wait | None:
    """Return the wait until a verdict can speak of this step; what passes before that is watched by nobody."""
    due_ms = progress.since_ms + SETTLED_MS
    if not view.watched or not progress.since_ms <= view.now_ms < due_ms:  # before it: the server's clock went back
        return None
    left, at = format_span(due_ms - view.now_ms + 999), format_weight(progress.at)
    return Wait(f"{left} more until a verdict on {at} % has settled", due_ms=due_ms)


def room_words(ahead: int, others: int) -> str:
    """Return the words for a step that does not fit beside the other candidates, or an empty text."""
    if others + ahead <= FULL:
        return ""
    return f"for room: with {format_weight(ahead)} % all weights would be over 100 %"


def _at_the_end(plan: Plan, progress: Progress, tick: Tick, view: PlanView) -> Ruling:
    left_ms = int(plan.bake_s * 1000) - counted(progress, tick, view)
    if left_ms <= 0:
        return Over("the bake is over", done=True)
    return Wait(f"baking for {format_span(left_ms + 999)} more", runs=True, due_ms=view.now_ms + left_ms)


def _at_the_gates(plan: Plan, progress: Progress, tick: Tick, view: PlanView) -> Ruling:
    step = plan.steps[progress.step]
    crowded = room_words(ahead_total(plan, progress), view.others)
    if crowded:
        return Wait(crowded)
    clock_ms = counted(progress, tick, view)
    left_ms = int((step.after_s or 0) * 1000) - clock_ms
    wanted = _wanted(plan, progress, view, clock_ms)
    if left_ms > 0:
        reason = f"{format_span(left_ms + 999)} more at {plan.words(progress.step, progress.out)} %"
        wait = Wait(reason, runs=True, due_ms=None if wanted else view.now_ms + left_ms)
    elif wanted:
        _, asks, what = wanted.partition(FOR_APPROVAL)
        wait = Wait(wanted, runs=True, asks=asks + what)
    elif view.short:
        wait = Wait(view.short, runs=True)
    else:
        return Go(progress.step + 1, view.now_ms + left_ms)
    return _if_late(step, progress, clock_ms, wait)


def _wanted(plan: Plan, progress: Progress, view: PlanView, clock_ms: int) -> str:
    """Name the gate that waits for more than time."""
    step, ahead = plan.steps[progress.step], progress.step + 1
    waited = format_span(clock_ms)
    if step.until == SAFE and view.verdict.word != SAFE:
        why = f": {view.verdict.why}" if view.verdict.why else ""
        return f"{waited} for the verdict safe (now {view.verdict.word}{why})"
    if step.ready and view.unready:
        return f"{waited} until all are ready: {view.unready}"
    if step.approve and not progress.approved_for(plan.steps[ahead].weight):
        return f"{waited} {FOR_APPROVAL}{ahead + 1} ({plan.words(ahead, progress.out)} %)"
    return ""


def _if_late(step: PlanStep, progress: Progress, clock_ms: int, wait: Wait) -> Ruling:
    if step.max_wait_s is None or clock_ms <= step.max_wait_s * 1000:
        return wait
    if step.overdue == "nag" and progress.nagged:
        return wait
    return Late(step.overdue, wait.reason)


def unshown(fleet: Fleet, field: str, progress: Progress) -> str:
    """Name the processes that do not show a step's weight yet, or nothing.

    Who says why it does otherwise (switched off, version absent) keeps nobody waiting. Everybody is waited for as long
    as it counts as live, and no longer: the dead do not stop a plan, not even those that died while they started.
    """
    wanted = format_weight(progress.at)
    behind: list[str] = []
    for process in fleet.live:
        effect = process.receipt.effects.get(field)
        heard = process.seen_ms > progress.since_ms
        if not heard or effect is None or (effect.weight != wanted and not effect.why):
            behind.append(process.label)
    named = ", ".join(sorted(behind)[:3]) + (", ..." if len(behind) > 3 else "")  # noqa: PLR2004 - a line's width
    return f"{len(behind)} of {len(fleet.live)} processes ({named})" if behind else ""


def doubting(fleet: Fleet, split: str) -> str:
    """Return which live process keeps a split from rising, or nothing.

    It keeps values against the store (law 7), or its code names another baseline of the split.
    """
    for process in fleet.live:
        if process.receipt.held:
            return f"{process.label} holds values back: graysplit recover"
        if split in process.receipt.baselines:
            return f"{process.label} has {process.receipt.baselines[split]}: graysplit doctor"
    return ""
