"""The store for tests and single processes: raw bytes under one lock, with the contract of every store.

`memory://` is private, `memory://name` is shared inside one process.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Final

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.core.entry import Entry
from graysplit.core.fleet import Fleet, Mode, Process, fleet_of
from graysplit.core.guard.tally import Batch, Flushed, Judgement, Tally
from graysplit.core.replica.record import SENTINEL, Brakes, Breathe, Load
from graysplit.errors import GraysplitError
from graysplit.stores import write_rules
from graysplit.stores.at_once import AtOnce, each
from graysplit.stores.memory_space import (
    HIGHEST,
    NOTICES,
    MemorySpace,
    order,
)
from graysplit.stores.places import FOR_ALL, places_of, versions_in
from graysplit.stores.port import (
    NEWEST,
    Copies,
    CursorReading,
    FieldReading,
    Followed,
    Later,
    Place,
    ProgressUpdate,
    Report,
    Rollback,
    Submission,
    Trip,
    Wanted,
    Written,
)
from graysplit.stores.text.records import (
    TICK,
    exact,
    in_splices,
    new_id,
    raw_of,
    whole,
)
from graysplit.stores.writes import (
    StoreWrites,
    rollback_writes,
    stop_writes,
    submission_writes,
)

_shared: Final[dict[tuple[str, str], MemorySpace]] = {}
_sharing: Final = threading.Lock()


def shared() -> frozenset[tuple[str, str]]:
    """Return the names and namespaces of the stores that this process shares."""
    with _sharing:
        return frozenset(_shared)


def forget_shared(kept: Collection[tuple[str, str]]) -> None:
    """Forget the shared stores but these: whoever opens one of that name begins with an empty one; for tests."""
    with _sharing:
        for at in [at for at in _shared if at not in kept]:
            del _shared[at]


class MemoryStore:
    """The `memory` store; `raw_set`, `raw_delete` and `raw_drop` write past it, as redis-cli would."""

    def __init__(self, name: str = "", namespace: str = "default", *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Open the space of this name and namespace, shared inside the process; without a name a private one."""
        self.name = f"memory://{name}" if namespace == "default" else f"memory://{name} namespace {namespace}"
        self._at = (name, namespace)
        if name:
            with _sharing:
                self._space = _shared.setdefault((name, namespace), MemorySpace(clock))
        else:
            self._space = MemorySpace(clock)

    def load(self) -> Load:
        """Read everything at one moment."""
        with self._space.locked:
            booked, plans = self._space.key("booked"), self._space.key("plans")
            return self._space.load("", 1)._replace(booked=booked, plans=plans)

    def read_fields(self, places: Sequence[Place]) -> FieldReading:
        """Read a few fields at one moment."""
        with self._space.locked:
            return FieldReading({place: self._space.text(*place) for place in places}, self._space.now_ms())

    def read_splits(self, splits: Sequence[str]) -> FieldReading:
        """Read what concerns some splits, and every split, at one moment."""
        with self._space.locked:
            versions = {split: versions_in(self._space.text("splits", split)) for split in splits}
            own = (place for split, names in versions.items() for place in places_of(split, names))
            return self.read_fields([*FOR_ALL, *own])

    def submit(self, submission: Submission) -> Written:
        """Compare, write, bump the revision and append to the history, in one step."""
        space = self._space
        with space.locked:
            if submission.id in space.answers:
                return space.answers[submission.id]
            reading = space.reading()
            fresh = write_rules.check_submission(submission, reading.hashes, reading.now_ms)
            space.check_start(submission, reading.now_ms)
            writes = submission_writes(reading, submission, fresh=fresh)
            space.apply(writes)
            return space.answer(writes.written)

    def roll_back(self, rollback: Rollback) -> Written:
        """Set the weight to zero and a stop beside it, whatever stands there."""
        space = self._space
        with space.locked:
            if rollback.id in space.answers:
                return space.answers[rollback.id]
            writes = rollback_writes(space.reading(), rollback)
            puts = (*writes.lowering, *writes.books, *writes.marks)
            if writes.entry is not None:
                space.apply(StoreWrites(puts, writes.entry, writes.step))
            return space.answer(writes.written)

    def tally(self, field: str, release: str, started_s: int) -> Tally:
        """Read what has been counted of a release, with the course that it took."""
        with self._space.locked:
            return self._space.tally(field, release, started_s, course=True)

    def history(self, split: str | None = None, count: int = 50) -> tuple[Entry, ...]:
        """Return the newest entries, newest first, of one split or of all."""
        with self._space.locked:
            rows = (
                entry for _, entry in reversed(self._space.log) if split is None or write_rules.concerns(entry, split)
            )
            newest = list(islice(rows, max(0, count)))
            texts = {split: self._space.text("splits", split) for split in in_splices(newest)}
        wholes = {split: [text] for split, text in texts.items() if text is not None}
        return tuple(whole(entry, wholes) for entry in newest) if wholes else tuple(newest)

    def fleet(self) -> Fleet:
        """Return the processes that follow this store."""
        with self._space.locked:
            return fleet_of(self._space.now_ms(), self._space.processes.values())

    def forget(self, boot: str) -> None:
        """Take a process out of the count."""
        with self._space.locked:
            self._space.processes.pop(boot, None)

    def followed(self) -> tuple[Followed, ...] | None:
        """Return the namespaces of this name that live processes follow."""
        name, own = self._at
        spaces = {own: self._space}
        if name:
            with _sharing:
                spaces |= {namespace: space for (other, namespace), space in _shared.items() if other == name}
        found = [Followed(namespace, 0, space.live()) for namespace, space in sorted(spaces.items())]
        return tuple(one for one in found if one.live)

    def ask_contents(self, request: str) -> None:
        """Ask every process what it holds."""
        with self._space.locked:
            self._space.request, self._space.contents = request, {}

    def contents(self, request: str) -> Mapping[str, bytes]:
        """Return what processes have told on a request, by boot id."""
        with self._space.locked:
            return dict(self._space.contents) if request == self._space.request else {}

    def read_cursors(self) -> CursorReading:
        """Read how far each hook has been told, with the log's end."""
        space = self._space
        with space.locked:
            position, revision = (space.log[-1][0], space.log[-1][1].revision) if space.log else ("0-0", 0)
            texts = {exact(hook): exact(raw) for hook, raw in space.key(NOTICES).fields.items()}
            return CursorReading(texts, position, revision, space.now_ms())

    def log(self, start: str, count: int) -> tuple[tuple[str, Entry], ...]:
        """Return positions and entries of the log from a position on, oldest first."""
        with self._space.locked:
            found = (row for row in self._space.log if order(row[0]) >= order(start))
            return tuple(islice(found, count))

    def save_cursor(self, hook: str, read: str | None, text: str) -> bool:
        """Write a hook's record if it is still as read."""
        with self._space.locked:
            if self._space.text(NOTICES, hook) != read:
                return False
            self._space.put(NOTICES, hook, text)
            return True

    def follow(self) -> MemoryFeed:
        """Open a follower's view."""
        return MemoryFeed(self._space, self)

    def replicas(self, timeout_s: float) -> Copies | None:  # noqa: ARG002 - the port's signature
        """Memory has no replicas."""
        return None

    def close(self) -> None:
        """Nothing to let go of."""

    def raw_set(self, key: str, field: str, value: str | bytes) -> None:
        """Write one field past the store, as `redis-cli HSET` would; for tests."""
        text = value if isinstance(value, str) else exact(value)
        with self._space.locked:
            self._space.put(key, field, text)

    def raw_delete(self, key: str, field: str) -> None:
        """Take one field away past the store, as `redis-cli HDEL` would; for tests."""
        with self._space.locked:
            self._space.put(key, field, None)

    def use_clock(self, clock: Clock) -> None:
        """Go by another clock from now on; for tests."""
        self._space.clock = clock

    def wake(self) -> None:
        """Let whoever waits for a change look at once; for tests."""
        with self._space.locked:
            self._space.signals += 1
            self._space.locked.notify_all()

    def raw_drop(self, key: str) -> None:
        """Lose a whole key, as `redis-cli DEL` or an eviction would; for tests."""
        with self._space.locked:
            self._space.hashes.pop(key, None)
            self._space.signal(key)


