"""What Control takes as people hand it over: percent, lengths of time, and the names of before for a while."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest

import graysplit
import graysplit.control
from graysplit import Control, Step
from graysplit.cli.app import run
from graysplit.control.operator import operator_of
from graysplit.control.result import Result
from graysplit.core.durations import BadSpanError, seconds
from graysplit.core.plan.plan import BadPlanError, PlanStep
from graysplit.errors import BadValueError, BadWeightError
from graysplit.stores.memory import MemoryStore

WORDS = {"Store", "Steps", "Action", "Sensitivity", "Take", "Told", "Until"}
PYTHONS = {"Callable", "Collection", "Iterable", "Literal", "Mapping", "None", "PathLike", "Sequence"}
WEIGHTS = (5_000, 20_000, 50_000, 100_000)


@pytest.fixture
def control() -> Control:
    """Return a control of a store with one split."""
    found = Control(MemoryStore(), confirm=True)
    found.create("checkout", ("old", "new"))
    return found


def steps_of(control: Control, split: str = "checkout") -> list[dict[str, object]]:
    """Return the steps that are recorded."""
    plan = operator_of(control).read().snapshot.splits[split].definition.plan
    assert plan is not None
    return cast("list[dict[str, object]]", plan["steps"])


@pytest.mark.parametrize(
    "steps",
    [
        [5, 20, 50, 100],
        (5.0, "20", "50", 100),
        "5,20,50,100",
        " 5, 20 ,50,100",
        [Step(5, "10m", "safe"), Step("20", timedelta(minutes=10), "safe"), Step(50, 600, "safe"), 100],
    ],
)
@pytest.mark.parametrize("every", ["10m", 600, timedelta(minutes=10)])
def test_a_plan_in_percent(control: Control, steps: Any, every: Any) -> None:
    """As numbers, as the command line's text and as steps with gates of their own: the same record."""
    control.ramp("checkout", steps, every=every, until="safe")
    gates = {"after": "10m", "until": "safe"}
    assert steps_of(control)[:3] == [{"weight": text, **gates} for text in ("5", "20", "50")]
    assert steps_of(control)[3]["weight"] == "100"
    assert control.show("checkout").rows[0].asked == "5"


def test_several_candidates_rise_together(control: Control) -> None:
    """Each step has one weight for each."""
    control.create("rank", ("a", "b", "c"))
    control.ramp("rank", [(5, 10), "20/20", Step((40, "50"))], every="1m")
    assert [(step["weight"], step["also"]) for step in steps_of(control, "rank")] == [
        ("5", ["10"]),
        ("20", ["20"]),
        ("40", ["50"]),
    ]


@pytest.mark.parametrize(
    ("steps", "more", "kind"),
    [
        ([5, 20], {}, BadPlanError),  # without a gate
        (None, {"every": "10m"}, BadValueError),  # gates of nothing
        ([5, "preview"], {"every": 0}, BadPlanError),
        ([5, 101], {"every": 0}, BadWeightError),
        ([5, True], {"every": 0}, BadWeightError),
        ([()], {"every": 0}, BadPlanError),
        ([5, 20], {"every": "soon"}, BadPlanError),
        ([5, 20], {"every": -1}, BadPlanError),
        ([5, 20], {"every": 0, "bake": "-1h"}, BadPlanError),
        ([20, 5], {"every": 0}, BadPlanError),
    ],
)
def test_what_cannot_be_meant_is_refused(control: Control, steps: Any, more: dict[str, Any], kind: type) -> None:
    """Before anything is written."""
    with pytest.raises(kind):
        control.ramp("checkout", steps, **more)
    assert control.show("checkout").plan is None


def test_the_command_line_refuses_steps_without_a_gate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redis_url: str, namespace: str
) -> None:
    """They would follow at once, to everybody, and nobody has said so."""
    monkeypatch.setenv("GRAYSPLIT_URL", redis_url)
    monkeypatch.setenv("GRAYSPLIT_NAMESPACE", namespace)
    assert run(("create", "checkout")) == 0
    assert run(("ramp", "checkout", "5,20,50", "--no-wait")) == 2
    assert "--every 0" in capsys.readouterr().err
    assert run(("ramp", "checkout", "5,20,50", "--every", "0", "--no-wait")) == 0


@pytest.mark.parametrize(
    ("span", "expected"),
    [(5, 5.0), (0.5, 0.5), ("5", 5.0), ("500ms", 0.5), ("2h", 7200.0), (timedelta(days=1), 86_400.0)],
)
def test_a_length_of_time(span: graysplit.Span, expected: float) -> None:
    """A number of seconds, a text, a timedelta."""
    assert seconds(span) == expected


