"""`recover` after a store has lost data: what is in doubt, what is written, and what is left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from graysplit.control import Control, ask
from graysplit.control.control import Question
from graysplit.control.operator import operator_of
from graysplit.core.fleet import Declared, Effect
from graysplit.errors import ConfigurationError, ConflictError, RefusedError, UnknownSplitError
from graysplit.stores.memory import MemoryStore
from graysplit.stores.text.records import stop_text
from tests.control.processes import live

FIELD = "checkout/new"


@pytest.fixture(autouse=True)
def _soon_unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the answers of processes that never give any for a moment; who answers is heard at the first look."""
    monkeypatch.setattr(ask, "ANSWERS_WITHIN_S", 0.05)


@pytest.fixture
def store() -> MemoryStore:
    """Return a store with two splits: checkout at 50, search at 20."""
    store = MemoryStore()
    control = Control(store, actor="ada", confirm=True)
    for split, weight in (("checkout", 50), ("search", 20)):
        control.create(split)
        control.set(split, weight)
    return store


@pytest.fixture
def control(store: MemoryStore) -> Control:
    """Return an operator's hand on it; nobody asks."""
    return Control(store, actor="ada", confirm=True)


def weights(store: MemoryStore) -> dict[str, str]:
    """Return the raw weights."""
    return {field.decode(): raw.decode() for field, raw in store.load().weights.fields.items() if field != b"_"}


def lost(store: MemoryStore) -> set[str]:
    """Name the keys that are lost."""
    load = store.load()
    return {name for name in ("weights", "stops", "splits", "meta") if getattr(load, name).lost is not None}


def written(store: MemoryStore) -> Mapping[str, str | None]:
    """Return the fields that the last change names; it must be a recovery."""
    last = store.history(None, 1)[0]
    assert last.cause == "recover"
    return last.after


def file_of(path: Path, content: object) -> Path:
    """Write a file."""
    path.write_text(json.dumps(content))
    return path


def test_nothing_is_written_where_nothing_is_in_doubt(store: MemoryStore, control: Control) -> None:
    """A healthy store has nothing to recover, with processes or without."""
    live(store, effects={FIELD: Effect("50")})
    before = store.history(None, 1)
    found = control.recover()
    assert not found.needed
    assert found.result.dry_run
    assert store.history(None, 1) == before


def test_the_lower_of_the_two_is_written_for_all_that_is_held(store: MemoryStore, control: Control) -> None:
    """Each field that a process holds is named; where processes differ the lowest counts."""
    live(store, 1, held={f"weights {FIELD}": "30", "weights search/new": "20"})
    live(store, 2, held={f"weights {FIELD}": "10"})
    shown = control.recover(dry_run=True)
    assert [(side.field, side.store, side.fleet, side.written) for side in shown.sides] == [
        (FIELD, "50", "10", "10"),
        ("search/new", "20", "20", "20"),
    ]
    assert weights(store)[FIELD] == "50"
    found = control.recover(why="a failover")
    assert found.ask is None
    assert found.result.revision == 5
    assert weights(store) == {FIELD: "10", "search/new": "20"}
    assert written(store) == {f"weights {FIELD}": "10", "weights search/new": "20"}
    assert found.result.expected == {FIELD: "10", "search/new": "20"}


def test_one_split_is_recovered_alone(store: MemoryStore, control: Control) -> None:
    """Splits that are not named stay as they are; a name that nobody knows is an error."""
    live(store, held={f"weights {FIELD}": "10", "weights search/new": "5"})
    control.recover(["search"])
    assert weights(store) == {FIELD: "50", "search/new": "5"}
    assert store.history(None, 1)[0].split == "search"
    with pytest.raises(UnknownSplitError, match="serach"):
        control.recover(["serach"])


