"""A private memory store with one split, and a router that follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from graysplit import Control, Router
from graysplit.stores.memory import MemoryStore


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own settings out of the tests."""
    for name in ("GRAYSPLIT_URL", "GRAYSPLIT_NAMESPACE", "GRAYSPLIT_OFF", "GRAYSPLIT_OFF_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store() -> MemoryStore:
    """Return a store that holds `checkout` (old, new) at 20 %."""
    store = MemoryStore()
    control = Control(store)
    control.create("checkout")
    control.set("checkout", 20)
    return store


@pytest.fixture
def make_router() -> Iterator[Callable[..., Router]]:
    """Return a maker of routers that are closed at the end of the test."""
    made: list[Router] = []

    def make(*args: object, **options: object) -> Router:
        router = Router(*args, **options)  # type: ignore[arg-type] # passed on as given
        made.append(router)
        return router

    yield make
    for router in made:
        router.close()


@pytest.fixture
def router(store: MemoryStore, make_router: Callable[..., Router]) -> Router:
    """Return a router that has loaded the store."""
    router = make_router(store)
    assert router.wait_ready(5)
    return router
