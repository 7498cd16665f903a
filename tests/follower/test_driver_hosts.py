"""A plan that rolls over hosts: a host that is lost stops it or has it go back, and nobody's absence is a yes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import pytest

from graysplit import Control
from graysplit.control.steps import Step
from graysplit.core.entry import Entry
from graysplit.stores.text.records import read_progress
from tests.clocks import MovedClock
from tests.model.member import Member
from tests.model.world import Store

SPLIT: Final = "renderer"
BATCHES: Final = (Step(12.5, 8), Step(25, 8), Step(50, 8), Step(100))


class Farm:
    """Hosts of one process each, which crash, leave and come back as told."""

    def __init__(self, hosts: int = 8) -> None:
        """Begin with so many hosts on old."""
        self.clock = MovedClock()
        self.store = Store(self.clock)
        self.control = Control(self.store, actor="ann", confirm=True)
        self.control.create(SPLIT, ("old", "new"), by="instance")
        self.hosts: dict[str, Member] = {}
        self.ever: set[str] = set()  # hosts on which new ran
        self.started = 0
        for number in range(1, hosts + 1):
            self.start(f"web-{number}")

    def start(self, name: str) -> Member:
        """Start the process of a host."""
        self.started += 1
        member = Member(self.store, self.clock, self.started, old=False)
        member.instance = name
        self.hosts[name] = member
        member.live()
        return member

    def crash(self, *names: str) -> None:
        """End hosts without a goodbye."""
        for name in names:
            del self.hosts[name]

    def leave(self, *names: str) -> None:
        """End hosts in good order."""
        for name in names:
            member = self.hosts.pop(name)
            member.feed.leave(member.boot)

    def on_new(self) -> set[str]:
        """Name the hosts that run new now."""
        return {name for name, member in self.hosts.items() if self._runs_new(name, member)}

    def after(self, seconds: float, each: Callable[[], object] = lambda: None) -> None:
        """Let time pass; the hosts live, and something happens each quarter of a second."""
        for _ in range(int(seconds * 4)):
            self.clock.now += 0.25
            for member in list(self.hosts.values()):
                member.live()
            self.ever |= self.on_new()
            each()

    def until(self, sought: Callable[[], object], within_s: float = 60) -> None:
        """Let time pass until something is so."""
        for _ in range(int(within_s * 4)):
            if sought():
                return
            self.after(0.25)
        pytest.fail(f"not within {within_s} s of the model's time")

    def entries(self, *causes: str) -> list[Entry]:
        """Return the history's entries of some causes, oldest first."""
        return [entry for entry in reversed(self.control.history(SPLIT, 500)) if entry.cause in causes]

    @property
    def weight(self) -> str:
        """Return the weight in force."""
        return self.control.show(SPLIT).rows[0].effective

    @property
    def why(self) -> str:
        """Return what the plan waits for."""
        plan = self.control.show(SPLIT).plan
        return "" if plan is None else plan.why

    @staticmethod
    def _runs_new(name: str, member: Member) -> bool:
        split_state = member.split_state(SPLIT)
        return split_state is not None and split_state.crossed_to(name) == "new"


def guarded(farm: Farm, action: str) -> None:
    """Arm the split's guard."""
    farm.control.guard(SPLIT, action=action)


@pytest.fixture
def farm() -> Farm:
    """Return eight hosts."""
    return Farm()


def kill_all_on_new(farm: Farm) -> Callable[[], None]:
    """Make a version that takes its host down."""
    return lambda: farm.crash(*farm.on_new())


def test_a_version_that_kills_its_hosts_is_rolled_back_after_one(farm: Farm) -> None:
    """With the guard's action rollback it goes back by itself; one entry says which host is lost, and is a notice."""
    guarded(farm, "rollback")
    farm.control.ramp(SPLIT, BATCHES)
    farm.after(60, kill_all_on_new(farm))
    (lost,) = farm.entries("host lost")
    assert (lost.actor, farm.weight, len(farm.ever), len(farm.hosts)) == ("plan:ramp", "0", 1, 7)
    assert lost.why.startswith(f"host lost: {farm.ever.pop()} (not heard for ")
    assert farm.control.show(SPLIT).plan is None


