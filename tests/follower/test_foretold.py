"""What `simulate` foretells is what the driver does, within a second for each step."""

from __future__ import annotations

from random import Random

import pytest

from graysplit import Control, Router
from graysplit.control.steps import Step
from graysplit.core.weights import FULL, format_weight
from graysplit.stores.memory import MemoryStore
from tests.follower.test_plan_driver import Stage

PLANS = 50
CONFIRM_S = 0.25  # a turn of the processes here
WITHIN_MS = 1_000


def drawn(chance: Random) -> tuple[Step, ...]:
    """Draw the steps of a plan whose gates are times, some of them none at all."""
    weights = sorted(chance.sample(range(1, FULL), chance.randint(2, 5)))
    return tuple(
        Step(format_weight(weight), chance.choice((0, chance.randint(1, 12_000) / 1_000))) for weight in weights
    )


@pytest.mark.parametrize("guard", [False, True], ids=["unwatched", "watched"])
def test_fifty_plans_go_as_they_were_foretold(guard: bool) -> None:
    """The times between steps and to the end of the bake, as the plan's own forecast gave them at its start."""
    chance, stage = Random(12 + guard), Stage()
    stage.join()
    stage.after(1)
    for number in range(PLANS // 2):
        split = f"split-{number}"
        stage.control.create(split)
        stage.after(1)
        steps, bake_s = drawn(chance), chance.choice((0.0, chance.randint(1, 5_000) / 1_000))
        stage.control.ramp(split, steps, bake=bake_s, guard=guard)
        found = stage.control.simulate(split, confirm_after=CONFIRM_S)
        assert found.runs
        foretold = [step.at_ms for step in found.forecast.steps] + [found.forecast.end.at_ms] * bool(bake_s)
        stage.after((foretold[-1] - foretold[0]) / 1_000 + len(steps) + 2)
        entries = stage.control.history(split, 50)[::-1]
        taken = [one.at_ms for one in entries if one.cause in {"ramp", "step", "plan over"}]
        assert len(taken) == len(foretold), (steps, bake_s, [one.cause for one in entries])
        for i in range(1, len(taken)):
            off_ms = (taken[i] - taken[i - 1]) - (foretold[i] - foretold[i - 1])
            assert abs(off_ms) <= WITHIN_MS, (steps, bake_s, i, off_ms)


def test_real_plans_go_as_they_were_foretold() -> None:
    """Three with short spans side by side, on the real clock, with a follower's thread."""
    store = MemoryStore()
    plans = {
        "a": (Step(5, 0.3), Step(20, 0), Step(50, 0.7), Step(100)),
        "b": (Step(12.5, 1.1), Step(25)),
        "c": (Step(1, 0), Step(2, 0.4), Step(3)),
    }
    with Control(store, actor="ada", confirm=True) as control, Router(store) as router:
        for split in plans:
            control.create(split)
            router.split(split, "old", "new")
        assert router.wait_ready()
        foretold = {}
        for split, steps in plans.items():
            control.ramp(split, steps, guard=False)
            foretold[split] = [step.at_ms for step in control.simulate(split, confirm_after=CONFIRM_S).forecast.steps]
        for split, steps in plans.items():
            assert control.wait_until(split, "done", 30).outcome == "met"
            taken = [one.at_ms for one in control.history(split, 20)[::-1] if one.cause in {"ramp", "step"}]
            off_ms = [
                (taken[i] - taken[i - 1]) - (foretold[split][i] - foretold[split][i - 1]) for i in range(1, len(taken))
            ]
            assert len(taken) == len(steps)
            assert all(abs(off) <= WITHIN_MS for off in off_ms), off_ms