@pytest.mark.parametrize("span", [True, None, [], "soon", object()])
def test_what_is_no_length_of_time(span: Any) -> None:
    """It is refused."""
    with pytest.raises(BadSpanError):
        seconds(span)


OLD: dict[str, Callable[[Control], Result]] = {
    "ramp(bake_s=) is now bake=": lambda c: c.ramp("checkout", [5, 20], every=0, bake_s=60),  # type: ignore[call-arg]
    "ramp(record=) is now plan=": lambda c: c.ramp("checkout", record={"steps": [{"weight": "5"}], "bake": "1m"}),  # type: ignore[call-arg]
    "ramp(yes=) is now allow_needless=": lambda c: c.ramp("checkout", [5], yes=True),  # type: ignore[call-arg]
    "set(for_s=) is now for_=": lambda c: c.set("checkout", 5, for_s=60),  # type: ignore[call-arg]
    "set(yes=) is now allow_needless=": lambda c: c.set("checkout", 5, yes=True),  # type: ignore[call-arg]
    "freeze(for_s=) is now for_=": lambda c: c.freeze("other", for_s=60),  # type: ignore[call-arg]
    "switch(over_s=) is now over=": lambda c: c.switch("checkout", to="old", over_s=1, dry_run=True),  # type: ignore[call-arg]
    "create(max_stale_s=) is now max_stale=": lambda c: c.create("other", max_stale_s=60),  # type: ignore[call-arg]
    "guard(off=True) is now unguard()": lambda c: c.guard("checkout", off=True),
    "wait_confirmed(within_s=) is now timeout=": lambda c: (
        c.wait_confirmed(c.set("checkout", 5), within_s=0).result  # type: ignore[call-arg]
    ),
}


@pytest.mark.parametrize("said", OLD)
def test_the_names_of_before_work_and_warn(control: Control, said: str) -> None:
    """For one minor version; the warning names the new one, and points at the caller."""
    control.guard("checkout")
    with pytest.warns(DeprecationWarning, match=said.replace("(", r"\(").replace(")", r"\)")) as caught:
        assert isinstance(OLD[said](control), Result)
    assert caught[0].filename == __file__


def test_both_names_at_once_are_an_error(control: Control) -> None:
    """Nobody knows which is meant."""
    with pytest.raises(TypeError, match="use bake="):
        control.ramp("checkout", [5, 20], every=0, bake=1, bake_s=2)  # type: ignore[call-arg]


def test_steps_are_kept_in_thousandths_inside() -> None:
    """The public one is in percent, the inner one is not: they are different classes."""
    assert Step(5).weight == 5
    assert PlanStep(5_000).words == "5"
    assert tuple(PlanStep(weight).words for weight in WEIGHTS) == ("5", "20", "50", "100")


def test_what_verbs_return_and_raise_can_be_imported() -> None:
    """Each class of ours that a signature of `Control` names, from `graysplit.control` or `graysplit`."""
    known = {*dir(graysplit.control), *dir(graysplit), *WORDS}
    words = {
        word
        for name, method in inspect.getmembers(Control, inspect.isfunction)
        if not name.startswith("_")
        for text in inspect.get_annotations(inspect.unwrap(method)).values()
        for word in re.findall(r"\b[A-Z]\w+", str(text))
    }
    assert words - known == PYTHONS
    assert all(getattr(graysplit.control, name) for name in graysplit.control.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = graysplit.control.Nothing  # type: ignore[attr-defined]


def test_results_are_frozen_and_by_keyword(control: Control) -> None:
    """They survive a process pool, and no field can be changed or taken for another by its place."""
    result = control.set("checkout", 20)
    assert (result.cause, result.moves, result.moved) == ("set", {"checkout/new": ("0", "20")}, 20.0)
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301 - made one line above
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.cause = "rollback"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Result("set", "checkout", {})  # type: ignore[misc]


def test_a_control_says_what_it_is() -> None:
    """Namespace, server and actor; the password of an address is not among them."""
    control = Control("redis://ops:secret@localhost:6379/3", namespace="shop", actor="ada")
    assert repr(control) == "<Control of namespace shop as ada>"
    assert operator_of(control).store.name.startswith("redis://")
    assert repr(control) == "<Control of namespace shop on localhost:6379/3 as ada>"
    assert repr(Control(MemoryStore(), actor="ada")).startswith("<Control of namespace default on memory")


def test_a_wait_takes_a_weight_in_percent(control: Control) -> None:
    """As a number or a text; nobody follows, so it is in force and not confirmed."""
    control.set("checkout", 20)
    for weight in (20, 20.0, "20", "20.0"):
        waited = control.wait_until("checkout", weight, timeout="10ms")
        assert (waited.outcome, waited.why) == ("met", "")
    assert control.wait_until("checkout", 30, timeout=timedelta(0)).why == "checkout/new 20, not 30"
