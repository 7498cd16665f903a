"""What a plan waits for, in words: time, a person, a verdict, the fleet, a pause or a freeze."""

from __future__ import annotations

import json

import pytest

from graysplit.control.plan.awaited import Awaited
from graysplit.control.steps import Step
from graysplit.core.plan.plan import SAFE
from graysplit.words.plan import gate_lines, plan_json, plan_lines, plan_words
from tests.control.driving import World
from tests.control.processes import live

STEPS = (Step(5, 60), Step(20, 90, approve=True), Step(50, 30, SAFE), Step(80))


def plan_of(world: World) -> Awaited:
    """Return the plan that runs, as `show` and `list` both see it."""
    found = world.control.show("checkout").plan
    assert found is not None
    assert world.control.overview().plans == (found,)
    return found


def gates_of(found: Awaited) -> dict[str, bool]:
    """Return the gates, each with whether it is open."""
    return {gate.name: gate.open for gate in found.gates}


def test_time_alone_counts_down() -> None:
    """Step k of n, the next weight and the time until then; the label of who drives."""
    world = World()
    world.control.ramp("checkout", STEPS)
    world.pass_s(20.3)
    found = plan_of(world)
    assert (found.step, found.steps, found.weight, found.ahead, found.state) == (1, 4, "5", "20", "counts")
    assert found.left_ms == pytest.approx(40_000, abs=500)
    assert plan_words(found) == "step 1 of 4 (5%), next 20% in 40 s"
    assert (found.driven, found.driver) == (True, "web-1/101")
    world.pass_s(10.0)
    assert plan_words(plan_of(world)) == "step 1 of 4 (5%), next 20% in 30 s"


def test_a_person_is_waited_for_by_name_of_the_step() -> None:
    """While time is missing too, both are said; then for how long it waits, and that somebody said yes."""
    world = World()
    world.control.ramp("checkout", STEPS)
    world.pass_s(70.0)
    assert "more, then approve before 50%" in plan_words(plan_of(world))
    assert gates_of(plan_of(world)) == {"shown by all": True, "after 90s": False, "approve": False}
    world.pass_s(200.0)
    found = plan_of(world)
    assert found.state == "waits"
    assert plan_words(found) == "step 2 of 4 (20%), waiting 3 min 29 s for approval of step 3 (50 %)"
    assert gates_of(found) == {"shown by all": True, "after 90s": True, "approve": False}
    world.control.approve("checkout", 50)
    assert plan_words(plan_of(world)) == "step 2 of 4 (20%), next 50% is due"
    assert "approve       open     by ada@lab" in gate_lines(plan_of(world))


def test_a_verdict_is_waited_for_and_said() -> None:
    """Without a guard nobody can give one, and that is the reason."""
    world = World()
    world.control.ramp("checkout", (Step(50, 0, SAFE), Step(80)))
    world.pass_s(20.0)
    assert "for the verdict safe (now unclear: no guard watches it)" in plan_words(plan_of(world))
    assert gates_of(plan_of(world)) == {"shown by all": True, "until safe": False}


def test_the_fleet_is_waited_for_by_name() -> None:
    """Who does not show the step's weight yet is named, and no other gate is judged open before."""
    world = World()
    world.control.ramp("checkout", STEPS)
    live(world.store, 7)
    world.pass_s(0.5)
    found = plan_of(world)
    assert plan_words(found) == "step 1 of 4 (5%), waiting for 1 of 2 processes (web-7/107) to show 5 %"
    assert (found.state, found.left_ms, found.gates[0].open) == ("waits", None, False)
    assert gates_of(found) == {"shown by all": False, "after 1m": False}


