"""What is due of a plan, and what it waits for.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import pytest

from graysplit.core.fleet import Effect, Fleet, Process, Receipt, baseline_words
from graysplit.core.guard.verdict import Verdict
from graysplit.core.plan.plan import Plan, PlanStep
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
    counted,
    doubting,
    rule,
    ticked,
    unshown,
)

NOW = 1_700_000_000_000
PLAN = Plan("new", (PlanStep(5_000, 600), PlanStep(20_000, 60, "safe", approve=True), PlanStep(50_000)), bake_s=100)
AT_FIVE = Progress("r1", "rel", 0, 5_000, NOW - 700_000, confirmed_ms=NOW - 690_000)
AT_TWENTY = Progress("r1", "rel", 1, 20_000, NOW - 700_000, confirmed_ms=NOW - 690_000)
AT_FIFTY = Progress("r1", "rel", 2, 50_000, NOW - 700_000, confirmed_ms=NOW - 690_000)
SAFE = Verdict("safe")


def tick(clock_s: float, *, running: bool = True, ago_ms: int = 0) -> Tick:
    """Return a tick with so much of the clock counted."""
    return Tick(NOW - ago_ms, int(clock_s * 1000), running, "boot")


def test_a_step_is_due_when_its_time_was_driven() -> None:
    """Not a millisecond before."""
    assert rule(PLAN, AT_FIVE, tick(600), PlanView(NOW, 5_000)) == Go(1, NOW)
    assert rule(PLAN, AT_FIVE, tick(599, ago_ms=1_000), PlanView(NOW, 5_000)) == Go(1, NOW)
    early = rule(PLAN, AT_FIVE, tick(599, ago_ms=999), PlanView(NOW, 5_000))
    assert early == Wait("1 s more at 5 %", runs=True, due_ms=NOW + 1)


def test_the_clock_begins_when_the_fleet_shows_the_weight() -> None:
    """Until then it waits for those who are behind, by name."""
    written = AT_FIVE._replace(confirmed_ms=0)
    behind = rule(PLAN, written, tick(0), PlanView(NOW, 5_000, missing="2 of 8 processes (web-1/7, web-2/9)"))
    assert behind == Wait("for 2 of 8 processes (web-1/7, web-2/9) to show 5 %")
    assert rule(PLAN, written, tick(0), PlanView(NOW, 5_000)) == StepConfirmed()


@pytest.mark.parametrize(
    ("progress", "view", "reason"),
    [
        (AT_FIVE._replace(pauses=(Pause("ana", "lunch", NOW - 180_000),)), {}, "paused by ana for 3 min: lunch"),
        (AT_FIVE, {"frozen": "frozen by bo: Black Friday"}, "frozen by bo: Black Friday"),
        (AT_FIVE, {"doubt": "web-1/7 holds values back"}, "web-1/7 holds values back"),
        (AT_FIVE, {"verdict": Verdict("suspect", "few users")}, "the new version is suspect: few users"),
    ],
)
def test_what_stands_in_the_way_stops_the_clock(progress: Progress, view: dict[str, str], reason: str) -> None:
    """A pause, a freeze, a broken lineage: however much time there was, it does not step, and none is counted."""
    made = PlanView(NOW, 5_000)._replace(**view)  # type: ignore[arg-type] # the fields of a view, by name
    assert rule(PLAN, progress, tick(10_000), made) == Wait(reason)


def test_gates_are_asked_in_order_and_a_person_last() -> None:
    """Time, then the verdict, then approval; each says how long it has waited, and for what."""
    waits = [
        rule(PLAN, AT_TWENTY, tick(59), PlanView(NOW, 20_000)),
        rule(PLAN, AT_TWENTY, tick(60), PlanView(NOW, 20_000, verdict=Verdict("unclear", "300 units are missing"))),
        rule(PLAN, AT_TWENTY, tick(60), PlanView(NOW, 20_000, verdict=SAFE)),
    ]
    assert waits == [
        Wait("1 s more at 20 %", runs=True),
        Wait("1 min for the verdict safe (now unclear: 300 units are missing)", runs=True),
        Wait("1 min for approval of step 3 (50 %)", runs=True, asks="for approval of step 3 (50 %)"),
    ]
    approved = AT_TWENTY._replace(approved="ana")
    assert rule(PLAN, approved, tick(60), PlanView(NOW, 20_000, verdict=SAFE)) == Go(2, NOW)


@pytest.mark.parametrize("weight", [0, 4_999, 20_000, "preview"])
def test_another_weight_in_force_ends_a_plan(weight: int | str) -> None:
    """Whoever wrote it, and wherever to: a plan never fights (law 11, timeline 16)."""
    assert isinstance(rule(PLAN, AT_FIVE, tick(10_000), PlanView(NOW, weight)), Over)  # type: ignore[arg-type]


def test_a_plan_that_was_written_anew_under_way_is_over() -> None:
    """The weight that stands is none of its steps at that place."""
    other = PLAN._replace(steps=(PlanStep(1_000), PlanStep(2_000)))
    assert isinstance(rule(other, AT_FIVE, tick(10_000), PlanView(NOW, 5_000)), Over)
    assert isinstance(rule(other, AT_FIFTY, tick(10_000), PlanView(NOW, 50_000)), Over)


def test_the_last_step_bakes_and_then_it_is_done() -> None:
    """Its guarded wait is told; after it the plan is over, and done."""
    assert rule(PLAN, AT_FIFTY, tick(40), PlanView(NOW, 50_000)) == Wait(
        "baking for 1 min more", runs=True, due_ms=NOW + 60_000
    )
    assert rule(PLAN, AT_FIFTY, tick(100), PlanView(NOW, 50_000)) == Over("the bake is over", done=True)


def test_a_step_waits_for_room() -> None:
    """With several candidates all weights together stay within 100 %."""
    plan = Plan("new", (PlanStep(5_000), PlanStep(60_000)))
    found = rule(plan, AT_FIVE, tick(0), PlanView(NOW, 5_000, others=50_000))
    assert found == Wait("for room: with 60 % all weights would be over 100 %")


def test_missing_room_stops_the_clock() -> None:
    """What somebody else's rollback makes room for waits for its own time: no jump from 40 to 90 %."""
    plan = Plan("c", (PlanStep(40_000, 60), PlanStep(90_000)))
    at_forty = Progress("r1", "rel", 0, 40_000, NOW - 900_000, confirmed_ms=NOW - 890_000)
    crowded = PlanView(NOW, 40_000, others=50_000)
    stood = ticked(at_forty, tick(10, ago_ms=1_000), crowded, "me", runs=False)
    assert stood == Tick(NOW, 10_000, False, "me")
    assert rule(plan, at_forty, stood, PlanView(NOW + 1_000, 40_000)) == Wait(
        "50 s more at 40 %", runs=True, due_ms=NOW + 51_000
    )


