"""What a plan that runs waits for, as its driver would say at this moment: one value for all who look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from graysplit.control.guard.verdicts import DOUBTS, Heard, armed, may_stop, of_plan
from graysplit.control.plan.running_plan import running
from graysplit.control.reading import Reading
from graysplit.core.address import field_of
from graysplit.core.durations import format_span, span_text
from graysplit.core.fleet import Fleet
from graysplit.core.freeze import FREEZES, THAWED, frozen, thawed_ms
from graysplit.core.guard.verdict import NO_VERDICT
from graysplit.core.plan import several
from graysplit.core.plan.forecast import ForecastStart
from graysplit.core.plan.hosts import WaveInput, absent_words, short_words, watch_wave
from graysplit.core.plan.plan import Plan, PlanStep
from graysplit.core.plan.progress import (
    GAP_MS,
    Go,
    Halted,
    Late,
    Lost,
    Over,
    Pause,
    PlanView,
    Progress,
    Ruling,
    StepConfirmed,
    Tick,
    Wait,
    ahead_total,
    asks_ready,
    doubting,
    room_words,
    rule,
    unshown,
)
from graysplit.core.standby import unready_words
from graysplit.core.waves import NOBODY
from graysplit.core.waves import PREFIX as WAVE
from graysplit.core.weights import Weight, format_weight, parse_weight, share
from graysplit.errors import BadWeightError
from graysplit.stores.text.freezes import read_freezes

# counts: time alone is missing; waits: for somebody or something; stands: its clock stands; bakes: the last step is
# taken; due: the next step may be taken now; unread: this library does not understand it.
State: TypeAlias = Literal["counts", "waits", "stands", "bakes", "due", "unread"]

SHOWN: Final = "shown by all"


class Gate(NamedTuple):
    """One thing that must be so before the next step."""

    name: str  # "shown by all", "after 10m", "until safe", "approve", "room"
    open: bool
    why: str  # what is missing, or who opened it


class Awaited(NamedTuple):
    """Where a plan stands, and what for."""

    split: str
    version: str
    name: str  # the template's, or "ramp"
    step: int  # the number of the step whose weight stands, from 1
    steps: int  # 0: not known here
    weight: str  # the one it asks for
    ahead: str | None  # the next step's weight; None where this is the last
    state: State
    why: str  # the reason in one line
    left_ms: int | None  # what its clock still has to count before the next step, or of the bake
    gates: tuple[Gate, ...]
    driver: str  # who drives, or drove last: "web-7/812"; "" where that process has gone
    tick_age_ms: int  # since somebody last counted its clock
    paused: Pause | None = None  # its pauses as one
    pauses: tuple[Pause, ...] = ()
    by: str = ""  # who started it; "" where that is not known
    weights: Mapping[str, str] = {}  # of a plan of several candidates: what it asks for, by version; else empty
    next_weights: Mapping[str, str] = {}
    out: tuple[str, ...] = ()  # of these, those that were stopped: it goes on without them

    @property
    def field(self) -> str:
        """The address of the candidate that it raises."""
        return field_of(self.split, self.version)

    @property
    def driven(self) -> bool:
        """Return whether somebody drives it: what was counted longer ago does not count."""
        return self.tick_age_ms <= GAP_MS


def awaited(
    reading: Reading, fleet: Fleet, split: str, in_force: Mapping[str, str], said: Mapping[str, Heard] = {}
) -> Awaited | None:
    """Return what a split's plan waits for; None where none runs, or where it is over but for its last entry.

    `in_force` gives each candidate's weight in force, `said` what a guard says of it, by field.
    """
    running_plan = running(reading, split)
    if running_plan is None:
        return None
    labels = {process.boot: process.label for process in fleet.processes}
    tick_age_ms = abs(
        reading.load.now_ms - running_plan.tick.at_ms
    )  # from the future (a clock set back) it does not count either
    plan, progress = running_plan.plan, running_plan.progress
    shown = Awaited(
        split,
        "" if plan is None else plan.version,
        "" if plan is None else plan.name,
        progress.step + 1,
        0 if plan is None else len(plan.steps),
        format_weight(progress.at),
        None,
        "unread",
        running_plan.fault.removeprefix("plan, "),
        None,
        (),
        labels.get(running_plan.tick.driver, ""),
        tick_age_ms,
        progress.paused,
        progress.pauses,
        progress.by,
    )
    if plan is None:
        return shown
    start = start_of(reading, fleet, split, plan, in_force, said)
    return None if start is None else _judged(shown, plan, start)


def start_of(  # noqa: PLR0913, PLR0917 - what a driver goes by
    reading: Reading,
    fleet: Fleet,
    split: str,
    plan: Plan,
    in_force: Mapping[str, str],
    said: Mapping[str, Heard] = {},
) -> ForecastStart | None:
    """Return where a plan that runs stands, with what its driver would find; None where a weight cannot be told."""
    running_plan = running(reading, split)
    try:
        weights: dict[str, Weight] = {version: parse_weight(text) for version, text in in_force.items()}
    except BadWeightError:
        return None
    if running_plan is None:
        return None
    progress, now_ms = running_plan.progress, reading.load.now_ms
    names = [name for name in plan.versions if name not in progress.out]
    stopped = [name for name in names if field_of(split, name) in reading.snapshot.stops]
    own = several.stands(plan, progress, weights, stopped)
    freezes = read_freezes(reading.text("meta", FREEZES))
    frost, watch = frozen(freezes, split, now_ms), armed(split, reading.snapshot.splits[split].definition)
    view = PlanView(
        now_ms,
        own.weight,
        sum(share(weight) for version, weight in weights.items() if version not in names),
        "" if frost is None else frost.words,
        thawed_ms=thawed_ms(freezes, split, reading.text("meta", THAWED), now_ms),
        verdict=several.weightiest(
            {name: of_plan(watch, said.get(field_of(split, name))) for name in names}, several=bool(plan.also)
        ),
        fallen=f"{' and '.join(field_of(split, name) for name in own.fallen)} was stopped" if own.fallen else "",
        strayed=own.strayed,
        watched=may_stop(watch),
    )
    look = _look(reading, split, plan, progress)
    hosts = None if look is None else watch_wave(look, fleet, progress.hosts)[0]
    unready = [unready_words(fleet, split, name) for name in names] if asks_ready(plan, progress) else []
    absent = [absent_words(fleet, split, name) for name in names]
    view = view._replace(absent=next(filter(None, absent), ""), wave=hosts, unready=next(filter(None, unready), ""))
    if not progress.confirmed_ms and progress.step < len(plan.steps):
        wanted = plan.weights(progress.step, progress.out)
        shown = (unshown(fleet, field_of(split, name), progress._replace(at=at)) for name, at in wanted.items())
        view = view._replace(missing=next(filter(None, shown), ""), doubt=doubting(fleet, split))
    elif isinstance(going := rule(plan, progress, running_plan.tick, view), Go):
        short = "" if look is None else _short(reading, fleet, look, plan.steps[going.step].weight)
        view = view._replace(doubt=doubting(fleet, split), short=short)
    return ForecastStart(progress, running_plan.tick, view, 0 if frost is None else frost.until_ms)


def _look(reading: Reading, split: str, plan: Plan, progress: Progress) -> WaveInput | None:
    """Return what a driver's look at the hosts would rest on; None where units are split."""
    found, shown = reading.snapshot.splits[split], bool(progress.confirmed_ms)
    if found.definition.by != "instance":
        return None
    wave = found.waves.get(plan.version, NOBODY)
    return WaveInput(split, plan.version, wave, progress.at, progress.since_ms, shown, found.taken(plan.version))


