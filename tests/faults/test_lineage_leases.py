"""Leases (timelines 16 and 26): a raise for a time ends by itself; whoever writes a weight meanwhile wins.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from graysplit.clock import SystemClock
from graysplit.errors import RefusedError
from tests.faults.command_line import graysplit_cli
from tests.faults.pairs import FIELD, Pair, Side
from tests.faults.shares import Watch, share, watching
from tests.support import eventually

LEASE = f"lease:{FIELD}"


class Slept(SystemClock):
    """The clocks of a machine that was asleep: only its time since the start knows."""

    def __init__(self) -> None:
        """Begin awake."""
        self.asleep_s = 0.0

    def boottime(self) -> float:
        """Return the seconds since the start, the sleep included."""
        return super().boottime() + self.asleep_s


def lease(side: Side) -> bytes | None:
    """Return the lease as it stands in the store."""
    found: bytes | None = side.client.hget(side.prefix + "meta", LEASE)
    return found


def last_written(side: Side) -> str | None:
    """Return the weight that the last entry of the history wrote."""
    return side.control.history("checkout", 1)[0].after[f"weights {FIELD}"]


def now_ms(side: Side) -> int:
    """Return the server's time."""
    seconds, microseconds = side.client.time()
    return int(seconds * 1000 + microseconds // 1000)


@contextmanager
def leased(pair: Pair, weight: int, for_s: float) -> Iterator[tuple[Watch, int]]:
    """Return a watch on a process that went from 5 to a weight for a time, and the server's time of its end."""
    pair.one.control.set("checkout", 5)
    with pair.process() as router, watching(router) as watch:
        watch.when(5)
        until_ms = now_ms(pair.one) + int(for_s * 1000) + 200
        pair.one.control.set("checkout", weight, for_=for_s)
        watch.when(weight)
        yield watch, until_ms


def over(side: Side, until_ms: int) -> None:
    """Wait until the server's time is past the end of a lease, and everybody has had a turn since."""
    eventually(lambda: now_ms(side) > until_ms + 400, 10)


def test_f26_a_lease_never_ends_higher(pair: Pair) -> None:
    """A lowering cannot be for a time; a lease written by hand that would raise at its end ends where it is.

    Timeline 26.
    """
    with pair.process() as router:
        ran = graysplit_cli(pair.one.server.url, pair.namespace, "set", "checkout", "5", "--for", "30m")
        assert (ran.code, "applies to raises" in ran.err) == (1, True), ran
        pair.one.control.set("checkout", 5)
        eventually(lambda: share(router) == 5)
        pair.one.hset("meta", LEASE, f"5 {now_ms(pair.one) - 1} 50")
        eventually(lambda: lease(pair.one) is None)
        with pair.process() as newborn:
            assert share(router) == share(newborn) == 5


def test_f26_a_lease_within_a_lease_ends_where_the_first_would(pair: Pair) -> None:
    """5, then 20 for ten minutes, then 50 for a second: back to 5, not to the 20 whose lease is over with it.

    Timeline 26.
    """
    pair.one.control.set("checkout", 5)
    with pair.process() as router, pair.process() as other, watching(router) as watch:
        watch.when(5)
        pair.one.control.set("checkout", 20, for_=600)
        watch.when(20)
        pair.one.control.set("checkout", 50, for_=1.0)
        watch.when(50)
        watch.when(5)
        eventually(lambda: share(other) == 5)
        eventually(lambda: pair.one.control.history("checkout", 1)[0].cause == "lease over")
        assert lease(pair.one) is None
        assert watch.shares == [5, 20, 50, 5]
        assert [entry.cause for entry in pair.one.control.history("checkout")].count("lease over") == 1
        with pair.process() as newborn:
            assert share(newborn) == 5


def test_f26_who_is_cut_off_ends_it_by_himself(pair: Pair) -> None:
    """Timeline 26: without the store, in time; who comes back finds it booked, once, or books it."""
    pair.one.control.set("checkout", 5)
    with pair.process() as router:
        pair.one.control.set("checkout", 60, for_=1.2)
        eventually(lambda: share(router) == 60)
        pair.cut_off(router)
        assert share(router) == 60
        eventually(lambda: share(router) == 5)
        assert router.status().mode == "lost"
        assert pair.one.client.hget(pair.one.prefix + "weights", FIELD) == b"60", "nobody was there to book it"
        pair.proxy.heal()
        eventually(lambda: pair.one.control.history("checkout", 1)[0].cause == "lease over", 10)
        assert pair.one.client.hget(pair.one.prefix + "weights", FIELD) == b"5"
        assert share(router) == 5


def test_f26_sleep_counts(pair: Pair) -> None:
    """A machine that slept through the end of a lease is below it at once, before it has heard anything.

    Timelines 23 and 26.

    This server's clock stood still meanwhile: the lease is not over for the fleet, and this process alone is below it.
    """
    clock = Slept()
    pair.one.control.set("checkout", 5)
    with pair.process(clock=clock) as router:
        pair.one.control.set("checkout", 60, for_=600)
        eventually(lambda: share(router) == 60)
        pair.cut_off(router)
        assert share(router) == 60
        clock.asleep_s = 601.0
        eventually(lambda: share(router) == 5)
        with watching(router) as watch:
            pair.proxy.heal()
            eventually(lambda: router.status().mode != "lost", 10)
            pair.one.control.create("other")
            eventually(lambda: router.decide("other", "anybody").reason != "unknown_split")  # it has read on since
            assert pair.one.control.history("checkout", 1)[0].cause == "set"
            assert pair.one.client.hget(pair.one.prefix + "weights", FIELD) == b"60"
            assert lease(pair.one) is not None
            assert watch.shares == [5, 60]  # heard again, the store's clock judges
        pair.one.control.set("checkout", 60)
        eventually(lambda: share(router) == 60)  # what is written after it counts


def test_f26_a_stop_beats_a_lease(pair: Pair) -> None:
    """Rolled back in the middle of a lease: zero at once, zero after its end, and nothing of it is left.

    Timeline 26.
    """
    with leased(pair, 60, for_s=0.8) as (watch, until_ms):
        pair.one.control.rollback("checkout")
        watch.when(0)
        assert lease(pair.one) is None
        over(pair.one, until_ms)
        assert watch.shares == [5, 60, 0]
        with pytest.raises(RefusedError, match="force"):
            pair.one.control.undo("checkout")


def test_f26_a_raw_stop_beats_a_lease(pair: Pair) -> None:
    """A stop by hand leaves the weight as it is: the lease may end beneath it, and nobody rises by that.

    Timeline 26.
    """
    with leased(pair, 60, for_s=0.8) as (watch, until_ms):
        pair.one.hset("stops", "*", "by hand")
        watch.when(0)
        over(pair.one, until_ms)
        assert watch.shares == [5, 60, 0]


@pytest.mark.parametrize("weights", [("50",), ("50", "20")])
def test_f16_a_raw_edit_voids_a_lease(pair: Pair, weights: tuple[str, ...]) -> None:
    """Timeline 16: `set 20 --for`, then 50 by hand after reading the dashboards, or back to 20: that weight stays."""
    with leased(pair, 20, for_s=1.3) as (watch, until_ms):
        for weight in weights:
            pair.one.hset("weights", FIELD, weight)
            watch.when(int(weight))
            eventually(lambda expect=weight: last_written(pair.one) == expect)  # type: ignore[misc]
        assert lease(pair.one) is None
        over(pair.one, until_ms)
        assert watch.shares == [5, 20, *map(int, weights)]
        with pair.process() as newborn:
            assert share(newborn) == int(weights[-1])
