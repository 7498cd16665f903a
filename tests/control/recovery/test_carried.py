"""What `recover` takes from an exported file beside weights: freezes, protection, plans, finished marks, waves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graysplit.cli.recovery import recovery_json, side_lines
from graysplit.control import Control
from graysplit.control.operator import operator_of
from graysplit.control.steps import Step
from graysplit.stores import store_from_url
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Store
from graysplit.stores.text.records import read_progress

STEPS = (Step(20, approve=True), Step(50, approve=True), Step(100))


def meta(store: Store) -> dict[str, str]:
    """Return the fields of `meta`."""
    return {field.decode(): raw.decode() for field, raw in store.load().meta.fields.items()}


@pytest.fixture
def control() -> Control:
    """Return a namespace with a freeze, protection, a finished split, a plan, a template and a wave."""
    control = Control(MemoryStore(), actor="ada", confirm=True)
    for split in ("checkout", "search", "ranking"):
        control.create(split)
    control.create("hosts", by="instance")
    control.ramp("checkout", STEPS, save="nightly")
    control.set("search", 100, allow_needless=True)
    control.finish("search")
    control.set("hosts", 50)
    operator_of(control).store.raw_set("meta", "wave:hosts/new", "20:web-1 50:web-2")  # type: ignore[attr-defined]
    control.protect("ranking")
    control.freeze("rank*", why="Black Friday")
    return control


def exported(control: Control, path: Path) -> Path:
    """Write what `export` prints."""
    path.write_text(json.dumps(control.export()))
    return path


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_an_export_carries_what_is_more_than_weights(
    kind: str, control: Control, tmp_path: Path, redis_url: str, namespace: str
) -> None:
    """Freezes and protection as they were, the plan paused, the finished mark with its release, waves, templates."""
    path = exported(control, tmp_path / "export.json")
    store = MemoryStore() if kind == "memory" else store_from_url(redis_url, namespace)
    fresh = Control(store, actor="bob", confirm=True)
    found = fresh.recover(source=path, take="source", why="lost")
    after, before = meta(store), meta(operator_of(control).store)
    for name in ("freezes", "finished:search", "release:search/new", "wave:hosts/new", "template:nightly"):
        assert after[name] == before[name], name
    assert after["plan:checkout"] == before["plan:checkout"]
    progress = read_progress(store.load().plans.fields[b"checkout"].decode())
    assert progress is not None
    assert progress.paused is not None
    assert progress.release == after["release:checkout/new"].split(" ")[0]
    assert fresh.show("ranking").definition.protected  # type: ignore[union-attr]
    assert fresh.overview().finished.keys() == {"search"}
    assert fresh.overview().plans[0].split == "checkout"
    assert fresh.resume("checkout").cause == "resume"
    said = " / ".join(side_lines(found, "default"))
    for words in ("taken from the file: freeze of rank*", "plan of checkout, paused at 20%", "search is finished"):
        assert words in said
    assert recovery_json(found)["carried"] == list(found.carried.said)
    assert not fresh.recover(source=path, take="source").carried.said
    store.close()


def test_the_lower_takes_no_plan_and_no_finished_mark(control: Control, tmp_path: Path) -> None:
    """Their weights are at zero then; each is named with the way on. Freezes and protection are lower: they come."""
    store = MemoryStore()
    found = Control(store, confirm=True).recover(source=exported(control, tmp_path / "export.json"))
    after = meta(store)
    assert {"freezes", "template:nightly"} <= after.keys()
    assert not {"plan:checkout", "finished:search", "wave:hosts/new"} & after.keys()
    left = recovery_json(found)["left_out"]
    assert isinstance(left, dict)
    assert left.keys() == {"plan:checkout", "finished:search", "wave:hosts/new"}
    assert "graysplit ramp checkout" in left["plan:checkout"]
    assert "left out: plan:checkout" in " / ".join(side_lines(found, "default"))


def test_a_standing_store_takes_freezes_and_protection_and_keeps_the_rest(control: Control, tmp_path: Path) -> None:
    """Of two freezes of one pattern the longer stands; what differs in a definition is named, without units."""
    control.pin("checkout", "someone", "new")
    path = exported(control, tmp_path / "export.json")
    control.unpin("checkout", "someone")
    control.unprotect("ranking")
    control.unfreeze("rank*")
    control.freeze("search", for_=60)
    control.freeze("rank*", for_=60)
    found = control.recover(source=path)
    assert json.loads(meta(operator_of(control).store)["freezes"])["rank*"]["until"] == 0
    assert json.loads(meta(operator_of(control).store)["freezes"])["search"]["until"] > 0
    assert control.show("ranking").definition.protected  # type: ignore[union-attr]
    assert "ranking is protected" in found.carried.said
    assert "other values for pins" in found.carried.left_out["definition of checkout"]
    assert "someone" not in " ".join(side_lines(found, "default"))
    again = control.recover(source=path)
    assert not again.needed
    assert again.carried.left_out.keys() == {"definition of checkout"}, "a plan that runs in both is nobody's loss"


def test_an_export_of_before_is_read_and_the_plan_is_named(control: Control, tmp_path: Path) -> None:
    """It has no `plans`; and an older library passes over what it does not know."""
    old = {key: value for key, value in control.export().items() if key != "plans"}
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    found = Control(MemoryStore(), confirm=True).recover(source=path, take="source")
    assert "an older graysplit" in found.carried.left_out["plan:checkout"]


def test_what_a_file_never_holds_or_cannot_say_is_named(control: Control, tmp_path: Path) -> None:
    """A bootstrap file holds no freezes; a weight that is none is zero, a definition that is none is not taken."""
    boot = tmp_path / "boot.json"
    boot.write_text(json.dumps({"splits": {"x": {"versions": ["old", "new"], "weights": {"new": 5}}}}))
    found = Control(MemoryStore(), confirm=True).recover(source=boot, take="source")
    assert any("freezes" in what for what in found.carried.left_out)
    content = {**control.export()}
    content["weights"] = {**content["weights"], "checkout/new": "abc", "gone/new": "5"}  # type: ignore[dict-item]
    content["splits"] = {**content["splits"], "ranking": {"versions": 7}}  # type: ignore[dict-item]
    content["meta"] = {**content["meta"], "later:checkout": "1"}  # type: ignore[dict-item]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(content))
    left = Control(MemoryStore(), confirm=True).recover(source=path, take="source").carried.left_out
    assert "taken as 0" in left["weights checkout/new"]
    assert "does not define this split" in left["weights gone/new"]
    assert "cannot be read" in left["splits ranking"]
    assert "does not know" in left["later:checkout"]