class MemoryFeed:
    """A follower's view of a memory store; waits on the store's condition."""

    mode: Mode = "memory"
    mode_why = ""
    outdone = False

    def __init__(self, space: MemorySpace, store: MemoryStore) -> None:
        """Begin without having read anything."""
        self.counted = 0
        self.unbooked = 0
        self.asked = ""
        self._store = store
        self._space = space
        self._seen = -1
        self._woken = False

    def load(self, since: str, *, whole: bool) -> Load:  # noqa: ARG002 - always whole: nothing crosses a network
        """Read everything at one moment, with the log since a position."""
        with self._space.locked:
            self._seen = self._space.signals
            return self._space.load(since, NEWEST)

    def untouched(self) -> int:
        """Leave it to a reading, which costs nothing here."""
        return 0

    def while_reading(self, act: Breathe) -> None:
        """Do nothing: a reading takes no time here."""

    def brakes(self, fields: Sequence[str]) -> Brakes:
        """Read some weights, and all stops."""
        with self._space.locked:
            weights, stops = self._space.key("weights"), self._space.key("stops")
            found = {raw_of(field): weights.fields.get(raw_of(field), b"0") for field in fields}
            own = {stop: words for stop, words in stops.fields.items() if stop != SENTINEL}
            return Brakes({} if weights.lost is not None else found, own)

    def wait(self, timeout_s: float) -> bool:
        """Wait until something was written since the last load."""
        condition, within_s = self._space.locked, 0.0 if self._woken else timeout_s
        with condition:
            return condition.wait_for(lambda: self._space.signals != self._seen, within_s)

    def wake(self) -> None:
        """End each wait from now on; not the present one, for whom a signal handler interrupts may hold the lock."""
        self._woken = True

    def report(self, report: Report, *, about: bool) -> int:  # noqa: ARG002 - keeping all of it costs nothing here
        """Write a heartbeat."""
        with self._space.locked:
            now_ms = self._space.now_ms()
            self._space.processes[report.boot] = Process(
                report.boot,
                report.host,
                report.pid,
                report.library,
                report.declared,
                now_ms,
                report.receipt,
                report.instance,
                report.zone,
                born_ms=report.born_ms,
            )
            self._space.drop_silent()
            if report.highest > write_rules.number_in(self._space.hashes.get(HIGHEST, {}).get(b"revision")):
                self._space.put(HIGHEST, "revision", str(report.highest))
            self.counted, self.asked = len(self._space.processes), self._space.request
            return now_ms

    def tell_content(self, boot: str, request: str, content: bytes) -> None:
        """Answer a request with what this process holds."""
        with self._space.locked:
            if request == self._space.request:
                self._space.contents[boot] = content

    def record_raw_edits(self, actor: str) -> int:
        """Write history entries for raw edits that have none."""
        with self._space.locked:
            return self._space.record_raw_edits(actor)

    def stop_if_older(self, field: str, why: str, release_ms: int) -> bool:
        """Stop a field unless it is stopped already, or its release is younger."""
        space = self._space
        with space.locked:
            reading = space.reading()
            allowed = write_rules.may_brake(field, reading.hashes["stops"], reading.meta, release_ms)
            if allowed:
                space.put(*stop_writes(reading, field, why, new_id()))
            return allowed is not False

    def submit(self, submission: Submission) -> Written:
        """Write a change as the store does."""
        return self._store.submit(submission)

    def read_fields(self, places: Sequence[Place]) -> FieldReading:
        """Read a few fields at one moment."""
        return self._store.read_fields(places)

    def save_progress(self, ticking: ProgressUpdate) -> bool:
        """Write a plan's progress and tick if both are still as read."""
        space, split = self._space, ticking.split
        with space.locked:
            stored = (space.text("plans", split), space.text("plans", TICK + split))
            if stored != (ticking.progress, ticking.tick):
                return False
            space.put("plans", split, ticking.new_progress)
            space.put("plans", TICK + split, ticking.new_tick)
            return True

    def fleet(self) -> Fleet:
        """Return the processes that follow this store."""
        return self._store.fleet()

    def flush(self, batch: Batch) -> Flushed:
        """Add what one buffer has counted, once."""
        with self._space.locked:
            return self._space.counted(batch.field, batch.release).flush(batch, self._space.now_ms())

    def tally(self, field: str, release: str, started_s: int) -> Tally:
        """Read what has been counted of a release."""
        with self._space.locked:
            return self._space.tally(field, release, started_s, course=False)

    def judge(self, judgement: Judgement) -> bool:
        """Write a judgement if the judge's text is still as read."""
        with self._space.locked:
            return self._space.counted(judgement.field, judgement.release).judged(judgement, self._space.now_ms())

    def flush_all(self, batches: Sequence[Batch]) -> Later[Sequence[Flushed | GraysplitError]]:
        """Add batches, in this order."""
        return AtOnce(each(self.flush, batches))

    def tallies(self, wanted: Sequence[Wanted], now_ms: int) -> Later[Sequence[Tally | GraysplitError]]:  # noqa: ARG002 - its clock is here
        """Read tallies."""
        return AtOnce(each(lambda one: self.tally(*one), wanted))

    def judge_all(self, judgements: Sequence[Judgement]) -> Later[Sequence[bool | GraysplitError]]:
        """Write judgements."""
        return AtOnce(each(self.judge, judgements))

    def trip(self, trip: Trip) -> bool:
        """Stop a candidate, with its zero and its history entry, if its release is still this one."""
        with self._space.locked:
            return self._space.trip(trip)

    def leave(self, boot: str) -> None:
        """Say goodbye: the process leaves the count."""
        with self._space.locked:
            self._space.processes.pop(boot, None)

    def close(self) -> None:
        """Nothing to let go of."""
