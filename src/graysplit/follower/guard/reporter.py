"""Watch the armed splits from one process: tell what was counted here, judge in turn, break alone without a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.address import split_of, version_of
from graysplit.core.guard.batch import parted, without_running
from graysplit.core.guard.tally import Batch, Flushed
from graysplit.core.guard.verdict import Verdict, told
from graysplit.core.in_force import in_force
from graysplit.core.limits import shown
from graysplit.core.replica.adoption import name_of
from graysplit.core.weights import share
from graysplit.errors import GraysplitError, StoreUnreachableError
from graysplit.follower.guard.breaker import Breaker
from graysplit.follower.guard.evaluator import Evaluator
from graysplit.follower.guard.guards import Guards
from graysplit.follower.guard.unsent import Answered, Unsent
from graysplit.stores.port import Feed, Trip
from graysplit.stores.text.records import new_id, stop_text

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.core.guard.buffer import EvidenceBuffer
    from graysplit.events import Events
    from graysplit.follower.port import Audience
    from graysplit.follower.replica import Replica

TELL_S: Final = 1.0
# A fleet sends its store no more batches in a second than this: a larger one tells less often.
BATCHES_PER_S: Final = 250
COLLECT_S: Final = 0.002  # of collecting between two looks whether the store has signalled
# How often it is looked whether a part is full: once for so many calls, as the second before had, within bounds.
LOOKED_AT: Final = 8_192
BUSY_LOOK_S: Final = 0.01
CALM_LOOK_S: Final = 0.25
BARRED_S: Final = 40.0  # between attempts that only a person can make succeed


class Times(NamedTuple):
    """How long the timed calls of a release took in this process: calls by bucket, of old and of new."""

    release: str
    old: dict[int, int]
    new: dict[int, int]


class GuardReporter:
    """The watch of one process; used by its follower's thread alone."""

    def __init__(self, boot: str, replica: Replica, audience: Audience, events: Events, clock: Clock) -> None:
        """Begin with nothing counted."""
        self._replica = replica
        self._audience = audience
        self._events = events
        self._clock = clock
        self._guards = Guards(replica, events)
        self._evaluator = Evaluator(boot, replica, self._guards, events, clock)
        self._unsent = Unsent(clock)
        self._buffers: Sequence[EvidenceBuffer] = ()  # those of the present second
        self._left_out = 0
        self._trips = 0
        self._breakers: dict[tuple[str, str], Breaker] = {}  # by field and release
        self.times: dict[str, Times] = {}  # by field
        self._taking: Iterator[None] | None = None  # a collection that is under way
        self._second = 0
        self._collect_at = 0.0
        self._due = False  # whether to collect once nothing else is under way
        self._barred: dict[str, float] = {}  # fields whose evidence the store does not take, and until when not to ask
        self._written: dict[str, str] = {}  # by field: the release whose own trip has been written

    @property
    def trips(self) -> int:
        """How many rollbacks this process has made by itself, alone or for the fleet."""
        return self._trips + self._evaluator.trips

    @property
    def dropped(self) -> int:
        """Return how many calls, users and goals this process has counted and never told."""
        return self._left_out + self._unsent.dropped

    def verdicts(self) -> dict[str, str]:
        """Return the verdicts that this process knows, by field."""
        return self._evaluator.verdicts()

    def verdict(self, split: str, version: str) -> Verdict:
        """Return the verdict on a candidate at the weight that stands."""
        return self._evaluator.verdict(split, version)

    @property
    def busy(self) -> bool:
        """Return whether more is to be told or judged than one turn could."""
        return self._unsent.busy or self._evaluator.busy

    @property
    def collecting(self) -> bool:
        """Return whether a collection is under way: it goes on at each turn."""
        return self._taking is not None

    @property
    def calm(self) -> bool:
        """Return whether nothing is counted, told or judged here."""
        counted = self._buffers or self._breakers or self._taking is not None
        return not (counted or self._unsent.busy or self._unsent.waits or self._evaluator.wanted)

    @property
    def look_s(self) -> float:
        """Return within which time to look again whether a part is full."""
        calls = max((buffer.calls << 2 * buffer.guard.every_call for buffer in self._buffers), default=0)
        return min(CALM_LOOK_S, max(BUSY_LOOK_S, LOOKED_AT / calls)) if calls else CALM_LOOK_S

    @property
    def waits(self) -> bool:
        """Return whether answers of the store are under way that somebody should look for soon."""
        return self._unsent.waits or self._evaluator.waits

    def pass_time(self, now_ms: int, *, crowd: int, alone: bool) -> bool:
        """Turn the parts, and collect what is written on them; True where this process has stopped something by itself.

        `now_ms` is the server's time, `crowd` the number of the fleet's processes; `alone`: there is no store, and the
        breaker acts on all candidates, else on those whose evidence the store does not take.
        """
        self._evaluator.now_ms, second = now_ms, now_ms // 1000
        began = second != self._second
        if began:
            self._begin(second)
        elif (full := self._full()) and self._taking is None:
            self._taking = self._gather(full)
        taken = self._go_on()
        if self._due and self._taking is None:
            self._collect(crowd)
            taken = self._go_on()
        return self._break(crowd, alone=alone) if taken or (began and self._taking is None) else False

    def relieve(self) -> None:
        """Thin the parts that are full, where there is no time for more."""
        self._full()

    def _full(self) -> list[EvidenceBuffer]:
        """Return the buffers on which so much is written that it is to be gathered; what follows is of fewer users."""
        return [buffer for buffer in self._buffers if buffer.full]

    def _gather(self, buffers: Sequence[EvidenceBuffer]) -> Iterator[None]:
        for buffer in buffers:
            yield from buffer.gathering(self._second)

    def _begin(self, second: int) -> None:
        """Turn the parts; what is on them is to be collected unless that was done a moment ago."""
        self._second = second
        buffers = self._buffers = self._audience.buffers()
        for buffer in buffers:
            buffer.turn(second)
        self._due = self._due or self._clock.monotonic() >= self._collect_at

    def _go_on(self) -> bool:
        """Go on collecting for a moment; return whether all has been collected now."""
        taking, until = self._taking, self._clock.monotonic() + COLLECT_S
        if taking is None:
            return False
        self._taking = None  # what raises is not gone on with
        for _ in taking:
            if self._clock.monotonic() >= until:
                self._taking = taking
                return False
        return True

    def turn(self, feed: Feed) -> None:
        """Write what was stopped here alone, tell what waits, judge in turn; what one split meets stops no other."""
        if self.calm and not self._replica.adopted.tripped:
            return
        begun = self._replica.adopted.begun
        self._write_trips(feed)
        self._hear(self._unsent.tell(feed, self._is_free))
        counted = (field for field, release in self._breakers if begun.get(field) == release)
        self._evaluator.turn(feed, counted, self._is_free, self._attempt)

    def leave(self, feed: Feed) -> None:
        """Tell the rest, before a process that ends says goodbye: what is under way ends with it, and is not a failure.

        Of old's calls it is kept that they were: they may have been about to fail, as new's had already.
        """
        for buffers in ((), self._audience.buffers()):  # what is under way first
            self._taking = self._taking or self._take(buffers)
            for _ in self._taking:
                continue
            self._taking = None
        self._unsent.change(lambda batch, last: parted(batch) if last else without_running(batch))
        self._hear(self._unsent.tell_all(feed, self._is_free))

    def _attempt(self, field: str, act: Callable[[], object]) -> bool:
        """Do what a server may refuse; the field is left alone for a while then. False where it was refused."""
        try:
            act()
        except StoreUnreachableError:
            raise
        except GraysplitError as fault:
            self._events.trouble(f"guard_not_run {field}", f"this process cannot run the guard of '{field}': {fault}")
            self._barred[field] = self._clock.monotonic() + BARRED_S
            return False
        self._events.over(f"guard_not_run {field}", f"this process runs the guard of '{field}' again")
        return True

    def _is_free(self, field: str) -> bool:
        return self._clock.monotonic() >= self._barred.get(field, 0.0)

    def _collect(self, crowd: int) -> None:
        """Begin to take what the buffers have counted."""
        buffers, self._due = self._buffers, False
        self._taking = self._take(buffers)
        known = {(one.field, one.release) for buffer in buffers for one in buffer.terms.candidates}
        self._breakers = {at: breaker for at, breaker in self._breakers.items() if at in known}
        self._collect_at = self._clock.monotonic() + max(TELL_S, crowd * len(known) / BATCHES_PER_S) - TELL_S / 2

    def _take(self, buffers: Sequence[EvidenceBuffer]) -> Iterator[None]:
        """Line up what buffers have counted, for the store, and count it here, in slices of work."""
        for buffer in buffers:
            batches = yield from buffer.collecting(self._second)
            left_out, buffer.dropped = buffer.dropped, 0
            first = {batch.field: batch.number for batch in reversed(batches)}  # each candidate's tells what is missing
            for batch in batches:
                self._unsent.add(batch._replace(dropped=left_out) if batch.number == first[batch.field] else batch)
                if batch.errors or batch.slow or batch.cut or any(batch.failures):
                    self._evaluator.hurry(batch.field)
                yield from self._breakers.setdefault((batch.field, batch.release), Breaker(batch.started_s)).adding(
                    batch
                )
                self._time(batch)
                yield
            self._left_out += left_out
        self._unsent.shed()

    def _time(self, batch: Batch) -> None:
        if self._replica.adopted.begun.get(batch.field) != batch.release:
            return
        times = self.times.get(batch.field)
        if times is None or times.release != batch.release:
            times = self.times[batch.field] = Times(batch.release, {}, {})
        for sums, told_ in zip((times.old, times.new), batch.durations, strict=True):
            for bucket, calls in told_.items():
                sums[bucket] = sums.get(bucket, 0) + calls

    def _hear(self, told_: Iterable[Answered]) -> None:
        for batch, answer in told_:
            self._attempt(batch.field, partial(self._take_note, batch, answer))

    def _take_note(self, batch: Batch, answer: Flushed | GraysplitError) -> None:
        if isinstance(answer, GraysplitError):
            raise answer
        self._evaluator.hear(batch.field, batch.release, answer.judge)

    def _break(self, crowd: int, *, alone: bool) -> bool:
        """Set candidates to zero here alone, by this process's own counts; say whether one was."""
        held, broken = self._replica.adopted, False
        for (field, release), breaker in self._breakers.items():
            guarded = self._guards.of(split_of(field))
            if guarded is None or guarded.guard.action != "rollback" or held.begun.get(field) != release:
                continue
            if not (alone or not self._is_free(field)) or not share(held.in_force(field, guarded.definition.baseline)):
                continue
            proof = breaker.proof(self._second, crowd, guarded.guard.margin)
            if proof is None:
                continue
            said = told(proof, version_of(field), guarded.definition.baseline)
            why = f"{said} (one process, {'without its store' if alone else 'whose store takes no counts'})"
            text = stop_text(why=why, who="guard", at_ms=self._second * 1000, change=new_id(), release=release)
            self._events.warning(f"stopped_here {field} {release}", f"stopped '{field}' here: {why}")
            self._replica.trip(field, release, text)
            self._trips += 1
            broken = True
        return broken

    def _write_trips(self, feed: Feed) -> None:
        """Write what was stopped here alone, once, unless a person has begun another release or gone back meanwhile."""
        held = self._replica.adopted
        stops = {name_of(raw) for raw in held.seen.get("stops", {})}  # the store's: what is stopped here alone is not
        for field, (release, text) in held.tripped.items():
            guarded = self._guards.of(split_of(field))
            if guarded is not None and guarded.guard.action != "rollback":
                continue  # a person has said meanwhile that it rolls nothing back: it stays a stop of this process
            baseline = guarded.definition.baseline if guarded is not None else ""
            by_store = in_force(field, baseline, held.weights, stops, held.lapsed).weight
            if share(by_store) and self._written.get(field) != release and self._is_free(f"trip {field}"):
                trip = Trip(new_id(), field, release, _why(text))
                if self._attempt(f"trip {field}", partial(feed.trip, trip)):
                    self._written[field] = release


def _why(text: str) -> str:
    """Return what a stop says to people."""
    import json

    try:
        return shown(str(json.loads(text)["why"]))
    except (ValueError, LookupError, TypeError):
        return text
