"""A process that stood still, one that leaves while it starts, and a server that answers with errors."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

import graysplit
from graysplit import embedded
from graysplit.clock import SystemClock
from graysplit.errors import StoreUnreachableError
from graysplit.follower import follower
from graysplit.follower.follower import LATE_S, Follower
from graysplit.follower.replica import Replica
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Feed
from tests.clocks import ShiftedClock
from tests.faults.followers import processes
from tests.support import eventually

STALE_S = 2  # counted anew from the end of the standstill it would take as long once more
SOON_S = 1.6  # a question that was on its way may wait for its answer for a second


def test_a_process_that_was_stopped_says_so_before_it_asks(
    server: embedded.Server, control: graysplit.Control, namespace: str
) -> None:
    """With `max_stale` over, it is at baseline from its first turn on, although its server does not answer."""
    control.create("checkout", max_stale=STALE_S)
    control.set("checkout", 100, confirm=True)
    with processes(1, server.url, namespace) as (one,):
        assert eventually(lambda: one.share() == 100)
        os.kill(one.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        server.pause()
        try:
            assert eventually(lambda: time.monotonic() - stopped > STALE_S + 0.3)
            os.kill(one.pid, signal.SIGCONT)
            went_on = time.monotonic()
            assert eventually(lambda: one.share() == 0)
            assert one.seen[-1].at - went_on < SOON_S
        finally:
            server.resume()
        assert eventually(lambda: one.share() == 100, 15)


class Slept(SystemClock):
    """A machine whose sleep the monotonic clock does not count."""

    slept_s = 0.0

    def boottime(self) -> float:
        """Return the time with the sleep."""
        return super().boottime() + self.slept_s


class Held(MemoryStore):
    """A store that tells what is asked of it, and can be made to hold its answers back."""

    def __init__(self) -> None:
        """Answer."""
        super().__init__()
        self.asked: list[str] = []
        self.ages: list[float | None] = []
        self.router: graysplit.Router | None = None

    def follow(self) -> Feed:
        """Return a feed that notes what a decision is while it is read."""
        feed = super().follow()
        load, store = feed.load, self

        def noting(since: str, *, whole: bool) -> object:
            if store.router is not None:
                store.asked.append(store.router.choose("checkout", "u"))
            return load(since, whole=whole)

        feed.load = noting  # type: ignore[method-assign, assignment] # on purpose
        return feed


def test_a_machine_that_slept_is_stale_until_it_has_read_again() -> None:
    """Its monotonic clock stood: the sleep is told by the other one, and all are at baseline before the reading."""
    store, clock = Held(), Slept()
    control = graysplit.Control(store)
    control.create("checkout", max_stale=60)
    control.set("checkout", 100, confirm=True)
    with graysplit.Router(store, clock=clock) as router:
        assert router.wait_ready(5)
        assert router.choose("checkout", "u") == "new"
        store.router = router
        clock.slept_s = 3_600.0
        assert eventually(lambda: store.asked)
        assert store.asked[0] == "old"
        assert eventually(lambda: router.choose("checkout", "u") == "new")


def test_a_decision_on_the_slow_path_looks_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread has not turned yet: a request is not sent to a version whose limit is over."""
    clock = ShiftedClock()
    store = MemoryStore()
    control = graysplit.Control(store)
    control.create("checkout", max_stale=60)
    control.set("checkout", 100, confirm=True)
    with graysplit.Router(store, clock=clock) as router:
        assert router.wait_ready(5)
        follower = router._lifecycle._follower
        assert follower is not None
        with monkeypatch.context() as patched:
            patched.setattr(router._lifecycle.states, "turn", lambda _now: False)  # the thread is late
            patched.setattr(router._lifecycle.states, "contact", lambda _contact: None)
            clock.ahead_s = 100.0
            with graysplit.context("u"):
                assert router.decide("checkout")[1:3] == ("old", "stale")
            assert router.status().stale
        assert eventually(lambda: router.decide("checkout", "u")[1:3] == ("new", "bucket"))


