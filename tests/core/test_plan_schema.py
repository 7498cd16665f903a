"""The published JSON schema of plans allows what graysplit reads, and nothing else."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graysplit
from graysplit.core.plan.plan import BadPlanError, PlanStep, default_steps, make_plan, parse_plan, plan_record
from tests.docs.pages import ROOT, blocks_of

SCHEMA = json.loads((Path(graysplit.__file__).parent / "plan.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
STEP = {"weight": "20"}

GOOD: list[dict[str, Any]] = [
    {"steps": [STEP]},
    {"steps": [{"weight": 0.001}, {"weight": 12.5}, {"weight": "100%"}]},
    {"steps": [{"weight": "007"}, {"weight": "012.5%"}, {"weight": "99.999"}, {"weight": "100.000"}]},
    {"version": "new", "name": "slow-ramp", "needs": 1, "steps": [STEP], "bake": "1h"},
    {"steps": [{**STEP, "after": "10m", "until": "safe", "approve": True}], "bake": 0},
    {"steps": [{**STEP, "after": 90, "until": None, "approve": False, "max_wait": "1.5d", "overdue": "rollback"}]},
    {"steps": [{**STEP, "max_wait": "500ms", "overdue": "nag"}], "bake": 34_560_000},
    {"steps": [{"weight": str(number)} for number in range(1, 101)]},
    {"version": "b", "also": ["c"], "needs": 2, "steps": [{"weight": 5, "also": ["5"]}, {"weight": 20, "also": [20]}]},
]

BAD: list[dict[str, Any]] = [
    {},
    {"steps": []},
    {"steps": "5,20"},
    {"steps": [20]},
    {"steps": [{}]},
    {"steps": [{"weight": "0"}]},
    {"steps": [{"weight": "000.00%"}]},
    {"steps": [{"weight": 0}]},
    {"steps": [{"weight": -5}]},
    {"steps": [{"weight": True}]},
    {"steps": [{"weight": None}]},
    {"steps": [{"weight": "preview"}]},
    {"steps": [{"weight": "101"}]},
    {"steps": [{"weight": "100.001"}]},
    {"steps": [{"weight": 100.5}]},
    {"steps": [{"weight": " 20"}]},
    {"steps": [{"weight": "1_0"}]},
    {"steps": [{"weight": "2e1"}]},
    {"steps": [{"weight": "20", "gate": "x"}]},
    {"steps": [{**STEP, "after": "soon"}]},
    {"steps": [{**STEP, "after": "-5m"}]},
    {"steps": [{**STEP, "after": -5}]},
    {"steps": [{**STEP, "after": True}]},
    {"steps": [{**STEP, "max_wait": None}]},
    {"steps": [{**STEP, "until": "worse"}]},
    {"steps": [{**STEP, "approve": "yes"}]},
    {"steps": [{**STEP, "approve": 1}]},
    {"steps": [{**STEP, "overdue": "stop"}]},
    {"steps": [STEP], "bake": 34_560_001},
    {"steps": [STEP], "needs": 3},
    {"steps": [STEP], "needs": "1"},
    {"steps": [STEP], "name": "Slow Ramp"},
    {"steps": [STEP], "version": ""},
    {"steps": [STEP], "version": 1},
    {"steps": [STEP], "guard": {}},
]


def test_the_schema_is_one() -> None:
    """It keeps the rules of its own language."""
    VALIDATOR.check_schema(SCHEMA)


@pytest.mark.parametrize("record", GOOD, ids=repr)
def test_what_the_schema_allows_is_read(record: dict[str, Any]) -> None:
    """Each of these is a plan to both."""
    VALIDATOR.validate(record)
    assert parse_plan(record, "new").steps


@pytest.mark.parametrize("record", BAD, ids=repr)
def test_what_the_schema_refuses_is_refused(record: dict[str, Any]) -> None:
    """None of these is a plan to either."""
    assert not VALIDATOR.is_valid(record)
    with pytest.raises(BadPlanError):
        parse_plan(record, "new")


@given(
    st.lists(
        st.builds(
            PlanStep,
            st.just(1),
            st.integers(0, 10**9).map(lambda ms: ms / 1000),
            st.sampled_from([None, "safe"]),
            st.booleans(),
            st.none() | st.integers(0, 10**6),
            st.sampled_from(["nag", "rollback"]),
            st.booleans(),
            also=st.just(()),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_written_fits_the_schema(steps: list[PlanStep]) -> None:
    """A record that graysplit writes is valid and is the plan again, the default plan too."""
    rising = [step._replace(weight=number + 1) for number, step in enumerate(steps)]
    plan = make_plan("new", rising, bake_s=60)
    VALIDATOR.validate(plan_record(plan))
    assert parse_plan(plan_record(plan)) == plan
    VALIDATOR.validate(plan_record(make_plan("new", default_steps())))


def test_toml_is_the_same_record() -> None:
    """A file in TOML has the same keys and values."""
    text = """
    bake = "1h"
    [[steps]]
    weight = 20
    after = "10m"
    approve = true
    [[steps]]
    weight = "100%"
    """
    found = tomllib.loads(text)
    VALIDATOR.validate(found)
    assert parse_plan(found, "new") == make_plan(
        "new", [PlanStep(20_000, 600, approve=True), PlanStep(100_000)], bake_s=3600
    )


def test_the_files_in_the_documentation_are_plans() -> None:
    """JSON and TOML of the page say the same, to both readers."""
    blocks = list(blocks_of(ROOT / "docs" / "how-to" / "plans.md"))
    (from_json,) = (json.loads(block.text) for block in blocks if block.language == "json")
    (from_toml,) = (tomllib.loads(block.text) for block in blocks if block.language == "toml")
    for record in (from_json, from_toml):
        VALIDATOR.validate(record)
    assert parse_plan(from_json) == parse_plan(from_toml)
