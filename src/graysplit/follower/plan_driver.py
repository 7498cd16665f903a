"""Step the plans: in every process whose role may, one of them at a time, by the server's clock.

Whoever drove last goes on; the others, each in its own rank, step in when its tick grows old. Two who step in at once
harm nobody: every write compares what it was made from, so that one of them is first, and each step is taken once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from graysplit.core.address import field_of, stops_over, stops_touching
from graysplit.core.definition import Definition
from graysplit.core.fleet import Fleet
from graysplit.core.freeze import FREEZES, THAWED, frozen, thawed_ms
from graysplit.core.guard.settings import BadGuardError, parse_guard
from graysplit.core.guard.verdict import NO_VERDICT, Verdict
from graysplit.core.in_force import in_force
from graysplit.core.plan import several
from graysplit.core.plan.hosts import WaveInput, absent_words, short_words, told_of, watch_wave
from graysplit.core.plan.plan import BadPlanError, Plan, parse_plan
from graysplit.core.plan.progress import (
    GAP_MS,
    RANK_MS,
    RANKS,
    TICK_MS,
    Go,
    Halted,
    Late,
    Lost,
    Over,
    PlanView,
    Progress,
    Ruling,
    StepConfirmed,
    Tick,
    Wait,
    asks_ready,
    doubting,
    halted,
    rule,
    stepped,
    ticked,
    unshown,
)
from graysplit.core.standby import unready_words
from graysplit.core.waves import NOBODY, members, parse_wave, wave_writes
from graysplit.core.waves import PREFIX as WAVE
from graysplit.core.weights import Weight, format_weight, parse_weight, share
from graysplit.errors import BadWeightError, ConflictError, GraysplitError, NotYetError, StoreUnreachableError
from graysplit.stores.port import SETTLE_MS, Due, Expect, Feed, KeyName, Place, ProgressUpdate, Submission, Trip, Write
from graysplit.stores.text.freezes import read_freezes
from graysplit.stores.text.records import (
    HOST_LOST,
    PLAN,
    ROLLBACK,
    TICK,
    progress_text,
    raw_of,
    read_progress,
    read_signed,
    read_tick,
    tick_text,
)

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.events import Events
    from graysplit.follower.replica import Replica

Verdicts: TypeAlias = Callable[[str, str], Verdict]  # of a split's candidate; asked on the follower's thread

SOON_S: Final = 0.2
LATER_S: Final = 2.0
BARRED_S: Final = 40.0  # between attempts that only a person can make succeed
FLEET_S: Final = 2.0  # how old the fleet may be while time passes: its processes tell of themselves as often


class PlanFacts(NamedTuple):
    """What a driver read of one split at one moment."""

    split: str
    definition: Definition
    plan: Plan
    progress: Progress
    tick: Tick
    texts: Mapping[Place, str | None]
    now_ms: int

    @property
    def field(self) -> str:
        """The address of the candidate that the plan raises."""
        return field_of(self.split, self.plan.version)


class PlanDriver:
    """Drives for one process; used by its follower's thread alone."""

    def __init__(self, boot: str, replica: Replica, events: Events, clock: Clock, verdicts: Verdicts | None) -> None:
        """Begin with no plan looked at; `verdicts` tells what a gate `until: safe` waits for."""
        self._boot = boot
        self._replica = replica
        self._events = events
        self._clock = clock
        self._verdicts = verdicts or _no_verdict
        self._look_at: dict[str, float] = {}
        self._read: dict[str, tuple[bytes, tuple[Definition, Plan] | None]] = {}
        self._connected = 0.0
        self._seen: tuple[float, Fleet] | None = None

    def connected(self) -> None:
        """Note that a connection begins: what is known of its server begins anew."""
        self._connected = self._clock.monotonic()
        self._look_at.clear()
        self._seen = None

    def turn(self, feed: Feed) -> None:
        """WaveInput at each plan whose time to be looked at has come."""
        planned = self._replica.adopted.planned
        for split, mark in planned.items():
            if self._clock.monotonic() >= self._look_at.get(split, 0.0):
                self._look_at[split] = self._clock.monotonic() + self._attempt(feed, split, mark)
        for split in self._look_at.keys() - planned.keys():
            del self._look_at[split]

    def _attempt(self, feed: Feed, split: str, mark: str) -> float:
        """Drive a split; return the seconds until it should be looked at again."""
        kind = f"plan_not_driven {split}"
        try:
            pause_s = self._drive(feed, split, mark)
        except (ConflictError, NotYetError):
            return SOON_S  # somebody was faster, or the server's clock says not yet: read again
        except StoreUnreachableError:
            raise
        except GraysplitError as fault:
            self._events.trouble(kind, f"this process cannot drive the plan of '{split}': {fault}")
            return BARRED_S
        self._events.over(kind, f"this process drives the plan of '{split}' again")
        return pause_s

    def _drive(self, feed: Feed, split: str, mark: str) -> float:
        raw = self._replica.adopted.definitions.get(split, b"")
        known = self._understood(split, raw)
        if known is None:
            return LATER_S
        facts = _find(feed, split, *known, mark)
        if facts is None or raw_of(facts.texts["splits", split] or "") != raw:
            return SOON_S if facts is not None else LATER_S  # the definition has changed: it is adopted first
        turn_ms = facts.tick.at_ms + self._patience_ms(facts.tick) - facts.now_ms
        if 0 < turn_ms <= GAP_MS:
            return turn_ms / 1000
        facts, view, ruling = self._rule(feed, facts)
        return self._act(feed, facts, view, ruling)

    def _patience_ms(self, tick: Tick) -> int:
        """Return the age of the tick at which this process drives; at once where it drove last."""
        return 0 if tick.driver == self._boot else TICK_MS + RANK_MS * (1 + int(self._boot[:4], 16) % (RANKS - 1))

    def _understood(self, split: str, raw: bytes) -> tuple[Definition, Plan] | None:
        """Read a split's plan, once per definition; None, and said, where this library must not drive it."""
        cached = self._read.get(split)
        if cached is None or cached[0] != raw:
            cached = self._read[split] = (raw, self._parsed(split, raw))
        return cached[1]

    def _parsed(self, split: str, raw: bytes) -> tuple[Definition, Plan] | None:
        try:
            definition = self._replica.parse(split, raw) if raw else None
            if definition is None or definition.plan is None:
                return None
            return definition, parse_plan(definition.plan)
        except (GraysplitError, ValueError) as fault:
            needed = "" if not isinstance(fault, BadPlanError) else f" ({fault.field}: {fault.reason})"
            self._events.warning(
                f"plan_unreadable {split}",
                f"this process cannot read the plan of '{split}' and does not drive it{needed}",
            )
            return None

    def _rule(self, feed: Feed, facts: PlanFacts) -> tuple[PlanFacts, PlanView, Ruling]:
        """Return what is due, by a fleet read anew where a step depends on it, and what was found of the hosts."""
        fresh = not facts.progress.confirmed_ms or facts.definition.by == "instance"
        fleet = self._fleet(feed, fresh=fresh)
        view, beside = self._view(facts), tuple(sorted(self._others(facts)))
        facts = facts._replace(progress=facts.progress._replace(beside=beside))
        facts, view = self._with_fleet(facts, view, fleet)
        ruling = rule(facts.plan, facts.progress, facts.tick, view)
        if isinstance(ruling, Go):
            fleet = fleet if fresh else self._fleet(feed, fresh=True)
            facts, view = self._with_fleet(facts, view, fleet)
            view = view._replace(doubt=doubting(fleet, facts.split), short=self._short(facts, ruling, fleet))
            ruling = rule(facts.plan, facts.progress, facts.tick, view)
        return facts, view, ruling

    def _fleet(self, feed: Feed, *, fresh: bool) -> Fleet:
        """Return the fleet; where no step depends on it, as it was a little while ago."""
        now = self._clock.monotonic()
        if fresh or self._seen is None or not 0 <= now - self._seen[0] < FLEET_S:
            self._seen = (now, feed.fleet())
        return self._seen[1]

    def _with_fleet(self, facts: PlanFacts, view: PlanView, fleet: Fleet) -> tuple[PlanFacts, PlanView]:
        """Add what the fleet tells: who is there, who is missing, and what has become of the hosts."""
        names = [name for name in facts.plan.versions if name not in facts.progress.out]
        absent = [absent_words(fleet, facts.split, name) for name in names]
        asked = names if asks_ready(facts.plan, facts.progress) else []
        unready = [unready_words(fleet, facts.split, name) for name in asked]
        view = view._replace(absent=next(filter(None, absent), ""), unready=next(filter(None, unready), ""))
        if not facts.progress.confirmed_ms:
            missing = _unshown(fleet, facts)
            view = view._replace(missing=missing, doubt=doubting(fleet, facts.split))
        if facts.definition.by != "instance":
            return facts, view
        hosts, memory = watch_wave(self._look(facts), fleet, facts.progress.hosts)
        return facts._replace(progress=facts.progress._replace(hosts=memory)), view._replace(wave=hosts)

    def _look(self, facts: PlanFacts) -> WaveInput:
        progress, wave = facts.progress, parse_wave(facts.texts["meta", WAVE + facts.field] or "") or NOBODY
        shown = bool(progress.confirmed_ms)
        return WaveInput(
            facts.split, facts.plan.version, wave, progress.at, progress.since_ms, shown, self._taken(facts)
        )

    def _short(self, facts: PlanFacts, go: Go, fleet: Fleet) -> str:
        """Return why the next step's wave cannot be filled with live hosts, or an empty text."""
        if facts.definition.by != "instance":
            return ""
        weight, held = facts.plan.steps[go.step].weight, facts.texts["meta", WAVE + facts.field]
        return short_words(facts.definition, self._look(facts), weight, held, fleet)

    def _view(self, facts: PlanFacts) -> PlanView:
        freezes = read_freezes(facts.texts["meta", FREEZES])
        frost = frozen(freezes, facts.split, facts.now_ms)
        others = self._others(facts)
        own = self._plan_weights(facts)
        gone = [*(name for name in facts.progress.beside if not others.get(name)), *own.fallen]
        return PlanView(
            now_ms=facts.now_ms,
            weight=own.weight,
            others=sum(others.values()),
            fallen=_fallen(facts, gone),
            strayed=own.strayed,
            frozen=frost.words if frost is not None else "",
            thawed_ms=thawed_ms(freezes, facts.split, facts.texts["meta", THAWED], facts.now_ms),
            verdict=self._verdict(facts),
            watched=_action(facts.definition) not in ("", "warn"),
        )

    def _plan_weights(self, facts: PlanFacts) -> several.PlanWeights:
        """Return how the candidates of the plan stand."""
        names = facts.plan.versions
        stopped = [name for name in names if facts.texts["stops", field_of(facts.split, name)] is not None]
        return several.stands(facts.plan, facts.progress, {n: self._in_force(facts, n) for n in names}, stopped)

    def _verdict(self, facts: PlanFacts) -> Verdict:
        names = [name for name in facts.plan.versions if name not in facts.progress.out]
        said = {name: self._verdicts(facts.split, name) for name in names}
        return several.weightiest(said, several=bool(facts.plan.also))

    def _others(self, facts: PlanFacts) -> dict[str, int]:
        """Return the shares of the split's candidates beside the plan that are in force."""
        own = {*facts.plan.versions} - {*facts.progress.out}
        names = [version.name for version in facts.definition.candidates if version.name not in own]
        return {name: part for name in names if (part := share(self._in_force(facts, name)))}

    def _in_force(self, facts: PlanFacts, version: str) -> Weight:
        """Return a candidate's weight in force by the texts that were read; a bad one leaves the last good value."""
        split = facts.split
        field, own = field_of(split, version), field_of(split, facts.definition.baseline)
        texts = {at: facts.texts["weights", at] for at in (field, split, own)}
        weights: dict[str, Weight] = {at: self._weight(text, at) for at, text in texts.items() if text is not None}
        stops = [stop for stop in stops_over(field) if facts.texts["stops", stop] is not None]
        held = self._replica.adopted
        lapsed: Mapping[str, Weight] = held.lapsed if weights.get(field) == held.weights.get(field) else {}
        return in_force(field, facts.definition.baseline, weights, stops, lapsed).weight

    def _weight(self, text: str, field: str) -> Weight:
        """Return what a text means; a bad one leaves the last good weight."""
        try:
            return parse_weight(text)
        except BadWeightError:
            return self._replica.adopted.weights.get(field, 1)

    def _act(self, feed: Feed, facts: PlanFacts, view: PlanView, ruling: Ruling) -> float:  # noqa: PLR0911 - one per ruling
        """Do what is due; return the seconds until the next look."""
        match ruling:
            case Go() if not 0 <= facts.now_ms - facts.tick.at_ms <= GAP_MS:  # a step rests on a tick that is recent
                self._tick(
                    feed,
                    facts,
                    facts.progress,
                    ticked(facts.progress, facts.tick, view, self._boot, runs=True),
                )
                return 0.0
            case Go():
                feed.submit(self._step(facts, ruling, self._waves(feed, facts, ruling)))
                return SOON_S
            case Over():
                feed.submit(_end(facts, ruling))
                return LATER_S
            case Late():
                return self._late(feed, facts, ruling)
            case Lost():
                return self._lost(feed, facts, ruling)
            case Halted():
                return _halt(feed, facts, ruling, self._plan_weights(facts).fallen)
            case StepConfirmed():
                progress = facts.progress._replace(confirmed_ms=facts.now_ms)
                self._tick(feed, facts, progress, Tick(facts.now_ms, 0, running=True, driver=self._boot))
                return 0.0
            case Wait():
                return self._wait(feed, facts, view, ruling)

    def _wait(self, feed: Feed, facts: PlanFacts, view: PlanView, ruling: Wait) -> float:
        if ruling.asks and not facts.progress.asked:
            return _ask(feed, facts, ruling.asks)
        tick = ticked(facts.progress, facts.tick, view, self._boot, runs=ruling.runs)
        seen = read_progress(facts.texts["plans", facts.split]) != facts.progress
        if seen or not 0 <= facts.now_ms - facts.tick.at_ms < TICK_MS or tick.running != facts.tick.running:
            self._tick(feed, facts, facts.progress, tick)
        left_ms = TICK_MS if ruling.due_ms is None else min(TICK_MS, max(0, ruling.due_ms - facts.now_ms))
        return left_ms / 1000

    def _tick(self, feed: Feed, facts: PlanFacts, progress: Progress, tick: Tick) -> None:
        read = (facts.texts["plans", facts.split] or "", facts.texts["plans", TICK + facts.split] or "")
        feed.save_progress(ProgressUpdate(facts.split, *read, progress_text(progress), tick_text(tick)))

    def _waves(self, feed: Feed, facts: PlanFacts, go: Go) -> tuple[Write, ...]:
        """Record who crosses with a step, where instances cross over: nothing else makes one cross."""
        if facts.definition.by != "instance":
            return ()
        weight, at = facts.plan.steps[go.step].weight, WAVE + facts.field
        text = wave_writes(
            facts.definition,
            facts.split,
            facts.plan.version,
            weight,
            facts.texts["meta", at],
            feed.fleet(),
            before=facts.progress.at,
            taken=self._taken(facts),
        )
        return () if text is None else (Write("meta", at, text),)

    def _taken(self, facts: PlanFacts) -> frozenset[str]:
        """Name the instances that have crossed to other candidates."""
        taken: set[str] = set()
        for version in facts.definition.candidates:
            wave = parse_wave(facts.texts["meta", WAVE + field_of(facts.split, version.name)] or "")
            if wave is not None and version.name != facts.plan.version:
                taken |= {*members(wave, self._in_force(facts, version.name))}
        return frozenset(taken)

    def _step(self, facts: PlanFacts, go: Go, waves: tuple[Write, ...]) -> Submission:
        """Make the change that takes a step: it rests on everything that could speak against it."""
        split, now_ms = facts.split, facts.now_ms
        progress = stepped(facts.progress, facts.plan, go.step, now_ms)
        last = go.step + 1 == len(facts.plan.steps) and not facts.plan.bake_s  # nothing is left to be noted after it
        notes = (
            Write("plans", split, progress_text(progress)),
            Write("plans", TICK + split, tick_text(Tick(now_ms, driver=self._boot))),
        )
        settled = self._clock.monotonic() - self._connected >= SETTLE_MS / 1000
        return Submission(
            os.urandom(12).hex(),
            split,
            "step",
            f"plan:{facts.plan.name}",
            f"step {go.step + 1} of {len(facts.plan.steps)}",
            tuple(Expect(key, field, text) for (key, field), text in facts.texts.items()),
            (*_weights(facts, go), *waves, *(() if last else notes)),
            read_at_ms=now_ms,
            raises=True,
            ends=(split,) if last else (),
            due=Due(min(go.due_ms, now_ms), facts.tick.at_ms + GAP_MS, settled),
        )

    def _late(self, feed: Feed, facts: PlanFacts, late: Late) -> float:
        """Call for a person once more, or go back: it has waited too long."""
        if late.act == "rollback":
            for name in facts.plan.versions:
                if name not in facts.progress.out:
                    feed.trip(_back(facts, name, f"its plan waited too long {late.reason}", ROLLBACK))
            return SOON_S  # the stop ends the plan
        nagged = facts.progress._replace(nagged=True)
        write = Write("plans", facts.split, progress_text(nagged))
        feed.submit(_change(facts, "waiting", late.reason, (write,)))
        return SOON_S

    def _lost(self, feed: Feed, facts: PlanFacts, lost: Lost) -> float:
        """Go back where the guard is to; else call for a person, once for each host that is lost."""
        if _action(facts.definition) == "rollback":
            feed.trip(_back(facts, facts.plan.version, lost.reason, HOST_LOST))
            return SOON_S
        hosts = told_of(facts.progress.hosts, lost.hosts, facts.now_ms)
        write = Write("plans", facts.split, progress_text(facts.progress._replace(hosts=hosts)))
        feed.submit(_change(facts, "host lost", lost.reason, (write,)))
        return SOON_S