def _short(reading: Reading, fleet: Fleet, look: WaveInput, weight: int) -> str:
    held = reading.text("meta", WAVE + field_of(look.split, look.version))
    return short_words(reading.snapshot.splits[look.split].definition, look, weight, held, fleet)


def _judged(said: Awaited, plan: Plan, start: ForecastStart) -> Awaited | None:
    ruling = rule(plan, *start[:3])
    if isinstance(ruling, Over):
        return None
    number = start.progress.step
    last = number + 1 == len(plan.steps)
    return said._replace(
        ahead=None if last else format_weight(plan.steps[number + 1].weight),
        weights=_texts(plan, start, number),
        next_weights={} if last else _texts(plan, start, number + 1),
        out=start.progress.out,
        state=_state(start, ruling, last=last),
        why=_reason(ruling),
        left_ms=_left_ms(plan, start),
        gates=tuple(_gates(plan, start)),
    )


def _texts(plan: Plan, start: ForecastStart, number: int) -> dict[str, str]:
    if not plan.also:
        return {}
    found = plan.weights(number, start.progress.out)
    return {name: format_weight(weight) for name, weight in found.items()}


def _state(start: ForecastStart, ruling: Ruling, *, last: bool) -> State:
    if isinstance(ruling, Go):
        return "due"
    if _obstructed(start) or (isinstance(ruling, Wait) and start.progress.confirmed_ms and not ruling.runs):
        return "stands"
    if not (isinstance(ruling, Wait) and ruling.runs):
        return "waits"
    return "bakes" if last else "waits" if ruling.due_ms is None else "counts"


