"""A plan of several candidates: one change for each step, one clock, and a stop of one pauses it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graysplit.control.steps import Gates, Step, planned_steps
from graysplit.core.plan.plan import BadPlanError, PlanStep, make_plan, parse_plan, plan_record
from graysplit.errors import RefusedError
from graysplit.words.plan import plan_json, plan_words
from tests.follower.test_plan_driver import Stage

STEPS = tuple(Step((weight, weight), 10) for weight in (5, 20, 50))


class Trial(Stage):
    """A split of a baseline and two candidates, and two processes that drive."""

    def __init__(self, *versions: str) -> None:
        """Begin with all at zero."""
        super().__init__()
        self.control.create("ranking", versions or ("a", "b", "c"))
        for _ in range(2):
            self.join()

    def weights(self) -> dict[str, str]:
        """Return the weights in force."""
        return {row.version: row.effective for row in self.control.show("ranking").rows}

    def says(self) -> str:
        """Say where the plan stands."""
        plan = self.control.show("ranking").plan
        return "" if plan is None else plan_words(plan)

    def causes(self) -> list[str]:
        """Return the causes of the split's history, oldest first."""
        return [entry.cause for entry in reversed(self.control.history("ranking", 100))]


@pytest.fixture
def trial() -> Trial:
    """Return the trial."""
    return Trial()


def recorded(trial: Trial, key: str, field: str, value: str | None) -> None:
    """Write a field past the control, such that the history knows it already."""
    space = trial.store._space
    with space.locked:
        space.put(key, field, value)
        space.put("booked", f"{key} {field}", value)


def test_each_step_writes_all_candidates_in_one_change(trial: Trial) -> None:
    """Nothing is left of the plan at its end, and `simulate` has foretold each step within a second."""
    foretold = trial.control.simulate("ranking", STEPS)
    assert [move.buckets for move in foretold.moves] == [10_000, 30_000, 60_000]
    begun = trial.control.ramp("ranking", STEPS)
    assert begun.notes[0] == "step 1 of 3: 5/5% (b and c), then 20/20% (after 10s)"
    assert begun.moves == {"ranking/b": ("0", "5"), "ranking/c": ("0", "5")}
    trial.after(8)
    assert trial.says().startswith("step 1 of 3 (b=5% c=5%), next b=20% c=20% in ")
    plan = trial.control.show("ranking").plan
    assert plan is not None
    assert plan_json(plan)["weights"] == {"b": 5, "c": 5}
    assert plan_json(plan)["next_weights"] == {"b": 20, "c": 20}
    rest = trial.control.simulate("ranking").forecast
    trial.after(30)
    steps = [entry for entry in reversed(trial.control.history("ranking", 100)) if entry.cause == "step"]
    assert [(entry.after["weights ranking/b"], entry.after["weights ranking/c"]) for entry in steps] == [
        ("20", "20"),
        ("50", "50"),
    ]
    assert all(abs(step.at_ms - entry.at_ms) <= 1_000 for step, entry in zip(rest.steps[1:], steps, strict=True))
    assert trial.weights() == {"b": "50", "c": "50"}
    assert not trial.store.load().plans.fields


@pytest.mark.parametrize(("stopped", "left"), [("c", "b"), ("b", "c")])
def test_a_stop_of_one_pauses_the_plan_and_it_goes_on_without_it(trial: Trial, stopped: str, left: str) -> None:
    """Whether it leads or not: nothing rises until a person resumes, and the stopped one never does."""
    trial.control.ramp("ranking", STEPS)
    trial.after(4)
    assert trial.control.rollback(f"ranking/{stopped}", why="slow").ended == {}
    trial.after(30)
    assert trial.weights() == {left: "5", stopped: "0"}
    assert trial.causes()[-1] == "waiting"
    assert f"ranking/{stopped} was stopped by ann: slow. Go on with: graysplit resume ranking" in (
        trial.control.history("ranking", 1)[0].why
    )
    assert f"({left}=5%), paused by plan:ramp" in trial.says()
    trial.control.resume("ranking")
    trial.after(3)
    plan = trial.control.show("ranking").plan
    assert plan is not None
    assert "more at 5 %" in f"{plan.why} {plan.gates}"
    trial.after(27)
    assert trial.weights() == {left: "50", stopped: "0"}
    assert "weights ranking/" + stopped not in trial.control.history("ranking", 1)[0].after
    assert trial.control.show("ranking").plan is None


def test_where_all_are_stopped_the_plan_is_over(trial: Trial) -> None:
    """One after the other, or the split as a whole."""
    trial.control.ramp("ranking", STEPS)
    trial.after(2)
    trial.control.rollback("ranking/b")
    trial.control.rollback("ranking/c")
    trial.after(3)
    assert trial.control.show("ranking").plan is None
    assert trial.causes()[-1] == "plan over"
    trial.control.ramp("ranking", STEPS, unstop=True)
    trial.after(2)
    assert list(trial.control.rollback("ranking").ended) == ["ranking"]
    assert trial.control.show("ranking").plan is None