def test_the_work_on_a_large_reading_is_no_standstill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given seconds of work on what a process has read, then it asks what was lowered, and does not read anew."""
    clock, store = ShiftedClock(), MemoryStore()
    graysplit.Control(store).create("checkout")
    graysplit.Control(store).set("checkout", 100, confirm=True)
    take, late, done = Replica.apply, Follower._is_late, list[str]()

    def busy(self: Replica, *given: Any, **named: Any) -> object:  # Any: as they come
        taken = take(self, *given, **named)
        clock.ahead_s += LATE_S + 1
        done.append("taken")
        return taken

    def noted(self: Follower, feed: Feed) -> bool:
        found = late(self, feed)
        done.append("late" if found else "in time")
        return found

    monkeypatch.setattr(Replica, "apply", busy)
    monkeypatch.setattr(Follower, "_is_late", noted)
    with graysplit.Router(store, clock=clock) as router:
        assert router.wait_ready(5)
        assert eventually(lambda: len(done) > 2)
        assert done[:2] == ["taken", "in time"]


def test_a_stop_by_hand_that_a_look_finds_first_is_booked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a stop written between a reading and the look after it, then it holds and is in the history, too."""
    store, apply, done = MemoryStore(), Replica.apply, list[str]()
    graysplit.Control(store).create("checkout")
    graysplit.Control(store).set("checkout", 100, confirm=True)

    def behind(self: Replica, *given: Any, **named: Any) -> object:  # Any: as they come
        adopted = apply(self, *given, **named)
        if done == ["ready"]:
            done.append("stopped")
            with store._space.locked:
                store._space.put("stops", "checkout", "by-hand")
        return adopted

    monkeypatch.setattr(Replica, "apply", behind)
    monkeypatch.setattr(follower, "LOOK_S", 0.0)
    with graysplit.Router(store) as router:
        split = router.split("checkout", "old", "new")
        assert router.wait_ready(5)
        assert eventually(lambda: split.choose("u") == "new")
        own = router._lifecycle._follower
        assert own is not None
        assert eventually(lambda: own._books._book_at is None)  # what a start looks for is over
        done.append("ready")
        graysplit.Control(store).create("search")  # something to read
        assert eventually(lambda: split.choose("u") == "old")
        assert eventually(lambda: store.history("checkout", 1)[0].cause == "edited outside")


class Slow(MemoryStore):
    """A store whose connection takes as long as a test likes, and that counts who joins."""

    def __init__(self) -> None:
        """Begin far away."""
        super().__init__()
        self.steps: list[str] = []
        self.at = ""
        self.router: graysplit.Router | None = None

    def step(self, name: str) -> None:
        """Take a step, at one of which the process begins to leave."""
        self.steps.append(name)
        if name == self.at and self.router is not None:
            follower = self.router._lifecycle._follower
            assert follower is not None
            follower._stopping.set()

    def follow(self) -> Feed:
        """Connect."""
        assert eventually(lambda: self.router is None or self.router._lifecycle._follower is not None)
        self.step("follow")
        feed = super().follow()
        for name in ("report", "load", "leave"):
            setattr(feed, name, self._noting(name, getattr(feed, name)))
        return feed

    def _noting(self, name: str, act: object) -> object:
        def noting(*given: object, **named: object) -> object:
            self.step(name)
            return act(*given, **named)  # type: ignore[operator] # a method of the feed

        return noting


@pytest.mark.parametrize(
    ("at", "steps"),
    [
        ("follow", ["follow"]),
        ("report", ["follow", "report", "leave"]),
        ("load", ["follow", "report", "load", "leave"]),
    ],
)
def test_who_is_already_stopping_never_joins_the_fleet(at: str, steps: list[str]) -> None:
    """It connects and goes; who has joined already says goodbye next, and nobody is left in the fleet."""
    store = Slow()
    store.at = at
    store.router = router = graysplit.Router(store)
    router.start()
    follower = router._lifecycle._follower
    assert follower is not None
    assert follower._ended.wait(5)
    assert store.steps == steps
    assert graysplit.Control(store).fleet().processes == ()
    router.close()


class Refusing(MemoryStore):
    """A server that is there, and answers each attempt with an error."""

    def __init__(self) -> None:
        """Begin with no attempt."""
        super().__init__()
        self.attempts: list[float] = []

    def follow(self) -> Feed:
        """Answer with an error."""
        self.attempts.append(time.monotonic())
        raise StoreUnreachableError(self.name, "it is still loading its data", answered=True)


def test_a_server_that_answers_with_errors_is_asked_once_a_second_at_most() -> None:
    """From the first attempt on."""
    store = Refusing()
    with graysplit.Router(store):
        assert eventually(lambda: len(store.attempts) == 3, 10)
    first, second, third = store.attempts
    assert min(second - first, third - second) >= 1.0