def _fallen(facts: PlanFacts, fallen: list[str]) -> str:
    """Return which candidates were stopped while the plan ran beside them, but for those that a person has lowered."""
    fields = {field_of(facts.split, name): facts.texts.get(("stops", field_of(facts.split, name))) for name in fallen}
    stopped = [_stopped_words(field, text) for field, text in fields.items() if text is not None]
    return f"{', and '.join(stopped)}. Go on with: graysplit resume {facts.split}" if stopped else ""


def _stopped_words(field: str, text: str) -> str:
    whose = read_signed(text.encode())
    said = f" by {whose.who}{f': {whose.why}' if whose.why else ''}" if whose is not None else ""
    return f"{field} was stopped{said}"


def _weights(facts: PlanFacts, go: Go) -> list[Write]:
    """Return the weights that a step writes: of a stopped candidate none."""
    wanted = facts.plan.weights(go.step, facts.progress.out)
    return [Write("weights", field_of(facts.split, name), format_weight(to)) for name, to in wanted.items()]


def _unshown(fleet: Fleet, facts: PlanFacts) -> str:
    """Name who has not shown the step's weights yet, of the first candidate that is not shown."""
    wanted = facts.plan.weights(facts.progress.step, facts.progress.out)
    said = (unshown(fleet, field_of(facts.split, name), facts.progress._replace(at=at)) for name, at in wanted.items())
    return next(filter(None, said), "")