def test_another_weight_of_either_ends_it_and_it_is_told(trial: Trial) -> None:
    """By a person's `set`; the same weights again are no change."""
    trial.control.ramp("ranking", STEPS)
    trial.after(2)
    assert trial.control.set("ranking", weights={"b": 5, "c": 5}).ended == {}
    for version in ("b", "c"):
        ended = trial.control.set("ranking", weights={version: 7}, dry_run=True).ended
        assert ended["ranking"].startswith("the plan of 'ranking', step 1 of 3 (5/5%), started by ann")
    assert trial.control.set("ranking/c", 7).ended
    trial.after(20)
    assert trial.weights() == {"b": "5", "c": "7"}


def test_a_raw_edit_of_either_ends_it(trial: Trial) -> None:
    """Past graysplit: the driver finds another weight than it wrote, and raises nobody."""
    trial.control.ramp("ranking", STEPS)
    trial.after(2)
    with trial.store._space.locked:
        recorded(trial, "weights", "ranking/c", "9")
    trial.after(20)
    assert trial.control.show("ranking").plan is None
    assert trial.weights() == {"b": "5", "c": "9"}


def test_an_approval_is_for_the_step_of_all(trial: Trial) -> None:
    """Named by the first weight; it is a raise of all, and noted once."""
    steps = tuple(replace(step, after=None, approve=True) for step in STEPS)
    trial.control.ramp("ranking", steps)
    trial.after(12)
    assert "for approval of step 2 (20/20 %)" in trial.says()
    said = trial.control.approve("ranking", 20)
    assert said.plan is not None
    assert said.plan["weights"] == {"b": 5.0, "c": 5.0}
    assert "approved: step 2 of 3 (20/20%)" in said.notes[0]
    trial.after(3)
    assert trial.weights() == {"b": "20", "c": "20"}
    trial.control.freeze("ranking", why="holidays")
    with pytest.raises(RefusedError, match="frozen"):
        trial.control.approve("ranking", 50)


def test_what_does_not_fit_is_refused_at_the_start() -> None:
    """By number, by room, by what falls, by a version that was named."""
    trial = Trial("a", "b", "c", "d")
    with pytest.raises(BadPlanError, match="5/5 has 2 weights, and 'ranking' has 3 candidates: b, c, d"):
        trial.control.ramp("ranking", STEPS)
    two = Trial()
    with pytest.raises(RefusedError, match="Name the split alone"):
        two.control.ramp("ranking/b", STEPS)
    for weights in ((60_000, 60_000), (0, 5_000)):
        with pytest.raises(BadPlanError):
            make_plan("b", [PlanStep(weights[1], also=(weights[0],))], also=("c",))
    with pytest.raises(BadPlanError, match="no candidate may fall"):
        make_plan("b", [PlanStep(5_000, also=(9_000,)), PlanStep(20_000, also=(8_000,))], also=("c",))
    with pytest.raises(RefusedError, match="one version wins"):
        two.control.winner("ranking", "b", STEPS)
    two.control.set("ranking/c", 30)
    with pytest.raises(RefusedError, match="no step of the plan is at or above all of them"):
        two.control.ramp("ranking", STEPS[:2])


def test_it_is_written_and_read_again_and_needs_a_library_that_knows_it() -> None:
    """An older one refuses it: it knows neither the need nor the key."""
    plan = make_plan("b", planned_steps(STEPS, Gates()) or (), also=("c",))
    record = plan_record(plan)
    assert parse_plan(record) == plan
    assert (record["needs"], record["also"]) == (2, ["c"])
    assert plan.mark == "b+c"
    typed = planned_steps("5/5,20/20", Gates(every=10)) or ()
    assert [(step.weight, step.also) for step in typed] == [(5_000, (5_000,)), (20_000, (20_000,))]


def test_who_has_left_the_plan_takes_its_room_where_somebody_raises_it(trial: Trial) -> None:
    """By hand, past graysplit: no step brings all weights above 100 %."""
    trial.control.ramp("ranking", STEPS)
    trial.after(2)
    trial.control.rollback("ranking/c")
    trial.after(4)
    with trial.store._space.locked:
        recorded(trial, "stops", "ranking/c", None)
        recorded(trial, "weights", "ranking/c", "70")
    trial.control.resume("ranking")
    trial.after(40)
    assert trial.weights() == {"b": "20", "c": "70"}
    assert "for room: with 50 % all weights would be over 100 %" in trial.says()
