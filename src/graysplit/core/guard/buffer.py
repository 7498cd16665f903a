"""The evidence buffer of an armed split: what one process records of one stage, until it is sent in batches.

Calls are recorded in the part of the second in which they begin, without a lock: `append` to a list and a step of a
count are atomic. The follower's thread begins the parts and collects what is in them (`collector`):

    buffer.turn(second)       at each new second of the server's time
    buffer.collect(second)    -> list[Batch], one for each candidate that has something to tell; once a second or less,
                              and whenever a buffer is `full`; `collecting` does it in slices
    buffer.full               looked at as often as can be: whether the current part has too many calls
    buffer.gathering(second)  takes them, in slices, and tells nothing yet

Once a second has too many calls, another part begins in it of which some users are kept, by their hash, and the calls
of the others are only counted. What follows a second of very many calls begins so. Who collects the part leaves the
others out; where it was looked at so late that it has grown too long, the calls themselves do it (`thinned`), and begin
parts of still fewer users by themselves. Failed calls, and those cut short, are told of all users up to a bound, and
then of some: what is left out vetoes `safe`.

A weight, release or guard that changes makes a new buffer. The old one goes on until its calls have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from math import ceil
from typing import Final, NamedTuple, TypeVar, cast

from graysplit.core.bucketing import hash32
from graysplit.core.guard.batch import Collected, WatchedCandidate, add, batch_of, portions, tells
from graysplit.core.guard.collector import Collector
from graysplit.core.guard.hot_part import HotBuffer
from graysplit.core.guard.second_buffer import NO_SECOND, SecondBuffer
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import Batch
from graysplit.core.guard.thinned import KEPT, NEVER, Thinning
from graysplit.core.guard.totals import Totals

# The calls of one second in so many are timed, those of all versions: to ask of each call would cost four times as
# much. Each process takes other seconds, so that a fleet always times some, and minutes do not beat with 17.
EACH: Final = 17
CLOSED_S: Final = 120  # from then on, if the deadline has passed, a second's calls are only counted while they run
QUIET_S: Final = 3  # a second of which no call runs any more is closed then
UNCOLLECTED_S: Final = 60.0  # what nobody collects for so long is dropped
GOALS_AT_MOST: Final = 16_384
# Calls that wait to be collected on one part. From then on it is thinned: a part follows that is kept of some users
# alone, by bits of the hash that say nothing about the side.
FULL: Final = 16_384
TIMED: Final = 2_048  # timed calls after which a part is gathered: each is a list, and the collector looks at them
# What the calls on one part may take until it was looked at too late: four megabytes of the sixteen that a buffer may
# take, with all that is told of it. A call is a number, and a place in two lists.
LATE_BYTES: Final = 4_000_000
CALL_BYTES: Final = 64
LATE: Final = LATE_BYTES // CALL_BYTES
# More than there are seconds until a part closes: a server's clock that is put back leaves parts that never grow old.
PARTS_MORE: Final = 20


_T = TypeVar("_T")


class Terms(NamedTuple):
    """What a buffer belongs to: as long as these are the same, so is the buffer."""

    split: str
    names: tuple[str, ...]
    candidates: tuple[WatchedCandidate, ...]  # those with a share above zero
    guard: Guard = Guard()
    only: bytes | None = None  # whose failures all are, where the unit is the instance
    seed: int = 0  # by which units are bucketed


class EvidenceBuffer(HotBuffer):
    """What one process writes down of one stage of a split.

    `turn`, `collect` and `shed` are called by one thread. `lock` orders it and whoever reads the totals; calls never
    take it.
    """

    def __init__(self, terms: Terms, buffer_id: str, lock: AbstractContextManager[object], bits: int = 0) -> None:
        """Begin with an empty part, whose second the first turn tells; `bits`: thinned so, as another was."""
        self.id = buffer_id
        self.terms = terms
        self.split = terms.split
        self.names = terms.names
        self.guard = terms.guard
        self._closed_s = max(CLOSED_S, QUIET_S + ceil(terms.guard.deadline_s or 0))
        self._phase = hash32(buffer_id.encode(), 0) % EACH
        self._second = NO_SECOND
        self._collecting = False
        self._found: Collected | None = None  # what has been gathered and is not told
        self.calls = 0  # of the second before
        self.totals = Totals(self, lock, len(terms.names))
        self.current = self._blank(NO_SECOND, bits, by_calls=bits > 0)  # nobody looks at it before its first turn
        self._lock = lock
        only = None if terms.only is None else hash32(terms.only, 0)
        self._collector = Collector(lock, len(terms.names), terms.guard, terms.seed, only)
        self.totals.parts.append(self.current)
        self._stuck = [0] * len(terms.names)  # calls of dropped parts that had not ended; those that do end come late
        self._stuck_since = NEVER
        self._numbers = dict.fromkeys(terms.candidates, 0)
        self._shown: dict[WatchedCandidate, tuple[object, object]] = {}  # what was told last of calls under way
        self._goals = deque["tuple[str, int, int, int]"](maxlen=GOALS_AT_MOST)
        self._left: int | None = None  # the second in which a state swap took it out
        self._unread_since: float | None = None
        self._over = False
        self.dropped = 0  # calls whose unit was not told, goals that were not kept; whoever collects takes them

    # What calls and the router do

    def record(self, name: str, hashed: int, micro: int, index: int) -> None:
        """Note what a unit did later: the 32 bits of its hash, a value in millionths, and the version drawn for it."""
        self.dropped += len(self._goals) == GOALS_AT_MOST
        self._goals.append((name, hashed, micro, index))

    def leave(self) -> None:
        """Take note that no state writes on it any more, but for the calls under way; the first time counts."""
        if self._left is None:
            self._left = self.current.second

    def rejoin(self) -> None:
        """Take note that states write on it again."""
        self._left = None
        self._over = False  # else, left again before anybody collects, it would go with what is on it

    @property
    def over(self) -> bool:
        """Return whether it has left, and nothing more is to be collected."""
        return self._over

    @property
    def bits(self) -> int:
        """Return how many bits of a unit's hash must be zero for its calls to be written down at present."""
        return self.current.records.mask.bit_length()

    # What the follower's thread does

    def turn(self, second: int) -> None:
        """Open the part of a second of the server's time; the first part belongs to the second before the first."""
        part = self.current
        if second == part.second:
            return
        if part.second == NO_SECOND:
            for one in self.totals.all_parts():
                one.second = second - 1
            self._left = part.second if self._left == NO_SECOND else self._left
        self.calls = self._calls_of(part.second)
        self._second = second
        self.current = fresh = self._blank(second, bits_for(self.calls))
        with self._lock:
            self.totals.parts.append(fresh)

    def _calls_of(self, second: int) -> int:
        """Return how many calls began in a second."""
        with self._lock:
            records = [part.records for part in self.totals.all_parts() if part.second == second]
            return sum(one.calls(index) + one.requests(index) for one in records for index in range(len(self.names)))

    def collect(self, second: int) -> list[Batch]:
        """Take what has been written; one batch for each candidate that has something to tell.

        `second` is the server's present one. A batch with calls under way comes each time: from a process that is
        silent they are charged.
        """
        return _ended(self.collecting(second))

    def collecting(self, second: int) -> Generator[None, None, list[Batch]]:
        """Do so in slices of work; between two of them whoever collects may do something else, but not begin anew."""
        self._unread_since = None
        self._collecting = True
        try:
            collected = yield from self._take(second)
            self._found = None
            batches: list[Batch] = []
            for candidate in self.terms.candidates:
                if (batch := self._batch(candidate, collected)) is not None:
                    batches += portions(batch)
                    self._numbers[candidate] = batches[-1].number
                    yield
        finally:
            self._collecting = False
        away_s = second - self._left if self._left is not None else 0
        self._over = away_s > self._closed_s or (away_s > QUIET_S and not self._under_way())
        return batches

    def gathering(self, second: int) -> Iterator[None]:
        """Take what has been written in slices, and keep it until it is told."""
        self._unread_since = None
        self._collecting = True
        try:
            yield from self._gather(second, tells=False)
        finally:
            self._collecting = False

    @property
    def full(self) -> bool:
        """Return whether so much is written that it is to be gathered; of a whole part fewer users are kept then."""
        part = self.current
        records = part.records
        waiting, blamed = records.waiting, records.blamed
        if len(records.sampled) > FULL // 2:
            part.timed = False  # decided as each call begins, whichever side it is on
        if waiting > LATE or blamed > LATE:
            part.timed = False
            self._open(part, max(1, bits_for(waiting)), by_calls=True)
        elif waiting > FULL and not records.mask:
            part.timed = False
            self._open(part, bits_for(waiting), by_calls=False)
        return waiting + blamed + sum(map(len, records.ended)) > FULL or len(records.sampled) > TIMED

    def _open(self, part: SecondBuffer, bits: int, *, by_calls: bool) -> None:
        """Begin another part of the same second, for fewer users; by whoever finds it full, once."""
        if self.current is not part:
            return
        timed = None if by_calls else part.timed
        fresh = self._blank(part.second, bits, by_calls=by_calls, timed=timed)
        self.totals.opened.append(fresh)
        self.current = fresh
        if self._second not in (fresh.second, NO_SECOND):  # a second has begun meanwhile
            self.totals.opened.append(later := self._blank(self._second, bits, by_calls=by_calls))
            self.current = later

    def shed(self, now: float) -> None:
        """Drop what nobody has collected for a minute (monotonic seconds); counts of calls stay exact."""
        if self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > UNCOLLECTED_S and not self._collecting:
            self._unread_since = now
            found, self._found = _ended(self._take(max(self.current.second, 0))), None
            self.dropped += sum(found.calls.values()) + len(found.exposed) + len(found.goals)
            self._over = self._left is not None

    def _blank(self, second: int, bits: int = 0, *, by_calls: bool = False, timed: bool | None = None) -> SecondBuffer:
        """Return an empty part of the users whose hash ends in so many zero bits; timed by its second unless given."""
        if timed is None:
            timed = self.guard.every_call or (second != NO_SECOND and second % EACH == self._phase)
        mask = (1 << bits) - 1
        if not by_calls:
            return SecondBuffer(len(self.names), second, timed=timed, mask=mask)
        part: SecondBuffer
        buffer = self.totals.buffer  # the part, which the totals keep, does not hold it

        def more() -> None:
            if (known := buffer()) is not None:
                known._open(part, bits + 1, by_calls=True)  # noqa: SLF001 - its own

        thinning = Thinning(bits, self.terms.seed, more)
        part = SecondBuffer(len(self.names), second, timed=timed, mask=mask, thinning=thinning)
        return part

    def _under_way(self) -> bool:
        return any(any(part.records.running) or part.records.sampled for part in self.totals.all_parts())

    def _take(self, second: int) -> Generator[None, None, Collected]:
        """Take what is on all parts, and close those that are old or quiet."""
        found, parts = yield from self._gather(second, tells=True)
        late = self.totals.late
        yield from self._collector.read_late(found, late)
        found.goals = [self._goals.popleft() for _ in range(len(self._goals))]
        kept = [part for part in parts if not part.closed]
        more = sum(part.records.mask > 0 for part in kept)  # several in one second
        most = self._closed_s + PARTS_MORE + more
        for place, part in enumerate(kept):
            if part is not self.current and (self._is_done(part, second) or place < len(kept) - most):
                part.close(late)
        for index, running in enumerate(self._stuck):
            if running + late.running[index] > 0:
                add(found.running, (self._stuck_since, index), running + late.running[index])
        for part in self.totals.let_go(part for part in parts if part.closed and part not in kept):
            self._count_on(part)
        self.dropped += found.unblamed + found.unexposed
        return found

    def _gather(self, second: int, *, tells: bool) -> Generator[None, None, tuple[Collected, list[SecondBuffer]]]:
        """Take what is on all parts; what was gathered before it comes with it."""
        if self._found is None:
            self._found = Collected(len(self.names))
        with self._lock:
            some = self.totals.opened[:]
            self.totals.parts = [*self.totals.parts, *some]
            del self.totals.opened[: len(some)]
        parts = self.totals.parts[:]
        waiting = max(part.records.waiting for part in parts)
        self._collector.mask = (1 << bits_for(waiting)) - 1  # for both sides, before any unit is looked at
        for part in parts:
            if part.records.idle or not (tells or part.records.waiting + part.records.blamed):
                continue
            yield from self._collector.read(self._found, part, second, tells=tells)
        return self._found, parts

    def _count_on(self, part: SecondBuffer) -> None:
        """Count on for the calls of a part that has gone: they may yet end, or fail."""
        if any(part.records.running):
            self._stuck_since = min(self._stuck_since, part.second)
            self._stuck = [sum(both) for both in zip(self._stuck, part.records.running, strict=True)]

    def _is_done(self, part: SecondBuffer, second: int) -> bool:
        age = second - part.second
        return age > self._closed_s or (age >= QUIET_S and not any(part.records.running) and not part.records.sampled)

    def _batch(self, candidate: WatchedCandidate, collected: Collected) -> Batch | None:
        """Return what a candidate's books are told; None where that is nothing new."""
        batch = batch_of(candidate, collected, self.id, self._numbers[candidate] + 1)
        shown = (batch.running, batch.hanging)
        if not tells(batch) and not any((*shown, *self._shown.get(candidate, ()))):
            return None
        self._shown[candidate] = shown
        return batch


def bits_for(calls: int) -> int:
    """Return how many bits of a hash must be zero for a unit to be kept, where so many calls come in a second."""
    return (calls // KEPT).bit_length() if calls > FULL else 0


def _ended(taking: Generator[None, None, _T]) -> _T:
    """Go on to the end, and return what came of it."""
    while True:
        try:
            next(taking)
        except StopIteration as ended:
            return cast("_T", ended.value)
