"""What the guard counts: calls cut short, shared outages with restarts, full pools, long jobs; on a moved clock."""

from __future__ import annotations

import pytest

from graysplit.core.guard.tally import Pair
from tests.faults.moved import BEGAN, Call, Fleet


def test_new_that_hangs_behind_impatient_callers_is_rolled_back() -> None:
    """Callers wait five seconds: a handful later the verdict stands, and `safe` is never said."""
    fleet, waiting = Fleet(processes=3), list[tuple[int, Call]]()
    while fleet.verdict.word != "worse":
        for call in fleet.begin(20):
            if call.on_new:
                waiting.append((fleet.now_s, call))
            else:
                call.answer()
        for began_s, call in waiting:
            if fleet.now_s - began_s == 5:
                call.cut()
        fleet.pass_second()
        assert fleet.now_s - BEGAN <= 9
    assert "had calls cut short on new, 0 on old" in fleet.verdict.why
    assert "safe" not in fleet.words
    assert sum(fleet.tally.stages[0].failures) == 0


def test_callers_who_give_up_on_both_paths_alike_trip_nothing() -> None:
    """A third of all calls: so it was before, and it says nothing of new; many enough are `safe`."""
    fleet = Fleet(processes=3)
    while fleet.now_s - BEGAN < 75:
        for call in fleet.begin(100):
            call.cut() if fleet.chance.random() < 1 / 3 else call.answer()
        fleet.pass_second()
    assert set(fleet.words) <= {"unclear", "safe"}
    assert fleet.verdict.word == "safe"
    assert fleet.tally.stages[0].cuts.new > 300


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_a_shared_outage_in_which_processes_are_restarted_is_no_rollback(end: str) -> None:
    """New fails at once and old would after forty seconds, but no process lives so long: its calls end with it."""
    fleet = Fleet(processes=4)
    for second in range(130):
        for call in fleet.begin(12):
            if call.on_new:
                call.fail()
        fleet.pass_second()
        if second % 6 == 5:
            getattr(fleet, end)(second // 6 % 4)
    assert set(fleet.words) <= {"unclear", "suspect"}
    assert sum(fleet.tally.stages[0].failures) > 250


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_new_that_fails_while_all_processes_are_restarted_is_rolled_back(end: str) -> None:
    """Old answers: what little of it was under way excuses nothing."""
    fleet = Fleet(processes=4)
    while fleet.verdict.word != "worse":
        for call in fleet.begin(20):
            if call.on_new:
                call.fail()
            elif fleet.chance.random() < 0.95:
                call.answer()
        fleet.pass_second()
        for number in range(4):
            getattr(fleet, end)(number)
        assert fleet.now_s - BEGAN <= 8


def test_new_that_hangs_in_full_thread_pools_is_rolled_back() -> None:
    """Four processes of eight threads: once each holds a hanging call nothing is served, and every call is charged."""
    fleet, hanging = Fleet(processes=4), [0] * 4
    for _ in range(45):
        for number, process in enumerate(fleet.processes):
            for _ in range(10):
                if hanging[number] == 8:
                    break
                call = process.call(fleet.chance.randrange(1 << 40))
                if call.on_new:
                    hanging[number] += 1
                else:
                    call.answer()
        if fleet.pass_second().word == "worse":
            break
    assert fleet.now_s - BEGAN <= 40
    assert "users failed on new, 0 on old" in fleet.verdict.why
    assert fleet.tally.stages[0].overdue == Pair(0, fleet.tally.stages[0].units.new)
    assert sum(fleet.tally.stages[0].failures) == 0


@pytest.mark.parametrize("deadline_s", [30.0, None])
def test_healthy_jobs_of_33_seconds_are_no_failures(deadline_s: float | None) -> None:
    """With a deadline that they pass nothing is shown, and the reason says what to do; with a longer one they count."""
    fleet, running = Fleet(processes=4, share=50_000, deadline_s=deadline_s), list[list[Call]]()
    for _ in range(80):
        running.append(list(fleet.begin(12)))
        if len(running) > 33:
            for call in running.pop(0):
                call.answer()
        fleet.pass_second()
    stage = fleet.tally.stages[0]
    assert sum(stage.failures) == 0
    assert set(fleet.words) <= {"unclear", "safe"}
    if deadline_s == 30:
        assert sum(stage.overdue) == sum(stage.units) > 500
        assert "safe" not in fleet.words
        assert "of the calls on old run past the deadline" in fleet.verdict.why
    else:
        assert sum(stage.overdue) == sum(stage.units) == 0


def test_new_that_fails_among_long_jobs_is_rolled_back() -> None:
    """Jobs of 33 s and a deadline of a minute: a failed one counts when it fails."""
    fleet, running = Fleet(processes=4, share=50_000, deadline_s=60.0), list[list[Call]]()
    while fleet.verdict.word != "worse":
        running.append(list(fleet.begin(20)))
        if len(running) > 33:
            for call in running.pop(0):
                call.fail() if call.on_new and fleet.chance.random() < 0.3 else call.answer()
        fleet.pass_second()
        assert fleet.now_s - BEGAN <= 150
    assert "safe" not in fleet.words