def _ask(feed: Feed, facts: PlanFacts, what: str) -> float:
    """Call for the person whose yes alone is missing, once for each step."""
    write = Write("plans", facts.split, progress_text(facts.progress._replace(asked=True)))
    feed.submit(_change(facts, "waiting", what, (write,)))
    return SOON_S


def _halt(feed: Feed, facts: PlanFacts, ruling: Halted, left: tuple[str, ...]) -> float:
    """Pause a plan beside which, or in which, another candidate was stopped, and call for a person."""
    why = ruling.reason.partition(". Go on with: ")[0]
    progress = facts.progress._replace(out=(*facts.progress.out, *left))
    write = Write("plans", facts.split, progress_text(halted(progress, facts.plan, why, facts.now_ms)))
    feed.submit(_change(facts, "waiting", f"paused: {ruling.reason}", (write,)))
    return SOON_S


def _action(definition: Definition) -> str:
    """Return what the guard of a split does; nothing where none is armed, or none that is understood here."""
    try:
        return "" if definition.guard is None else parse_guard(definition.guard).action
    except BadGuardError:
        return ""


def _find(feed: Feed, split: str, definition: Definition, plan: Plan, mark: str) -> PlanFacts | None:
    """Read what a plan rests on; None where it is not the plan that the mark names, or is told only to others."""
    fields = [field_of(split, version.name) for version in definition.versions]
    places: list[Place] = [
        *(("weights", field) for field in (*fields, split)),
        *(("stops", stop) for stop in stops_touching(split, definition.names)),
        *(("meta", name) for name in (PLAN + split, FREEZES, THAWED)),
        *(("meta", f"release:{field_of(split, name)}") for name in plan.versions),
        *(("meta", WAVE + field) for field in fields if definition.by == "instance"),
        ("splits", split),
        ("plans", split),
        ("plans", TICK + split),
    ]
    read = feed.read_fields(places)
    progress = read_progress(read.texts["plans", split])
    run, _, version = mark.partition(" ")
    if read.texts["meta", PLAN + split] != mark or progress is None or progress.run != run:
        return None
    if version != plan.mark:
        return None
    tick = read_tick(read.texts["plans", TICK + split])
    return PlanFacts(split, definition, plan, progress, tick, read.texts, read.now_ms)


