"""What `wait` takes for the end of a plan, and what for another release."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from graysplit.control import Control
from graysplit.control.steps import Step
from graysplit.control.wait import Waited
from graysplit.core.replica.record import Load
from graysplit.errors import BadWeightError, RefusedError, StoreCorruptError, StoreUnreachableError, UnknownSplitError
from graysplit.stores.memory import MemoryStore
from tests.control.driving import World
from tests.support import eventually

STEPS = (Step(5, 0), Step(20))


class Waiting:
    """A wait in a thread of its own."""

    def __init__(self, control: Control, *, until: str, within_s: float = 30.0, target: str = "checkout") -> None:
        """Begin to wait."""
        self.told: list[str] = []
        self.found: Waited | None = None
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(control, target, until, within_s), daemon=True)
        self._thread.start()

    def _run(self, control: Control, target: str, until: str, within_s: float) -> None:
        try:
            self.found = control.wait_until(target, until, within_s, self.told.append)
        except Exception as fault:
            self.fault = fault
            if not isinstance(fault, StoreUnreachableError | StoreCorruptError):
                raise

    def end(self) -> Waited:
        """Return how it ended."""
        self._thread.join(20)
        assert self.found is not None, self.fault
        return self.found

    @property
    def runs(self) -> bool:
        """Return whether it still waits."""
        return self._thread.is_alive()


class Wire(MemoryStore):
    """A store that can be out of reach, or empty, for a while."""

    reason = ""
    empty: Load | None = None
    asked = 0

    def load(self) -> Load:
        """Read, or fail."""
        self.asked += 1
        if self.reason:
            raise StoreUnreachableError("memory", self.reason)
        return self.empty or super().load()


@pytest.fixture
def world() -> World:
    """Return a world in which one process drives when it is asked to."""
    return World()


def test_a_plan_that_comes_to_its_end_is_done(world: World) -> None:
    """It is waited for through its steps; asked again later the answer is the same."""
    world.control.ramp("checkout", (*STEPS[:-1], replace(STEPS[-1], after=0), Step(50)), bake=30)
    waiting = Waiting(world.control, until="done")
    world.pass_s(25.0)
    assert waiting.runs
    world.pass_s(30.0)
    assert (waiting.end().outcome, waiting.end().why) == ("met", "its plan is done, at 50%")
    assert world.control.wait_until("checkout", "done").outcome == "met"


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda world: world.control.rollback("checkout"), "stopped by checkout"),
        (lambda world: world.store.raw_set("stops", "checkout/new", "x"), "stopped by checkout/new"),
        (lambda world: world.control.set("checkout", 0), "checkout/new fell to zero"),
        (lambda world: world.control.set("checkout", 7), "its plan was ended at 7%, before its last step 20%"),
        (
            lambda world: world.control.set("checkout", 5, replace=True),
            "its plan was ended at 5%, before its last step 20%",
        ),
        (lambda world: world.store.raw_set("weights", "checkout/new", "9"), "its plan is over: 9 % is in force"),
    ],
)
def test_a_plan_that_ends_otherwise_ends_the_wait_at_once(
    world: World, act: Callable[[World], object], why: str
) -> None:
    """Rolled back, stopped, set or finished early: it will not come, and the reason is said."""
    world.control.ramp("checkout", (Step(5, approve=True), Step(20)))
    waiting = Waiting(world.control, until="done")
    eventually(lambda: waiting.runs)
    act(world)
    found = waiting.end()
    assert found.outcome == "undone"
    assert found.why.startswith(why)


def test_rolled_back_before_anybody_waited_is_undone_too(world: World) -> None:
    """A pipeline that comes late is not kept waiting, whatever it waits for but zero."""
    world.control.ramp("checkout", STEPS)
    world.control.rollback("checkout")
    world.turn()
    for until in ("done", "20"):
        assert world.control.wait_until("checkout", until).outcome == "undone"
    for until in ("confirmed", "0"):
        assert world.control.wait_until("checkout", until).outcome == "met"


def test_another_release_is_not_the_one_that_was_waited_for(world: World) -> None:
    """Rolled back and started again between two looks, it is not taken for the first one's success."""
    world.control.ramp("checkout", (Step(5, approve=True), Step(20)))
    with _between_looks(world) as meanwhile:
        waiting = Waiting(world.control, until="done")
        meanwhile()
        world.control.rollback("checkout")
        world.control.set("checkout", 20, unstop=True)
    assert (waiting.end().outcome, waiting.end().why) == ("undone", "another release has begun in the meantime")


