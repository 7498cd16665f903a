"""Who starts a bake or a switch at 100 % is told what nobody watches; the default plan bakes with a control."""

from __future__ import annotations

from graysplit import Control
from graysplit.control.operator import operator_of
from graysplit.control.steps import Step
from graysplit.core.weights import FULL
from graysplit.stores.memory import MemoryStore
from graysplit.words.result import result_json
from tests.control.judged import judged
from tests.control.measured import clock, control, store
from tests.control.processes import live

__all__ = ["clock", "control", "store"]

BLIND = "at 100 % has no control: nobody is on old for a comparison with new"


def made() -> tuple[MemoryStore, Control]:
    """Return a store with a split, a live process, and a hand on it."""
    store = MemoryStore()
    control = Control(store, actor="ada", confirm=True)
    control.create("checkout")
    live(store)
    return store, control


def test_the_default_plan_bakes_at_95_with_a_control() -> None:
    """Nothing is said to be unwatched, for nothing is; `bake_s` is the time of that step."""
    _, control = made()
    found = control.simulate("checkout", bake=60)
    assert [(step.weight, step.after_s) for step in found.plan.steps[2:]] == [(95_000, 60), (FULL, None)]
    assert not any(BLIND in note for note in control.ramp("checkout", dry_run=True).notes)


def test_a_bake_at_100_says_that_nobody_watches_it() -> None:
    """In the receipt and its JSON; one below 100 % has its control."""
    _, control = made()
    steps = (Step(50, 60), Step(100))
    notes = control.ramp("checkout", steps, bake=60, dry_run=True).notes
    assert next(note for note in notes if BLIND in note).startswith("the bake at 100 %")
    below = (Step(50, 60), Step(95))
    for plan, bake_s in ((below, 60.0), (steps, 0.0)):
        assert not any(BLIND in note for note in control.ramp("checkout", plan, bake=bake_s, dry_run=True).notes)


def test_a_switch_says_that_nobody_watches_it() -> None:
    """The way to look and the way back beside it; the way back itself says nothing."""
    _, control = made()
    for dry_run in (True, False):
        notes = control.switch("checkout", to="new", dry_run=dry_run).notes
        assert len(notes) == 1
        assert notes[0].startswith(f"checkout/new {BLIND}")
        assert notes[0].endswith("graysplit watch checkout; to roll back: graysplit rollback checkout")
    assert control.switch("checkout", to="old").notes == ()


def test_what_is_not_watched_is_a_field_of_the_result_and_of_its_json() -> None:
    """Whoever leaves nobody on the baseline is told, by whatever verb; who lowers, or stays below, is not."""
    _, control = made()
    for result in (control.set("checkout", 100, dry_run=True), control.ramp("checkout", [Step(100)], dry_run=True)):
        assert result.unwatched.startswith(f"checkout/new {BLIND}, and no guard is armed. Watch")
        assert result_json(result)["unwatched"] == result.unwatched == result.notes[-1]
    below = control.set("checkout", 99)
    assert (below.unwatched, result_json(below)["unwatched"]) == ("", None)
    unguarded = control.ramp("checkout", [Step(99, 60), Step(100)], guard=False, dry_run=True)
    assert "no guard is armed" in unguarded.unwatched
    assert control.set("checkout", 0).unwatched == ""


def test_a_guard_says_by_what_it_judges_where_nobody_is_left_to_compare_with(control: Control) -> None:
    """Nothing is known at a first switch; then what was counted beside any candidate within a day."""
    control.guard("checkout")
    said = "old's rate before is not known: for 6 h its guard warns once over half of the calls fail"
    assert said in control.switch("checkout", to="new", dry_run=True, confirm=True).unwatched
    control.set("checkout", 20)
    judged(operator_of(control).store, "unclear")
    known = control.switch("checkout", to="new", dry_run=True, confirm=True).unwatched
    assert "judges its errors only by the past (old before: 0.85 % of 1,408 calls): it warns above" in known
    assert "rolls back above" in known
    baked = control.ramp("checkout", [Step(100)], bake=60, dry_run=True, confirm=True).unwatched
    assert "it pauses its plan and warns above" in baked
    over = control.switch("checkout", to="new", over=60, dry_run=False, confirm=True, why="load")
    assert "For 6 h its guard judges it by old's rate in the steps before it only" in over.unwatched


def test_simulate_says_of_a_bake_what_ramp_says(control: Control) -> None:
    """With the guard that it would arm, before it starts and while it runs."""
    steps = (Step(50, 60), Step(100))
    foretold = control.simulate("checkout", steps, bake=60).notes
    assert foretold[0].startswith(f"the bake {BLIND}. For 6 h its guard judges it by old's rate in the steps before")
    assert control.ramp("checkout", steps, bake=60, confirm=True).unwatched == foretold[0]
    assert control.simulate("checkout").notes == foretold
