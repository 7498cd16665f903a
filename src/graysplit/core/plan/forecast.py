"""The future of a plan: the rule that drives it, asked over a model clock.

It foretells what happens while somebody drives all the time. Where a gate waits for a person or for a verdict, nobody
can say for how long: the model opens it at once, when all that can be timed is over, and names the wait, from which
all later times are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from graysplit.core.guard.verdict import NO_VERDICT, Verdict
from graysplit.core.plan.plan import SAFE, Plan
from graysplit.core.plan.progress import (
    Go,
    Halted,
    Late,
    Lost,
    Over,
    PlanView,
    Progress,
    StepConfirmed,
    Tick,
    Wait,
    rule,
    stepped,
    ticked,
)

Outcome: TypeAlias = Literal["done", "rollback", "stays"]

_SOMEBODY: Final = "somebody"


class ForecastStep(NamedTuple):
    """One step and when it is taken, not counting the waits that nobody can time."""

    step: int  # its number, from 0
    weight: int
    at_ms: int  # server time
    waits: tuple[str, ...] = ()  # what it will have waited for, beside time, by then


class End(NamedTuple):
    """How a plan ends: it is done, it goes back, or it stays where it is until somebody acts."""

    outcome: Outcome
    why: str
    at_ms: int
    waits: tuple[str, ...] = ()


class Forecast(NamedTuple):
    """What a plan will do."""

    steps: tuple[ForecastStep, ...]  # the step that stands first
    end: End


class ForecastStart(NamedTuple):
    """Where a plan stands when its future is asked for."""

    progress: Progress
    tick: Tick
    view: PlanView
    thaws_ms: int = 0  # when the freeze ends that stands; 0: nobody can say


def fresh(plan: Plan, step: int, now_ms: int, others: int = 0, *, watched: bool = False) -> ForecastStart:
    """Return where a plan stands that starts now with one of its steps."""
    weight = plan.steps[step].weight
    view = PlanView(now_ms, weight, others, watched=watched)
    return ForecastStart(Progress("foreseen", "", step, weight, now_ms), Tick(now_ms), view)


def foresee(plan: Plan, start: ForecastStart, confirm_ms: int = 0) -> Forecast:
    """Return the steps to come; each is confirmed so long after it was written."""
    model = _Model(plan, start, confirm_ms)
    while True:
        if model.end is not None:
            return Forecast(tuple(model.steps), model.end)
        model.turn()


class _Model:
    """A driver in a world where everybody confirms and every gate opens."""

    def __init__(self, plan: Plan, start: ForecastStart, confirm_ms: int) -> None:
        """Begin where the plan stands; what lies in its way now is taken away at once, and named."""
        progress, tick, view, thaws_ms = start
        self._plan = plan
        self._confirm_ms = confirm_ms
        self._progress = progress
        self._view = PlanView(view.now_ms, view.weight, view.others, verdict=Verdict(SAFE), watched=view.watched)
        ruling = rule(plan, progress, tick, view)
        runs = isinstance(ruling, Go) or (isinstance(ruling, Wait) and ruling.runs)
        self._tick = ticked(progress, tick, view, "", runs=runs)
        self._waits = tuple(_in_the_way(progress, view, thaws_ms))
        self._open = tuple(_open(plan, progress, view.verdict))
        self.steps = [ForecastStep(progress.step, progress.at, progress.since_ms)]
        self.end: End | None = None
        if view.frozen and thaws_ms > view.now_ms:
            self._stand_until(thaws_ms)

    def turn(self) -> None:
        """Do what is due, or let time pass until something is."""
        granted = self._progress._replace(pauses=(), approved=_SOMEBODY, approves=0)
        shown_ms = self._progress.since_ms + self._confirm_ms
        view = self._view._replace(missing=_SOMEBODY if self._view.now_ms < shown_ms else "")
        match rule(self._plan, granted, self._tick, view):
            case StepConfirmed():
                self._progress = self._progress._replace(confirmed_ms=view.now_ms)
                self._tick = Tick(view.now_ms, running=True)
            case Go(step=step):
                self._step(step)
            case Late(act="nag"):
                self._progress = self._progress._replace(nagged=True)
            case Late(reason=reason):
                self._close("rollback", reason)
            case Over(reason=reason, done=done):
                self._close("done" if done else "stays", reason)
            case Wait(runs=True, due_ms=due_ms) if self._progress.confirmed_ms and due_ms is not None:
                self._pass(min(due_ms, self._late_ms() or due_ms))
            case Wait() if not self._progress.confirmed_ms:
                self._pass(shown_ms)
            case Wait(due_ms=due_ms) if due_ms is not None:
                self._stand_until(due_ms)
            case Wait(reason=reason) | Lost(reason=reason) | Halted(reason=reason):  # nobody falls in the model
                self._close("stays", reason)

    def _step(self, step: int) -> None:
        now_ms = self._view.now_ms
        self._waits += self._open
        self._progress = stepped(self._progress, self._plan, step, now_ms)
        self._tick = Tick(now_ms)
        self._view = self._view._replace(weight=self._progress.at)
        self._open = tuple(_open(self._plan, self._progress, NO_VERDICT))
        self.steps.append(ForecastStep(step, self._progress.at, now_ms, self._waits))
        if step + 1 == len(self._plan.steps) and not self._plan.bake_s:
            self._close("done", "")  # as its driver does: nothing is left to be waited for

    def _late_ms(self) -> int | None:
        """Return when it will have waited for too long, if that is still to be told."""
        wait_s = self._plan.steps[self._progress.step].max_wait_s
        if wait_s is None or self._progress.nagged or self._progress.step + 1 == len(self._plan.steps):
            return None
        return self._view.now_ms + max(0, int(wait_s * 1000) + 1 - self._tick.clock_ms)

    def _pass(self, to_ms: int) -> None:
        """Let time pass that is driven."""
        clock_ms = self._tick.clock_ms + to_ms - self._view.now_ms
        self._stand_until(to_ms)
        self._tick = self._tick._replace(clock_ms=clock_ms)

    def _stand_until(self, to_ms: int) -> None:
        self._view = self._view._replace(now_ms=to_ms)
        self._tick = self._tick._replace(at_ms=to_ms)

    def _close(self, outcome: Outcome, why: str) -> None:
        self.end = End(outcome, why, self._view.now_ms, self._waits)


def _in_the_way(progress: Progress, view: PlanView, thaws_ms: int) -> Iterator[str]:
    """Name what keeps the plan paused now and ends when somebody acts."""
    if progress.paused is not None:
        yield "resume"
    if view.frozen and thaws_ms <= view.now_ms:
        yield "unfreeze"
    if view.doubt:
        yield "recover"
    if view.absent:
        yield "a process that has the version"
    if view.wave is not None and view.wave.words:
        yield "its hosts to be healthy"
    if view.unready:
        yield "all processes to be ready"
    if view.verdict.word == "suspect":
        yield "the suspicion to clear"


def _open(plan: Plan, progress: Progress, verdict: Verdict) -> Iterator[str]:
    """Name the gates before the next step for which nobody can say when they open."""
    if progress.step + 1 >= len(plan.steps):
        return
    step, ahead = plan.steps[progress.step], f"step {progress.step + 2}"
    if step.until == SAFE and verdict.word != SAFE:
        yield f"the verdict safe before {ahead}"
    if step.approve and not progress.approved_for(plan.steps[progress.step + 1].weight):
        yield f"approval of {ahead}"
