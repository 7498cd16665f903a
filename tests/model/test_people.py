"""Two operators, a guard, freezes and plans in any order: a yes is for the step that was seen, every end is told."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from graysplit import Control
from graysplit.codec import read_snapshot
from graysplit.control.plan.approval import SEEN_MS
from graysplit.control.steps import Step
from graysplit.core.entry import Entry
from graysplit.core.plan.plan import parse_plan
from graysplit.core.plan.progress import Progress
from graysplit.core.weights import format_weight, parse_weight, rises, share
from graysplit.errors import GraysplitError, RefusedError
from graysplit.stores.port import Trip
from graysplit.stores.text.records import read_progress, read_tick
from tests.clocks import MovedClock
from tests.model.member import Member
from tests.model.world import Store

SPLIT: Final = "checkout"
FIELD: Final = "checkout/new"
MARK: Final = f"meta plan:{SPLIT}"
PEOPLE: Final = ("ana", "bo")
LADDERS: Final = (
    (Step(5, approve=True), Step(20, approve=True), Step(60, approve=True), Step(100)),
    (Step(10, 5, approve=True), Step(30, 5, approve=True), Step(70)),
    (Step(10, 8), Step(30, 8), Step(70)),
)
who = st.sampled_from(PEOPLE)


class Screen(NamedTuple):
    """What an operator has seen last: when, of which plan, and its next step's weight."""

    at_s: float
    run: str
    ahead: str | None


