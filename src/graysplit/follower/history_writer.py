"""Write into the history what nobody has entered yet: edits by hand, leases that ended, a fork, a lost zero."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from graysplit.core.lease import PREFIX
from graysplit.errors import GraysplitError, NotYetError, StoreUnreachableError
from graysplit.follower.backoff import chance
from graysplit.follower.submissions import fork_entry, lease_over, submit_first

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.events import Events
    from graysplit.follower.replica import Replica
    from graysplit.follower.server_time import ServerTime
    from graysplit.stores.port import Feed, Submission

LEASE_AGAIN_S: Final = 1.0  # after the store has said that a lease is not over
BOOK_WITHIN_S: Final = 0.25  # a raw edit is booked after a random wait, so that one process does it
BETWEEN_S: Final = 0.02  # between two portions of raw edits that are booked


class HistoryWriter:
    """One process's part in keeping the history whole; used by its follower's thread alone."""

    def __init__(self, replica: Replica, events: Events, clock: Clock, time: ServerTime) -> None:
        """Begin with nothing to write."""
        self._replica = replica
        self._events = events
        self._clock = clock
        self._time = time
        self._book_at: float | None = None

    def book_soon(self) -> None:
        """Look for what is not in the history yet after a short random wait, unless it is awaited already."""
        if self._book_at is None:
            self._book_at = self._clock.monotonic() + BOOK_WITHIN_S * chance()

    def left_s(self, most: float) -> float:
        """Return the seconds until it is due; `most` where nothing is awaited, or not for so long."""
        return most if self._book_at is None else min(most, self._book_at - self._clock.monotonic())

    def book_if_due(self, feed: Feed) -> None:
        """Write what is not in the history yet, once its time has come."""
        if self._book_at is None or self._clock.monotonic() < self._book_at:
            return
        self._book_at = None
        self.end_leases(feed)
        self._book_fork(feed)
        self.attempt("edits_unrecorded", "raw edits are not recorded in the history", lambda: self._book(feed))

    def end_leases(self, feed: Feed) -> None:
        """Write down what has lapsed: whoever is first does it, and whoever may not leaves it."""
        held = self._replica.adopted
        set_back = self._time.set_back(held.leases)
        for field in tuple(held.lapsed):
            stands = held.seen["weights"].get(field.encode())
            lease = held.seen["meta"].get(f"{PREFIX}{field}".encode(), b"")  # as it was written, maybe by hand
            running = held.leases[field]
            from_ms = max(0, running.until_ms - set_back.get(field, 0))
            ending = lease_over(
                field, None if stands is None else stands.decode(), lease.decode(), running.then, from_ms
            )
            said = "the end of a lease is not recorded in the history"
            self.attempt(f"lease_not_ended {field}", said, partial(self._end_lease, feed, ending))

    def _end_lease(self, feed: Feed, ending: Submission) -> None:
        """Write the end of a lease where it is over by the server's clock too; else look again soon.

        This process's clock may have leaped: then it alone is at the weight after, and the fleet goes on.
        """
        try:
            submit_first(feed, ending)
        except NotYetError:
            self._book_at = self._clock.monotonic() + LEASE_AGAIN_S

    def _book(self, feed: Feed) -> None:
        """Book for some time; where there is more, again once others have had a turn."""
        feed.record_raw_edits("outside")
        if feed.unbooked:
            self._book_at = self._clock.monotonic() + BETWEEN_S

    def _book_fork(self, feed: Feed) -> None:
        """Write a fork into the history, before anything else: its revision is above all that were followed."""
        replica = self._replica
        if replica.fork is None:
            return
        why = self.attempt(
            "fork_unrecorded",
            "a fork is not recorded in the history",
            partial(submit_first, feed, fork_entry(replica.fork)),
        )
        # A conflict: somebody was faster, and the next reading says whether with the same fork.
        if why and not replica.adopted.lost:  # with a key lost nobody can write it yet; this role may never
            replica.fork = None

    def brake(self, feed: Feed, field: str, release_ms: int) -> None:
        """Write a zero that the store has lost back as a stop, for processes born later."""
        why = "known to be at zero before the store lost it"
        alone = f"'{field}' is kept at zero in this process only"
        self.attempt(f"zero_not_written {field}", alone, lambda: feed.stop_if_older(field, why, release_ms))

    def attempt(self, kind: str, said: str, act: Callable[[], object]) -> str:
        """Write what a server may refuse without the following being any worse for it; return why, or ""."""
        try:
            act()
        except StoreUnreachableError:
            raise
        except GraysplitError as fault:
            self._events.trouble(kind, f"{said}: {fault}")
            return str(fault)
        self._events.over(kind, f"resolved: {said}")
        return ""
