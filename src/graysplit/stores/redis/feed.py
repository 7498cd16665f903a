"""What a follower does over its connection, however it is signalled: read, report, book, brake, say goodbye."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from redis import exceptions

from graysplit.core.fleet import FORGET_MS, LIVE_MS, Fleet, Mode
from graysplit.core.guard.tally import Batch, Flushed, Judgement, Tally
from graysplit.core.replica.record import Brakes, Breathe, Load
from graysplit.errors import GraysplitError, RefusedError
from graysplit.stores.port import (
    NEWEST,
    FieldReading,
    Later,
    Place,
    ProgressUpdate,
    Report,
    Submission,
    Trip,
    Wanted,
    Written,
)
from graysplit.stores.redis.client import Command, is_list
from graysplit.stores.redis.connection import Connection, Posted
from graysplit.stores.redis.content import request_in, tell_content
from graysplit.stores.redis.faults import NO_TIME, SILENT, lacks_scripts, refused
from graysplit.stores.redis.fleet import begin_connection, connection_of, forget, read_fleet
from graysplit.stores.redis.hashes import rest
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.ladder import STEADY_S, Ladder
from graysplit.stores.redis.raw_edits import RawEdits
from graysplit.stores.redis.reader import Reader, highest_in, read_brakes, read_places, server_ms
from graysplit.stores.redis.scripts import script
from graysplit.stores.redis.sentinels import Way
from graysplit.stores.redis.submit import submit
from graysplit.stores.redis.tally import flush, flush_all, judge, judge_all, read_tally, tallies
from graysplit.stores.redis.trip import stop_release
from graysplit.stores.redis.wakeup import Wakeup
from graysplit.stores.redis.without_scripts import brake_by_hand, tick_by_watching
from graysplit.stores.text.records import BRAKE, about_text, new_id, raw_of, receipt_text


class RedisFeed(ABC):
    """One follower's connection. A signal stands until the next load; each mode has its own way to be signalled."""

    mode: Mode

    def __init__(self, line: Connection, keys: Keys) -> None:
        """Take over a connection on which nothing has been read yet."""
        self.lesser_why = ""
        self._line = line
        self._keys = keys
        self._reader = Reader(line, keys, newest=NEWEST)
        self._booking = RawEdits(line, keys)
        self.counted = 0
        self.asked = ""
        self.unbooked = 0
        self._receipt = b""  # as it was told last
        self._connection: str | None = None  # as the fleet knows it; "" where the server does not tell
        self._named: Posted | None = None  # the question for that, where it was asked ahead
        self.outdone = False
        self._opened = time.monotonic()
        self._loaded = False
        self._steady = False  # whether this has lived for so long that its mode works
        self._ladder: Ladder | None = None
        self._is_outdone: Callable[[], bool] | None = None
        self._way: Way | None = None
        self._blind = ""  # why it is not known whether this is still the primary
        self._wakeup = Wakeup()

    @property
    def mode_why(self) -> str:
        """Return why the mode is not a better one, and what is not known of the server."""
        return "; ".join(filter(None, (self.lesser_why, self._blind)))

    def stay_with(self, ladder: Ladder, is_outdone: Callable[[], bool], way: Way | None) -> None:
        """Take what tells that this feed should be left: it does not work, a better one does, the primary is another.

        A primary that was cut off from its Sentinels answers like the real one.
        """
        self._ladder, self._is_outdone, self._way = ladder, is_outdone, way

    def wait(self, timeout_s: float) -> bool:
        """Wait for a signal, asking after some silence whether the other end still lives."""
        if self._way is not None:
            self._blind = self._way.why_blind(self._blind)
        self._look_at_ladder()
        return self._wait(timeout_s)

    def wake(self) -> None:
        """End the present `wait`, and each one from now on."""
        self._wakeup.set()

    def _look_at_ladder(self) -> None:
        if self._ladder is None or self._is_outdone is None:
            return
        if not self._steady and time.monotonic() - self._opened >= STEADY_S:
            self._steady = True
            self._ladder.stay(self.mode)
        self.outdone = self._is_outdone()

    def ask_ahead(self) -> None:
        """Ask for what a start rests on, behind the greeting; waits for nothing."""
        self._named = begin_connection(self._line)
        self._reader.begin()

    def lines(self) -> tuple[Connection, ...]:
        """Return the connections that this feed lives by."""
        return (self._line,)

    def _suspect(self, line: Connection) -> None:
        """Note a connection that was dead on arrival; one that was read from and is closed then met an outage."""
        dead = line.broken and not self._steady and (not self._loaded or line.why == SILENT)
        if self._ladder is not None and dead:
            self._ladder.suspect(self.mode, line.why)

    @abstractmethod
    def _wait(self, timeout_s: float) -> bool:
        """Wait for a signal in this mode's way."""

    def load(self, since: str, *, whole: bool) -> Load:
        """Read everything at one moment; a signal that comes meanwhile makes the next `wait` true."""
        load = self._reader.read(since, whole=whole)
        self._loaded = True
        return load

    def untouched(self) -> int:
        """Know of nothing: this mode has no signals to rely on beside it."""
        return 0

    def while_reading(self, act: Breathe) -> None:
        """Have something done again and again during a long reading; it may use this feed."""

        def breathe() -> None:
            rest()
            act()

        self._reader.breathe = breathe

    def brakes(self, fields: Sequence[str]) -> Brakes:
        """Read some weights and the stops over them, also during a long reading."""
        return read_brakes(self._line, self._keys, fields)

    def report(self, report: Report, *, about: bool) -> int:
        """Write a heartbeat; raises `RefusedError` where the server takes it from nobody, or not from us."""
        whole = raw_of(receipt_text(report.receipt))
        receipt = b"" if whole == self._receipt else whole
        if self._connection is None:
            self._connection = connection_of(self._line, self._named)
        if self._named is not None and not self._loaded:
            self._reader.begin()  # more of what the first reading rests on, in the heartbeat's own trip
        said = raw_of(about_text(report, self._connection)) if about else b""
        now_ms, known = self._beat(report, receipt, said)
        if not known:  # the server lost it: say it again
            self._beat(report, whole, raw_of(about_text(report, self._connection)))
        self._receipt = whole
        return now_ms

    def tell_content(self, boot: str, request: str, content: bytes) -> None:
        """Answer a request with what this process holds; raises `RefusedError` where this role may not."""
        tell_content(self._line, self._keys, boot, request, content)

    def record_raw_edits(self, actor: str) -> int:
        """Write history entries for raw edits that have none; raises `RefusedError` where this role may not."""
        count = self._booking.record(actor)
        self.unbooked = self._booking.left
        return count

    def stop_if_older(self, field: str, why: str, release_ms: int) -> bool:
        """Stop a field unless it is stopped already, or its release is younger; raises `RefusedError` if it may not."""
        keys = self._keys
        arguments = (raw_of(field), raw_of(why), BRAKE, new_id(), release_ms, keys.meta)
        answer = self._line.evaluate(script("stop_if_older"), (keys.stops,), arguments)
        if lacks_scripts(answer):
            return brake_by_hand(self._line, keys, field, why, release_ms)
        if isinstance(answer, exceptions.ResponseError):
            raise refused(f"the stop of '{field}' was not accepted", answer)
        return bool(answer)

    def submit(self, submission: Submission) -> Written:
        """Compare, write, bump the revision and append to the history, in one step."""
        return submit(self._line, self._keys, submission, again=False)

    def read_fields(self, places: Sequence[Place]) -> FieldReading:
        """Read a few fields at one moment."""
        return read_places(self._line, self._keys, places)

    def save_progress(self, ticking: ProgressUpdate) -> bool:
        """Write a plan's progress and tick if both are still as read; raises `RefusedError` where this role may not."""
        answer = self._line.evaluate(
            script("save_progress"), (self._keys.plans,), tuple(raw_of(text) for text in ticking)
        )
        if lacks_scripts(answer):
            return tick_by_watching(self._line, self._keys, ticking)
        if isinstance(answer, exceptions.ResponseError):
            raise refused(f"this process cannot drive the plan of '{ticking.split}'", answer)
        return bool(answer)

    def fleet(self) -> Fleet:
        """Return the processes that follow this store."""
        return read_fleet(self._line, self._keys)

    def flush(self, batch: Batch) -> Flushed:
        """Add what one buffer has counted, once; raises `RefusedError` where this server or role takes none."""
        return flush(self._line, self._keys, batch)

    def tally(self, field: str, release: str, started_s: int) -> Tally:
        """Read what has been counted of a release, with the windows that are to be judged now."""
        return read_tally(self._line, self._keys, field, release, started_s, course=False)

    def judge(self, judgement: Judgement) -> bool:
        """Write a judgement if the judge's text is still as read; raises `RefusedError` where none is taken."""
        return judge(self._line, self._keys, judgement)

    def flush_all(self, batches: Sequence[Batch]) -> Later[Sequence[Flushed | GraysplitError]]:
        """Begin to add batches, in this order, and wait for nothing."""
        return flush_all(self._line, self._keys, batches)

    def tallies(self, wanted: Sequence[Wanted], now_ms: int) -> Later[Sequence[Tally | GraysplitError]]:
        """Begin to read tallies, and wait for nothing."""
        return tallies(self._line, self._keys, wanted, now_ms)

    def judge_all(self, judgements: Sequence[Judgement]) -> Later[Sequence[bool | GraysplitError]]:
        """Begin to write judgements, and wait for nothing."""
        return judge_all(self._line, self._keys, judgements)

    def trip(self, trip: Trip) -> bool:
        """Stop a candidate if its release is still this one; raises `RefusedError` where no stop is taken."""
        return stop_release(self._line, self._keys, trip)

    def leave(self, boot: str) -> None:
        """Say goodbye: the process leaves the count."""
        forget(self._line, self._keys, boot)

    def close(self) -> None:
        """Let go of all connections; never raises."""
        if self._way is not None:
            self._way.close()
        for line in self.lines():
            self._suspect(line)
        for line in self.lines():
            line.close()
        self._wakeup.close()

    def _beat(self, report: Report, receipt: bytes, about: bytes) -> tuple[int, bool]:
        keys = self._keys
        fleet = (keys.seen, keys.about, keys.receipts, keys.contents, keys.highest)
        arguments = (report.boot, receipt, about, FORGET_MS, LIVE_MS, report.highest)
        answer = self._line.evaluate(script("beat"), fleet, arguments)
        if lacks_scripts(answer):
            return self._beat_without_script(report, receipt, about)
        if not is_list(answer):
            raise refused("the heartbeat was not accepted", answer)
        self.counted, self.asked = int(answer[2]), request_in(answer[3])
        return int(answer[0]), answer[1] == b"1"

    def _beat_without_script(self, report: Report, receipt: bytes, about: bytes) -> tuple[int, bool]:
        """Write the heartbeat where scripts are refused, and drop those that have been silent too long."""
        keys, boot = self._keys, report.boot
        now_ms = server_ms(self._line, self._line.ask(("TIME",))[0])
        if not now_ms:
            raise RefusedError(f"the heartbeat was not accepted: {NO_TIME}")
        writes: list[Command] = [
            *self._silent(now_ms),
            ("ZADD", keys.seen, now_ms, boot),
        ]
        if receipt:
            writes.append(("HSET", keys.receipts, boot, receipt))
        if about:
            writes.append(("HSET", keys.about, boot, about))
        # HMGET: the null that HGET gives for an absent field looks like a push on this connection.
        *answers, known, shown, counted, asked, highest = self._line.ask(
            *writes,
            ("HEXISTS", keys.about, boot),
            ("HEXISTS", keys.receipts, boot),
            ("HLEN", keys.about),
            ("HMGET", keys.contents, "asked"),
            ("HMGET", keys.highest, "revision"),
        )
        for answer in answers:
            if isinstance(answer, exceptions.ResponseError):
                raise refused("the heartbeat was not accepted", answer)
        if highest_in(highest) < report.highest:
            self._line.ask(("HSET", keys.highest, "revision", report.highest))
        self.counted, self.asked = (
            counted if isinstance(counted, int) else 0,
            request_in(asked[0] if is_list(asked) else None),
        )
        return now_ms, bool(known and shown)

    def _silent(self, now_ms: int) -> list[Command]:
        """Return the commands that drop who has been silent too long, as the script does; a few at a time."""
        keys, oldest = self._keys, f"({now_ms - FORGET_MS}"
        silent, early = self._line.ask(
            ("ZRANGE", keys.seen, "-inf", oldest, "BYSCORE", "LIMIT", 0, 100),
            ("ZRANGE", keys.seen, f"({now_ms}", "+inf", "BYSCORE", "LIMIT", 0, 100),
        )
        commands: list[Command] = []
        if is_list(early) and early:  # the clock was set back: silent as of now
            scored = [part for boot in early for part in (now_ms - LIVE_MS - 1, boot)]
            commands.append(("ZADD", keys.seen, *scored))
        if is_list(silent) and silent:
            commands.append(("ZREM", keys.seen, *silent))
            commands += [("HDEL", key, *silent) for key in (keys.about, keys.receipts)]
        return commands
