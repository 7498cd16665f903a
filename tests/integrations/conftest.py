"""A memory store with one split at 50 %, a router on it, units of both sides; what workers change is taken back."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from graysplit import Control, Router
from graysplit.stores.memory import MemoryStore
from tests.faults.shares import units

OLD, NEW = units("checkout")[99], units("checkout")[0]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own settings out of the tests."""
    for name in ("GRAYSPLIT_URL", "GRAYSPLIT_NAMESPACE", "GRAYSPLIT_OFF", "GRAYSPLIT_OFF_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store() -> MemoryStore:
    """Return a store that holds `checkout` (old, new) at 50 %."""
    store = MemoryStore()
    with Control(store) as control:
        control.create("checkout")
        control.set("checkout", 50)
    return store


@pytest.fixture
def router(store: MemoryStore) -> Iterator[Router]:
    """Return a router on it that nobody has started."""
    with_store = Router(store)
    yield with_store
    with_store.close()


@pytest.fixture
def celery_leaves_logging() -> Iterator[None]:
    """Keep a worker in this process from setting up the root logger: other tests read their lines from it."""
    from celery import signals

    def keep(**_: object) -> None:
        """Stand for the set-up."""

    signals.setup_logging.connect(keep, weak=False)
    yield
    signals.setup_logging.disconnect(keep)


@pytest.fixture
def celery_alone() -> Iterator[None]:
    """Hear no signal that others have asked for, a page of the docs say, and none any more afterwards."""
    from celery import signals

    names = ("before_task_publish", "task_prerun", "task_postrun", "worker_process_init", "worker_process_shutdown")
    every = [getattr(signals, name) for name in (*names, "worker_init", "worker_shutdown")]
    before = [list(one.receivers) for one in every]
    for one in every:
        one.receivers = [receiver for receiver in one.receivers if "graysplit" not in str(receiver[0])]
    yield
    for one, receivers in zip(every, before, strict=True):
        one.receivers = receivers


@pytest.fixture
def same_signals() -> Iterator[None]:
    """Take back RQ's handlers: a process that a later test forks would not end by SIGTERM."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