def test_a_stop_that_only_the_fleet_knows_is_written_back(store: MemoryStore, control: Control) -> None:
    """A zero comes with its stop, in the words it had."""
    live(store, held={f"weights {FIELD}": "0", "stops checkout": "by hand", "stops search": ""})
    control.recover()
    stops = store.load().stops.fields
    assert stops[b"checkout"] == b"by hand"
    assert b"before the store lost it" in stops[b"search"]
    assert weights(store) == {FIELD: "0", "search/new": "20"}


def test_a_zero_written_back_as_a_stop_becomes_the_weight_too(store: MemoryStore, control: Control) -> None:
    """Under the stop of a process no higher weight goes on standing; a second recovery finds nothing."""
    stop = stop_text(why="known to stand at zero", who="graysplit", at_ms=1, change="c", release="")
    store.raw_set("stops", FIELD, stop)
    assert control.recover().needed
    assert weights(store)[FIELD] == "0"
    assert store.load().stops.fields[FIELD.encode()] == stop.encode()
    assert not control.recover().needed


def test_the_definition_that_processes_hold_is_written_with_the_pins_of_the_store(
    store: MemoryStore, control: Control
) -> None:
    """What runs keeps its baseline; weights of what is no candidate there go, pins stay."""
    control.pin("checkout", "tester", "new")
    raw = json.loads(store.load().splits.fields[b"checkout"])
    versions = [{"name": "old", "place": 0}, {"name": "new"}]
    held = {**raw, "versions": versions, "baseline": "new", "pins": {}}
    turned = {"checkout": Declared("new", ("new", "old"))}
    live(store, 1, held={"splits checkout": json.dumps(held)}, declared=turned)
    found = control.recover()
    definition = Control(store, confirm=True).show("checkout").definition
    assert definition is not None
    assert (definition.baseline, definition.names, dict(definition.pins)) == ("new", ("old", "new"), {"tester": "new"})
    assert weights(store) == {"checkout/old": "0", "search/new": "20"}
    assert {"splits checkout", f"weights {FIELD}"} <= written(store).keys()
    assert found.ask == "this raises checkout/new 50 -> 100", "by its name it is everybody's version now"


def test_definitions_that_differ_are_left_to_a_person(store: MemoryStore, control: Control) -> None:
    """Where processes hold different ones, or one too long to tell, nothing of that split is written."""
    live(store, 1, held={"splits checkout": "{}", f"weights {FIELD}": "0"})
    live(store, 2, held={"splits checkout": ""})
    found = control.recover()
    assert found.left.keys() == {"checkout"}
    assert not found.needed
    assert weights(store)[FIELD] == "50"


@pytest.mark.parametrize("key", ["weights", "stops", "splits", "meta"])
def test_a_lost_key_is_made_whole_from_the_history(store: MemoryStore, control: Control, key: str) -> None:
    """All that the key held comes back in one change, and everything works as before."""
    control.create("banner")
    control.rollback("banner")
    control.set("search", 30, for_=600)
    control.pin("checkout", "tester", "new")
    before = store.load()
    store.raw_drop(key)
    found = control.recover()
    after = store.load()
    assert found.lost == {key: "missing"}
    assert lost(store) == set()
    for name in ("weights", "stops", "splits"):
        assert getattr(after, name).fields == getattr(before, name).fields
    assert after.meta.fields[b"lease:search/new"] == before.meta.fields[b"lease:search/new"]
    revision = int(before.meta.fields[b"revision"])
    assert int(after.meta.fields[b"revision"]) == found.result.revision == revision + 1
    control.set("checkout", 60, unstop=True)
    assert not control.recover().needed


def test_several_lost_keys_are_made_whole_together(store: MemoryStore, control: Control) -> None:
    """Also without the books: the log says what stood."""
    control.rollback("search")
    before = store.load()
    for key in ("weights", "stops", "splits", "booked"):
        store.raw_drop(key)
    control.recover()
    after = store.load()
    assert (after.weights, after.stops, after.splits) == (before.weights, before.stops, before.splits)


