"""Who steps a plan, when, and what the step rests on; by hand, with a clock that is moved.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pytest

from graysplit import Control
from graysplit.control.steps import Step
from graysplit.core.plan.plan import BadPlanError
from graysplit.core.waves import parse_wave
from graysplit.errors import RefusedError
from graysplit.stores.text.records import read_tick
from tests.clocks import MovedClock
from tests.model.member import Member
from tests.model.world import Process, Store

QUICK: Final = (Step(5, 10), Step(20, 10), Step(50))


class Stage:
    """A store, a person, and processes that live when told to."""

    def __init__(self) -> None:
        """Begin with a split at zero."""
        self.clock = MovedClock()
        self.store = Store(self.clock)
        self.control = Control(self.store, actor="ann", confirm=True)
        self.members: list[Member] = []

    def join(self, *, old: bool = False) -> Member:
        """Add a process."""
        member = Member(self.store, self.clock, len(self.members) + 1, old=old)
        self.members.append(member)
        member.live()
        return member

    def after(self, seconds: float, members: list[Member] | None = None) -> None:
        """Let time pass, and these live meanwhile."""
        for _ in range(int(seconds * 4)):
            self.clock.now += 0.25
            for member in self.members if members is None else members:
                member.live()

    def steps(self) -> list[str]:
        """Return the reasons of the entries that took steps, oldest first."""
        return [entry.why for entry in reversed(self.control.history("checkout", 500)) if entry.cause == "step"]


@pytest.fixture
def stage() -> Stage:
    """Return a stage with a split of two versions."""
    made = Stage()
    made.control.create("checkout", ("old", "new"))
    return made


def test_a_plan_is_stepped_to_its_end_once(stage: Stage) -> None:
    """Three processes, one entry for each step, and nothing is left of the plan."""
    for _ in range(3):
        stage.join()
    stage.control.ramp("checkout", QUICK)
    stage.after(40)
    assert stage.steps() == ["step 2 of 3", "step 3 of 3"]
    load = stage.store.load()
    assert load.weights.fields[b"checkout/new"] == b"50"
    assert not load.plans.fields
    assert b"plan:checkout" not in load.meta.fields


def test_whoever_drove_last_goes_on_and_another_steps_in_when_it_dies(stage: Stage) -> None:
    """The tick names the driver; it changes only when that one has been silent."""
    first, second = stage.join(), stage.join()
    stage.control.ramp("checkout", (Step(5, 600), Step(50)))
    stage.after(10)
    driver = read_tick(stage.store._space.text("plans", "tick:checkout")).driver
    assert driver in {first.boot, second.boot}
    stage.after(20)
    assert read_tick(stage.store._space.text("plans", "tick:checkout")).driver == driver
    other = second if driver == first.boot else first
    stage.after(8, [other])
    assert read_tick(stage.store._space.text("plans", "tick:checkout")).driver == other.boot


def test_an_older_library_leaves_a_plan_alone(stage: Stage) -> None:
    """It does not know the plan's gates; the next newer process drives (timeline 24)."""
    old = stage.join(old=True)
    stage.control.ramp("checkout", QUICK)
    stage.after(60, [old])
    assert stage.steps() == []
    stage.join()
    stage.after(40)
    assert stage.steps() == ["step 2 of 3", "step 3 of 3"]


def test_a_newer_plan_is_not_driven_and_survives_an_editor(stage: Stage) -> None:
    """`needs` above what is known: nobody steps, and a pin made by this library leaves the plan as it was."""
    stage.join()
    stage.control.ramp("checkout", QUICK)
    raw = stage.store._space.text("splits", "checkout") or ""
    stage.store.raw_set("splits", "checkout", raw.replace('"steps"', '"needs": 3, "shape": "s", "steps"'))
    stage.after(60)
    assert stage.steps() == []
    stage.control.pin("checkout", "ana", "new")
    assert '"needs": 3, "shape": "s"' in (stage.store._space.text("splits", "checkout") or "")


ENDS: Final[Mapping[str, Callable[[Stage], object]]] = {
    "set": lambda stage: stage.control.set("checkout", 7),
    "the same weight, to end it": lambda stage: stage.control.set("checkout", 5, replace=True),
    "rollback": lambda stage: stage.control.rollback("checkout"),
    "rollback of the candidate": lambda stage: stage.control.rollback("checkout/new"),
    "rollback of everything": lambda stage: stage.control.rollback("*"),
    "a raw weight": lambda stage: stage.store.raw_set("weights", "checkout/new", "9"),
    "a raw zero": lambda stage: stage.store.raw_set("weights", "checkout/new", "0"),
    "a raw stop": lambda stage: stage.store.raw_set("stops", "checkout", "by hand"),
    "undo": lambda stage: stage.control.undo("checkout"),
    "a lost progress": lambda stage: stage.store.raw_drop("plans"),
}


