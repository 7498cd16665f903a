"""Lines on screens that claimed what was not so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from graysplit.cli.app import run
from graysplit.cli.lines import history_lines, overview_lines
from graysplit.control.control import Control, Question
from graysplit.control.steps import Step
from graysplit.core.fleet import Effect
from graysplit.errors import RefusedError
from graysplit.stores.memory import MemoryStore
from graysplit.words.result import written_lines
from graysplit.words.values import overview_json
from graysplit.words.way_back import no_way_back, way_back
from tests.control.processes import live

FIELD = "checkout/new"


@pytest.fixture
def store() -> MemoryStore:
    """Return a store in which checkout stands at 20."""
    store = MemoryStore()
    with Control(store, actor="ada", confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 20)
    return store


@pytest.fixture
def control(store: MemoryStore) -> Iterator[Control]:
    """Return an operator's hand."""
    with Control(store, actor="ada", confirm=True) as control:
        yield control


def test_the_history_tells_a_stop_that_stood_from_one_that_was_set(control: Control) -> None:
    """A second rollback keeps the stop of the first; clearing it is told as that."""
    control.rollback("checkout")
    control.rollback("checkout")
    control.unstop("checkout")
    lines = history_lines(control.history("checkout"))
    assert "stop checkout cleared" in lines[0]
    assert "stop checkout already set" in lines[1]
    assert "stop checkout set" in lines[2]


def test_an_undo_that_changes_nothing_offers_no_way_back(control: Control) -> None:
    """It says so; one that does change something offers itself."""
    control.rollback("checkout")
    control.rollback("checkout")
    dry = control.undo("checkout", dry_run=True)
    result = control.undo("checkout")
    assert result.idle
    assert way_back(result) is None
    assert no_way_back(result) is None
    assert any("nothing to revert" in line for line in dry.notes + result.notes)
    control.unstop("checkout")
    control.set("checkout", 30)
    control.set("checkout", 40)
    changed = control.undo("checkout")
    assert way_back(changed) == "graysplit undo checkout"
    pinned = control.pin("checkout", "u-17")
    assert way_back(pinned) == "graysplit undo checkout"
    assert way_back(control.undo("checkout")) == "graysplit undo checkout"


def test_a_weight_that_is_lost_is_unknown_and_not_zero(store: MemoryStore, control: Control) -> None:
    """What all processes agree on is told; a stop holds at zero whatever was lost; the other keys say nothing of it."""
    store._space.hashes["weights"].clear()
    (row,) = control.overview().rows
    assert (row.asked, row.effective) == ("unknown", "unknown")
    assert overview_json(control.overview())["candidates"][0]["asked"] is None  # type: ignore[index]
    assert any(FIELD in line and "unknown" in line for line in overview_lines(control.overview()))
    live(store, effects={FIELD: Effect("20")})
    (row,) = control.overview().rows
    assert (row.asked, row.effective) == ("unknown", "20")
    store.raw_set("stops", "checkout", "by hand")
    (row,) = Control(store).overview().rows
    assert row.asked == "unknown"


def test_a_function_is_asked_about_the_stop_it_clears(store: MemoryStore) -> None:
    """Its question names the stop, by whom and why, in its words as in `stops`; where it refuses nothing is written."""
    asked: list[Question] = []

    def refuse(question: Question) -> None:
        asked.append(question)
        raise RefusedError("no")

    with Control(store, actor="ada", confirm=refuse) as control:
        control.rollback("checkout", why="500s")
        for verb in (lambda: control.set("checkout", 5), lambda: control.set("checkout", 100)):
            before = store.load()
            with pytest.raises(RefusedError, match="no"):
                verb()
            question = asked.pop()
            assert (question.ask or "").startswith("this clears the stop checkout: by ada")
            assert "500s" in (question.ask or "")
            assert question.stops.keys() == {"checkout"}
            assert store.load().stops == before.stops
        asked.clear()
        with pytest.raises(RefusedError, match="no"):
            control.set("checkout", 100, unstop=True)
        assert not asked[0].stops
        assert "stop" not in (asked[0].ask or "")
    with Control(store, actor="ada", confirm=lambda _: None) as control:
        assert control.set("checkout", 5).cleared.keys() == {"checkout"}


def test_a_rollback_of_nothing_says_that_it_wrote_nothing(control: Control) -> None:
    """Where nothing is above zero; and where something was, what it was."""
    lines = written_lines(control.rollback("*"))
    assert lines[0].startswith("written: rollback *: checkout/new 20% -> 0%")
    again = control.rollback("*")
    assert not any(line.startswith("written: rollback *") for line in written_lines(again)) or again.stops
    control.unstop("checkout")
    nothing = control.rollback("*")
    assert way_back(nothing) is None


def test_the_way_back_is_said_or_that_there_is_none(
    control: Control, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a rollback of everything, an approval, a rebalance, a recovery: what there is instead."""
    control.set("checkout", 5)
    control.ramp("checkout", (Step(20, approve=True), Step(100)))
    approved = control.approve("checkout", 100)
    assert way_back(approved) is None
    assert (
        no_way_back(approved) == "none, an approval cannot be withdrawn; stop the plan with: graysplit pause checkout"
    )
    everything = control.rollback("*")
    assert no_way_back(everything) == "split by split, as in: graysplit undo checkout --force"
    assert control.undo("checkout", force=True, unstop=True).moves == {FIELD: ("0", "20")}, "what it says is so"
    for cause in ("rebalance", "recover"):
        assert (no_way_back(replace(everything, cause=cause)) or "").startswith("none")
    monkeypatch.setattr("graysplit.cli.session.Session.control", control)
    assert run(["rollback", "--all", "--no-wait"]) in {0, 6}
