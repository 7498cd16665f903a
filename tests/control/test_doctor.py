"""What `doctor` finds, and that it finds nothing where nothing is wrong."""

from __future__ import annotations

import pytest

from graysplit.cli.lines import fleet_lines
from graysplit.control import Control
from graysplit.core.fleet import Declared, Effect
from graysplit.stores.memory import MemoryStore
from tests.control.processes import CHECKOUT, live


@pytest.fixture
def store() -> MemoryStore:
    """Return a store with one split at 20 %."""
    store = MemoryStore()
    control = Control(store, actor="ada", confirm=True)
    control.create("checkout")
    control.set("checkout", 20)
    return store


def found(store: MemoryStore) -> dict[str, str]:
    """Return what the doctor finds, by place; all of it with a next command."""
    findings = Control(store, actor="ada", confirm=True).doctor()
    assert all(finding.command for finding in findings)
    return {finding.where: f"{finding.severity}: {finding.what}" for finding in findings}


def test_a_healthy_store_has_no_findings(store: MemoryStore) -> None:
    """Nothing is found where nothing is wrong, nor where nothing is."""
    live(store)
    assert found(store) == {}
    assert found(MemoryStore()) == {}


@pytest.mark.parametrize("value", ["many", "101", "-1", "NaN", "1e999", "1_0", " 20 ", "٢٠", b"\xff\xfe"])
def test_a_bad_weight_is_named(store: MemoryStore, value: str | bytes) -> None:
    """Split, field and reason stand in the finding."""
    store.raw_set("weights", "checkout/new", value)
    assert "invalid weight" in found(store)["weights checkout/new"]


def test_a_bad_definition_is_named(store: MemoryStore) -> None:
    """The reason says what is wrong with it."""
    store.raw_set("splits", "checkout", "{broken")
    assert "refused" in found(store)["splits checkout"]


def test_a_lost_key_is_named(store: MemoryStore) -> None:
    """A key that is gone, or without its field `_`, counts as lost."""
    store.raw_drop("weights")
    store.raw_delete("stops", "_")
    assert "lost" in found(store)["weights"]
    assert "lost" in found(store)["stops"]


def test_mistyped_fields_are_named(store: MemoryStore) -> None:
    """Fields that name no candidate, those that hold a split down, and a stop on a baseline."""
    store.raw_set("weights", "checkout/nwe", "0")
    store.raw_set("weights", "checkout", "0")
    store.raw_set("stops", "checkout/old", "")
    store.raw_set("stops", "serach", "")
    findings = found(store)
    assert "not a split or candidate" in findings["weights checkout/nwe"]
    assert "not a split or candidate" in findings["stops serach"]
    assert "to zero" in findings["weights checkout"]
    assert "cannot be stopped" in findings["stops checkout/old"]
    commands = {finding.where: finding.command for finding in Control(store, actor="ada").doctor()}
    assert commands["stops serach"] == "graysplit unstop serach"
    assert commands["weights checkout/nwe"] == "redis-cli HDEL 'graysplit:{default}:weights' checkout/nwe"


def test_overfull_weights_are_named(store: MemoryStore) -> None:
    """Raw edits may add up to more than everybody."""
    control = Control(store, actor="ada", confirm=True)
    control.create("ranking", ["a", "b", "c"])
    store.raw_set("weights", "ranking/b", "60")
    store.raw_set("weights", "ranking/c", "60")
    assert "120 % together" in found(store)["weights ranking"]


def test_code_that_differs_is_named(store: MemoryStore) -> None:
    """Differing baselines, splits the store does not know, routes nobody calls."""
    live(store, 1, declared={**CHECKOUT, "search": Declared("old", ("old", "new"), "route", 0)})
    live(store, 2, declared={"checkout": Declared("new", ("new", "old"))})
    findings = found(store)
    assert "differ on the baseline" in findings["code checkout"]
    assert findings["code search"].startswith("note: ")


def test_the_stores_baseline_may_differ_from_the_codes(store: MemoryStore) -> None:
    """Code and store that disagree are both named."""
    live(store, 1, declared={"checkout": Declared("v1", ("v1", "new"))})
    assert "'v1' on web-1/101" in found(store)["code checkout"]


def test_what_processes_refuse_is_told(store: MemoryStore) -> None:
    """A receipt may name what its process would not take."""
    live(store, 1, refused=("weights checkout/new: invalid weight '1_0'",))
    assert "1_0" in found(store)["process web-1/101"]


def test_break_glass_is_told(store: MemoryStore) -> None:
    """Where it is in force the store's word does not count: named with what it covers, of old libraries too."""
    live(store, 1, off=("*",))
    live(store, 2, off=("checkout", "search"))
    live(store, 3)
    live(store, 4, off=None, effects={"checkout/new": Effect("0", 0, "off")})
    findings = [found for found in Control(store).doctor() if found.where == "break-glass"]
    assert {found.severity for found in findings} == {"problem"}
    told = {found.what.partition(" on ")[0]: found.what for found in findings}
    assert set(told) == {"in force for *", "in force for checkout, search", "in force for checkout"}
    assert "on 1 of 4 live processes (web-1/101)" in told["in force for *"]
    assert all("GRAYSPLIT_OFF_FILE" in found.command for found in findings)
    printed = " | ".join(fleet_lines(Control(store).fleet()))
    assert "break-glass is in force for * on 1 of 4 live processes: web-1/101" in printed


def test_a_version_that_one_side_lacks_is_told(store: MemoryStore) -> None:
    """In the code alone nobody gets it: a note. Above zero in the store alone, users are not where they should be."""
    live(store, 1, declared={"checkout": Declared("old", ("old", "new", "v3"))})
    assert [(found.severity, found.where) for found in Control(store).doctor()] == [("note", "code checkout")]
    assert "'v3' is declared by web-1/101" in found(store)["code checkout"]
    live(store, 1, declared={"checkout": Declared("old", ("old",))})
    assert found(store)["code checkout"].startswith("problem: 'new' is at 20 and not registered on web-1/101")
    Control(store, actor="ada").rollback("checkout")
    assert found(store) == {}


def test_the_lesser_mode_is_told_with_its_cause(store: MemoryStore) -> None:
    """One note for each cause; a library that does not tell it is said not to."""
    why = "its rights are too narrow: no permissions to run 'client|tracking'"
    for number in (1, 2):
        live(store, number, mode="log", mode_why=why)
    live(store, 3, mode="poll")
    findings = found(store)
    assert findings["process web-1/101 and 1 more"].startswith("note: follows by 'log'")
    assert findings["process web-1/101 and 1 more"].endswith(f"Why: {why}")
    assert "does not report why" in findings["process web-3/103"]