def test_of_a_lost_weight_the_lowest_that_anybody_knows_is_written(store: MemoryStore, control: Control) -> None:
    """Books, live processes and what was typed into the lost key since; a version not in the code says nothing."""
    store.raw_drop("weights")
    store.raw_set("weights", "search/new", "7")
    live(store, 1, effects={FIELD: Effect("40"), "search/new": Effect("20")})
    live(store, 2, effects={FIELD: Effect("0", 0, "off")})
    control.recover()
    assert weights(store) == {FIELD: "40", "search/new": "7"}


def test_stops_that_nobody_remembers_leave_zero(store: MemoryStore, control: Control) -> None:
    """With log and books gone, a weight that no process tells of goes to zero."""
    live(store, effects={FIELD: Effect("50")})
    for key in ("stops", "booked"):
        store.raw_drop(key)
    store._space.log.clear()
    control.recover()
    assert weights(store) == {FIELD: "50", "search/new": "0"}
    assert lost(store) == set()


def test_a_raise_is_asked_for(store: MemoryStore) -> None:
    """Making lost weights whole lets newborn processes in: that is a raise; a refusal writes nothing."""
    asked: list[str | None] = []

    def refuse(question: Question) -> None:
        asked.append(question.ask)
        raise RefusedError("no")

    store.raw_drop("weights")
    with pytest.raises(RefusedError, match="no"):
        Control(store, confirm=refuse).recover()
    assert asked == ["this raises checkout/new 0 -> 50, search/new 0 -> 20"]
    assert lost(store) == {"weights"}


def test_what_was_shown_is_what_is_written(store: MemoryStore, control: Control) -> None:
    """A process that reports something else meanwhile is a conflict."""
    live(store, 1, held={f"weights {FIELD}": "10"})
    seen = control.recover(dry_run=True)
    live(store, 2, held={f"weights {FIELD}": "5"})
    with pytest.raises(ConflictError):
        control.recover(seen=seen)
    assert weights(store)[FIELD] == "50"
    control.recover(seen=control.recover(dry_run=True))
    assert weights(store)[FIELD] == "5"


def test_a_lost_key_is_made_whole_for_all_splits_at_once(store: MemoryStore, control: Control) -> None:
    """One split alone would put all others at zero."""
    store.raw_drop("weights")
    with pytest.raises(RefusedError, match="for all splits at once"):
        control.recover(["checkout"])


def test_an_empty_namespace_is_sown_anew_from_an_export(control: Control, tmp_path: Path) -> None:
    """Definitions and stops as they were, weights at zero: absent is zero; the lineage is a new one."""
    control.rollback("search")
    path = file_of(tmp_path / "export.json", control.export())
    empty = MemoryStore()
    with pytest.raises(RefusedError, match="--source FILE"):
        Control(empty, confirm=True).recover()
    found = Control(empty, confirm=True).recover(source=path)
    assert found.fresh
    assert found.ask is None
    before, after = operator_of(control).store.load(), empty.load()
    assert after.splits == before.splits
    assert after.stops == before.stops
    assert weights(empty) == {FIELD: "0", "search/new": "0"}
    assert after.meta.fields[b"lineage"] != before.meta.fields[b"lineage"]


def test_taking_the_source_is_a_raise(control: Control, tmp_path: Path) -> None:
    """The file's weights come back where that is said aloud, and agreed to."""
    path = file_of(tmp_path / "export.json", control.export())
    empty = MemoryStore()
    shown = Control(empty, confirm=True).recover(source=path, take="source", dry_run=True)
    assert shown.ask == "this raises checkout/new 0 -> 50, search/new 0 -> 20"
    assert shown.raises
    Control(empty, confirm=True).recover(source=path, take="source")
    assert weights(empty) == {FIELD: "50", "search/new": "20"}
    assert b"release:checkout/new" in empty.load().meta.fields


def test_a_bootstrap_file_is_a_source(tmp_path: Path) -> None:
    """JSON or TOML, as a router takes it."""
    path = tmp_path / "boot.toml"
    path.write_text('[splits.checkout]\nversions = ["old", "new"]\nweights = {new = 20}\n')
    store = MemoryStore()
    Control(store, confirm=True).recover(source=str(path), take="source")
    assert weights(store) == {FIELD: "20"}