def test_a_weight_is_waited_for_until_everybody_shows_it(world: World) -> None:
    """Written is not enough; a process that lags keeps it waiting."""
    world.control.set("checkout", 5)
    world.turn()
    waiting = Waiting(world.control, until="20%")
    world.control.set("checkout", 20)
    assert world.control.wait_until("checkout", "20", 0.0).outcome == "late"
    assert waiting.runs
    world.turn()
    assert (waiting.end().outcome, waiting.end().receipts.complete) == ("met", True)


def test_confirmed_is_undone_by_a_stop_that_comes_meanwhile(world: World) -> None:
    """What was to be confirmed is not what stands any more; a stop that stood before is what is confirmed."""
    world.control.set("checkout", 20)
    waiting = Waiting(world.control, until="confirmed")
    eventually(lambda: waiting.runs)
    world.control.rollback("checkout")
    assert waiting.end().outcome == "undone"


def test_the_time_over_is_late_with_what_it_waits_for(world: World) -> None:
    """The plan is handed over, so that it can be said what is missing."""
    world.control.ramp("checkout", (Step(5, approve=True), Step(20)))
    world.pass_s(20.0)
    found = world.control.wait_until("checkout", "done", 0.0)
    assert found.outcome == "late"
    assert found.plan is not None
    assert found.plan.state == "waits"


def test_what_nobody_can_wait_for_is_refused(world: World) -> None:
    """No verdict without a guard, no end without a plan, no weight that is none, no split that is unknown."""
    with pytest.raises(RefusedError, match="has no guard"):
        world.control.wait_until("checkout", "safe")
    with pytest.raises(RefusedError, match="no plan of 'checkout' has run"):
        world.control.wait_until("checkout", "done")
    with pytest.raises(BadWeightError):
        world.control.wait_until("checkout", "soon")
    with pytest.raises(UnknownSplitError):
        world.control.wait_until("chekout", "done")


def test_an_outage_in_between_is_told_once_and_outlived() -> None:
    """Also an answer without anything in it, as of a server that has come back empty (law 8)."""
    store = Wire()
    control = Control(store)
    control.create("checkout", ["old", "new"])
    control.set("checkout", 5)
    waiting = Waiting(control, until="20")
    eventually(lambda: store.asked > 3)
    store.reason = "connection refused"
    before = store.asked
    eventually(lambda: store.asked > before + 2)
    store.empty, store.reason = MemoryStore().load(), ""
    before = store.asked
    eventually(lambda: store.asked > before + 2)
    store.empty = None
    eventually(lambda: len(waiting.told) == 2)
    control.set("checkout", 20)
    assert waiting.end().why == ""
    assert waiting.told == ["no contact to the store, still waiting: connection refused", "contact to the store again"]


def test_an_outage_to_the_end_is_unreachable() -> None:
    """Only when the time is over; but who was never reached is told at once."""
    store = Wire()
    control = Control(store)
    control.create("checkout", ["old", "new"])
    waiting = Waiting(control, until="20", within_s=2.0)
    eventually(lambda: store.asked > 3)
    store.reason = "connection refused"
    with suppress(AssertionError):
        waiting.end()
    assert isinstance(waiting.fault, StoreUnreachableError)
    with pytest.raises(StoreUnreachableError):
        control.wait_until("checkout", "20", 60.0)


@contextmanager
def _between_looks(world: World) -> Iterator[Callable[[], None]]:
    """Keep a wait from looking while something is done; `meanwhile` returns once it has looked for the first time."""
    looked, go_on = threading.Event(), threading.Event()
    fleet = world.store.fleet

    def once_then_hold() -> object:
        found = fleet()
        if threading.current_thread() is not threading.main_thread():
            looked.set()
            go_on.wait(10)
        return found

    world.store.fleet = once_then_hold  # type: ignore[method-assign]
    try:
        yield lambda: eventually(looked.is_set)  # type: ignore[misc]
    finally:
        world.store.fleet = fleet  # type: ignore[method-assign]
        go_on.set()