@pytest.mark.parametrize("act", list(ENDS.values()), ids=list(ENDS))
def test_a_plan_never_goes_on_after_this(stage: Stage, act: Callable[[Stage], object]) -> None:
    """A person's word ends it, however they said it."""
    stage.join()
    stage.control.ramp("checkout", QUICK)
    stage.after(5)
    act(stage)
    stage.after(120)
    assert stage.steps() == []


def three_ways(stage: Stage, steps: tuple[Step, ...], beside: float) -> None:
    """Have a plan of `c` run beside `b`."""
    stage.control.create("ranking", ("a", "b", "c"))
    stage.join()
    stage.control.set("ranking/b", beside)
    stage.control.ramp("ranking/c", steps, guard=False)


STOPS: Final[Mapping[str, tuple[Callable[[Stage], object], str]]] = {
    "rollback": (lambda stage: stage.control.rollback("ranking/b", why="prices"), "was stopped by ann: prices"),
    "a raw stop": (lambda stage: stage.store.raw_set("stops", "ranking/b", "by hand"), "was stopped"),
}


@pytest.mark.parametrize(("act", "said"), list(STOPS.values()), ids=list(STOPS))
def test_a_stop_of_another_candidate_pauses_the_plan(stage: Stage, act: Callable[[Stage], object], said: str) -> None:
    """Nothing of the split rises until a person has looked: it stands, says why, calls once, and goes on with a yes."""
    three_ways(stage, QUICK, 50)
    stage.after(5)
    act(stage)
    stage.after(60)
    assert stage.store.load().weights.fields[b"ranking/c"] == b"5"
    found = stage.control.show("ranking").plan
    assert found is not None
    assert (found.state, found.why.startswith("paused by plan:ramp for ")) == ("stands", True)
    assert found.why.endswith(f"ranking/b {said}")
    calls = [entry for entry in stage.control.history("ranking", 50) if entry.cause == "waiting"]
    assert [(one.actor, one.why) for one in calls] == [
        ("plan:ramp", f"paused: ranking/b {said}. Go on with: graysplit resume ranking")
    ]
    stage.control.resume("ranking")
    stage.after(40)
    assert stage.store.load().weights.fields[b"ranking/c"] == b"50"


def test_a_candidate_that_a_person_lowers_pauses_nobody(stage: Stage) -> None:
    """A weight of zero that somebody has set is no stop."""
    three_ways(stage, QUICK, 50)
    stage.after(5)
    stage.control.set("ranking/b", 0)
    stage.after(40)
    assert stage.store.load().weights.fields[b"ranking/c"] == b"50"


def test_a_stop_that_stood_when_the_plan_began_pauses_nobody(stage: Stage) -> None:
    """It was seen by whoever started it."""
    stage.control.create("ranking", ("a", "b", "c"))
    stage.join()
    stage.control.set("ranking/b", 50)
    stage.control.rollback("ranking/b")
    stage.control.ramp("ranking/c", QUICK)
    stage.after(40)
    assert stage.store.load().weights.fields[b"ranking/c"] == b"50"


def test_room_that_comes_late_is_not_jumped_into(stage: Stage) -> None:
    """Whoever makes room lets the step's own time begin: it does not count what stood in the way."""
    three_ways(stage, (Step(40, 30), Step(90)), 5)
    stage.after(5)
    stage.control.set("ranking/b", 50)
    stage.after(120)
    found = stage.control.show("ranking").plan
    assert found is not None
    assert (found.state, found.why) == ("stands", "for room: with 90 % all weights would be over 100 %")
    stage.control.set("ranking/b", 0)
    stage.after(20)
    assert stage.store.load().weights.fields[b"ranking/c"] == b"40"
    stage.after(12)
    assert stage.store.load().weights.fields[b"ranking/c"] == b"90"


def test_steps_that_never_fit_are_refused(stage: Stage) -> None:
    """It names them, what stands beside, and what fits; nothing is written."""
    stage.control.create("ranking", ("a", "b", "c"))
    stage.control.set("ranking/b", 50)
    with pytest.raises(RefusedError, match=r"no room for 90 and 100 % of ranking/c beside ranking/b at 50 %"):
        stage.control.ramp("ranking/c", (Step(40, 1), Step(90, 1), Step(100)))
    assert stage.control.show("ranking").plan is None


def test_a_wait_shorter_than_its_gate_is_refused(stage: Stage) -> None:
    """It would be over before the gate could open; one of the same length is none too short."""
    with pytest.raises(BadPlanError, match=r"1m would be over before the 10m at 5 % end: use more than 10m"):
        stage.control.ramp("checkout", (Step(5, 600, max_wait=60), Step(20)))
    stage.control.ramp("checkout", (Step(5, 600, max_wait=600), Step(20)))


