"""The store for tests and single processes: raw bytes under one lock, with the contract of every store.

`memory://` is private, `memory://name` is shared inside one process.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.core.entry import Entry
from graysplit.core.fleet import FORGET_MS, LIVE_MS, Fleet, Process, fleet_of
from graysplit.core.guard.tally import Batch, Flushed, Judgement, Tally
from graysplit.core.replica.record import SENTINEL, Brakes, Breathe, Key, Load
from graysplit.errors import GraysplitError
from graysplit.stores import write_rules
from graysplit.stores.at_once import AtOnce, each
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
from graysplit.stores.release_counts import RELEASE_MS, ReleaseCounts
from graysplit.stores.text.records import (
    TICK,
    compact,
    exact,
    in_splices,
    new_id,
    raw_of,
    whole,
)
from graysplit.stores.writes import (
    StoreReading,
    StoreWrites,
    copied_books,
    raw_edit_writes,
    rollback_writes,
    stop_writes,
    submission_writes,
    trip_writes,
)

LOG_AT_MOST: Final = 100_000
ANSWERS_AT_MOST: Final = 10_000
NOTICES: Final = "fleet:notices"
HIGHEST: Final = "fleet:highest"


class _Space:
    """What one memory store holds; every method but `locked` and `live` is called under the lock."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.hashes: dict[str, dict[bytes, bytes]] = {}
        self.log: deque[tuple[str, Entry]] = deque(maxlen=LOG_AT_MOST)
        self.answers: OrderedDict[str, Written] = OrderedDict()
        self.processes: dict[str, Process] = {}
        self.counts: dict[tuple[str, str], ReleaseCounts] = {}  # by candidate and release
        self.request = ""  # the last one to tell what is held
        self.contents: dict[str, bytes] = {}  # what was told on it, by process
        self.run_id = "memory"  # one start: it lives as long as what it holds
        self.signals = 0  # grows with every write to a key that is followed
        self._last = (0, 0)  # milliseconds and sequence of the last log position
        self._pid = os.getpid()
        self._condition = threading.Condition()

    @property
    def locked(self) -> threading.Condition:
        """The lock; a new one after a fork, where the old one may be held by a thread that is not there."""
        if os.getpid() != self._pid:
            self._pid = os.getpid()
            self._condition = threading.Condition()
        return self._condition

    def now_ms(self) -> int:
        return int(self.clock.time() * 1000)

    def key(self, name: str) -> Key:
        return Key(dict(self.hashes.get(name, {})))

    def text(self, name: str, field: str) -> str | None:
        raw = self.hashes.get(name, {}).get(raw_of(field))
        return None if raw is None else exact(raw)

    def put(self, name: str, field: str, value: str | None) -> None:
        """Write or take away one field, as any writer would; a hash without fields is gone."""
        raw = raw_of(field)
        if value is not None:
            self.hashes.setdefault(name, {})[raw] = raw_of(value)
        elif raw not in self.hashes.get(name, {}):
            return
        else:
            del self.hashes[name][raw]
            if not self.hashes[name]:
                del self.hashes[name]
        self.signal(name)

    def signal(self, name: str) -> None:
        if name in write_rules.HASHES:
            self.signals += 1
            self.locked.notify_all()

    def reading(self) -> StoreReading:
        """Return what a write rests on."""
        return StoreReading(
            {name: self.key(name) for name in write_rules.NUMBERED},
            self.hashes.get("booked", {}),
            write_rules.number_in(self.hashes.get(HIGHEST, {}).get(b"revision")),
            self.log[-1][1].revision if self.log else 0,
            self.now_ms(),
        )

    def apply(self, writes: StoreWrites) -> None:
        """Write fields, revision and entry."""
        for put in writes.puts:
            self.put(*put)
        if writes.step:
            self.put("meta", "revision", str(writes.entry.revision))
        self.record(writes.entry)

    def check_start(self, submission: Submission, now_ms: int) -> None:
        """Note the start that a plan's writes rest on, and raise `NotYetError` unless its step may be taken."""
        if submission.due is None and all(write.key != "plans" for write in submission.writes):
            return
        known = self.text("meta", "run_id")
        other = write_rules.started(self.run_id, known, now_ms)
        if other is not None and self.key("meta").lost is None:
            self.put("meta", "run_id", other)
        if submission.due is not None:
            write_rules.check_due(submission, submission.due, self.run_id, other or known, now_ms)

    def record(self, entry: Entry) -> None:
        before, after = compact(entry.before, entry.after)
        entry = entry._replace(before=before, after=after)
        ms, sequence = self._last
        self._last = (entry.at_ms, 0) if entry.at_ms > ms else (ms, sequence + 1)
        self.log.append((f"{self._last[0]}-{self._last[1]}", entry))

    def live(self) -> int:
        """Count the processes that are live."""
        with self.locked:
            return len(fleet_of(self.now_ms(), self.processes.values()).live)

    def counted(self, field: str, release: str) -> ReleaseCounts:
        """Return a release's counts; those that nobody has touched for a month are gone."""
        oldest = self.now_ms() - RELEASE_MS
        for place in [place for place, counts in self.counts.items() if counts.touched_ms < oldest]:
            del self.counts[place]
        return self.counts.setdefault((field, release), ReleaseCounts(field, release))

    def tally(self, field: str, release: str, started_s: int, *, course: bool) -> Tally:
        counts = self.counts.get((field, release)) or ReleaseCounts(field, release)
        return counts.tally(started_s, self.now_ms(), course=course)

    def answer(self, written: Written) -> Written:
        self.answers[written.id] = written
        while len(self.answers) > ANSWERS_AT_MOST:
            self.answers.popitem(last=False)
        return written

    def load(self, since: str, newest: int) -> Load:
        if since:
            entries = [entry for position, entry in self.log if _order(position) > _order(since)]
        else:
            entries = [entry for _, entry in list(self.log)[-newest:]]
        return Load(
            weights=self.key("weights"),
            stops=self.key("stops"),
            splits=self.key("splits"),
            meta=self.key("meta"),
            entries=tuple(entries),
            position=self.log[-1][0] if self.log else "0-0",
            anchor=next((entry.id for position, entry in reversed(self.log) if position == since), ""),
            now_ms=self.now_ms(),
        )