def test_a_pause_and_a_freeze_stand_before_all_else() -> None:
    """By whom, for how long and why; the gates are told as they are beneath."""
    world = World()
    world.control.ramp("checkout", STEPS)
    world.pass_s(20.0)
    world.control.pause("checkout", why="lunch")
    world.pass_s(180.0)
    found = plan_of(world)
    assert (found.state, plan_words(found)) == ("stands", "step 1 of 4 (5%), paused by ada@lab for 3 min: lunch")
    assert found.left_ms == pytest.approx(40_000, abs=500)
    assert gates_of(found) == {"shown by all": True, "after 1m": False}
    world.control.resume("checkout")
    world.control.freeze("check*", why="Black Friday")
    world.pass_s(60.0)
    found = plan_of(world)
    assert (found.state, plan_words(found)) == ("stands", "step 1 of 4 (5%), frozen by ada@lab: Black Friday")
    assert found.left_ms == pytest.approx(40_000, abs=1_500)


def test_where_nobody_drives_the_way_out_is_said() -> None:
    """Half a minute without a tick is no driver: the plan stands, and the command that drives is named."""
    world = World()
    world.control.ramp("checkout", STEPS)
    world.pass_s(20.0)
    world.pass_s(29.0, drives=False)
    assert plan_of(world).driven
    world.pass_s(120.0, drives=False)
    found = plan_of(world)
    assert not found.driven
    assert found.left_ms == pytest.approx(40_000, abs=1_500)
    assert plan_lines(found)[1].startswith("no driver: no process has driven it for 2 min 2")
    assert plan_lines(found)[1].endswith("Run: graysplit drive")


def test_room_is_a_gate_where_other_candidates_take_it() -> None:
    """A step that would lead above 100 % in all stands, and says for what."""
    world = World()
    world.control.create("ranking", ["a", "b", "c"])
    world.control.ramp("ranking/b", (Step(20, 0), Step(50)))
    world.control.set("ranking", weights={"c": 60})
    found = world.control.show("ranking").plan
    assert found is not None
    assert gates_of(found) == {"shown by all": False, "room": False}


def test_the_bake_is_counted_and_then_nothing_is_said() -> None:
    """After the last step the time left is the bake's; a plan that is over is no plan."""
    world = World()
    world.control.ramp("checkout", (Step(50, 0), Step(100)), bake=100, allow_needless=True)
    world.pass_s(31.0)
    found = plan_of(world)
    assert (found.state, found.step, found.ahead) == ("bakes", 2, None)
    assert plan_words(found).startswith("step 2 of 2 (100%), baking for 1 min ")
    assert gates_of(found) == {"shown by all": True, "bake 100s": False}
    world.pass_s(100.0)
    assert world.control.show("checkout").plan is None
    assert world.control.overview().plans == ()


def test_a_plan_whose_weight_went_is_not_told_though_nobody_has_ended_it() -> None:
    """Another weight in force, or a stop set by a process, is the end of it: nothing waits any more."""
    world = World()
    world.control.ramp("checkout", STEPS)
    world.store.raw_set("weights", "checkout/new", "7")
    assert world.control.show("checkout").plan is None
    world.store.raw_set("weights", "checkout/new", "5")
    assert world.control.show("checkout").plan is not None
    world.store.raw_set("stops", "checkout", "by hand")
    assert world.control.show("checkout").plan is None


def test_a_plan_that_needs_more_says_so() -> None:
    """An older library names what it lacks, and still says where the plan stands and whether somebody drives it."""
    world = World()
    world.control.ramp("checkout", STEPS)
    record = json.loads(world.store.load().splits.fields[b"checkout"])
    record["plan"]["needs"] = 3
    world.store.raw_set("splits", "checkout", json.dumps(record))
    found = plan_of(world)
    assert (found.state, found.step, found.weight) == ("unread", 1, "5")
    assert plan_words(found).startswith("step 1 (5%), not understood by this graysplit (needs: 3 is newer")


def test_scripts_get_all_of_it() -> None:
    """Numbers are numbers, and everything is JSON."""
    world = World()
    world.control.ramp("checkout", STEPS)
    world.pass_s(20.3)
    found = json.loads(json.dumps(plan_json(plan_of(world))))
    assert (found["step"], found["steps"], found["weight"], found["ahead"]) == (1, 4, 5, 20)
    assert found["gates"][1] == {"name": "after 1m", "open": False, "why": "40 s more"}
