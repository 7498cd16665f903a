"""A plan's future, computed at once, is that of driving it tick by tick."""

from __future__ import annotations

from hypothesis import assume, example, given
from hypothesis import strategies as st

from graysplit.core.guard.verdict import Verdict
from graysplit.core.plan.forecast import End, Forecast, ForecastStart, foresee, fresh
from graysplit.core.plan.plan import SAFE, Plan, PlanStep, make_plan
from graysplit.core.plan.progress import (
    GAP_MS,
    Go,
    Late,
    Over,
    Pause,
    PlanView,
    Progress,
    StepConfirmed,
    Tick,
    Wait,
    rule,
    stepped,
    ticked,
)
from graysplit.core.weights import FULL

NOW_MS = 1_800_000_000_000
MINUTE_MS = 60_000


def plan_of(*steps: PlanStep, bake_s: float = 0) -> Plan:
    """Make a plan for the usual candidate."""
    return make_plan("new", steps, bake_s=bake_s)


spans = st.integers(0, 200_000).map(lambda ms: ms / 1000)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan with every kind of gate."""
    weights = sorted(draw(st.sets(st.integers(1, FULL), min_size=1, max_size=5)))
    steps = [
        PlanStep(
            weight,
            draw(spans),
            draw(st.sampled_from([None, SAFE])),
            draw(st.booleans()),
            draw(st.none() | spans),
            draw(st.sampled_from(["nag", "rollback"])),
        )
        for weight in weights
    ]
    return plan_of(*steps, bake_s=draw(st.just(0) | spans))


def driven(plan: Plan, start: ForecastStart, confirm_ms: int, tick_ms: int) -> tuple[list[tuple[int, int]], int, str]:
    """Drive a plan tick by tick in a world that opens each gate at once, and return its steps, its end, and how.

    A tick comes when its time is up, or time alone has ended a wait, as in the driver.
    """
    progress, tick, now_ms = start.progress, start.tick, start.view.now_ms
    taken = [(progress.step, progress.since_ms)]
    while True:
        missing = "web-1" if now_ms < progress.since_ms + confirm_ms else ""
        watched = start.view.watched
        view = PlanView(now_ms, progress.at, start.view.others, missing=missing, verdict=Verdict(SAFE), watched=watched)
        found = rule(plan, progress._replace(approved="ada"), tick, view)
        match found:
            case StepConfirmed():
                progress, tick = progress._replace(confirmed_ms=now_ms), Tick(now_ms, running=True)
            case Go():
                progress, tick = stepped(progress, plan, found.step, now_ms), Tick(now_ms)
                taken.append((found.step, now_ms))
                if found.step + 1 == len(plan.steps) and not plan.bake_s:
                    return taken, now_ms, "done"
            case Late(act="nag"):
                progress = progress._replace(nagged=True)
            case Late():
                return taken, now_ms, "rollback"
            case Over():
                return taken, now_ms, "done" if found.done else "stays"
            case Wait():
                if progress.confirmed_ms and found.due_ms is None:
                    return taken, now_ms, "stays"
                tick = ticked(progress, tick, view, "", runs=found.runs)
                shown_ms = progress.since_ms + confirm_ms
                due_ms = found.due_ms or (shown_ms if shown_ms > now_ms else now_ms + 1)
                now_ms = min(now_ms + tick_ms, due_ms)


@given(plans(), st.integers(0, 9_000), st.integers(200, GAP_MS), st.integers(0, 4), st.booleans())
@example(plan_of(PlanStep(20_000, 10.0), PlanStep(FULL)), 0, 1000, 0, False)
@example(plan_of(PlanStep(20_000, 10.0), PlanStep(FULL)), 0, 1000, 0, True)
def test_the_steps_are_those_of_driving_it_tick_by_tick(
    plan: Plan, confirm_ms: int, tick_ms: int, at: int, watched: bool
) -> None:
    """Weights, times and end are what the rule gives to somebody who asks it again and again, however often."""
    assume(not any(_in_one_tick(step, tick_ms) for step in plan.steps))
    start = fresh(plan, min(at, len(plan.steps) - 1), NOW_MS, watched=watched)
    found = foresee(plan, start, confirm_ms)
    taken, ended_ms, how = driven(plan, start, confirm_ms, tick_ms)
    assert [(step.step, step.at_ms) for step in found.steps] == taken
    assert found.end.outcome == how
    late = how == "rollback"  # only seen at the next tick
    assert (0 <= ended_ms - found.end.at_ms <= tick_ms) if late else ended_ms == found.end.at_ms


@given(plans(), st.integers(0, 5_000))
def test_times_never_run_back_and_weights_only_rise(plan: Plan, confirm_ms: int) -> None:
    """Each step comes no earlier than the one before, higher, and its waits only grow."""
    found = foresee(plan, fresh(plan, 0, NOW_MS), confirm_ms)
    for before, after in zip(found.steps, found.steps[1:], strict=False):
        assert after.at_ms >= before.at_ms + confirm_ms
        assert after.weight > before.weight
        assert after.waits[: len(before.waits)] == before.waits


def test_a_wait_for_a_person_has_a_name_and_no_length() -> None:
    """What follows an approval is counted from it: the time is that of nobody waiting at all."""
    plan = plan_of(PlanStep(20_000, 600, approve=True), PlanStep(50_000, until=SAFE), PlanStep(FULL), bake_s=60)
    found = foresee(plan, fresh(plan, 0, NOW_MS), 1000)
    first = ("approval of step 2",)
    both = (*first, "the verdict safe before step 3")
    assert [(step.at_ms - NOW_MS, step.waits) for step in found.steps] == [
        (0, ()),
        (601_000, first),
        (602_000, both),
    ]
    assert found.end == End("done", "the bake is over", NOW_MS + 663_000, both)


def test_a_plan_that_runs_goes_on_from_where_it_stands() -> None:
    """Time driven so far, an approval that was given, and a verdict that stands are counted."""
    plan = plan_of(PlanStep(20_000, 600, approve=True), PlanStep(50_000), PlanStep(FULL))
    progress = Progress("r", "l", 0, 20_000, NOW_MS - 200_000, NOW_MS - 190_000, approved="ada")
    tick = Tick(NOW_MS - 1000, 180_000, running=True)
    found = foresee(plan, ForecastStart(progress, tick, PlanView(NOW_MS, 20_000)))
    assert [step.at_ms - NOW_MS for step in found.steps] == [-200_000, 419_000, 419_000]
    assert found.end.waits == ()


def test_hours_that_nobody_drove_are_not_foretold_as_passed() -> None:
    """A tick that is old adds nothing: the clock runs on from now."""
    plan = plan_of(PlanStep(20_000, 600), PlanStep(FULL))
    progress = Progress("r", "l", 0, 20_000, NOW_MS - 9_000_000, NOW_MS - 9_000_000)
    tick = Tick(NOW_MS - 8_000_000, 60_000, running=True)
    assert foresee(plan, ForecastStart(progress, tick, PlanView(NOW_MS, 20_000))).steps[-1].at_ms == NOW_MS + 540_000


def test_what_stands_in_the_way_is_a_wait() -> None:
    """A pause and a freeze without an end are named; a freeze that ends by itself is timed."""
    plan = plan_of(PlanStep(20_000, 600), PlanStep(FULL))
    progress = Progress("r", "l", 0, 20_000, NOW_MS, NOW_MS, pauses=(Pause("ada", "lunch", NOW_MS),))
    frozen = PlanView(NOW_MS, 20_000, frozen="frozen by ada")
    tick = Tick(NOW_MS)
    both = foresee(plan, ForecastStart(progress, tick, frozen)).steps[-1]
    assert (both.at_ms - NOW_MS, both.waits) == (600_000, ("resume", "unfreeze"))
    timed = foresee(plan, ForecastStart(progress._replace(pauses=()), tick, frozen, NOW_MS + MINUTE_MS)).steps[-1]
    assert (timed.at_ms - NOW_MS, timed.waits) == (660_000, ())


def test_one_that_may_wait_only_so_long_goes_back() -> None:
    """A gate of time that is longer than the wait allowed is never passed, and the forecast says so."""
    plan = plan_of(PlanStep(20_000, 600, max_wait_s=60, overdue="rollback"), PlanStep(FULL))
    found = foresee(plan, fresh(plan, 0, NOW_MS))
    assert (len(found.steps), found.end.outcome, found.end.at_ms - NOW_MS) == (1, "rollback", 60_001)


def test_a_watched_step_counts_when_its_verdict_has_settled() -> None:
    """Each step is foretold six seconds later than its own time, where the fleet shows it sooner."""
    plan = plan_of(PlanStep(20_000, 10), PlanStep(50_000, 10), PlanStep(FULL))
    found = foresee(plan, fresh(plan, 0, NOW_MS, watched=True), 1_000)
    assert [step.at_ms - NOW_MS for step in found.steps] == [0, 16_000, 32_000]
    assert [step.at_ms - NOW_MS for step in foresee(plan, fresh(plan, 0, NOW_MS), 7_000).steps] == [0, 17_000, 34_000]


def test_without_room_it_stays() -> None:
    """A step that other candidates leave no room for is not foretold."""
    plan = plan_of(PlanStep(20_000), PlanStep(FULL))
    found = foresee(plan, fresh(plan, 0, NOW_MS, others=10_000))
    assert (len(found.steps), found.end.outcome, "room" in found.end.why) == (1, "stays", True)


def test_a_plan_whose_weight_is_not_in_force_is_over() -> None:
    """It takes no step, and the reason is the rule's."""
    plan = plan_of(PlanStep(20_000), PlanStep(FULL))
    start = fresh(plan, 0, NOW_MS)
    found = foresee(plan, start._replace(view=PlanView(NOW_MS, 0)))
    assert found == Forecast((found.steps[0],), End("stays", "0 % is in force, and the plan wrote 20 %", NOW_MS, ()))


def _in_one_tick(step: PlanStep, tick_ms: int) -> bool:
    """Return whether it waits too long and opens within one tick: who looks then cannot tell which came first."""
    return step.max_wait_s is not None and 0 < step.after_s - step.max_wait_s <= tick_ms / 1000
