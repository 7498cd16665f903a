"""Arming and disarming a guard: what is written, and where there is nothing to watch."""

from __future__ import annotations

import json

import pytest

from graysplit.control import Control
from graysplit.control.operator import Question
from graysplit.control.steps import Step
from graysplit.core.fleet import Declared
from graysplit.core.guard.settings import BadGuardError, Guard, parse_guard
from graysplit.errors import RefusedError, UnknownSplitError
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock
from tests.control.measured import clock, control, store
from tests.control.processes import CHECKOUT, MEASURED, live

__all__ = ["clock", "control", "store"]  # fixtures

STEPS = (Step(5, approve=True), Step(20))


def guard_of(control: Control, split: str = "checkout") -> Guard | None:
    """Return the guard that stands."""
    definition = control.show(split).definition
    assert definition is not None
    return None if definition.guard is None else parse_guard(definition.guard)


def test_arming_writes_who_when_and_what(control: Control) -> None:
    """One change of its own cause, which moves nobody; the record says what was named and no more."""
    result = control.guard("checkout", slow="500ms", stop_on=["DataLoss"], why="first release")
    assert (result.cause, result.moves, result.moved) == ("guard", {}, 0)
    assert result.notes == ("rolls back when worse, slow above 0.5s, stops on DataLoss",)
    assert guard_of(control) == Guard(slow_s=0.5, stop_on=("DataLoss",), at_ms=result.at_ms, by="ada")
    last = control.history("checkout", 1)[0]
    assert (last.cause, last.actor, last.why) == ("guard", "ada", "first release")
    said = json.loads(last.after["splits checkout"] or "")["guard"]
    assert said == {"action": "rollback", "slow": "0.5s", "stop_on": ["DataLoss"], "at": result.at_ms, "by": "ada"}


def test_arming_again_changes_only_what_is_named(control: Control) -> None:
    """The rest stands as it did; where nothing differs, nothing is written."""
    control.guard("checkout", slow=0.5, ignore=["ClientError"], sensitivity="strict")
    before = guard_of(control)
    control.guard("checkout", action="pause", every_call=True)
    after = guard_of(control)
    assert before is not None
    assert after is not None
    assert after._replace(at_ms=0) == before._replace(action="pause", every_call=True, at_ms=0)
    again = control.guard("checkout", action="pause", slow="500ms")
    assert (again.change, again.notes) == ("", ("checkout: armed already",))
    assert [entry.cause for entry in control.history("checkout")] == ["guard", "guard", "create"]


def test_the_deadline_belongs_to_the_guard(control: Control) -> None:
    """A span or seconds; "off" is none; the record leaves the usual one out; what is not named stays."""
    said = control.guard("checkout", deadline="2m")
    assert "deadline 2m" in said.notes[0]
    control.guard("checkout", slow="1s")
    found = guard_of(control)
    assert found is not None
    assert found.deadline_s == 120
    assert "no deadline" in control.guard("checkout", deadline="off").notes[0]
    found = guard_of(control)
    assert found is not None
    assert found.deadline_s is None
    assert json.loads(control.history("checkout", 1)[0].after["splits checkout"] or "")["guard"]["deadline"] == "off"
    control.guard("checkout", deadline=30)
    assert "deadline" not in json.loads(control.history("checkout", 1)[0].after["splits checkout"] or "")["guard"]
    for wrong in ("0s", 0.5, "11m", "soon"):
        with pytest.raises(BadGuardError, match="deadline"):
            control.guard("checkout", deadline=wrong)


def test_a_value_that_makes_no_guard_is_refused(control: Control) -> None:
    """Before anything is written."""
    with pytest.raises(BadGuardError, match="slow"):
        control.guard("checkout", slow=0)
    assert guard_of(control) is None


@pytest.mark.parametrize("declared", [CHECKOUT, {}, {"search": Declared("old", ("old", "new"), measured=True)}])
def test_nothing_to_watch_is_refused(control: Control, store: MemoryStore, declared: dict[str, Declared]) -> None:
    """Where live processes declare the split and none measures it, or where none of them declares it."""
    live(store, declared=declared)
    with pytest.raises(RefusedError) as refused:
        control.guard("checkout")
    assert str(refused.value).startswith("'checkout': no routed call, no attempt: nothing to watch.")
    assert "graysplit fleet" in str(refused.value)
    live(store, 2, declared=MEASURED)
    assert control.guard("checkout").change


def test_one_who_measures_is_enough(control: Control, store: MemoryStore) -> None:
    """Beside others of the fleet that only ask."""
    live(store, 2, declared=CHECKOUT)
    assert control.guard("checkout").change


def test_with_nobody_live_it_is_armed_and_said() -> None:
    """Who comes later finds it armed."""
    control = Control(MemoryStore(), actor="ada", confirm=True)
    control.create("checkout")
    assert control.guard("checkout").notes[-1] == "no process follows yet"
    assert guard_of(control) is not None


def test_a_split_that_only_code_knows_is_made(store: MemoryStore) -> None:
    """As `set` and `ramp` do; one that nobody knows is no split."""
    live(store, declared=MEASURED)
    control = Control(store, actor="ada", confirm=True)
    assert control.guard("checkout").created == ("old", "new")
    assert guard_of(control) is not None
    with pytest.raises(UnknownSplitError):
        control.guard("chekout")