def test_the_thaw_of_a_weekend_rolls_nothing_back(stage: Stage) -> None:
    """`max_wait` stands still through a freeze and a pause, as the plan's clock does."""
    stage.join()
    steps = (Step(5, approve=True, max_wait=30, overdue="rollback"), Step(20))
    stage.control.ramp("checkout", steps)
    stage.after(10)
    stage.control.freeze("checkout", why="weekend")
    stage.after(60)
    stage.control.pause("checkout")
    stage.control.unfreeze("checkout")
    stage.after(60)
    stage.control.resume("checkout")
    stage.after(10)
    assert stage.store.load().weights.fields[b"checkout/new"] == b"5"
    stage.after(20)
    assert stage.store.load().weights.fields[b"checkout/new"] == b"0"
    assert "waited too long 31 s for approval of step 2" in stage.control.history("checkout", 1)[0].why


def test_hosts_cross_with_the_steps_of_a_plan(stage: Stage) -> None:
    """Rolling by instance: each step records its wave in the same change."""
    stage.control.create("render", ("old", "new"), by="instance")
    for _ in range(4):
        stage.join()
    stage.after(1)
    stage.control.ramp("render", (Step(25, 5), Step(60, 5), Step(100)))
    sizes = []
    for _ in range(60):
        stage.after(1)
        wave = parse_wave(stage.store._space.text("meta", "wave:render/new") or "")
        assert wave is not None
        sizes.append(len(wave.at))
    assert sorted(set(sizes)) == [1, 3, 4]


def calls(stage: Stage) -> list[str]:
    """Return why people were called, oldest first."""
    return [entry.why for entry in reversed(stage.control.history("checkout", 500)) if entry.cause == "waiting"]


def test_a_person_is_asked_once_for_each_step_when_nothing_else_is_missing(stage: Stage) -> None:
    """Not before the step's time is over, not while it is paused, and by one of the processes alone."""
    stage.join()
    stage.join()
    stage.control.ramp("checkout", (Step(5, 20, approve=True), Step(20, approve=True), Step(50)), guard=False)
    stage.after(15)
    assert calls(stage) == []
    stage.control.pause("checkout")
    stage.after(60)
    assert calls(stage) == []
    stage.control.resume("checkout")
    stage.after(60)
    assert calls(stage) == ["for approval of step 2 (20 %)"]
    stage.control.approve("checkout", 20)
    stage.after(60)
    assert calls(stage) == ["for approval of step 2 (20 %)", "for approval of step 3 (50 %)"]
    stage.control.approve("checkout", 50)
    stage.after(60)
    assert len(calls(stage)) == 2


def test_a_yes_that_is_there_already_is_not_asked_for(stage: Stage) -> None:
    """Given before the step's other gates were open."""
    stage.join()
    stage.control.ramp("checkout", (Step(5, 20, approve=True), Step(20)), guard=False)
    stage.after(5)
    stage.control.approve("checkout", 20)
    stage.after(60)
    assert (calls(stage), len(stage.steps())) == ([], 1)


def test_an_undo_goes_past_what_was_only_noted(stage: Stage) -> None:
    """A step is reverted although its plan has called for a person since."""
    stage.join()
    stage.control.ramp("checkout", (Step(5, 10), Step(20, approve=True), Step(50)), guard=False)
    stage.after(60)
    assert stage.control.history("checkout")[0].cause == "waiting"
    stage.control.undo("checkout")
    assert stage.store.load().weights.fields[b"checkout/new"] == b"5"


def test_a_late_approval_calls_again_once_and_another_goes_back(stage: Stage) -> None:
    """`max_wait` tells it in the history once more; with `rollback` everybody is at the baseline."""
    stage.join()
    stage.control.ramp("checkout", (Step(5, approve=True, max_wait=20), Step(50)))
    stage.after(60)
    asked, again = calls(stage)
    assert again.endswith(asked)
    late = Step(7, approve=True, max_wait=20, overdue="rollback")
    stage.control.ramp("checkout", (late, Step(50)))
    stage.after(60)
    assert Process(stage.store, stage.clock).read() is not None
    assert stage.control.show("checkout").rows[0].effective == "0"
    entry = stage.control.history("checkout", 1)[0]
    assert (entry.cause, entry.actor) == ("rollback", "plan:ramp")
    assert "waited too long" in entry.why
    assert entry.ended_plans == ("checkout",)
    assert {**entry.before, "meta plan:checkout": ""} == {
        "stops checkout/new": None,
        "weights checkout/new": "7",
        "meta plan:checkout": "",
    }
    assert stage.store.load().weights.fields[b"checkout/new"] == b"0"
    assert entry.after["weights checkout/new"] == "0"
