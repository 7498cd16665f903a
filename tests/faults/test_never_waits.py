"""A decision never waits for the server, whatever the server does, and calls no socket; nor does time make it doubt."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NamedTuple

import pytest
from benchmarks.propagation import waiting
from benchmarks.report import Row

import graysplit
from graysplit import embedded
from tests.clocks import ShiftedClock
from tests.faults.proxy import Proxy
from tests.faults.shares import share
from tests.support import eventually

DAY_S = 24 * 3_600.0
MILLION = 1_000_000
SOCKETS = ("socket", "_socket", "select", "selectors", "ssl", "_ssl", "hiredis", "redis")


class Scene(NamedTuple):
    """A server, a proxy before it, an operator, and a router at 30 % with a clock that can be moved."""

    server: embedded.Server
    proxy: Proxy
    control: graysplit.Control
    router: graysplit.Router
    clock: ShiftedClock

    def lost(self) -> None:
        """Wait until the loss of contact is noticed."""
        eventually(lambda: self.router.status().mode == "lost", 10)


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Return the scene."""
    clock = ShiftedClock()
    with (
        embedded.server() as server,
        Proxy(server.port) as proxy,
        graysplit.Control(server.url, confirm=True) as control,
    ):
        control.create("checkout")
        control.set("checkout", 30)
        with graysplit.Router(proxy.url(server.url), clock=clock) as router:
            assert router.wait_ready(20)
            yield Scene(server, proxy, control, router, clock)


def digest(router: graysplit.Router, count: int) -> str:
    """Decide for so many units, and return all answers as one."""
    answers = "".join(router.choose("checkout", f"user-{number}")[0] for number in range(count))
    return hashlib.sha256(answers.encode()).hexdigest()


def socket_calls(decide: Callable[[], object]) -> tuple[set[str], int]:
    """Return the names of socket functions that a thread calls while it decides, and the number of all calls."""
    found: set[str] = set()
    calls = 0

    def see(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1
        if event == "c_call":
            owner = getattr(argument, "__self__", None)
            module = getattr(argument, "__module__", None) or type(owner).__module__
        else:
            module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] in SOCKETS:
            found.add(f"{module} {getattr(argument, '__name__', frame.f_code.co_name)}")

    sys.setprofile(see)  # of this thread alone: the follower's thread talks, as it should
    try:
        decide()
    finally:
        sys.setprofile(None)
    return found, calls


def test_the_profile_sees_a_socket(scene: Scene) -> None:
    """What the next test looks for can be found: a status of a store that is asked shows up."""
    found, _ = socket_calls(scene.control.overview)
    assert any(name.startswith(("_socket", "socket")) for name in found)


def test_a_million_decisions_call_no_socket(scene: Scene) -> None:
    """With the server up, stopped and behind a black hole: 1,000,000 decisions, 0 socket calls."""
    choose = scene.router.choose
    units = [f"user-{number}" for number in range(1_000)]

    def decide(times: int) -> None:
        for _ in range(times // len(units)):
            for unit in units:
                choose("checkout", unit)

    for state, begin in (("up", lambda: None), ("stopped", scene.server.pause), ("black hole", scene.proxy.blackhole)):
        scene.server.resume()
        begin()
        if state != "up":
            scene.lost()
        times = MILLION * 2 // 5 if state == "up" else MILLION * 3 // 10
        found, calls = socket_calls(lambda times=times: decide(times))  # type: ignore[misc]
        assert not found, (state, found)
        assert calls > times  # it was looking


def test_the_slowest_decisions_are_as_fast_with_the_server_stopped(
    record_property: Callable[[str, object], None],
) -> None:
    """The slowest of a thousand: the goal is 1.5 times the healthy one; a busy machine gets room, waiting gets none.

    What waits for a server does so each time; what a neighbour on the machine takes it takes of one measurement.
    """

    def slow() -> list[Row]:
        found = waiting.rows(waiting.measure(60_000, 2))
        for row in found:
            record_property(row.case, round(row.value, 2))
        return [row for row in found if row.value >= (6 if row.goal else 1_000_000)]

    doubts: list[Row] = []
    for _ in range(3):
        doubts = slow()
        if not doubts:
            break
    assert not doubts


def test_an_outage_of_a_day_changes_no_decision(scene: Scene) -> None:
    """Twenty-four hours without the server: every decision as before, stale and its age said; live again when it is."""
    before = digest(scene.router, 100_000)
    scene.proxy.refuse()
    scene.lost()
    for _ in range(24):
        scene.clock.ahead_s += DAY_S / 24
        eventually(lambda: scene.router.status().stale)
        assert share(scene.router) == 30
    assert digest(scene.router, 100_000) == before
    assert eventually(lambda: scene.router.decide("checkout", "user-1").stale)  # told with the thread's next turn
    assert (scene.router.status().age_s or 0) >= DAY_S
    scene.proxy.heal()
    eventually(lambda: not scene.router.decide("checkout", "user-1").stale, 10)
    scene.control.set("checkout", 40)
    eventually(lambda: share(scene.router) == 40)


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_a_wall_clock_that_jumps_changes_nothing(scene: Scene, jump_s: float) -> None:
    """A day forward or back: contact stays, nothing is stale, changes arrive, the process stays counted."""
    router = scene.router
    since = router.status().revision
    for weight in (40, 0, 50):
        scene.clock.jumped_s += jump_s
        scene.control.set("checkout", weight)
        eventually(lambda weight=weight: share(router) == weight)  # type: ignore[misc]
        status = router.status()
        assert (status.mode, status.stale, status.held) == ("tracking", False, {})
    assert router.status().revision > since
    assert len(scene.control.fleet().live) == 1


@pytest.mark.parametrize("drift", [1.1])
def test_a_clock_that_runs_wrong_makes_nothing_stale(scene: Scene, drift: float) -> None:
    """A tenth too fast: no doubt about a server that answers, for longer than staleness takes."""
    scene.clock.drift = drift
    ending = threading.Event()
    while not ending.wait(0.25):
        status = scene.router.status()
        assert (status.mode, status.stale) == ("tracking", False)
        if scene.clock.monotonic() - scene.clock._began > 3.5:
            ending.set()
    scene.control.set("checkout", 40)
    eventually(lambda: share(scene.router) == 40)
