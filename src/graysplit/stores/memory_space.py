"""What one memory store holds: raw bytes under one lock, and what a write makes of them."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from typing import Final

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.core.entry import Entry
from graysplit.core.fleet import FORGET_MS, LIVE_MS, Process, fleet_of
from graysplit.core.guard.tally import Tally
from graysplit.core.replica.record import SENTINEL, Key, Load
from graysplit.stores import write_rules
from graysplit.stores.port import (
    Submission,
    Trip,
    Written,
)
from graysplit.stores.release_counts import RELEASE_MS, ReleaseCounts
from graysplit.stores.text.records import (
    compact,
    exact,
    new_id,
    raw_of,
)
from graysplit.stores.writes import (
    StoreReading,
    StoreWrites,
    copied_books,
    raw_edit_writes,
    trip_writes,
)

LOG_AT_MOST: Final = 100_000
ANSWERS_AT_MOST: Final = 10_000
NOTICES: Final = "fleet:notices"
HIGHEST: Final = "fleet:highest"


class MemorySpace:
    """What one memory store holds; every method but `locked` and `live` is called under the lock."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        """Begin empty."""
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
        """Return the store's time."""
        return int(self.clock.time() * 1000)

    def key(self, name: str) -> Key:
        """Return a copy of a hash."""
        return Key(dict(self.hashes.get(name, {})))

    def text(self, name: str, field: str) -> str | None:
        """Return the text of one field, or None."""
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
        """Wake the followers where a key that is followed was written."""
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
        """Append an entry to the log."""
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
        """Return what has been counted of a release."""
        counts = self.counts.get((field, release)) or ReleaseCounts(field, release)
        return counts.tally(started_s, self.now_ms(), course=course)

    def answer(self, written: Written) -> Written:
        """Remember the answer to a submission, for who sends it again."""
        self.answers[written.id] = written
        while len(self.answers) > ANSWERS_AT_MOST:
            self.answers.popitem(last=False)
        return written

    def load(self, since: str, newest: int) -> Load:
        """Return a reading, with the entries since a position, or the newest."""
        if since:
            entries = [entry for position, entry in self.log if order(position) > order(since)]
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

    def trip(self, trip: Trip) -> bool:
        """Stop a candidate for its guard, unless its release is another; return whether it is stopped."""
        reading = self.reading()
        allowed = write_rules.may_trip(trip.field, trip.release, reading.hashes["stops"], reading.meta)
        if allowed:
            self.apply(trip_writes(reading, trip))
        return allowed is not False

    def record_raw_edits(self, actor: str) -> int:
        """Enter the raw edits that are in no entry yet; return how many."""
        reading = self.reading()
        weights, stops = reading.hashes["weights"], reading.hashes["stops"]
        if reading.meta.lost is not None:
            return 0
        if SENTINEL not in reading.booked:
            self.hashes.pop("booked", None)
            for put in copied_books(weights, stops):
                self.put(*put)
            return 0
        edits = write_rules.unbooked(weights, stops, reading.booked)
        for writes in raw_edit_writes(reading, edits, actor, new_id):
            self.apply(writes)
        return len(edits)

    def drop_silent(self) -> None:
        """Drop those that have been silent too long; who was seen in the future is silent from now on."""
        now_ms = self.now_ms()
        for boot, process in tuple(self.processes.items()):
            if process.seen_ms < now_ms - FORGET_MS:
                del self.processes[boot]
            elif process.seen_ms > now_ms:
                self.processes[boot] = process._replace(seen_ms=now_ms - LIVE_MS - 1)


def order(position: str) -> tuple[int, int]:
    """Return a log position as numbers that compare: milliseconds and sequence."""
    ms, _, sequence = position.partition("-")
    try:
        return int(ms), int(sequence or 0)
    except ValueError:
        return (0, 0)
