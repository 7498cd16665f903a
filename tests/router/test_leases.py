"""Leases in a following process: they end by themselves, connected or cut off, and are written down once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graysplit import Control, RefusedError, Router
from graysplit.errors import NotYetError
from graysplit.stores.memory import MemoryFeed, MemoryStore
from graysplit.stores.port import Submission, Written
from tests.clocks import ShiftedClock
from tests.router.test_router import NEW
from tests.support import eventually


def test_a_lease_ends_by_itself_and_is_booked_once(store: MemoryStore, make_router: Callable[..., Router]) -> None:
    """After its time the weight before stands again in every process, with exactly one entry."""
    routers = [make_router(store) for _ in range(3)]
    assert all(router.wait_ready(5) for router in routers)
    control = Control(store, confirm=True)
    control.set("checkout", 100, for_=0.6, allow_needless=True)
    eventually(lambda: all(router.choose("checkout", "anyone") == "new" for router in routers))
    eventually(lambda: all(router.explain("checkout", NEW).reason == "bucket" for router in routers))
    eventually(
        lambda: control.show("checkout").rows[0].asked == "20" and control.history(count=1)[0].cause == "lease over"
    )
    assert [entry.cause for entry in control.history()].count("lease over") == 1
    assert routers[0].decide("checkout", NEW).version == "new"
    assert b"lease:checkout/new" not in store.load().meta.fields


def test_a_lease_lasts_no_longer_because_the_clock_was_set_back(make_router: Callable[..., Router]) -> None:
    """By an hour, while it runs: whoever has read the lease before ends it when it was to end."""
    clock = ShiftedClock()
    store = MemoryStore(clock=clock)
    control = Control(store, confirm=True)
    control.create("checkout")
    control.set("checkout", 20)
    router = make_router(store)
    assert router.wait_ready(5)
    control.set("checkout", 100, for_=3, allow_needless=True)
    follower = router._lifecycle._follower
    assert follower is not None
    eventually(lambda: router.choose("checkout", "anyone") == "new" and follower.server_time.latest_ms)
    clock.jumped_s = -3_600
    control.create("search")  # all is read again
    eventually(lambda: control.history(count=1)[0].cause == "lease over", 20)
    assert control.show("checkout").rows[0].asked == "20"


def test_only_a_raise_can_be_a_lease(store: MemoryStore) -> None:
    """A lowering for a time would be a raise by machine: it is refused."""
    with pytest.raises(RefusedError, match="applies to raises"):
        Control(store, confirm=True).set("checkout", 5, for_=60)


def test_another_weight_ends_the_lease(store: MemoryStore) -> None:
    """Whoever sets the weight meanwhile, also to the same value, has the last word."""
    control = Control(store, confirm=True)
    control.set("checkout", 50, for_=60)
    control.set("checkout", 30)
    assert b"lease:checkout/new" not in store.load().meta.fields
    control.set("checkout", 50, for_=60)
    control.rollback("checkout")
    assert control.show("checkout").rows[0].effective == "0"


def test_a_lease_is_renewed(store: MemoryStore) -> None:
    """Taken again, it lasts longer and still ends at what stood before it."""
    control = Control(store, confirm=True)
    control.set("checkout", 50, for_=60)
    first = store.load().meta.fields[b"lease:checkout/new"]
    control.set("checkout", 50, for_=600)
    second = store.load().meta.fields[b"lease:checkout/new"]
    assert first.split()[2] == second.split()[2] == b"20"
    assert int(second.split()[1]) > int(first.split()[1])


def test_a_boot_clock_that_leaps_ends_no_lease_of_the_fleet(
    make_router: Callable[..., Router], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process lowers by itself until it reads the store's time again; the store says that it is not over."""
    refused: list[str] = []
    submit = MemoryFeed.submit

    def noted(feed: MemoryFeed, submission: Submission) -> Written:
        try:
            return submit(feed, submission)
        except NotYetError:
            refused.append(submission.cause)
            raise

    monkeypatch.setattr(MemoryFeed, "submit", noted)
    store, clock = MemoryStore(), ShiftedClock()
    control = Control(store, confirm=True)
    control.create("checkout")
    control.set("checkout", 20)
    leaping, sound = make_router(store), make_router(store)
    leaping._lifecycle.clock = clock
    assert leaping.wait_ready(5)
    assert sound.wait_ready(5)
    control.set("checkout", 100, for_=600, allow_needless=True)
    for router in (leaping, sound):
        eventually(lambda: router.choose("checkout", "anyone") == "new")  # noqa: B023 - asked within the turn
    clock.slept_s = 3_600
    eventually(lambda: "lease over" in refused, 10)
    assert sound.choose("checkout", "anyone") == "new"
    control.create("search")  # all is read again, and with it the store's time
    eventually(lambda: leaping.choose("checkout", "anyone") == "new", 20)
    assert [entry.cause for entry in control.history()].count("lease over") == 0
    assert store.load().weights.fields[b"checkout/new"] == b"100"