@pytest.mark.parametrize("action", ["pause", "warn", "off"])
def test_without_a_rollback_the_clock_stands_and_one_entry_calls_a_person(farm: Farm, action: str) -> None:
    """Nobody else crosses in ten minutes; what the plan waits for names the host, and the command that goes on."""
    farm.control.ramp(SPLIT, BATCHES)
    if action == "off":
        farm.control.unguard(SPLIT)
    else:
        guarded(farm, action)
    farm.after(240, kill_all_on_new(farm))
    assert (farm.weight, len(farm.ever), len(farm.hosts)) == ("12.5", 1, 7)
    assert len(farm.entries("host lost")) == 1
    assert farm.entries("step") == []
    assert farm.why.startswith("host lost: ")
    assert farm.why.endswith(f"graysplit rebalance {SPLIT}")
    plan = farm.control.show(SPLIT).plan
    assert plan is not None
    assert plan.state == "stands"


def test_a_lost_host_that_is_back_and_well_lets_the_plan_go_on_with_a_new_clock(farm: Farm) -> None:
    """The time of the gate is counted from its return, and it crosses no second host meanwhile."""
    guarded(farm, "warn")
    farm.control.ramp(SPLIT, BATCHES)
    farm.until(farm.on_new)
    (host,) = farm.on_new()
    farm.after(2)
    farm.crash(host)
    farm.until(lambda: farm.entries("host lost"))
    farm.start(host)
    farm.after(7)
    assert farm.entries("step") == []
    farm.until(lambda: farm.entries("step"), 8)
    assert len(farm.entries("host lost")) == 1


def test_a_rebalance_is_a_persons_yes_to_go_on_without_the_host(farm: Farm) -> None:
    """The dead one leaves the wave, another crosses in its place, and the clock begins anew."""
    guarded(farm, "warn")
    farm.control.ramp(SPLIT, BATCHES)
    farm.until(farm.on_new)
    farm.crash(*farm.on_new())
    farm.until(lambda: farm.entries("host lost"))
    farm.control.rebalance(SPLIT, why="it was its disk")
    farm.after(7)
    assert farm.entries("step") == []
    farm.until(lambda: farm.entries("step"), 8)
    assert len(farm.on_new()) == 2
    assert len(farm.entries("host lost")) == 1


def test_a_host_that_dies_just_before_its_gate_opens_is_no_yes(farm: Farm) -> None:
    """It counts as live for six seconds; then the clock stands, and what had been counted is void."""
    farm.control.ramp(SPLIT, tuple(replace(step, after=12) for step in BATCHES[:3]) + BATCHES[3:])
    farm.until(farm.on_new)
    farm.after(5)
    farm.crash(*farm.on_new())
    farm.after(60)
    assert farm.entries("step") == []


def test_an_orderly_restart_of_every_host_is_no_loss(farm: Farm) -> None:
    """A deployment says goodbye host by host, and each comes back: nothing is rolled back, the clocks begin anew."""
    guarded(farm, "rollback")
    farm.control.ramp(SPLIT, BATCHES)
    farm.until(farm.on_new)
    for name in list(farm.hosts):
        farm.leave(name)
        farm.after(3)
        farm.start(name)
        farm.after(1)
    farm.after(60)
    assert farm.entries("host lost") == []
    assert farm.weight == "100"
    assert farm.on_new() == set(farm.hosts)


@pytest.mark.parametrize("end", [Farm.leave, Farm.crash])
def test_a_host_that_comes_back_again_and_again_is_lost(farm: Farm, end: Callable[..., None]) -> None:
    """The second new life within ten minutes is one too many, in good order (a probe that kills it) or not."""
    guarded(farm, "rollback")
    farm.control.ramp(SPLIT, BATCHES)
    farm.until(farm.on_new)
    (host,) = farm.on_new()
    for _ in range(2):
        end(farm, host)
        farm.after(1)
        farm.start(host)
        farm.after(6.5)
    (lost,) = farm.entries("host lost")
    assert farm.weight == "0"
    assert " 2 times in 10 min" in lost.why
    assert farm.ever == {host}


def test_a_host_that_leaves_and_stays_away_leaves_its_wave_short(farm: Farm) -> None:
    """Nobody was lost, so nothing goes back; and whoever is not there is not well, also at 100 %."""
    guarded(farm, "rollback")
    farm.control.ramp(SPLIT, (Step(50, 8), Step(100)), bake=30)
    farm.until(farm.on_new)
    gone = min(farm.on_new())
    farm.leave(gone)
    farm.after(60)
    assert farm.why.startswith(f"wave short: 3 of 4 alive (missing: {gone} (left))")
    farm.start(gone)
    farm.until(lambda: farm.weight == "100")
    farm.leave("web-1")
    farm.after(90)
    assert farm.why.startswith("wave short: 7 of 8 alive")
    farm.control.rebalance(SPLIT)
    farm.until(lambda: farm.control.show(SPLIT).plan is None)
    assert farm.entries("host lost", "trip", "rollback") == []


