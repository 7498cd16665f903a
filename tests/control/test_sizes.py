"""What a command costs beside very much that it is not about: counted, not timed."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from graysplit import codec
from graysplit.control import Control
from graysplit.control.recovery import definition_texts
from graysplit.core.definition import Definition
from graysplit.core.split_state import Change, LaidOver, Snapshot, apply
from graysplit.errors import RefusedError
from graysplit.stores.memory import MemoryStore
from graysplit.stores.text.records import exact
from graysplit.stores.wrappers import RecordingStore


def test_the_history_of_a_split_is_not_paid_for_by_what_stands_beside_it() -> None:
    """Only the marks of freezes are looked at, and nothing else of the store is read."""
    store = RecordingStore(MemoryStore())
    control = Control(store)
    control.create("checkout")
    control.freeze("check*", why="holidays")
    store.calls.clear()
    assert [entry.cause for entry in control.history("checkout")] == ["freeze", "create"]
    assert [entry.cause for entry in control.history("checkout", since=60)] == ["freeze", "create"]
    assert set(store.calls) == {"history", "read_fields"}


@pytest.mark.parametrize("seed", ["7", "1e1", "10.0"])
def test_to_create_a_split_parses_no_other_unless_it_may_have_its_seed(
    monkeypatch: pytest.MonkeyPatch, seed: str
) -> None:
    """Given 30 splits, then their bytes tell that their seeds are others; a seed in another form is parsed."""
    store = MemoryStore()
    control = Control(store)
    for number in range(30):
        control.create(f"split-{number}", ("old", "new"))
    _sow(store, "split-7", seed)
    parsed = Counter[str]()
    parse = codec.parse_definition

    def counted(split: str, raw: bytes) -> Definition | None:
        parsed[split] += 1
        return parse(split, raw)

    monkeypatch.setattr(codec, "parse_definition", counted)
    Control(store).create("another", ("old", "new"), dry_run=True)
    assert parsed.keys() <= ({"split-7"} if seed != "7" else set())

    control.create("elder", ("old", "new"), salt="twin")
    with pytest.raises(RefusedError, match="would get the seed of 'elder'"):
        Control(store).create("twin", ("old", "new"))


def _sow(store: MemoryStore, split: str, seed: str) -> None:
    """Write another seed into a definition, past the library."""
    record = exact(store.load().splits.fields[split.encode()])
    with store._space.locked:
        store._space.put("splits", split, re.sub(r'"seed": ?[0-9]+', f'"seed": {seed}', record))


def test_recover_parses_each_definition_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it asks about one split, before it comes to the next."""
    store = MemoryStore()
    control = Control(store)
    for number in range(30):
        control.create(f"split-{number}", ("old", "new"))
    parsed = Counter[str]()
    parse = codec.parse_definition

    def counted(split: str, raw: bytes) -> Definition | None:
        parsed[split] += 1
        return parse(split, raw)

    monkeypatch.setattr(definition_texts, "parse_definition", counted)
    control.recover(dry_run=True)
    assert set(parsed.values()) == {1}
    assert len(parsed) == 30


def test_what_a_change_does_is_laid_over_the_releases_and_copies_none() -> None:
    """However many there are: a lookup finds those that begin with the change first."""
    before = Snapshot(releases={f"raw-{number}/new": "r" for number in range(3)})
    change = Change("set", "checkout", releases={"raw-1/new": "s", "checkout/new": "t"})
    after = apply(before, change).releases
    assert isinstance(after, LaidOver)
    assert after.under is before.releases
    assert dict(after) == {"raw-0/new": "r", "raw-1/new": "s", "raw-2/new": "r", "checkout/new": "t"}
    assert apply(before, Change("set", "checkout")).releases is before.releases
