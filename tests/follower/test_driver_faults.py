"""What a driver meets seldom: a fleet that was down, a clock that goes back, a bad tick, a namespace of many splits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graysplit import Control, Router
from graysplit.control.steps import Step
from graysplit.follower import recent_changes
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock
from tests.model.member import Member
from tests.model.world import Store
from tests.support import eventually

SPLIT = "checkout"
APPROVED = (Step(20, approve=True), Step(50, approve=True), Step(100))


@pytest.fixture
def server() -> MovedClock:
    """Return the server's clock, which may jump."""
    return MovedClock()


@pytest.fixture
def store(server: MovedClock) -> Store:
    """Return a store by that clock."""
    return Store(server)


@pytest.fixture
def control(store: Store) -> Control:
    """Return an operator with a split."""
    control = Control(store, actor="ann", confirm=True)
    control.create(SPLIT, ("old", "new"))
    return control


@pytest.fixture
def live(control: Control, store: Store, server: MovedClock) -> Callable[[float], None]:
    """Return a process that lives for so many seconds."""
    clock = MovedClock()
    member = Member(store, clock, 1, old=False)

    def live(seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            server.now += 0.5
            clock.now += 0.5
            member.live()

    live(1)
    return live


def steps(control: Control) -> list[str]:
    """Return what the plan's own entries say, the oldest first."""
    return [entry.why for entry in reversed(control.history(SPLIT)) if entry.cause == "step"]


def test_a_step_that_was_approved_while_nobody_drove_is_taken(
    control: Control, server: MovedClock, live: Callable[[float], None]
) -> None:
    """The fleet was down for minutes, the clock is taken up again, and then the step comes: once."""
    control.ramp(SPLIT, APPROVED)
    live(5)
    server.now += 300
    control.approve(SPLIT)
    live(5)
    assert steps(control) == ["step 2 of 3"]
    assert control.show(SPLIT).rows[0].effective == "50"


@pytest.mark.parametrize("jump_s", [-86_400, -3_600, 3_600, 86_400])
def test_f23_a_server_clock_that_jumps_brings_no_step(
    control: Control, server: MovedClock, live: Callable[[float], None], jump_s: int
) -> None:
    """The time it jumped over is not counted, forward or back, and what was driven before it is not lost."""
    control.ramp(SPLIT, (Step(20, after=20), Step(50)))
    live(10)
    server.now += jump_s
    live(9)
    assert steps(control) == []
    live(12)
    assert steps(control) == ["step 2 of 2"]


def test_a_tick_that_is_no_tick_begins_anew(control: Control, store: Store, live: Callable[[float], None]) -> None:
    """Whatever somebody wrote there: the clock begins at zero, and the plan goes on."""
    control.ramp(SPLIT, (Step(20, after=5), Step(50)))
    live(3)
    store.raw_set("plans", f"tick:{SPLIT}", "9" * 5_000 + " 1 1 boot")
    live(4)
    assert steps(control) == []
    live(4)
    assert steps(control) == ["step 2 of 2"]


def test_a_process_born_into_many_splits_shows_those_with_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receipt names the fields that changed last, and a plan's beside them: else it would wait for it for ever."""
    monkeypatch.setattr(recent_changes, "REMEMBERED", 1)
    store = MemoryStore()
    control = Control(store, actor="ann", confirm=True)
    names = ["a", "b", "c"]
    for name in names:
        control.create(name)
        control.ramp(name, APPROVED)
    with Router(store) as router:
        assert router.wait_ready()

        def shown() -> bool:
            effects = store.fleet().processes[0].receipt.effects
            assert {field: effect.weight for field, effect in effects.items()} == {
                f"{name}/new": "20" for name in names
            }
            return True

        eventually(shown, 10, message="all plans in the receipt")