def test_a_step_fills_its_wave_with_the_living(farm: Farm) -> None:
    """Three of eight died before: 75 % of those that are left cross, and the dead keep their marks."""
    farm.control.set(SPLIT, 37.5)
    farm.after(3)
    dead = farm.on_new()
    assert len(dead) == 3
    farm.crash(*dead)
    farm.after(10)
    farm.control.ramp(SPLIT, (Step(75, 8), Step(100)))
    farm.after(3)
    assert len(farm.on_new()) == 4  # of 5
    farm.start(min(dead))
    assert len(farm.on_new()) == 5


def test_a_step_whose_wave_cannot_be_filled_stands(farm: Farm) -> None:
    """Half of the hosts run code without the version: the step to 75 % waits for them, and says so."""
    for name in ("web-1", "web-2", "web-3", "web-4"):
        farm.hosts[name].versions = ("old",)
    farm.after(3)
    farm.control.ramp(SPLIT, (Step(25, 8), Step(75, 8), Step(100)))
    farm.after(60)
    assert farm.weight == "25"
    assert farm.why.startswith("wave short: 4 of 6 alive")
    for member in farm.hosts.values():
        member.versions = None
    farm.until(lambda: farm.weight == "100")


def test_after_an_outage_nobody_is_lost(farm: Farm) -> None:
    """All have been silent for longer than the living are, and are heard again within two seconds of it."""
    guarded(farm, "rollback")
    farm.control.ramp(SPLIT, BATCHES)
    farm.until(farm.on_new)
    farm.clock.now += 20
    farm.after(60)
    assert farm.entries("host lost") == []
    assert farm.weight == "100"


def test_what_was_seen_outlives_its_driver(farm: Farm) -> None:
    """The first restart was seen by a process that is gone: the second is still the second."""
    farm.control.ramp(SPLIT, (Step(12.5, 120), *BATCHES[1:]))
    farm.until(farm.on_new)
    (host,) = farm.on_new()
    farm.leave(host)
    farm.start(host)
    farm.after(3)
    progress = read_progress(farm.store._space.text("plans", SPLIT))
    assert progress is not None
    assert [*progress.hosts.again] == [host]
    others = [name for name in farm.hosts if name != host]
    for name in others:
        farm.leave(name)
    for name in others:
        farm.start(name)
    farm.leave(host)
    farm.start(host)
    farm.until(lambda: farm.entries("host lost"))


def _without(members: Iterable[Member]) -> None:
    for member in members:
        member.declares = False


def test_a_step_needs_a_live_process_that_declares_the_split(farm: Farm) -> None:
    """Where none does, nothing is confirmed and nothing stepped; the wait says so, and ends when one comes."""
    farm.control.create("checkout", ("old", "new"))
    _without(farm.hosts.values())
    farm.after(3)
    farm.control.ramp("checkout", (Step(20, 3), Step(50, 3), Step(100)))
    farm.after(20)
    plan = farm.control.show("checkout").plan
    assert plan is not None
    assert (plan.weight, plan.state) == ("20", "stands")
    assert plan.why.startswith("no live process declares 'checkout'")
    farm.hosts["web-1"].declares = True
    farm.hosts["web-1"].versions = ("old",)
    farm.after(20)
    plan = farm.control.show("checkout").plan
    assert plan is not None
    assert plan.why.startswith("no live process that declares 'checkout' has the version 'new'")
    farm.hosts["web-1"].versions = None
    farm.after(30)
    assert farm.control.show("checkout").rows[0].effective == "100"


def test_the_time_in_which_nobody_had_the_version_does_not_count(farm: Farm) -> None:
    """A fleet that lost the code for most of a gate's time does not step the moment that it is back."""
    farm.control.create("checkout", ("old", "new"))
    farm.control.ramp("checkout", (Step(20, 20), Step(100)))
    farm.after(8)
    _without(farm.hosts.values())
    farm.after(60)
    for member in farm.hosts.values():
        member.declares = True
    farm.after(8)
    assert farm.control.show("checkout").rows[0].effective == "20"
    farm.after(12)
    assert farm.control.show("checkout").rows[0].effective == "100"
