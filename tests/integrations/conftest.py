"""A memory store with one split at 50 %, a router on it, and units of both sides."""

from __future__ import annotations

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
