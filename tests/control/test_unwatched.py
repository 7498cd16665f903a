"""Who starts a bake or a switch at 100 % is told what nobody watches; the default plan bakes with a control."""

from __future__ import annotations

from graysplit import Control
from graysplit.core.plan import Step
from graysplit.core.weights import FULL
from graysplit.stores.memory import MemoryStore
from tests.control.processes import live

BLIND = "at 100 % has no control: nobody is on old to compare new with"


def made() -> tuple[MemoryStore, Control]:
    """Give a store with a split, a live process, and a hand on it."""
    store = MemoryStore()
    control = Control(store, actor="ada", confirm=True)
    control.create("checkout")
    live(store)
    return store, control


def test_the_default_plan_bakes_at_95_with_a_control() -> None:
    """Nothing is said to be unwatched, for nothing is; `bake_s` is the time of that step."""
    _, control = made()
    found = control.simulate("checkout", bake_s=60)
    assert [(step.weight, step.after_s) for step in found.plan.steps[2:]] == [(95_000, 60), (FULL, None)]
    assert not any(BLIND in note for note in control.ramp("checkout", dry_run=True).notes)


def test_a_bake_at_100_says_that_nobody_watches_it() -> None:
    """In the receipt and its JSON; one below 100 % has its control."""
    _, control = made()
    steps = (Step(50_000, 60), Step(FULL))
    notes = control.ramp("checkout", steps, bake_s=60, dry_run=True).notes
    assert next(note for note in notes if BLIND in note).startswith("the bake at 100 %")
    below = (Step(50_000, 60), Step(95_000))
    for plan, bake_s in ((below, 60.0), (steps, 0.0)):
        assert not any(BLIND in note for note in control.ramp("checkout", plan, bake_s=bake_s, dry_run=True).notes)


def test_a_switch_says_that_nobody_watches_it() -> None:
    """The way to look and the way back beside it; the way back itself says nothing."""
    _, control = made()
    for dry_run in (True, False):
        notes = control.switch("checkout", to="new", dry_run=dry_run).notes
        assert len(notes) == 1
        assert notes[0].startswith(f"checkout/new {BLIND}")
        assert notes[0].endswith("graysplit watch checkout; back at once: graysplit rollback checkout")
    assert control.switch("checkout", to="old").notes == ()
