"""What buffers have counted and the store has not acknowledged yet: told in order, and never waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.core.guard.tally import Batch, Flushed
    from graysplit.errors import GraysplitError
    from graysplit.stores.port import Feed, Later

NEAR_S: Final = 0.002  # a server that is near answers within this time, and the same turn goes on
SOON_S: Final = 0.25  # one that has answered within this time is told twice as much at once
FIRST_AT_ONCE: Final = 4
AT_ONCE_AT_MOST: Final = 64
UNANSWERED_S: Final = 5.0
LATE_S: Final = 60.0  # what could not be told for so long is dropped: it might count twice
WAITING_AT_MOST: Final = 1_000
# Of all that waits; the rest of the sixteen megabytes that a buffer may take is for what is being collected.
BYTES_AT_MOST: Final = 6_000_000
ENTRY_BYTES: Final = 180
ENTRIES_AT_MOST: Final = BYTES_AT_MOST // ENTRY_BYTES
LEAVING_S: Final = 0.25

Answered: TypeAlias = "tuple[Batch, Flushed | GraysplitError]"


class Flying(NamedTuple):
    """What has been sent and is not acknowledged."""

    sent: Sequence[tuple[float, Batch]]
    answers: Later[Sequence[Flushed | GraysplitError]]
    at: float  # monotonic time


class Unsent:
    """The batches of one process that wait for its store; used by its follower's thread alone.

    A batch waits until it is acknowledged: it may come twice, and counts once. After some that were not answered in
    time nothing is told for a while, so that a server that is slow for this is not kept from all else.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin with none."""
        self._clock = clock
        self._waiting = deque["tuple[float, Batch]"]()
        self._flying: Flying | None = None
        self._feed: Feed | None = None
        self._at_once = FIRST_AT_ONCE
        self._not_before = 0.0
        self._entries = 0  # of what waits
        self.dropped = 0  # calls, users and goals of batches that were dropped
        self._untold: dict[tuple[str, str], int] = {}  # of them, by field and release, those that no batch tells of yet

    @property
    def busy(self) -> bool:
        """Return whether something may be told now."""
        return self._flying is None and bool(self._waiting) and self._clock.monotonic() >= self._not_before

    @property
    def waits(self) -> bool:
        """Return whether answers are under way."""
        return self._flying is not None

    def add(self, batch: Batch) -> None:
        """Line up a batch; it tells how much of its release was dropped since the one before."""
        batch = batch._replace(dropped=batch.dropped + self._untold.pop((batch.field, batch.release), 0))
        self._waiting.append((self._clock.monotonic(), batch))
        self._entries += entries(batch)

    def shed(self) -> None:
        """Drop what has waited too long, or is too much, the oldest first; and count it."""
        now = self._clock.monotonic()
        while self._waiting and (self._is_too_much() or now - self._waiting[0][0] > LATE_S):
            batch = self._waiting.popleft()[1]
            self._entries -= entries(batch)
            self._drop(batch)

    def _drop(self, batch: Batch) -> None:
        """Count a batch that is not told, with what it would have told of others."""
        self.dropped += told_of(batch)
        where = batch.field, batch.release
        self._untold[where] = self._untold.get(where, 0) + told_of(batch) + batch.dropped

    def _is_too_much(self) -> bool:
        return len(self._waiting) > WAITING_AT_MOST or (self._entries > ENTRIES_AT_MOST and len(self._waiting) > 1)

    def change(self, each: Callable[[Batch, bool], Batch]) -> None:
        """Change all that waits and was not sent; each is told whether it is its buffer's last."""
        last = {(batch.field, batch.buffer): batch.number for _, batch in self._waiting}
        self._waiting = deque(
            (at, each(batch, last[batch.field, batch.buffer] == batch.number)) for at, batch in self._waiting
        )

    def tell(self, feed: Feed, is_free: Callable[[str], bool]) -> list[Answered]:
        """Send what waits unless something is under way; return what has been answered meanwhile.

        What is of a field that is not free is dropped: the store does not take it.
        """
        if feed is not self._feed:
            if self._flying is not None:
                self._not_before = self._clock.monotonic() + UNANSWERED_S
            self._recall()
            self._feed = feed
        if self.busy:
            self._send(feed, is_free)
        return self._answered(NEAR_S)

    def tell_all(self, feed: Feed, is_free: Callable[[str], bool]) -> list[Answered]:
        """Send all that waits, for as long as it is answered soon."""
        found = self.tell(feed, is_free) + self._answered(LEAVING_S)
        while self.busy:
            self._send(feed, is_free)
            found += self._answered(LEAVING_S)
        return found

    def _send(self, feed: Feed, is_free: Callable[[str], bool]) -> None:
        taken = [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]
        sent = [one for one in taken if is_free(one[1].field)]
        self._entries -= sum(entries(batch) for _, batch in taken)
        for _, batch in taken:
            if not is_free(batch.field):
                self._drop(batch)
        if not sent:
            return
        try:
            self._flying = Flying(sent, feed.flush_all([batch for _, batch in sent]), self._clock.monotonic())
        except BaseException:
            self._line_up(sent)
            raise

    def _answered(self, within_s: float) -> list[Answered]:
        flying = self._flying
        if flying is None or not flying.answers.here(within_s):
            return []
        answers = flying.answers.take()
        soon = self._clock.monotonic() - flying.at < SOON_S
        self._at_once = min(AT_ONCE_AT_MOST, self._at_once * 2) if soon else max(1, self._at_once // 2)
        self._flying = None
        return [(batch, answer) for (_, batch), answer in zip(flying.sent, answers, strict=True)]

    def _recall(self) -> None:
        if self._flying is not None:
            self._line_up(self._flying.sent)
            self._flying = None

    def _line_up(self, sent: Sequence[tuple[float, Batch]]) -> None:
        """Put what was sent in front again."""
        self._waiting.extendleft(reversed(sent))
        self._entries += sum(entries(batch) for _, batch in sent)


def entries(batch: Batch) -> int:
    """Return how much room a batch takes, in users and seconds."""
    users = (batch.exposed, batch.errors, batch.slow, batch.cut, batch.goals, batch.hanging)
    return sum(map(len, (*users, batch.calls, batch.timed, batch.running)))


def told_of(batch: Batch) -> int:
    """Return the calls, users and goals that a store never hears of where a batch is dropped."""
    return sum(one.calls for one in batch.calls) + len(batch.exposed) + len(batch.goals)