def test_a_file_beside_a_standing_store_lowers(store: MemoryStore, control: Control, tmp_path: Path) -> None:
    """The lower of store and file; what the file has not is zero; splits that it does not know stay."""
    control.create("banner")
    control.set("banner", 15)
    boot = {"splits": {"checkout": {"versions": ["old", "new"], "weights": {"new": 80}}}}
    boot["splits"]["search"] = {"versions": ["old", "new"]}
    control.recover(source=file_of(tmp_path / "boot.json", boot))
    assert weights(store) == {FIELD: "50", "search/new": "0", "banner/new": "15"}


def test_what_processes_hold_counts_beside_a_file(store: MemoryStore, control: Control, tmp_path: Path) -> None:
    """A field held at 10 does not rise because store and file agree on 50."""
    path = file_of(tmp_path / "export.json", control.export())
    live(store, held={f"weights {FIELD}": "10"})
    control.recover(source=path)
    assert weights(store)[FIELD] == "10"
    live(store, held={f"weights {FIELD}": "10"})
    assert control.recover(source=path, take="source", dry_run=True).ask == "this raises checkout/new 10 -> 50"


def test_a_file_of_another_shape_is_taken_only_when_told(store: MemoryStore, control: Control, tmp_path: Path) -> None:
    """Another baseline would turn a zero into its opposite; a split deleted since stays deleted."""
    splits = {"checkout": {"versions": ["new", "old"], "weights": {"old": 5}}, "search": {"versions": ["old", "new"]}}
    path = file_of(tmp_path / "boot.json", {"splits": splits})
    control.rollback("search")
    control.delete("search")
    found = control.recover(source=path)
    assert found.left.keys() == {"checkout", "search"}
    assert not found.needed
    control.recover(["checkout"], source=path, take="source")
    assert weights(store) == {"checkout/old": "5"}
    assert Control(store, confirm=True).show("checkout").definition.baseline == "new"  # type: ignore[union-attr]


def test_a_definition_that_cannot_be_read_comes_from_the_file(
    store: MemoryStore, control: Control, tmp_path: Path
) -> None:
    """Its weight is the lower of the two."""
    path = file_of(tmp_path / "export.json", control.export())
    store.raw_set("splits", "checkout", "{broken")
    control.recover(source=path)
    assert control.show("checkout").unread is None
    assert weights(store)[FIELD] == "50"


@pytest.mark.parametrize("content", ["", "[]", "{broken", '{"sum": 1}', '{"weights": 1, "stops": 2, "splits": 3}'])
def test_what_is_no_source_is_named(control: Control, tmp_path: Path, content: str) -> None:
    """Whatever the file holds, the error names it."""
    path = tmp_path / "odd.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"odd\.json"):
        control.recover(source=path)
    with pytest.raises(ConfigurationError, match=r"gone\.json"):
        control.recover(source=tmp_path / "gone.json")


def test_a_lease_in_a_file_is_over(control: Control, tmp_path: Path) -> None:
    """Nobody knows how long ago the file was written: the weight after the lease counts."""
    control.set("checkout", 80, for_=600)
    path = file_of(tmp_path / "export.json", control.export())
    empty = MemoryStore()
    Control(empty, confirm=True).recover(source=path, take="source")
    assert weights(empty)[FIELD] == "50"


def test_another_weight_ends_a_lease(store: MemoryStore, control: Control) -> None:
    """The lease of a weight that is lowered goes, one that stays runs on."""
    control.set("checkout", 80, for_=600)
    control.set("search", 30, for_=600)
    live(store, held={f"weights {FIELD}": "10", "weights search/new": "30"})
    control.recover()
    meta = store.load().meta.fields
    assert b"lease:checkout/new" not in meta
    assert b"lease:search/new" in meta