def _back(facts: PlanFacts, version: str, why: str, cause: str) -> Trip:
    """Make the rollback of a plan that goes back by itself: of the release that was read, and of no other."""
    field = field_of(facts.split, version)
    release = (facts.texts["meta", f"release:{field}"] or "").partition(" ")[0]
    return Trip(os.urandom(12).hex(), field, release, why, f"plan:{facts.plan.name}", cause)


def _end(facts: PlanFacts, over: Over) -> Submission:
    """Make the change that ends a plan; what stands in weights and stops is not its business."""
    return _change(facts, "plan over", over.reason, ())._replace(ends=(facts.split,))


def _change(facts: PlanFacts, cause: str, why: str, writes: tuple[Write, ...]) -> Submission:
    """Make a change that raises nothing, on condition that the plan stands where it was read."""
    named: tuple[tuple[KeyName, str], ...] = (("plans", facts.split), ("meta", PLAN + facts.split))
    return Submission(
        os.urandom(12).hex(),
        facts.split,
        cause,
        f"plan:{facts.plan.name}",
        why,
        tuple(Expect(key, field, facts.texts[key, field]) for key, field in named),
        writes,
        read_at_ms=facts.now_ms,
    )


def _no_verdict(split: str, version: str) -> Verdict:  # noqa: ARG001 - the signature of verdicts
    return NO_VERDICT
