"""Keep the machine's own settings out of the model, and stop what a test has started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from graysplit import Router


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take graysplit's variables away."""
    for name in [name for name in os.environ if name.startswith("GRAYSPLIT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def make_router() -> Iterator[Callable[..., Router]]:
    """Give a maker of routers that are closed at the end of the test."""
    made: list[Router] = []

    def make(*args: object, **options: object) -> Router:
        router = Router(*args, **options)  # type: ignore[arg-type] # passed on as given
        made.append(router)
        return router

    yield make
    for router in made:
        router.close()
