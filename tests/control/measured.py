"""A split whose calls a live process measures, on a store whose time is moved by hand; fixtures to be imported."""

from __future__ import annotations

import pytest

from graysplit.control import Control
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock
from tests.control.processes import MEASURED, live


@pytest.fixture
def clock() -> MovedClock:
    """Return the store's time, moved by hand."""
    return MovedClock()


@pytest.fixture
def store(clock: MovedClock) -> MemoryStore:
    """Return an empty store."""
    return MemoryStore(clock=clock)


@pytest.fixture
def control(store: MemoryStore) -> Control:
    """Return an operator's hand on a store with one split, whose calls a live process measures."""
    control = Control(store, actor="ada")
    control.create("checkout", ["old", "new"])
    live(store, declared=MEASURED)
    return control
