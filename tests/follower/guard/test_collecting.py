"""A collection goes in slices: between two of them the store is listened to, and a part that is full is looked at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from graysplit.core.guard.buffer import FULL, LATE, EvidenceBuffer
from graysplit.events import Events
from graysplit.follower.follower import Follower
from graysplit.follower.guard.reporter import COLLECT_S, GuardReporter
from graysplit.follower.replica import Replica
from tests.clocks import MovedClock
from tests.core.guard.test_buffer import NOW, a_buffer
from tests.core.guard.test_thinned import call, user


class Ticking(MovedClock):
    """A clock by which each look at it takes as long as a turn of collecting may."""

    def monotonic(self) -> float:
        """Return the time."""
        self.now += COLLECT_S
        return super().monotonic()


def a_watch(clock: MovedClock, *buffers: EvidenceBuffer) -> GuardReporter:
    """Return the watch of a process with these buffers, which holds nothing."""
    audience = SimpleNamespace(buffers=lambda: list(buffers))
    replica = SimpleNamespace(adopted=SimpleNamespace(begun={}, definitions={}))
    return GuardReporter("00" * 8, cast("Any", replica), cast("Any", audience), Events(), clock)


def test_one_turn_takes_a_slice_and_the_next_one_goes_on() -> None:
    """Until all is taken; a new second begins meanwhile and nothing is collected twice or lost."""
    buffer = a_buffer()
    watch = a_watch(Ticking(), buffer)
    for number in range(FULL):
        call(buffer.current, user(number), number % 2, fails=number % 4 == 0)
    watch.pass_time((NOW + 1) * 1000, crowd=1, alone=False)
    turns = 0
    while watch.collecting:
        turns += 1
        watch.pass_time((NOW + 1) * 1000 + turns, crowd=1, alone=False)
    assert turns > 10
    waiting = [batch for _, batch in watch._unsent._waiting]
    assert sum(one.calls for batch in waiting for one in batch.calls) == FULL
    assert sum(sum(batch.failures) for batch in waiting) == FULL / 4


def test_a_process_that_ends_finishes_what_is_under_way() -> None:
    """And tells of what came after it."""
    buffer = a_buffer()
    watch = a_watch(Ticking(), buffer)
    for number in range(FULL):
        call(buffer.current, user(number))
    watch.pass_time((NOW + 1) * 1000, crowd=1, alone=False)
    assert watch.collecting
    call(buffer.current, user(FULL))
    told: list[int] = []

    def flushed(batches: Any) -> Any:
        told.extend(one.calls for batch in batches for one in batch.calls)
        return SimpleNamespace(here=lambda _: False)

    watch.leave(cast("Any", SimpleNamespace(flush_all=flushed)))
    assert not watch.collecting
    assert sum(told) == FULL + 1


def test_a_part_that_is_full_is_looked_at_while_very_much_is_read() -> None:
    """And more often in seconds that follow one of many calls."""
    buffer = a_buffer()
    watch = a_watch(MovedClock(), buffer)
    watch.pass_time((NOW + 1) * 1000, crowd=1, alone=False)
    calm_s = watch.look_s
    for number in range(LATE + 1):
        call(buffer.current, user(number))
    watch.relieve()
    assert buffer.current.records.thinning is not None
    watch.pass_time((NOW + 2) * 1000, crowd=1, alone=False)
    assert watch.look_s < calm_s


class Feed:
    """A feed that hears nothing for some turns, then a signal, then that the router closes."""

    mode, mode_why, asked, outdone, counted, unbooked = "push", "", "", False, 1, False

    def __init__(self, follower: list[Follower]) -> None:
        """Note each wait, with whether a collection was under way."""
        self.follower = follower
        self.waits: list[tuple[float, bool]] = []

    def wait(self, timeout_s: float) -> bool:
        """Hear nothing."""
        self.waits.append((timeout_s, self.follower[0].watch.collecting))
        return False


def test_the_feed_is_listened_to_between_two_slices() -> None:
    """For a moment only, until all is collected."""
    buffer = a_buffer()
    clock = Ticking()
    for number in range(4 * FULL):
        call(buffer.current, user(number))
    audience = SimpleNamespace(
        buffers=lambda: [buffer], turn=lambda _: False, contact=lambda _: None, declared=dict, knows=lambda _: True
    )
    replica = SimpleNamespace(adopted=SimpleNamespace(begun={}, definitions={}, leases={}, loaded=False), busy=False)
    break_glass = SimpleNamespace(poll=lambda: False, names=frozenset())
    follower = Follower(
        None,
        cast("Replica", replica),
        cast("Any", audience),
        cast("Any", break_glass),
        Events(),
        library="0",
        clock=clock,
    )
    feed = Feed([follower])
    follower._turn()
    assert follower.watch.collecting
    while follower.watch.collecting:
        follower._listen(cast("Any", feed))
    assert len(feed.waits) > 10
    assert all(busy for _, busy in feed.waits)
    assert max(timeout_s for timeout_s, _ in feed.waits) < COLLECT_S