def _reason(ruling: Ruling) -> str:
    match ruling:
        case Wait(reason=reason):
            return reason
        case Late(act=act, reason=reason):
            return f"{reason}; that is too long, so {'it rolls back' if act == 'rollback' else 'it calls a person'}"
        case Lost(reason=reason) | Halted(reason=reason):
            return reason
        case StepConfirmed():
            return "for its driver to count the processes that show it"
        case Over() | Go():
            return ""


def _obstructed(start: ForecastStart) -> bool:
    """Return whether something beside the gates keeps the clock from running."""
    view = start.view
    hosts = view.wave is not None and view.wave.words
    return bool(start.progress.paused or view.frozen or view.doubt or view.absent or hosts) or (
        view.verdict.word in DOUBTS
    )


def _left_ms(plan: Plan, start: ForecastStart) -> int | None:
    """Return what the clock still has to count, whatever else is missing; None where nothing is, or not yet."""
    if not start.progress.confirmed_ms:
        return None
    number = start.progress.step
    wait_left = _alone(plan, start, PlanStep(start.progress.at, plan.steps[number].after_s))
    return (
        wait_left.due_ms - start.view.now_ms if isinstance(wait_left, Wait) and wait_left.due_ms is not None else None
    )


def _alone(plan: Plan, start: ForecastStart, step: PlanStep) -> Ruling:
    """Judge one gate of the step that stands, as if it were the only one and nothing stood in the way."""
    progress, tick, view, _ = start
    if not progress.confirmed_ms:
        progress, tick = progress._replace(confirmed_ms=view.now_ms), Tick(view.now_ms)
    number = progress.step
    only = plan._replace(steps=(*plan.steps[:number], step, *plan.steps[number + 1 :]))
    seen = view._replace(
        frozen="",
        doubt="",
        absent="",
        wave=None,
        others=0,
        verdict=view.verdict if step.until else NO_VERDICT,
        watched=False,
    )
    return rule(only, progress._replace(pauses=()), tick, seen)


def _gates(plan: Plan, start: ForecastStart) -> Iterator[Gate]:
    """Return what must be so before the next step (or the end), one by one."""
    progress, view = start.progress, start.view
    yield Gate(SHOWN, bool(progress.confirmed_ms), view.missing)
    step = plan.steps[progress.step]
    if progress.step + 1 == len(plan.steps):
        if plan.bake_s:
            yield _gate(plan, start, f"bake {span_text(plan.bake_s)}", step, "")
        return
    at = step.weight
    if step.after_s:
        yield _gate(plan, start, f"after {span_text(step.after_s)}", PlanStep(at, step.after_s), "")
    if step.until:
        yield _gate(plan, start, f"until {step.until}", PlanStep(at, until=step.until), view.verdict.why)
    if step.ready:
        yield _gate(plan, start, "ready", PlanStep(at, ready=True), "")
    if step.approve:
        yield _gate(plan, start, "approve", PlanStep(at, approve=True), f"by {progress.approved}")
    crowded = room_words(ahead_total(plan, progress), view.others)
    if crowded:
        yield Gate("room", open=False, why=crowded.removeprefix("for room: "))
    if view.short:
        yield Gate("hosts", open=False, why=view.short)


def _gate(plan: Plan, start: ForecastStart, name: str, step: PlanStep, opened: str) -> Gate:
    ruling = _alone(plan, start, step)
    if not isinstance(ruling, Wait):
        return Gate(name, open=True, why=opened)
    left = None if ruling.due_ms is None else format_span(ruling.due_ms - start.view.now_ms + 999)
    return Gate(name, open=False, why=f"{left} more" if left else ruling.reason)
