"""Watch the armed splits from one process: tell what was counted here, judge in turn, break alone without a store."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.tally import Batch
from graysplit.core.verdict import Verdict, told
from graysplit.core.weights import share, split_of
from graysplit.errors import GraysplitError, StoreUnreachableError
from graysplit.follower.breaker import Breaker
from graysplit.follower.evaluator import Evaluator
from graysplit.follower.guards import Guards
from graysplit.stores.port import Feed, Trip
from graysplit.stores.wire import new_id, stop_text

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.events import Events
    from graysplit.follower.keeper import Keeper
    from graysplit.follower.port import Audience

TELL_S: Final = 1.0
# A fleet sends its store no more batches in a second than this: a larger one tells less often.
BATCHES_PER_S: Final = 250
LATE_S: Final = 60.0  # what could not be told for so long is dropped: it might count twice
WAITING_AT_MOST: Final = 1_000
BARRED_S: Final = 40.0  # between attempts that only a person can make succeed


class Times(NamedTuple):
    """How long the timed calls of a release took in this process: calls by bucket, of old and of new."""

    release: str
    old: dict[int, int]
    new: dict[int, int]


class Watch:
    """The watch of one process; used by its follower's thread alone."""

    def __init__(self, boot: str, keeper: Keeper, audience: Audience, events: Events, clock: Clock) -> None:
        """Begin with nothing counted."""
        self._keeper = keeper
        self._audience = audience
        self._events = events
        self._clock = clock
        self._guards = Guards(keeper, events)
        self._evaluator = Evaluator(boot, keeper, self._guards, events, clock)
        self._waiting: deque[tuple[float, Batch]] = deque()
        self._trips = 0
        self._breakers: dict[tuple[str, str], Breaker] = {}  # by field and release
        self.times: dict[str, Times] = {}  # by field
        self._second = 0
        self._collect_at = 0.0
        self._barred_until = 0.0

    @property
    def trips(self) -> int:
        """How many rollbacks this process has made by itself, alone or for the fleet."""
        return self._trips + self._evaluator.trips

    def verdicts(self) -> dict[str, str]:
        """Give the verdicts that this process knows, by field."""
        return self._evaluator.verdicts()

    def verdict(self, split: str, version: str) -> Verdict:
        """Give the verdict on a candidate at the weight that stands."""
        return self._evaluator.verdict(split, version)

    def pass_time(self, now_ms: int | None, *, crowd: int, alone: bool) -> None:
        """Turn the pages, and collect what is written on them; `alone`: there is no store, and the breaker acts.

        `now_ms` is the server's time, None where it has never been known; `crowd` counts the fleet's processes.
        """
        if now_ms is None:
            return
        self._evaluator.now_ms, second = now_ms, now_ms // 1000
        if second == self._second:
            return
        self._second = second
        tapes = self._audience.tapes()
        for tape in tapes:
            tape.turn(second)
        if self._clock.monotonic() >= self._collect_at:
            self._collect_at = self._clock.monotonic() + max(TELL_S, crowd / BATCHES_PER_S) - TELL_S / 2
            self._collect()
        if alone:
            self._break(crowd)

    def turn(self, feed: Feed) -> None:
        """Tell what waits, write what was stopped here alone, and judge in turn."""
        if self._clock.monotonic() < self._barred_until:
            return
        try:
            self._tell(feed)
            self._write_trips(feed)
            begun = self._keeper.held.begun
            self._evaluator.turn(feed, [field for field, release in self._breakers if begun.get(field) == release])
        except StoreUnreachableError:
            raise
        except GraysplitError as fault:
            self._events.warning("guard", f"the guard does not work from here: {fault}")
            self._barred_until = self._clock.monotonic() + BARRED_S
            self._waiting.clear()
        else:
            self._events.over("guard")

    def leave(self, feed: Feed) -> None:
        """Tell the rest, before a process that ends says goodbye."""
        self._collect()
        self._tell(feed)

    def _collect(self) -> None:
        """Take what the tapes have counted, for the breaker here and for the store."""
        now = self._clock.monotonic()
        for tape in self._audience.tapes():
            for batch in tape.collect(self._second):
                self._waiting.append((now, batch))
                self._breaker(batch).add(batch)
                self._time(batch)
        while self._waiting and (len(self._waiting) > WAITING_AT_MOST or now - self._waiting[0][0] > LATE_S):
            self._waiting.popleft()

    def _time(self, batch: Batch) -> None:
        times = self.times.get(batch.field)
        if times is None or times.release != batch.release:
            times = self.times[batch.field] = Times(batch.release, {}, {})
        for sums, told_ in zip((times.old, times.new), batch.durations, strict=True):
            for bucket, calls in told_.items():
                sums[bucket] = sums.get(bucket, 0) + calls

    def _breaker(self, batch: Batch) -> Breaker:
        at = (batch.field, batch.release)
        if at not in self._breakers:
            self._breakers = {known: found for known, found in self._breakers.items() if known[0] != batch.field}
            self._breakers[at] = Breaker(batch.started_s)
        return self._breakers[at]

    def _tell(self, feed: Feed) -> None:
        """Send what waits. A batch waits until it is acknowledged: it may come twice, and counts once."""
        while self._waiting:
            batch = self._waiting[0][1]
            answer = feed.flush(batch)
            self._waiting.popleft()
            self._evaluator.hear(batch.field, batch.release, answer.judge)

    def _break(self, crowd: int) -> None:
        """Set a candidate to zero here alone, by this process's own counts."""
        held = self._keeper.held
        for (field, release), breaker in self._breakers.items():
            guarded = self._guards.of(split_of(field))
            if guarded is None or guarded.guard.action != "rollback" or held.begun.get(field) != release:
                continue
            if field in held.stops or share(held.weights.get(field, 0)) == 0:
                continue
            proof = breaker.proof(self._second, crowd, guarded.guard.margin)
            if proof is None:
                continue
            why = (
                f"{told(proof, field.partition('/')[2], guarded.definition.baseline)} (one process, without its store)"
            )
            text = stop_text(why=why, who="guard", at_ms=self._second * 1000, change=new_id(), release=release)
            self._events.warning(f"guard {field}", f"stopped '{field}' here: {why}")
            self._keeper.trip(field, release, text)
            self._trips += 1

    def _write_trips(self, feed: Feed) -> None:
        """Write what was stopped here alone, unless a person has begun another release meanwhile."""
        held = self._keeper.held
        for field, (release, text) in held.tripped.items():
            if held.seen.get("stops", {}).keys().isdisjoint((field.encode(), split_of(field).encode(), b"*")):
                feed.trip(Trip(new_id(), field, release, _why(text)))


def _why(text: str) -> str:
    """Give what a stop says to people."""
    import json

    try:
        return str(json.loads(text)["why"])
    except (ValueError, LookupError, TypeError):
        return text
