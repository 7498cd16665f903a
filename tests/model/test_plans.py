"""Plans under people, freezes, faults and deaths in any order: what was brought down stays, and no step is early."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from graysplit import Control
from graysplit.codec import read_snapshot
from graysplit.control.steps import Step
from graysplit.core.entry import Entry
from graysplit.core.freeze import FREEZES, frozen
from graysplit.core.plan.plan import Plan, parse_plan
from graysplit.core.plan.progress import GAP_MS
from graysplit.core.weights import format_weight, parse_weight, share
from graysplit.errors import GraysplitError
from graysplit.stores.text.freezes import read_freezes
from graysplit.stores.text.records import read_progress
from tests.clocks import MovedClock
from tests.model.member import Member
from tests.model.world import Store

SPLIT: Final = "checkout"
FIELD: Final = "checkout/new"
PERSON: Final = "ann"
TURN_S: Final = 0.5

LADDERS: Final = (
    (Step(5, 10), Step(20, 10), Step(50, 10), Step(100)),
    (Step(20, approve=True), Step(50, approve=True), Step(100)),
    (Step(1, 0), Step(10, 3), Step(100)),
    (Step(20, 5, approve=True, max_wait=60, overdue="rollback"), Step(60)),
    (Step(20, 5, approve=True, max_wait=30), Step(60, 40), Step(90)),
    (Step(30, until="safe"), Step(60)),
)


rarely = st.sampled_from((True, False))


class Plans(RuleBasedStateMachine):
    """One split, its plans, and everything that can come between two steps."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.clock = MovedClock()
        self.store = Store(self.clock)
        self.control = Control(self.store, actor=PERSON, confirm=True)
        self.members: list[Member] = []
        self.born = 0
        self.away = False  # whether the store can be reached
        self.ceiling = 0  # what may stand at most: what a person last brought about, or a step after it
        self.read_to = 0  # how many entries of the history have been judged
        self.taken: set[tuple[str, int]] = set()
        self.approved: set[tuple[str, int]] = set()
        self.driven_s = 0.0  # since the last step or start, not counting what stood in the way
        self.run = ""
        self.freezes = self.faults = self.hands = False

    @initialize(old=st.booleans(), freezes=rarely, faults=rarely, hands=rarely)
    def begin(self, old: bool, freezes: bool, faults: bool, hands: bool) -> None:
        """Make a split and a fleet of two, and choose what comes between: with all at once no plan ever steps."""
        self.freezes, self.faults, self.hands = freezes, faults, hands
        self.control.create(SPLIT, ("old", "new"))
        self.birth(old=False)
        self.birth(old=old)
        self.judge()

    # -- time ---------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((3, 7, 12, 25)))
    def pass_some_time(self, seconds: float) -> None:
        """Let more time pass: a step or two may be due in it."""
        self.pass_time(seconds)

    @rule(seconds=st.sampled_from((0.5, 1, 7, 45)))
    def pass_time(self, seconds: float) -> None:
        """Let time pass, half a second at a time."""
        for _ in range(int(seconds / TURN_S)):
            clear = self.clear()
            self.clock.now += TURN_S
            if clear and self.clear():
                self.driven_s += TURN_S
            self.turn()

    def turn(self) -> None:
        """Let everybody live who can."""
        if self.away:
            return
        for member in self.members:
            if not member.stopped:
                member.live()
                self.judge()

    def clear(self) -> bool:
        """Return whether nothing stands in the way of a plan's clock."""
        progress = read_progress(self.store._space.text("plans", SPLIT))
        return not self.away and not self.is_frozen() and (progress is None or progress.paused is None)

    def is_frozen(self) -> bool:
        """Return whether a freeze stands."""
        freezes = read_freezes(self.store._space.text("meta", FREEZES))
        return frozen(freezes, SPLIT, self.store._space.now_ms()) is not None

    def may_begin(self) -> bool:
        """Return whether a plan is likely to be begun: over one that runs only where hands are busy."""
        return not self.away and (self.hands or self.store._space.text("meta", f"plan:{SPLIT}") is None)

    # -- people -------------------------------------------------------------------------------------------------------

    @contextmanager
    def person(self) -> Generator[None]:
        """Let a person act: what stands after it is their will."""
        self.clock.now += 0.001
        with suppress(GraysplitError):
            yield
        self.ceiling = self.in_force()
        self.judge()

    @precondition(lambda self: self.may_begin())
    @rule(steps=st.sampled_from(LADDERS), bake=st.sampled_from((0, 20)))
    def ramp(self, steps: tuple[Step, ...], bake: int) -> None:
        """Start a plan."""
        with self.person():
            self.control.ramp(SPLIT, steps, bake=bake)

    @precondition(lambda self: self.may_begin())
    @rule()
    def ramp_again(self) -> None:
        """Start the last plan once more."""
        with self.person():
            self.control.ramp(SPLIT)

    @precondition(lambda self: not self.away)
    @rule(twice=rarely)
    def approve(self, twice: bool) -> None:
        """Say yes to what waits now."""
        with self.person():
            progress = read_progress(self.store._space.text("plans", SPLIT))
            ahead = self.plan().steps[progress.step + 1 :] if progress is not None else ()
            step = format_weight(ahead[0].weight) if ahead else None
            self.control.approve(SPLIT, step)
            assert progress is not None
            self.approved.add((progress.run, progress.step))
            if twice:
                assert not self.control.approve(SPLIT, step).change

    @precondition(lambda self: not self.away)
    @rule(verb=st.sampled_from(("pause", "resume")))
    def stop_the_clock(self, verb: str) -> None:
        """Pause a plan, or let it run on."""
        with self.person():
            act: Callable[[str], object] = getattr(self.control, verb)
            act(SPLIT)

    @precondition(lambda self: self.freezes and not self.away and (self.is_frozen() or not self.may_begin()))
    @rule(pattern=st.sampled_from(("*", "checkout", "check*", "other")), for_s=st.sampled_from((None, 5.0, 0.5)))
    def freeze_or_thaw(self, pattern: str, for_s: float | None) -> None:
        """Have nothing rise, or end all freezes."""
        split_state = read_freezes(self.store._space.text("meta", FREEZES)) if self.is_frozen() else ()
        for freeze in split_state:
            with self.person():
                self.control.unfreeze(freeze.pattern)
        if not split_state:
            with self.person():
                self.control.freeze(pattern, for_=for_s)

    @precondition(lambda self: self.hands and not self.away)
    @rule(weight=st.sampled_from(("0", "3", "20", "50", "100")), for_s=st.sampled_from((None, None, 4.0)))
    def set_weight(self, weight: str, for_s: float | None) -> None:
        """Set the weight by the command, perhaps for a time."""
        with self.person():
            self.control.set(SPLIT, weight, for_=for_s, unstop=True, replace=True)

    @precondition(lambda self: self.hands and not self.away)
    @rule(aim=st.sampled_from((SPLIT, FIELD, "*")))
    def roll_back(self, aim: str) -> None:
        """Go back."""
        finished = self.store._space.text("meta", f"finished:{SPLIT}")
        with self.person():
            self.control.rollback(aim)
        assert self.in_force() == 0 or (aim == "*" and finished)

    @precondition(lambda self: self.hands and not self.away)
    @rule(force=st.booleans())
    def undo(self, force: bool) -> None:
        """Make the inverse of the last change, whoever made it."""
        if self.control.history(SPLIT, 1)[0].cause == "create":
            return
        with self.person():
            self.control.undo(SPLIT, force=force, unstop=True, replace=True)

    @precondition(lambda self: self.hands and not self.away)
    @rule(weight=st.sampled_from((b"0", b"", b"5", b"20", b"50", b"100", b"20.0", b"garbage")))
    def edit_by_hand(self, weight: bytes) -> None:
        """Edit the weight past graysplit."""
        with self.person():
            self.store.raw_set("weights", FIELD, weight)

    @precondition(lambda self: self.hands and not self.away)
    @rule(stop=st.sampled_from((SPLIT, FIELD, "*")), there=st.booleans())
    def stop_by_hand(self, stop: str, there: bool) -> None:
        """Set a stop past graysplit, or take it away."""
        with self.person():
            if there:
                self.store.raw_set("stops", stop, "by hand")
            else:
                self.store.raw_delete("stops", stop)

    @precondition(lambda self: self.hands and not self.away)
    @rule()
    def finish(self) -> None:
        """Say that the release is over."""
        with self.person():
            self.control.finish(SPLIT, at=self.in_force() / 1_000)

    # -- faults -------------------------------------------------------------------------------------------------------

    @rule(old=st.booleans())
    @precondition(lambda self: len(self.members) < 4)
    def birth(self, old: bool) -> None:
        """Start a process."""
        self.born += 1
        self.members.append(Member(self.store, self.clock, self.born, old=old))

    @precondition(lambda self: self.faults and self.members)
    @rule(which=st.integers(0, 3))
    def death(self, which: int) -> None:
        """Kill a process: it says no goodbye."""
        self.members.pop(which % len(self.members))

    @precondition(lambda self: self.faults and self.members)
    @rule(which=st.integers(0, 3))
    def stop_or_go_on(self, which: int) -> None:
        """Let a process hang, or go on with all it held then."""
        member = self.members[which % len(self.members)]
        member.stopped = not member.stopped

    @precondition(lambda self: self.faults)
    @rule(seconds=st.sampled_from((1, 20, 60)), anew=st.booleans())
    def outage(self, seconds: int, anew: bool) -> None:
        """Put the store out of reach for a time; it may have started anew."""
        self.away = True
        self.pass_time(seconds)
        self.away = False
        if seconds <= GAP_MS / 1000 and self.clear():
            self.driven_s += seconds  # so short a gap between two ticks counts as driven
        if anew:
            self.store._space.run_id += "+"
        for member in self.members:
            member.driver.connected()
        self.turn()

    @precondition(lambda self: self.faults and not self.away)
    @rule()
    def lose_plans(self) -> None:
        """Evict the plans' progress: nobody drives by what is not there."""
        self.store.raw_drop("plans")

    # -- laws ---------------------------------------------------------------------------------------------------------

    def in_force(self) -> int:
        """Return the buckets that the candidate owns by the store's word."""
        split_state = read_snapshot(self.store.load())[0].splits[SPLIT]
        return share(split_state.in_force("new"))

    def judge(self) -> None:
        """Judge every entry of the history that has come since the last look."""
        entries = [entry for _, entry in self.store._space.log]
        for entry in entries[self.read_to :]:
            self.judge_entry(entry)
        self.read_to = len(entries)

    def judge_entry(self, entry: Entry) -> None:
        """Judge one entry: nobody but a person and a plan raises."""
        if entry.cause == "ramp":
            mark = entry.after.get(f"meta plan:{SPLIT}") or ""
            self.run, self.driven_s = mark.partition(" ")[0], 0.0
        elif entry.cause == "step":
            self.judge_step(entry)
        elif entry.actor != PERSON and entry.cause != "edited outside":
            before, after = entry.before.get(f"weights {FIELD}"), entry.after.get(f"weights {FIELD}")
            assert _number(after) <= _number(before), f"{entry.cause} raises"

    def judge_step(self, entry: Entry) -> None:
        """Hold a step to its laws: once, after the one before, its gates open, and nothing in its way."""
        plan = self.plan()
        number = int(entry.why.split()[1]) - 1
        assert self.run, "a step without a plan"
        assert (self.run, number) not in self.taken, "a step is taken twice"
        self.taken.add((self.run, number))
        weight = parse_weight(entry.after[f"weights {FIELD}"] or "")
        assert weight == plan.steps[number].weight
        assert entry.before[f"weights {FIELD}"] == format_weight(plan.steps[number - 1].weight)
        assert not self.is_frozen(), "a step is taken in a freeze"
        gate = plan.steps[number - 1]
        assert self.driven_s >= (gate.after_s or 0), f"{self.driven_s} s of {gate.after_s} s were driven"
        assert not gate.approve or (self.run, number - 1) in self.approved, "nobody has approved it"
        assert gate.until is None, "nobody has said that it is safe"
        self.driven_s = 0.0
        self.ceiling = max(self.ceiling, share(weight))

    def plan(self) -> Plan:
        """Return the plan as it stands in the split's record."""
        definition = read_snapshot(self.store.load())[0].splits[SPLIT].definition
        return parse_plan(definition.plan or {})

    @invariant()
    def nothing_stands_above_what_was_wished(self) -> None:
        """Hold what a person brought down: only a person, or a step of the plan that runs, goes higher."""
        if self.members:
            assert self.in_force() <= self.ceiling


def _number(text: str | None) -> int:
    with suppress(GraysplitError):
        return share(parse_weight(text or "0"))
    return 0


def test_plans_keep_their_laws() -> None:
    """A few hundred histories, the same ones every time."""
    run_state_machine_as_test(
        Plans,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_plans_keep_their_laws_for_long() -> None:
    """Thousands of histories, other ones every time."""
    run_state_machine_as_test(
        Plans,
        settings=settings(
            max_examples=1_500, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
