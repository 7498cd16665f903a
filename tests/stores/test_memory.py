"""The memory store keeps the contract of every store."""

from __future__ import annotations

import uuid

import pytest

from graysplit.core.fleet import FORGET_MS
from graysplit.core.guard.tally import Begun
from graysplit.errors import RefusedError
from graysplit.stores import Rollback, Store, store_from_url
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import ProgressUpdate, Trip
from graysplit.stores.wrappers import ReadOnlyStore, RecordingStore
from graysplit.testing.contract import ReadingContract, StoreContract, report_of, seed, submission_of
from graysplit.testing.contract.tally import FIELD, RELEASE, begin
from tests.clocks import MovedClock


class _OnMemory:
    """The hooks: all stores of one test share one space."""

    @pytest.fixture(autouse=True)
    def _space(self) -> None:
        self.name = uuid.uuid4().hex

    def inner(self) -> MemoryStore:
        return MemoryStore(self.name)

    def raw(self, key: str, field: str, value: str | bytes | None) -> None:
        if value is None:
            self.inner().raw_delete(key, field)
        else:
            self.inner().raw_set(key, field, value)

    def drop(self, key: str) -> None:
        self.inner().raw_drop(key)


class TestMemoryStore(_OnMemory, StoreContract):
    """The store at memory://name."""

    def make(self) -> Store:
        """Open one."""
        return self.inner()


class TestRecordingStore(_OnMemory, StoreContract):
    """A wrapper that remembers."""

    def make(self) -> Store:
        """Open one."""
        return RecordingStore(self.inner())


class TestReadOnlyStore(_OnMemory, ReadingContract):
    """A wrapper that refuses writes."""

    def make(self) -> Store:
        """Open one."""
        return ReadOnlyStore(self.inner())

    def writer(self) -> Store:
        """Open one that writes."""
        return self.inner()


def test_a_private_store_is_seen_by_nobody_else() -> None:
    """Two stores from memory:// share nothing, two from memory://name everything in one namespace."""
    seed(first := store_from_url("memory://"))
    assert store_from_url("memory://").load().weights.lost == "missing"
    assert first.load().weights.lost is None
    name = uuid.uuid4().hex
    seed(store_from_url(f"memory://{name}"))
    assert store_from_url(f"memory://{name}").load().weights.lost is None
    assert store_from_url(f"memory://{name}", "other").load().weights.lost == "missing"


def test_a_silent_process_is_forgotten_after_ten_minutes() -> None:
    """Silent processes stay in the count until ten minutes have passed."""
    clock = MovedClock(1_000_000.0)
    store = MemoryStore(clock=clock)
    store.follow().report(report_of("boot-1", weight="0"), about=True)
    clock.now += 30
    assert [process.boot for process in store.fleet().silent] == ["boot-1"]
    clock.now += FORGET_MS / 1000
    assert store.fleet().processes == ()


def test_a_raise_grows_old_by_the_stores_clock() -> None:
    """The fence counts the store's own time."""
    clock = MovedClock(1_000_000.0)
    store = MemoryStore(clock=clock)
    raising = submission_of(store, "checkout", raises=True)
    clock.now += 10.5
    with pytest.raises(RefusedError, match="10 s old"):
        store.submit(raising)


def test_a_read_only_store_refuses_writes_and_leaves_no_trace() -> None:
    """Neither submissions nor rollbacks nor heartbeats come through."""
    inner = MemoryStore()
    seed(inner)
    store = ReadOnlyStore(inner)
    with pytest.raises(RefusedError, match="takes no writes"):
        store.roll_back(Rollback("r", "checkout", "tester", ""))
    with pytest.raises(RefusedError, match="takes no writes"):
        store.submit(submission_of(inner, "checkout"))
    feed = store.follow()
    inner.raw_set("weights", "checkout/new", "20")
    feed.load("", whole=True)
    feed.report(report_of("boot-1", weight="0"), about=True)
    assert feed.record_raw_edits("process") == 0
    assert not feed.stop_if_older("checkout/new", "known", 0)
    with pytest.raises(RefusedError, match="cannot drive the plan"):
        feed.save_progress(ProgressUpdate("checkout", "", "", "{}", ""))
    with pytest.raises(RefusedError, match="takes no writes"):
        feed.submit(submission_of(inner, "checkout"))
    now = begin(store)
    told = now.batch()._replace(calls=(Begun(now.now_s, True, 1),))
    assert not now.feed.flush(told).applied
    assert not now.feed.judge(now.judgement())
    assert not now.feed.trip(Trip("t", "checkout/new", "", "too many failures"))
    assert now.tally().stages == ()
    begin(inner).feed.flush(told)
    assert now.tally().stages == store.tally(FIELD, RELEASE, now.started_s).stages != ()
    feed.leave("boot-1")
    feed.close()
    assert store.fleet().processes == ()
    assert len(store.history()) == 1


def test_wrappers_print_their_stack() -> None:
    """A name tells what a store is made of; a recording one what it was asked."""
    store = RecordingStore(ReadOnlyStore(MemoryStore()))
    assert store.name == "recording read-only memory://"
    store.load()
    store.history()
    store.replicas(0.1)
    store.tally("checkout/new", "r", 0)
    assert store.calls == ["load", "history", "replicas", "tally checkout/new"]