class People(RuleBasedStateMachine):
    """One split and two operators, each with a screen that may be old."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.clock = MovedClock()
        self.store = Store(self.clock)
        self.control = {name: Control(self.store, actor=name, confirm=True) for name in PEOPLE}
        self.screens: dict[str, Screen] = {}
        self.yes: set[tuple[str, str]] = set()  # run and weight: which steps somebody has said yes to
        self.members: list[Member] = []
        self.read_to = 0
        self.frozen = False
        self.open_ms = 0  # what the clock of the step that stands may have counted at most

    @initialize()
    def begin(self) -> None:
        """Make a split and a process that drives."""
        self.control["ana"].create(SPLIT, ("old", "new"))
        self.members.append(Member(self.store, self.clock, 1, old=False))
        self.live(1)

    # -- time and screens ---------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((1, 2, 6, 12)))
    def live(self, seconds: float) -> None:
        """Let time pass while the process lives."""
        for _ in range(int(seconds * 2)):
            self.turn()

    def turn(self) -> None:
        """Let half a second pass, and everybody live who can."""
        before = self.running()
        self.clock.now += 0.5
        runs = before is not None and not before.pauses and not self.frozen
        self.open_ms += 500 * runs
        for member in self.members:
            self.look_before(self.running())
            member.live()
            self.judge(before)
            self.judge_clock(before)
            before = self.running()

    def look_before(self, progress: Progress | None) -> None:
        """Remember what a member's turn rests on."""

    @rule(name=who)
    def look(self, name: str) -> None:
        """Look at the screen."""
        progress = self.running()
        self.screens[name] = Screen(self.clock.now, progress.run if progress else "", self.ahead(progress))

    # -- people -------------------------------------------------------------------------------------------------------

    @rule(name=who, steps=st.sampled_from(LADDERS), replace=st.booleans())
    def ramp(self, name: str, steps: tuple[Step, ...], replace: bool) -> None:
        """Start a plan, perhaps over another."""
        self.act(name, lambda control: control.ramp(SPLIT, steps, replace=replace, unstop=True), replace=replace)

    @rule(name=who, weight=st.sampled_from((0, 5, 10, 30, 40)), replace=st.booleans())
    def set_weight(self, name: str, weight: int, replace: bool) -> None:
        """Set the weight, perhaps the one that stands."""
        before, same = self.running(), format_weight(self.in_force()) == str(weight)
        self.act(
            name,
            lambda control: control.set(SPLIT, weight, replace=replace, unstop=True),
            replace=replace or same or weight == 0,
        )
        if before is not None and same and not replace:
            assert self.running() == before, "the same weight has ended a plan"

    @rule(name=who)
    def approve_bare(self, name: str) -> None:
        """Say yes to what the screen shows, without a name for it."""
        progress, screen = self.running(), self.screens.get(name)
        with suppress(GraysplitError):
            said = self.control[name].approve(SPLIT)
            if said.change and progress is not None:
                weight = f"{said.plan['approves']:g}"  # type: ignore[index] # there where something was written
                if screen is not None and (self.clock.now - screen.at_s) * 1_000 < SEEN_MS:
                    assert (screen.run, screen.ahead) == (progress.run, weight), "a yes to what nobody saw"
                self.yes.add((progress.run, weight))
        self.judge(progress)

    @rule(name=who)
    def approve_named(self, name: str) -> None:
        """Say yes to the very step that the screen shows, however old it is."""
        progress, screen = self.running(), self.screens.get(name)
        if screen is None or screen.ahead is None:
            return
        with suppress(GraysplitError):
            said = self.control[name].approve(SPLIT, screen.ahead)
            if said.change and progress is not None:
                assert f"{said.plan['approves']:g}" == screen.ahead  # type: ignore[index] # there where written
                self.yes.add((progress.run, screen.ahead))
        self.judge(progress)

    @rule(name=who, seconds=st.sampled_from((1, 2, 6)))
    def approve_one_after_the_other(self, name: str, seconds: float) -> None:
        """Have both look, one say yes, and the other too a little later; of a plan that is begun where none runs."""
        if self.running() is None:
            self.set_weight(name, 0, replace=True)
            self.ramp(name, LADDERS[0], replace=True)
            self.live(2)
        for person in PEOPLE:
            self.look(person)
        self.approve_named(name)
        self.live(seconds)
        self.approve_bare(next(person for person in PEOPLE if person != name))

    @rule(name=who, verb=st.sampled_from(("pause", "resume")))
    def stop_the_clock(self, name: str, verb: str) -> None:
        """Pause, or end one's own pause: the other's stands."""
        before = self.running()
        others = [pause for pause in before.pauses if pause.who != name] if before else []
        with suppress(GraysplitError):
            getattr(self.control[name], verb)(SPLIT)
        now = self.running()
        assert now is None or before is None or [pause for pause in now.pauses if pause.who != name] == others
        self.judge(before)

    @rule(name=who)
    def freeze_or_thaw(self, name: str) -> None:
        """Have nothing rise, or end that."""
        before = self.running()
        control = self.control[name]
        control.unfreeze(SPLIT) if self.frozen else control.freeze(SPLIT)
        self.frozen = not self.frozen
        self.judge(before)

    @rule(name=who)
    def roll_back(self, name: str) -> None:
        """Go back: nobody is asked, and nothing is above zero."""
        before = self.running()
        Control(self.store, actor=name).rollback(SPLIT)
        assert self.in_force() == 0
        self.judge(before)

    @rule()
    def trip(self) -> None:
        """Have the guard stop the release that runs."""
        before = self.running()
        release = (self.store._space.text("meta", f"release:{FIELD}") or "").partition(" ")[0]
        if release and self.in_force():
            self.store.follow().trip(Trip(f"{self.read_to:024x}", FIELD, release, "too many errors"))
            assert self.in_force() == 0
        self.judge(before)

    @rule(weight=st.sampled_from(("7", "0")))
    def edit_by_hand(self, weight: str) -> None:
        """Edit the weight past graysplit."""
        before = self.running()
        self.store.raw_set("weights", FIELD, weight)
        self.judge(before)
        self.turn()

    def act(self, name: str, verb: Any, *, replace: bool) -> None:  # Any: of a control, whatever it gives
        """Do what may end a plan: one that is paused, or somebody else's, is not without `replace`."""
        before = self.running()
        asked = before is not None and (before.pauses or before.by != name) and before.at == share(self.in_force())
        try:
            verb(self.control[name])
        except RefusedError:
            assert self.running() == before, "what was refused has ended a plan"
        except GraysplitError:
            pass
        else:
            assert replace or not asked, "a plan of somebody else was ended unasked"
        self.judge(before)

    # -- laws ---------------------------------------------------------------------------------------------------------

    def running(self) -> Progress | None:
        """Return where the plan stands that runs."""
        progress, mark = read_progress(self.store._space.text("plans", SPLIT)), self.store._space.text(*MARK.split())
        return progress if progress is not None and mark and mark.startswith(progress.run) else None

    def ahead(self, progress: Progress | None) -> str | None:
        """Return the next step's weight as a screen shows it."""
        plan = read_snapshot(self.store.load())[0].splits[SPLIT].definition.plan
        steps = parse_plan(plan).steps if plan and progress else ()
        number = progress.step + 1 if progress else 0
        return format_weight(steps[number].weight) if number < len(steps) else None

    def in_force(self) -> int:
        """Return the weight in force."""
        return share(read_snapshot(self.store.load())[0].splits[SPLIT].in_force("new"))

    def judge(self, before: Progress | None) -> None:
        """Judge what the history says since the last look, and whether a plan that is gone was told."""
        entries: list[Entry] = [entry for _, entry in self.store._space.log][self.read_to :]
        self.read_to += len(entries)
        for entry in entries:
            self.judge_rise(entry)
        now = self.running()
        if before is not None and (now is None or now.run != before.run):
            ends = [entry for entry in entries if (entry.before.get(MARK) or "").startswith(before.run)]
            assert ends, "a plan has ended, and nobody is told"
            assert SPLIT in ends[0].ended_plans

    def judge_clock(self, before: Progress | None) -> None:
        """Hold the counted clock to the time in which nobody had paused the plan or frozen the split."""
        now = self.running()
        if (
            now is None
            or before is None
            or (now.run, now.step, now.confirmed_ms)
            != (
                before.run,
                before.step,
                before.confirmed_ms,
            )
        ):
            self.open_ms = 0
        elif now.confirmed_ms:
            counted = read_tick(self.store._space.text("plans", f"tick:{SPLIT}")).clock_ms
            assert counted <= self.open_ms, "the counted clock includes a pause"

    def judge_rise(self, entry: Entry) -> None:
        """Hold a rise to the yes of a person: theirs, or one to that very step of their plan."""
        at = f"weights {FIELD}"
        if at not in entry.after or entry.cause == "edited outside" or entry.actor in PEOPLE:
            return
        was, is_ = (parse_weight(side.get(at) or "0") for side in (entry.before, entry.after))
        if not rises(was, is_):
            return
        assert entry.cause == "step", f"{entry.cause} raises"
        assert not self.frozen, "a step is taken in a freeze"
        run = (entry.before.get(MARK) or self.store._space.text(*MARK.split()) or "").partition(" ")[0]
        plan = parse_plan(read_snapshot(self.store.load())[0].splits[SPLIT].definition.plan or {})
        gate = next(step for step in reversed(plan.steps) if step.weight < share(is_))
        assert not gate.approve or (run, format_weight(is_)) in self.yes, "nobody has said yes to this step"


QUICK: Final = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_people_keep_their_laws() -> None:
    """Some dozens of histories, the same ones every time."""
    run_state_machine_as_test(People, settings=QUICK)


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_people_keep_their_laws_for_long() -> None:
    """Thousands of histories, other ones every time."""
    run_state_machine_as_test(
        People, settings=settings(QUICK, max_examples=1_500, stateful_step_count=60, derandomize=False)
    )