_shared: Final[dict[tuple[str, str], _Space]] = {}
_sharing: Final = threading.Lock()


class MemoryStore:
    """The `memory` store; `raw_set`, `raw_delete` and `raw_drop` write past it, as redis-cli would."""

    def __init__(self, name: str = "", namespace: str = "default", *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Open the space of this name and namespace, shared inside the process; without a name a private one."""
        self.name = f"memory://{name}" if namespace == "default" else f"memory://{name} namespace {namespace}"
        self._at = (name, namespace)
        if name:
            with _sharing:
                self._space = _shared.setdefault((name, namespace), _Space(clock))
        else:
            self._space = _Space(clock)

    def load(self) -> Load:
        """Read everything at one moment."""
        with self._space.locked:
            booked, plans = self._space.key("booked"), self._space.key("plans")
            return self._space.load("", 1)._replace(booked=booked, plans=plans)

    def read_fields(self, places: Sequence[Place]) -> FieldReading:
        """Read a few fields at one moment."""
        with self._space.locked:
            return FieldReading({place: self._space.text(*place) for place in places}, self._space.now_ms())

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
            found = list(islice(rows, max(0, count)))
            texts = {split: self._space.text("splits", split) for split in in_splices(found)}
        wholes = {split: [text] for split, text in texts.items() if text is not None}
        return tuple(whole(entry, wholes) for entry in found) if wholes else tuple(found)

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
            found = (row for row in self._space.log if _order(row[0]) >= _order(start))
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

    def raw_drop(self, key: str) -> None:
        """Lose a whole key, as `redis-cli DEL` or an eviction would; for tests."""
        with self._space.locked:
            self._space.hashes.pop(key, None)
            self._space.signal(key)


class MemoryFeed:
    """A follower's view of a memory store; waits on the store's condition."""

    mode = "memory"
    mode_why = ""
    outdone = False

    def __init__(self, space: _Space, store: MemoryStore) -> None:
        """Begin without having read anything."""
        self.counted = 0
        self.unbooked = 0
        self.asked = ""
        self._store = store
        self._space = space
        self._seen = -1

    def load(self, since: str, *, whole: bool) -> Load:  # noqa: ARG002 - always whole: nothing crosses a network
        """Read everything at one moment, with the log since a position."""
        with self._space.locked:
            self._seen = self._space.signals
            return self._space.load(since, NEWEST)

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
        condition = self._space.locked
        with condition:
            return condition.wait_for(lambda: self._space.signals != self._seen, timeout_s)

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
            _forget(self._space)
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
            return _record_raw_edits(self._space, actor)

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
            found = (space.text("plans", split), space.text("plans", TICK + split))
            if found != (ticking.progress, ticking.tick):
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
            return _trip(self._space, trip)

    def leave(self, boot: str) -> None:
        """Say goodbye: the process leaves the count."""
        with self._space.locked:
            self._space.processes.pop(boot, None)

    def close(self) -> None:
        """Nothing to let go of."""


def _trip(space: _Space, trip: Trip) -> bool:
    reading = space.reading()
    allowed = write_rules.may_trip(trip.field, trip.release, reading.hashes["stops"], reading.meta)
    if allowed:
        space.apply(trip_writes(reading, trip))
    return allowed is not False


def _record_raw_edits(space: _Space, actor: str) -> int:
    reading = space.reading()
    weights, stops = reading.hashes["weights"], reading.hashes["stops"]
    if reading.meta.lost is not None:
        return 0
    if SENTINEL not in reading.booked:
        space.hashes.pop("booked", None)
        for put in copied_books(weights, stops):
            space.put(*put)
        return 0
    edits = write_rules.unbooked(weights, stops, reading.booked)
    for writes in raw_edit_writes(reading, edits, actor, new_id):
        space.apply(writes)
    return len(edits)


def _forget(space: _Space) -> None:
    """Drop those that have been silent too long; who was seen in the future is silent from now on."""
    now_ms = space.now_ms()
    for boot, process in tuple(space.processes.items()):
        if process.seen_ms < now_ms - FORGET_MS:
            del space.processes[boot]
        elif process.seen_ms > now_ms:
            space.processes[boot] = process._replace(seen_ms=now_ms - LIVE_MS - 1)


def _order(position: str) -> tuple[int, int]:
    ms, _, sequence = position.partition("-")
    try:
        return int(ms), int(sequence or 0)
    except ValueError:
        return (0, 0)
