"""What a command costs beside very much that it is not about: counted, not timed."""

from __future__ import annotations

from graysplit.control import Control
from graysplit.core.split_state import Change, LaidOver, Snapshot, apply
from graysplit.stores.memory import MemoryStore
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


def test_what_a_change_does_is_laid_over_the_releases_and_copies_none() -> None:
    """However many there are: a lookup finds those that begin with the change first."""
    before = Snapshot(releases={f"raw-{number}/new": "r" for number in range(3)})
    change = Change("set", "checkout", releases={"raw-1/new": "s", "checkout/new": "t"})
    after = apply(before, change).releases
    assert isinstance(after, LaidOver)
    assert after.under is before.releases
    assert dict(after) == {"raw-0/new": "r", "raw-1/new": "s", "raw-2/new": "r", "checkout/new": "t"}
    assert apply(before, Change("set", "checkout")).releases is before.releases
