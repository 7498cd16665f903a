"""What a plan's verdicts need: units, and the time that they take by the traffic that is known."""

from __future__ import annotations

import pytest

from graysplit.control import Control
from graysplit.control.guard.outlook import outlook_words, traffic_of
from graysplit.control.steps import Step
from graysplit.core.guard.power import Outlook
from graysplit.core.guard.tally import Pair, Stage, StageTally, Tally
from graysplit.core.plan.plan import SAFE
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock
from tests.control.judged import judged
from tests.control.measured import clock, control, store

__all__ = ["clock", "control", "store"]  # fixtures

STEPS = (Step(20, 600, SAFE), Step(50, 0, SAFE), Step(80))
AT_20 = Stage(20_000, 80_000)


def test_a_ramp_says_what_its_steps_need(control: Control) -> None:
    """Each that waits for `safe`; with no traffic known, users without a time."""
    notes = control.ramp("checkout", STEPS, dry_run=True).notes
    told = [note for note in notes if "safe needs" in note]
    assert len(told) == 2
    assert told[0].startswith("step 1 (20%): safe needs about 1,205 users on new; the time for that is not known")
    assert told[1].startswith("step 2 (50%): safe needs about 1,003 users on new")


def test_a_ramp_without_verdicts_says_nothing_of_them(control: Control) -> None:
    """No step waits for one; or no guard would give one."""
    assert not any("safe needs" in note for note in control.ramp("checkout", STEPS, guard=False, dry_run=True).notes)
    assert not any("safe" in note for note in control.ramp("checkout", (Step(5, 60), Step(20))).notes)


def test_the_last_release_tells_the_traffic(store: MemoryStore, control: Control, clock: MovedClock) -> None:
    """Its calls, its users and what failed on old, over the time in which they were counted."""
    control.guard("checkout")
    control.set("checkout", 20)
    clock.now += 10
    judged(store, "unclear")
    clock.now += 3_600
    control.rollback("checkout")
    notes = control.ramp("checkout", STEPS, dry_run=True).notes
    told = next(note for note in notes if note.startswith("step 1 ("))
    assert "at recent traffic" in told
    assert "failing by then" in told


def test_a_simulation_has_an_outlook_for_each_step_that_waits(control: Control) -> None:
    """By the step's number; the last waits for nothing."""
    found = control.simulate("checkout", STEPS)
    assert set(found.outlooks) == {0, 1}
    assert [round(found.outlooks[number].w, 3) for number in (0, 1)] == [0.2, 0.5]
    assert control.simulate("checkout", (Step(5, 60), Step(20))).outlooks == {}


def test_other_candidates_take_their_share(store: MemoryStore) -> None:
    """The chance of new is among candidate and baseline alone."""
    control = Control(store, actor="ada", confirm=True)
    control.create("ranking", ["a", "b", "c"])
    control.set("ranking/c", 60)
    found = control.simulate("ranking/b", (Step(20, 0, SAFE), Step(30)))
    assert found.outlooks[0].w == pytest.approx(0.5)


def test_traffic_is_that_of_the_busiest_stage() -> None:
    """From its beginning to the next stage's, or the last look; failures are those of all stages."""
    tally = Tally(
        "checkout/new",
        "r1",
        stages=(
            StageTally(1, AT_20, 1_000, Pair(800, 200), Pair(8, 2), exposed=Pair(80, 20), exposed_bits=1),
            StageTally(2, AT_20, 1_010, Pair(80, 20), Pair(0, 0), exposed=Pair(8, 2)),
        ),
        now_ms=1_100_000,
    )
    assert traffic_of(tally) == (100.0, 20.0, pytest.approx(8 / 880))
    assert traffic_of(Tally("checkout/new", "r1", now_ms=1_100_000)) is None
    assert traffic_of(tally._replace(stages=(StageTally(1, AT_20, 1_000),))) is None


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Outlook(1.0, None, None, None), "never safe: everybody is on one version"),
        (Outlook(0.2, None, None, None), "never safe at the recent failure rate of old"),
        (Outlook(0.2, 1_205, None, None), "about 1,205 users on new; the time for that is not known"),
        (Outlook(0.2, 1_205, 90.0, 0.0312), "about 1 min 30 s at recent traffic; finds 3.1 % failing by then"),
        (
            Outlook(0.2, 1_205, 0.2, None),
            "about 1 s at recent traffic; too short to find even a version that always fails",
        ),
    ],
)
def test_an_outlook_is_one_line(seen: Outlook, said: str) -> None:
    """What is needed, for how long, and what would be found."""
    assert said in outlook_words("new", seen)
