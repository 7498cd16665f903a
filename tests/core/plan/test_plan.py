"""Plans as they are written: what is understood, and what is refused with its place.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.plan.plan import BadPlanError, Plan, PlanStep, default_steps, make_plan, parse_plan, plan_record
from graysplit.core.waves import wanted
from graysplit.core.weights import FULL

steps = st.lists(st.integers(1, FULL), min_size=1, max_size=8, unique=True).flatmap(
    lambda weights: st.tuples(
        *(
            st.builds(
                PlanStep,
                st.just(weight),
                st.integers(0, 100_000).map(float),
                st.sampled_from((None, "safe")),
                st.booleans(),
                st.none() | st.integers(0, 9_999).map(float),
                st.sampled_from(("nag", "rollback")),
                also=st.just(()),
            )
            for weight in sorted(weights)
        )
    )
)


@given(steps, st.integers(0, 10_000))
def test_what_is_written_is_read_again(made: tuple[PlanStep, ...], bake_s: int) -> None:
    """A plan's record gives the same plan."""
    plan = make_plan("new", made, name="careful", bake_s=bake_s)
    assert parse_plan(plan_record(plan)) == plan


def test_a_file_says_it_in_words() -> None:
    """Weights and spans are read as people write them; what is not said has a default."""
    plan = parse_plan(
        {"steps": [{"weight": 5, "after": "10m"}, {"weight": "12.5%", "approve": True}, {"weight": 50}], "bake": "1h"},
        "new",
    )
    assert plan == Plan("new", (PlanStep(5_000, 600), PlanStep(12_500, approve=True), PlanStep(50_000)), "ramp", 3_600)


@pytest.mark.parametrize(("hosts", "control"), [(0, 95_000), (3, 66_666), (8, 87_500), (20, 95_000), (1_000, 95_000)])
def test_the_default_asks_a_person_twice_and_bakes_with_a_control(hosts: int, control: int) -> None:
    """20 %, approve, 50 %, approve, 95 % or all hosts but one for an hour, and only then 100 %."""
    plan = make_plan("new", default_steps(hosts=hosts))
    assert [(step.weight, step.gates) for step in plan.steps] == [
        (20_000, ("approve",)),
        (50_000, ("approve",)),
        (control, ("after 1h",)),
        (FULL, ()),
    ]
    assert plan.bake_s == 0
    assert not hosts or wanted(control, hosts) < hosts


@pytest.mark.parametrize("hosts", [1, 2])
def test_two_hosts_bake_at_half(hosts: int) -> None:
    """The one that stays is the control."""
    assert [(step.weight, step.gates) for step in default_steps(60, hosts=hosts)] == [
        (20_000, ("approve",)),
        (50_000, ("after 1m", "approve")),
        (FULL, ()),
    ]


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"steps": []}, "steps"),
        ({"steps": "5,20"}, "steps"),
        ({}, "steps"),
        ({"steps": [{"weight": 0}]}, "steps.0.weight"),
        ({"steps": [{"weight": 20}, {"weight": 20}]}, "steps.1.weight"),
        ({"steps": [{"weight": 20}, {"weight": 5}]}, "steps.1.weight"),
        ({"steps": [{"weight": "preview"}]}, "steps.0.weight"),
        ({"steps": [{"weight": None}]}, "steps.0.weight"),
        ({"steps": [{"weight": True}]}, "steps.0.weight"),
        ({"steps": [{"weight": 101}]}, "steps.0.weight"),
        ({"steps": [{"weight": 1e-9}]}, "steps.0.weight"),
        ({"steps": [{"weight": float("nan")}]}, "steps.0.weight"),
        ({"steps": [{"weight": 5, "after": "soon"}]}, "steps.0.after"),
        ({"steps": [{"weight": 5, "after": -1}]}, "steps.0.after"),
        ({"steps": [{"weight": 5, "after": float("inf")}]}, "steps.0.after"),
        ({"steps": [{"weight": 5, "until": "sunday"}]}, "steps.0.until"),
        ({"steps": [{"weight": 5, "approve": "yes"}]}, "steps.0.approve"),
        ({"steps": [{"weight": 5, "overdue": "shrug"}]}, "steps.0.overdue"),
        ({"steps": [{"weight": 5, "gate": "unheard-of"}]}, "steps.0.gate"),
        ({"steps": [{"weight": 5, "until": []}]}, "steps.0.until"),
        ({"steps": [{"weight": 5, "overdue": {}}]}, "steps.0.overdue"),
        ({"steps": [{"weight": 10**400}]}, "steps.0.weight"),
        ({"steps": [{"weight": 5, "after": 10**400}]}, "steps.0.after"),
        ({"steps": [5, 20]}, "steps.0"),
        ({"steps": [{"weight": 5}], "needs": 3}, "needs"),
        ({"steps": [{"weight": 5}], "needs": "1"}, "needs"),
        ({"steps": [{"weight": 5}], "colour": "red"}, "colour"),
        ({"steps": [{"weight": 5}], "version": "../x"}, "version"),
        ({"steps": [{"weight": 5}], "bake": []}, "bake"),
        ({"steps": [{"weight": n + 1} for n in range(100)] * 11}, "steps"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(record: dict[str, object], field: str) -> None:
    """An unknown gate, a higher need, a step that does not rise: whoever meets it does not drive (timeline 24)."""
    with pytest.raises(BadPlanError) as found:
        parse_plan(record, "new")
    assert found.value.field == field