def test_arming_is_no_raise(control: Control) -> None:
    """It is free during a freeze, and on a protected split without a reason, whatever weight stands."""
    control.set("checkout", 20)
    control.protect("checkout")
    control.freeze("*")
    assert control.guard("checkout").change
    assert control.show("checkout").rows[0].effective == "20"


def test_a_dry_run_arms_nothing(control: Control) -> None:
    """It says what would stand."""
    assert control.guard("checkout", action="warn", dry_run=True).notes == ("warns when worse",)
    assert guard_of(control) is None


def test_disarming_asks_for_the_name(store: MemoryStore, control: Control) -> None:
    """The question names the split and what it costs; the cause is one of its own."""
    control.guard("checkout")
    asked: list[tuple[str, str | None]] = []

    def agree(question: Question) -> None:
        asked.append((question.target, question.ask))

    Control(store, actor="eve", confirm=agree).unguard("checkout")
    assert asked == [("checkout", "this removes the guard of 'checkout'")]
    assert guard_of(control) is None
    assert control.history("checkout", 1)[0].cause == "guard off"
    with pytest.raises(RefusedError, match="'checkout' has no guard"):
        control.unguard("checkout")


def test_a_protected_split_keeps_its_guard_without_a_reason(control: Control) -> None:
    """Arming is free, off wants to know why."""
    control.protect("checkout")
    control.guard("checkout")
    with pytest.raises(RefusedError, match="is protected, and this removes its guard"):
        control.unguard("checkout")
    assert control.unguard("checkout", why="ticket 4711", confirm="checkout").change


def test_a_guard_of_a_newer_library_is_left_alone(store: MemoryStore, control: Control) -> None:
    """It is not written over; taking it away is always possible."""
    control.guard("checkout")
    written = control.history("checkout", 1)[0].after["splits checkout"] or ""
    store.raw_set("splits", "checkout", written.replace('"action"', '"sense"'))
    with pytest.raises(RefusedError, match="graysplit unguard"):
        control.guard("checkout", action="warn")
    shown = control.show("checkout").guard
    assert shown is not None
    assert "sense" in shown.fault
    control.unguard("checkout", confirm="checkout")
    assert guard_of(control) is None


def test_doctor_names_a_guard_that_does_not_watch(control: Control, store: MemoryStore) -> None:
    """Armed, and nothing to watch any more; or not understood here."""
    control.guard("checkout")

    def said() -> list[str]:
        return [found.what for found in control.doctor() if found.where == "guard of checkout"]

    assert said() == []
    live(store, declared=CHECKOUT)
    assert said() == ["it is armed, but no routed call, no attempt: nothing to watch"]
    written = control.history("checkout", 1)[0].after["splits checkout"] or ""
    store.raw_set("splits", "checkout", written.replace('"action"', '"sense"'))
    assert "sense" in said()[0]


def test_undo_takes_the_guard_back(control: Control) -> None:
    """Byte for byte, as any change of the definition."""
    control.guard("checkout", action="warn")
    control.guard("checkout", action="pause")
    control.undo("checkout")
    found = guard_of(control)
    assert found is not None
    assert found.action == "warn"


def test_a_ramp_arms_the_guard(control: Control) -> None:
    """In the same change as the plan, with its defaults, and says so."""
    result = control.ramp("checkout", STEPS)
    assert "guard armed: rolls back when worse" in result.notes
    assert guard_of(control) == Guard(at_ms=result.at_ms, by="ada")
    assert [entry.cause for entry in control.history("checkout")] == ["ramp", "create"]


def test_a_ramp_leaves_a_guard_that_stands(control: Control) -> None:
    """Whatever it was told."""
    control.guard("checkout", action="warn")
    before = guard_of(control)
    result = control.ramp("checkout", STEPS)
    assert not any("guard" in note for note in result.notes)
    assert guard_of(control) == before


def test_a_ramp_may_go_without(control: Control) -> None:
    """Where it is told to."""
    assert not any("guard" in note for note in control.ramp("checkout", STEPS, guard=False).notes)
    assert guard_of(control) is None


def test_a_ramp_goes_on_where_nothing_is_measured(control: Control, store: MemoryStore) -> None:
    """And says so: nobody should believe in a guard that sees nothing."""
    live(store, declared=CHECKOUT)
    result = control.ramp("checkout", STEPS)
    assert "no guard: no routed call, no attempt, nothing to watch" in result.notes
    assert result.to == "5"
    assert guard_of(control) is None


def test_a_ramp_that_asks_writes_what_was_shown(store: MemoryStore, control: Control, clock: MovedClock) -> None:
    """Time passes while a person thinks; the plan's and the guard's own times are no difference."""
    control.protect("checkout")

    def agree(_: Question) -> None:
        clock.now += 3

    result = Control(store, actor="ada", confirm=agree).ramp("checkout", STEPS, why="ticket 4711")
    assert (result.to, guard_of(control) is not None) == ("5", True)
