"""Two operators, a guard, freezes and plans that roll over hosts, which die, leave and come back at any moment."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from graysplit.codec import read_snapshot
from graysplit.control.steps import Step
from graysplit.core.entry import Entry
from graysplit.core.fleet import LIVE_MS
from graysplit.core.plan.plan import parse_plan
from graysplit.core.plan.progress import Progress
from graysplit.core.waves import NOBODY, PREFIX, Wave, crossed, parse_wave
from graysplit.errors import GraysplitError
from tests.model.member import BEAT_S, Member
from tests.model.test_people import FIELD, PEOPLE, QUICK, SPLIT, People, who

HOSTS: Final = tuple(f"web-{number}" for number in range(1, 5))
BATCHES: Final = (Step(25, 8), Step(50, 8), Step(100))
UNSEEN_S: Final = LIVE_MS / 1000 + 0.5  # a host that crashed longer ago is found dead by whoever looks
some = st.integers(0, len(HOSTS) - 1)
ended = st.sampled_from(("crash", "leave"))
gone = st.sampled_from((2, 0, 6, 11, 20))  # seconds


class Rests(NamedTuple):
    """What a step rests on: the plan and the wave just before it, and who was up then."""

    progress: Progress | None
    wave: Wave


class PeopleAndHosts(People):
    """Four hosts of one process each under the two operators, and a guard that goes back, pauses or warns."""

    taken = 0  # steps, of all histories together
    lost = 0  # hosts, of which the history tells

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.hosts: dict[str, Member] = {}
        self.up_s: dict[str, float] = {}  # by host: when it began last
        self.died_s: dict[str, float] = {}  # by host that is not up: when it ended
        self.crashed_s: dict[str, float] = {}  # by host: when it crashed last
        self.settled_s = 0.0  # when a person last went on without the dead
        self.born = 0
        self.rests = Rests(None, NOBODY)

    @initialize(
        action=st.sampled_from(("rollback", "pause", "warn")), name=who, number=some, how=ended, after=gone, back=gone
    )
    def begin(self, action: str, name: str, number: int, how: str, after: float, back: float) -> None:  # type: ignore[override] # the hosts' own beginning
        """Make a split that rolls over hosts, with a guard and a plan, and have a host end in it."""
        self.control["ana"].create(SPLIT, ("old", "new"), by="instance")
        self.control["ana"].guard(SPLIT, action=action)
        self.everybody_up()
        self.live(1)
        self.lose_one_in_a_new_plan(name, number, how, after, back)

    # -- hosts --------------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a host that is down."""
        before = self.running()
        self.born += 1
        member = self.hosts[name] = Member(self.store, self.clock, self.born, old=False)
        member.instance = name
        self.members.append(member)
        self.up_s[name] = self.clock.now
        self.died_s.pop(name, None)
        self.look_before(before)
        member.live()
        self.judge(before)

    def end(self, name: str, how: str) -> None:
        """End a host that is up: it crashes, or it leaves in good order."""
        member = self.hosts.pop(name)
        self.members.remove(member)
        self.died_s[name] = self.clock.now
        if how == "leave":
            member.feed.leave(member.boot)
        else:
            self.crashed_s[name] = self.clock.now

    @rule(number=some, how=ended)
    def end_or_start(self, number: int, how: str) -> None:
        """End a host, or start it again."""
        name = HOSTS[number]
        self.end(name, how) if name in self.hosts else self.start(name)

    @rule(name=who, number=some, how=ended, after=gone, back=gone)
    def lose_one_in_a_new_plan(self, name: str, number: int, how: str, after: float, back: float) -> None:
        """Begin a plan with all hosts up, and have one of its wave end."""
        self.everybody_up()
        if self.frozen:
            self.freeze_or_thaw(name)
        self.set_weight(name, 0, replace=True)
        self.ramp(name, BATCHES, replace=True)
        self.lose_one(number, how, after, back)

    @rule(number=some, how=ended, after=gone, back=gone)
    def lose_one(self, number: int, how: str, after: float, back: float) -> None:
        """Have a host of the wave end in a step, and come back soon, late or never, while the plan would go on."""
        self.live(after)
        wave, progress = self.wave(), self.running()
        at = 0 if progress is None else progress.at
        up = [host for host in HOSTS if host in self.hosts and crossed(wave, host, at)]
        if not up:
            return
        host = up[number % len(up)]
        self.end(host, how)
        if back:
            self.live(back)
            self.start(host)
        self.live(12)

    @rule(name=who)
    def go_on_without(self, name: str) -> None:
        """Say that the plan goes on without the dead: others take their places."""
        before = self.running()
        with suppress(GraysplitError):
            self.control[name].rebalance(SPLIT)
            self.settled_s = self.clock.now
        self.judge(before)

    def everybody_up(self) -> None:
        """Start all that are down."""
        for name in HOSTS:
            if name not in self.hosts:
                self.start(name)

    # -- laws ---------------------------------------------------------------------------------------------------------

    def wave(self) -> Wave:
        """Return the hosts that have crossed."""
        return parse_wave(self.store._space.text("meta", PREFIX + FIELD) or "") or NOBODY

    def look_before(self, progress: Progress | None) -> None:
        """Remember the plan and its wave."""
        self.rests = Rests(progress, self.wave())

    def judge_rise(self, entry: Entry) -> None:
        """Hold a step to the hosts of its wave too: none of them is lost, and each was up for the gate's whole time."""
        super().judge_rise(entry)
        if entry.cause == "host lost":
            type(self).lost += 1
        progress, wave = self.rests
        if entry.cause != "step" or entry.actor in PEOPLE:
            return
        type(self).taken += 1
        assert progress is not None, "a step of a plan that nobody began"
        since_s = max(progress.since_ms / 1000, self.settled_s)
        plan = parse_plan(read_snapshot(self.store.load())[0].splits[SPLIT].definition.plan or {})
        after_s = plan.steps[progress.step].after_s or 0
        for name in (name for name in wave.at if crossed(wave, name, progress.at)):
            died_s = self.died_s.get(name)
            if self.clock.now - self.crashed_s.get(name, 0) <= UNSEEN_S:
                continue  # nobody can know it yet
            if died_s is None:
                up_s = self.clock.now - max(since_s, self.up_s[name])
                assert up_s >= after_s - 0.5, f"{name} was not well for the whole time of the gate"
            else:
                assert died_s < since_s - BEAT_S, f"a step while {name} of its wave is not there"


def test_people_keep_their_laws_while_hosts_die_and_come_back() -> None:
    """Some histories, the same ones every time; steps are taken in them, and hosts lost."""
    PeopleAndHosts.taken = PeopleAndHosts.lost = 0
    run_state_machine_as_test(PeopleAndHosts, settings=settings(QUICK, max_examples=30, stateful_step_count=10))
    assert PeopleAndHosts.taken > 3
    assert PeopleAndHosts.lost > 3


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_people_keep_their_laws_while_hosts_die_and_come_back_for_long() -> None:
    """Thousands of histories, other ones every time."""
    long = settings(QUICK, max_examples=600, stateful_step_count=40, derandomize=False)
    run_state_machine_as_test(PeopleAndHosts, settings=long)
