"""What waits for the store has bounds, and what is dropped is counted."""

from __future__ import annotations

from graysplit.core.guard.tally import Batch, Begun, Exposed, Stage
from graysplit.errors import StoreUnreachableError
from graysplit.follower.guard.unsent import ENTRIES_AT_MOST, LATE_S, UNANSWERED_S, Unsent
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock

STAGE = Stage(20_000, 80_000, 7)
USERS = 2_000


def batch(number: int, users: int = USERS) -> Batch:
    """Return a batch of a call by each of so many users."""
    exposed = tuple(Exposed(number * USERS + unit, on_new=False) for unit in range(users))
    return Batch(
        "checkout/new", "r", 0, "t", number, STAGE, calls=(Begun(1, on_new=False, calls=users),), exposed=exposed
    )


def test_what_waits_is_bound_by_entries_and_the_oldest_goes_first() -> None:
    """A million users while the store is away take no more room than some; each call and user that goes is counted."""
    unsent = Unsent(MovedClock())
    for number in range(1, 501):
        unsent.add(batch(number))
        unsent.shed()
    kept = ENTRIES_AT_MOST // (USERS + 1)
    assert unsent.dropped == (500 - kept) * 2 * USERS
    feed, told = MemoryStore().follow(), list[int]()
    while unsent.busy:
        told += [one.number for one, _ in unsent.tell(feed, lambda _: True)]
    assert told == list(range(501 - kept, 501))
    assert unsent.dropped == (500 - kept) * 2 * USERS


def test_what_waits_too_long_or_is_not_taken_is_counted() -> None:
    """A field that the store does not take, and a store that was away."""
    clock = MovedClock()
    unsent, feed = Unsent(clock), MemoryStore().follow()
    unsent.add(batch(1, 10))
    assert unsent.tell(feed, lambda _: False) == []
    assert unsent.dropped == 20
    unsent.add(batch(2, 10))
    clock.now += LATE_S + 1
    unsent.shed()
    assert unsent.dropped == 40
    assert not unsent.busy
    unsent.add(batch(3, 10)._replace(dropped=7))
    unsent.add(batch(4, 10)._replace(release="another"))
    found = [one.dropped for one, _ in unsent.tell(feed, lambda _: True)]
    assert found == [47, 0]  # with the next batch of its release, once


class Away:
    """A feed that is not reached."""

    def flush_all(self, batches: object) -> object:  # noqa: ARG002 - the port's signature
        """Fail."""
        raise StoreUnreachableError("store", "away")


def test_what_was_not_acknowledged_comes_again_in_its_order() -> None:
    """Over the next connection, after a while."""
    clock = MovedClock()
    unsent, feed = Unsent(clock), MemoryStore().follow()
    for number in (1, 2, 3):
        unsent.add(batch(number, 1))
    try:
        unsent.tell(Away(), lambda _: True)  # type: ignore[arg-type] # it only fails
    except StoreUnreachableError:
        clock.now += UNANSWERED_S
    told = [one.number for one, _ in unsent.tell(feed, lambda _: True)]
    assert told == [1, 2, 3]
    assert unsent.dropped == 0