def test_a_step_waits_until_all_are_ready() -> None:
    """After its time and a verdict, before a person; without the gate nobody is asked."""
    steps = (PlanStep(5_000, 60, approve=True, ready=True), PlanStep(20_000))
    unready = PlanView(NOW, 5_000, unready="'new' is not ready in 1 of 2 processes: web-1/7 (warming)")
    found = rule(Plan("new", steps), AT_FIVE, tick(90), unready)
    assert found == Wait(f"1 min 30 s until all are ready: {unready.unready}", runs=True)
    assert rule(Plan("new", steps), AT_FIVE._replace(approved="ana"), tick(90), unready) == found
    assert rule(Plan("new", (PlanStep(5_000, 60), PlanStep(20_000))), AT_FIVE, tick(90), unready) == Go(1, NOW - 30_000)


def test_a_step_counts_once_its_verdict_has_settled() -> None:
    """Six seconds in which nobody can say `suspect` of it count for nothing; where no guard may stop it, all do."""
    young = AT_FIVE._replace(since_ms=NOW - 2_000, confirmed_ms=NOW - 1_500)
    plan = Plan("new", (PlanStep(5_000, 1), PlanStep(20_000)))
    waits = Wait("4 s more until a verdict on 5 % has settled", due_ms=NOW + 4_000)
    assert rule(plan, young, tick(1.5), PlanView(NOW, 5_000, watched=True)) == waits
    assert rule(plan, young, tick(1.5), PlanView(NOW, 5_000)) == Go(1, NOW - 500)
    assert isinstance(rule(plan, young, tick(1.5), PlanView(NOW + 4_000, 5_000, watched=True)), Go)
    doubted = PlanView(NOW, 5_000, watched=True, verdict=Verdict("suspect", "few users"))
    assert rule(plan, young, tick(1.5), doubted) == Wait("the new version is suspect: few users")
    noted = PlanView(NOW, 5_000, watched=True, verdict=Verdict("unclear", "too few", note="few users"))
    assert rule(plan, young, tick(1.5), noted) == rule(plan, young, tick(1.5), noted._replace(verdict=Verdict()))


def test_a_pause_and_a_freeze_are_no_waiting_too_long() -> None:
    """`max_wait` is counted on the plan's clock: the thaw of a weekend rolls nothing back."""
    plan = Plan("new", (PlanStep(5_000, approve=True, max_wait_s=600, overdue="rollback"), PlanStep(20_000)))
    weekend = AT_FIVE._replace(since_ms=NOW - 200_000_000, confirmed_ms=NOW - 199_990_000)
    thawed = PlanView(NOW, 5_000, thawed_ms=NOW - 200)
    assert rule(plan, weekend, tick(500, ago_ms=1_000), thawed) == Wait(
        "8 min 20 s for approval of step 2 (20 %)", runs=True, asks="for approval of step 2 (20 %)"
    )
    assert rule(plan, weekend, tick(600, ago_ms=1_000), thawed) == Late(
        "rollback", "10 min for approval of step 2 (20 %)"
    )


