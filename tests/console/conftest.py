"""A namespace with a split, and the verbs of whoever made it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import graysplit
from graysplit import Control
from tests.support import eventually


@pytest.fixture
def control(redis_url: str, namespace: str) -> Iterator[Control]:
    """Return the verbs of ops, on a namespace with `checkout` at 20 %."""
    with Control(redis_url, namespace=namespace, actor="ops") as made:
        made.create("checkout")
        made.set("checkout", 20, why="step 1")
        yield made


@pytest.fixture
def router(redis_url: str, namespace: str, control: Control) -> Iterator[graysplit.Router]:
    """Return a router of the application, which follows and tells what it does."""
    made = graysplit.Router(redis_url, namespace=namespace)
    made.split("checkout", "old", "new")
    made.start()
    eventually(lambda: len(control.fleet().live) == 1)
    yield made
    made.close()
