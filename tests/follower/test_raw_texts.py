"""An edit by hand that moves nobody is one all the same: it waits to be entered, and a plan ends by it."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import pytest

from graysplit import Control
from graysplit.core.replica.adoption import MAX_STOP
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock
from tests.model.world import Process

FIELD = b"checkout/new"


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("weights", b"50", b"50.0"),
        ("weights", b"50", b"1_0"),
        ("weights", b"1_0", b"nonsense"),
        ("stops", b"by hand", b"by another hand"),
        ("stops", b"x" * MAX_STOP, b"x" * MAX_STOP + b" and more than is kept"),
    ],
)
def test_another_text_waits_to_be_entered_though_it_moves_nobody(key: str, before: bytes, after: bytes) -> None:
    """Read once it is unexplained; read again, with nothing new, it is not."""
    store = MemoryStore(clock=MovedClock())
    control = Control(store, confirm=True)
    control.create("checkout")
    control.set("checkout", 50)
    store._space.hashes[key][FIELD] = before
    process = Process(store, MovedClock())
    process.read()
    assert not process.read().unexplained
    store._space.hashes[key][FIELD] = after
    assert process.read().unexplained
    assert not process.read().unexplained