def test_who_waits_too_long_calls_again_once_or_goes_back() -> None:
    """`max_wait` is counted on the plan's clock, from the confirmation."""
    for overdue in ("nag", "rollback"):
        step = PlanStep(5_000, approve=True, max_wait_s=600, overdue=overdue)
        plan = Plan("new", (step, PlanStep(20_000)))
        late = rule(plan, AT_FIVE, tick(690), PlanView(NOW, 5_000))
        assert late == Late(overdue, "11 min 30 s for approval of step 2 (20 %)")
    step = PlanStep(5_000, approve=True, max_wait_s=600)
    nagged = rule(Plan("new", (step, PlanStep(20_000))), AT_FIVE._replace(nagged=True), tick(690), PlanView(NOW, 5_000))
    assert isinstance(nagged, Wait)


@pytest.mark.parametrize(
    ("last", "view", "clock_ms"),
    [
        (tick(10, ago_ms=GAP_MS), {}, 10_000 + GAP_MS),
        (tick(10, ago_ms=GAP_MS + 1), {}, 10_000),  # timeline 23: nobody drove
        (tick(10, ago_ms=-5_000), {}, 10_000),  # the server's clock went back
        (tick(10, running=False, ago_ms=1_000), {}, 10_000),
        (tick(10, ago_ms=2_000), {"thawed_ms": NOW - 500}, 10_500),
        (tick(10, ago_ms=2_000), {"thawed_ms": NOW - 9_000}, 12_000),
    ],
)
def test_only_driven_time_counts(last: Tick, view: dict[str, int], clock_ms: int) -> None:
    """A gap, a clock that went back, a freeze or a pause that ended in between: none of it is caught up."""
    made = PlanView(NOW, 5_000, thawed_ms=view.get("thawed_ms", 0))
    assert counted(AT_FIVE, last, made) == clock_ms
    assert ticked(AT_FIVE, last, made, "me", runs=True) == Tick(NOW, clock_ms, True, "me")
    assert ticked(AT_FIVE, last, made, "me", runs=False).clock_ms == 10_000


def test_a_pause_that_ended_between_two_ticks_does_not_count() -> None:
    """Its end is noted beside it."""
    assert counted(AT_FIVE._replace(resumed_ms=NOW - 400), tick(10, ago_ms=2_000), PlanView(NOW, 5_000)) == 10_400


def process(boot: str, seen_ago_ms: int, weight: str | None, why: str = "", **held: str) -> Process:
    """Return a process that was seen so long ago, with the effect it reported."""
    effects = {} if weight is None else {"checkout/new": Effect(weight, 0, why)}
    return Process(boot, "web", int(boot), "1", {}, NOW - seen_ago_ms, Receipt(effects=effects, held=held))


def test_who_has_not_shown_a_step_is_named_and_the_dead_are_not_waited_for() -> None:
    """Live ones without the effect are; who says why, and who was silent before and after, is not."""
    progress = AT_FIVE._replace(since_ms=NOW - 3_000)
    fleet = Fleet(
        NOW,
        (
            process("1", 1_000, "5"),
            process("2", 1_000, "0"),
            process("3", 1_000, "0", "off"),
            process("4", 4_000, "0"),  # live, and not heard since the step
            process("5", 60_000, "0"),  # dead
            process("6", 500, None),
        ),
    )
    assert unshown(fleet, "checkout/new", progress) == "3 of 5 processes (web/2, web/4, web/6)"
    later = fleet._replace(now_ms=NOW + 2_001, processes=(fleet.processes[0], fleet.processes[3]))
    assert unshown(later, "checkout/new", progress) == ""


def test_a_process_that_dies_while_it_starts_does_not_stop_a_plan() -> None:
    """It has said that it is there, after the step, and nothing more: a host in a crash loop leaves many of those."""
    progress = AT_FIVE._replace(since_ms=NOW - 60_000)
    alive, born_dead = process("1", 3_000, "5"), process("2", 7_000, None)
    assert unshown(Fleet(NOW, (alive, born_dead)), "checkout/new", progress) == ""
    assert unshown(Fleet(NOW - 2_000, (alive, born_dead)), "checkout/new", progress) == "1 of 2 processes (web/2)"


def test_a_live_process_that_keeps_values_is_named() -> None:
    """No plan steps while one reports a broken lineage (timeline 22); a dead one's doubt is over."""
    assert doubting(
        Fleet(NOW, (process("1", 10, "5"), process("2", 10, "5", held="weights x"))), "checkout"
    ).startswith("web/2 holds values back")
    odd = process("1", 10, "5")
    odd = odd._replace(receipt=odd.receipt._replace(baselines={"checkout": baseline_words("old", "new")}))
    assert doubting(Fleet(NOW, (odd,)), "checkout").startswith("web/1 has baseline 'old' in its code")
    assert doubting(Fleet(NOW, (odd,)), "search") == ""
    assert doubting(Fleet(NOW, (process("2", 60_000, "5", held="weights x"),)), "checkout") == ""
