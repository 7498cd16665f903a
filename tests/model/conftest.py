"""Keep the machine's own settings out of the model, and stop what a test has started."""

from __future__ import annotations

import os

import pytest

from tests.router.conftest import make_router

__all__ = ["make_router"]  # a fixture


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take graysplit's variables away."""
    for name in [name for name in os.environ if name.startswith("GRAYSPLIT_")]:
        monkeypatch.delenv(name)
