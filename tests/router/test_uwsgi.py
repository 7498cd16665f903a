"""Under uWSGI: nothing starts in the master, and whoever is forked starts with its first decision."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from graysplit import Router
from graysplit.stores.memory import MemoryStore
from tests.support import NewThreads, eventually


@pytest.fixture
def uwsgi(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand inside uWSGI's master, as its module says it."""
    module = SimpleNamespace(worker=0, mule=0, spooler=False)
    module.worker_id = lambda: module.worker
    module.mule_id = lambda: module.mule
    module.i_am_the_spooler = lambda: module.spooler
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    return module


def test_nothing_starts_in_the_master(
    store: MemoryStore, make_router: Callable[..., Router], uwsgi: SimpleNamespace
) -> None:
    """Waiting for it is over at once, decisions are the baseline's, and no thread stands in a fork's way."""
    threads = NewThreads()
    router = make_router(store)
    router.start()
    assert not router.wait_ready(60)
    assert router.decide("checkout", "user-1").reason == "not_ready"
    assert router.status().phase == "asleep"
    assert not threads.ours()


@pytest.mark.parametrize(("who", "number"), [("worker", 1), ("mule", 1), ("spooler", True)])
def test_whoever_is_forked_starts_with_its_first_decision(
    store: MemoryStore, make_router: Callable[..., Router], uwsgi: SimpleNamespace, who: str, number: int
) -> None:
    """Workers, mules and the spooler are forked without a word: the states that they inherit wake the router."""
    router = make_router(store)
    router.choose("checkout", "user-1")
    setattr(uwsgi, who, number)
    router.choose("checkout", "user-1")
    assert router.status().phase != "asleep"
    eventually(lambda: router.decide("checkout", "user-1").reason == "bucket")
