"""Choices kept in a request that stays open, and a zero that nobody asked about while it stood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from graysplit import Control
from graysplit.core.bucketing import bucket_of, seed_of
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock
from tests.model.world import Process

HIGH: Final = next(f"u-{n}" for n in range(100) if bucket_of(f"u-{n}".encode(), seed_of("checkout")) >= 50_000)

LOWERINGS: Final[dict[str, Callable[[MemoryStore, Control], object]]] = {
    "rollback": lambda _, control: control.rollback("checkout"),
    "set": lambda _, control: control.set("checkout", 0),
    "preview": lambda _, control: control.preview("checkout"),
    "a stop": lambda store, _: store.raw_set("stops", "checkout/new", "by hand"),
    "a stop on everything": lambda store, _: store.raw_set("stops", "*", "by hand"),
    "a mistyped weight": lambda store, _: store.raw_set("weights", "checkout", "0"),
    "the baseline at 100": lambda store, _: store.raw_set("weights", "checkout/old", "100"),
    "HDEL": lambda store, _: store.raw_delete("weights", "checkout/new"),
}


@pytest.mark.parametrize("how", LOWERINGS)
def test_a_choice_kept_before_zero_is_not_found_after_it(how: str) -> None:
    """Be the split asked for at zero, or not until it has risen again: the request decides anew."""
    clock = MovedClock()
    store = MemoryStore(clock=clock)
    control = Control(store, actor="ann", confirm=True)
    control.create("checkout")
    control.set("checkout", 100)
    process = Process(store, clock)
    process.read()
    assert process.choose("checkout", HIGH, kept=True) == "new"
    LOWERINGS[how](store, control)
    process.read()
    control.set("checkout", 5, unstop=True)
    process.read()
    assert process.choose("checkout", HIGH, kept=True) == "old"


def test_a_choice_outlives_what_is_no_zero() -> None:
    """Lowering within a request that is open leaves its choice, as long as somebody is let in by hash."""
    clock = MovedClock()
    store = MemoryStore(clock=clock)
    control = Control(store, actor="ann", confirm=True)
    control.create("checkout")
    control.set("checkout", 100)
    process = Process(store, clock)
    process.read()
    assert process.choose("checkout", HIGH, kept=True) == "new"
    control.set("checkout", 5)
    process.read()
    assert process.choose("checkout", HIGH) == "old"
    assert process.choose("checkout", HIGH, kept=True) == "new"
