"""Staleness: bounded, and visible in every decision."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graysplit import Control, Router
from graysplit.errors import BadDefinitionError, StoreUnreachableError
from graysplit.stores.memory import MemoryStore
from tests.clocks import ShiftedClock
from tests.support import eventually


class Outage(MemoryStore):
    """A memory store whose feeds can be made to fail."""

    gone = False

    def follow(self) -> object:  # type: ignore[override] # wrapped below
        """Return a feed that fails while the store is gone."""
        if self.gone:
            raise StoreUnreachableError(self.name, "it is gone")
        feed, outage = super().follow(), self
        wait = feed.wait

        def failing(timeout_s: float) -> bool:
            if outage.gone:
                raise StoreUnreachableError(outage.name, "it is gone")
            return wait(min(timeout_s, 0.01))

        feed.wait = failing  # type: ignore[method-assign] # on purpose
        return feed


@pytest.fixture
def outage() -> Outage:
    """Return a store with one split that keeps its state, and one that has a limit of 60 seconds."""
    store = Outage()
    control = Control(store, confirm=True)
    control.create("kept")
    control.create("limited", max_stale=60)
    for split in ("kept", "limited"):
        control.set(split, 100)
    return store


def test_lost_contact_shows_in_every_decision_and_ends(outage: Outage, make_router: Callable[..., Router]) -> None:
    """After three seconds decisions say that they are stale; a split with a limit falls to the baseline in time."""
    clock = ShiftedClock()
    router = make_router(outage, clock=clock)
    assert router.wait_ready(5)
    assert router.decide("limited", "u")[1:] == ("new", "bucket", 4, False)
    outage.gone = True
    eventually(lambda: router.status().mode == "lost")
    clock.ahead_s = 10.0
    eventually(lambda: router.decide("limited", "u").stale)
    assert router.decide("limited", "u")[1:3] == ("new", "bucket")
    assert router.status().stale
    clock.ahead_s = 100.0
    eventually(lambda: router.decide("limited", "u")[1:3] == ("old", "stale"))
    assert router.decide("kept", "u")[1:] == ("new", "bucket", 4, True)
    outage.gone = False
    eventually(lambda: router.decide("limited", "u")[1:] == ("new", "bucket", 4, False))
    assert not router.decide("kept", "u").stale


def test_a_limit_is_a_number_of_seconds(outage: Outage) -> None:
    """A limit of nothing is refused where it is written."""
    with pytest.raises(BadDefinitionError, match="max_stale"):
        Control(outage, confirm=True).create("never", max_stale=0)
