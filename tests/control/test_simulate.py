"""What `simulate` foretells, against what the driver then does."""

from __future__ import annotations

import pytest

from graysplit.control import Control
from graysplit.control.steps import Step
from graysplit.core.plan.plan import SAFE
from graysplit.core.weights import format_weight
from graysplit.errors import RefusedError, UnknownSplitError
from graysplit.stores.memory import MemoryStore
from tests.control.driving import World

UNITS = [f"u-{number}".encode() for number in range(500)]
STEPS = (Step(5, 60), Step(20, 90, approve=True), Step(50, 30, SAFE), Step(80))


def test_what_was_foretold_is_what_the_driver_then_does() -> None:
    """The real driver takes each step at the foretold second; what waits for nobody is on time to the tick."""
    world = World({"checkout": "safe"})
    steps = (Step(5, 60), Step(20, 600), Step(50, 30, SAFE), Step(80))
    world.control.ramp("checkout", steps, bake=120)
    world.pass_s(20.0)
    foretold = world.control.simulate("checkout")
    assert foretold.runs
    world.pass_s(900.0, tick_s=0.2)
    taken = world.steps()
    ahead = foretold.forecast.steps[1:]
    assert [weight for weight, _ in taken] == [format_weight(step.weight) for step in ahead]
    for number, ((_, at_ms), step) in enumerate(zip(taken, ahead, strict=True), 1):
        assert 0 <= at_ms - step.at_ms <= 1_000 * number  # each step is seen a tick late, and confirmed after it
    over = world.control.history("checkout", 1)[0]
    assert (over.cause, foretold.forecast.end.outcome) == ("plan over", "done")
    assert 0 <= over.at_ms - foretold.forecast.end.at_ms <= 5_000


def test_what_follows_a_wait_is_counted_from_it() -> None:
    """Approved an hour late, everything after comes an hour later than foretold, and no more."""
    world = World({"checkout": "safe"})
    world.control.ramp("checkout", STEPS)
    foretold = world.control.simulate("checkout")
    assert [len(step.waits) for step in foretold.forecast.steps] == [0, 0, 1, 2]
    world.pass_s(200.0)
    assert [weight for weight, _ in world.steps()] == ["20"]
    late_ms = world.now_ms - foretold.forecast.steps[2].at_ms
    world.control.approve("checkout")
    world.pass_s(60.0)
    (_, at_ms) = world.steps()[-1]
    assert 0 <= at_ms - (foretold.forecast.steps[3].at_ms + late_ms) <= 2_000


def test_with_steps_it_is_a_plan_that_would_start_now() -> None:
    """Nothing is written, whatever runs; it begins at the first step that lowers nothing."""
    world = World()
    world.control.set("checkout", 10)
    before = world.store.load()
    found = world.control.simulate("checkout", STEPS, confirm_after=2.0)
    assert world.store.load() == before
    assert (found.runs, found.forecast.steps[0].step, found.forecast.steps[0].at_ms) == (False, 1, world.now_ms)
    assert found.forecast.steps[1].at_ms == world.now_ms + 92_000
    assert [moves.buckets for moves in found.moves] == [10_000, 30_000, 30_000]


def test_units_are_counted_as_they_will_be_decided() -> None:
    """At each step exactly those are on the candidate whom `explain` would send there; pins count from the first."""
    world = World()
    for unit in ("u-1", "u-2"):
        world.control.pin("checkout", unit)
    world.control.pin("checkout", "u-3", deny=True)
    found = world.control.simulate("checkout", (Step(5, 0), Step(40, 0), Step(100)), units=lambda: UNITS)
    assert found.units == len(UNITS)
    on = 0
    for step, moves in zip(found.forecast.steps, found.moves, strict=True):
        world.control.set("checkout", step.weight / 1000, allow_needless=True)
        world.turn(drives=False)  # until then the one live process answers as before, and `explain` says so
        decided = [world.control.explain("checkout", unit.decode()).version for unit in UNITS]
        assert moves.on == decided.count("new")
        assert moves.units == moves.on - on
        on = moves.on
    assert on == len(UNITS) - 1  # the denied one


def test_a_freeze_is_said_and_a_refusal_is_the_plans_own() -> None:
    """What could not start now says so; above every step it is refused as `ramp` is."""
    world = World()
    world.control.freeze("checkout", why="Black Friday")
    assert "Black Friday" in "".join(world.control.simulate("checkout", STEPS).notes)
    world.control.unfreeze("checkout")
    world.control.set("checkout", 90)
    with pytest.raises(RefusedError, match="never lowers"):
        world.control.simulate("checkout", STEPS)


def test_an_unknown_split_is_no_plan() -> None:
    """It is an error with its own exit code."""
    with pytest.raises(UnknownSplitError):
        Control(MemoryStore(), confirm=True).simulate("checkout")
