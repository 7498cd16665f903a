"""Stores around stores: the same port with one thing changed. Each prints its stack in `name`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from graysplit.core.entry import Entry
from graysplit.core.fleet import Fleet, Mode
from graysplit.core.guard.tally import Batch, Flushed, Judgement, Tally
from graysplit.core.replica.record import Brakes, Breathe, Load
from graysplit.errors import GraysplitError, RefusedError
from graysplit.stores.at_once import AtOnce
from graysplit.stores.port import (
    Copies,
    CursorReading,
    Feed,
    FieldReading,
    Followed,
    Later,
    Place,
    ProgressUpdate,
    Report,
    Rollback,
    Store,
    Submission,
    Trip,
    Wanted,
    Written,
)


class ReadOnlyStore:
    """Reads as the store inside does, and refuses every write; heartbeats too."""

    def __init__(self, inner: Store) -> None:
        """Wrap a store."""
        self._inner = inner
        self.name = f"read-only {inner.name}"

    def load(self) -> Load:
        """Read everything at one moment."""
        return self._inner.load()

    def read_fields(self, places: Sequence[Place]) -> FieldReading:
        """Read a few fields at one moment."""
        return self._inner.read_fields(places)

    def read_splits(self, splits: Sequence[str]) -> FieldReading:
        """Read what concerns some splits, and every split, at one moment."""
        return self._inner.read_splits(splits)

    def submit(self, submission: Submission) -> Written:
        """Refuse."""
        self._refuse(f"'{submission.cause}' of '{submission.split}'")

    def roll_back(self, rollback: Rollback) -> Written:
        """Refuse."""
        self._refuse(f"rollback of '{rollback.target}'")

    def tally(self, field: str, release: str, started_s: int) -> Tally:
        """Read what has been counted of a release, with the course that it took."""
        return self._inner.tally(field, release, started_s)

    def history(self, split: str | None = None, count: int = 50) -> tuple[Entry, ...]:
        """Return the newest entries, newest first, of one split or of all."""
        return self._inner.history(split, count)

    def fleet(self) -> Fleet:
        """Return the processes that follow this store."""
        return self._inner.fleet()

    def forget(self, boot: str) -> None:
        """Refuse."""
        self._refuse(f"forgetting the process {boot}")

    def followed(self) -> tuple[Followed, ...] | None:
        """Return the namespaces on this server that live processes follow."""
        return self._inner.followed()

    def ask_contents(self, request: str) -> None:  # noqa: ARG002 - the port's signature
        """Refuse."""
        self._refuse("asking for the processes' content")

    def contents(self, request: str) -> Mapping[str, bytes]:
        """Return what processes have told on a request."""
        return self._inner.contents(request)

    def read_cursors(self) -> CursorReading:
        """Read how far each hook has been told."""
        return self._inner.read_cursors()

    def log(self, start: str, count: int) -> tuple[tuple[str, Entry], ...]:
        """Return the log from a position on, oldest first."""
        return self._inner.log(start, count)

    def save_cursor(self, hook: str, read: str | None, text: str) -> bool:  # noqa: ARG002 - the port's signature
        """Refuse."""
        self._refuse(f"notifying {hook}")

    def follow(self) -> Feed:
        """Open a follower's connection that writes nothing."""
        return _SilentFeed(self._inner.follow())

    def replicas(self, timeout_s: float) -> Copies | None:
        """Return how many replicas have the last write, or None where that cannot be told."""
        return self._inner.replicas(timeout_s)

    def close(self) -> None:
        """Let go of all connections."""
        self._inner.close()

    def _refuse(self, what: str) -> NoReturn:
        raise RefusedError(f"{what} is refused: {self.name} takes no writes. Open it without the read-only wrapper")


class _SilentFeed:
    """Follows, and leaves no trace: no heartbeat, no booking, no evidence."""

    def __init__(self, inner: Feed) -> None:
        self._inner = inner
        self._now_ms = 0
        self.mode: Mode = inner.mode
        self.counted = 0
        self.unbooked = 0
        self.asked = ""
        self.outdone = False

    @property
    def mode_why(self) -> str:
        return self._inner.mode_why

    def load(self, since: str, *, whole: bool) -> Load:
        load = self._inner.load(since, whole=whole)
        self._now_ms = load.now_ms
        return load

    def untouched(self) -> int:
        return self._inner.untouched()

    def while_reading(self, act: Breathe) -> None:
        self._inner.while_reading(act)

    def brakes(self, fields: Sequence[str]) -> Brakes:
        return self._inner.brakes(fields)

    def wait(self, timeout_s: float) -> bool:
        signalled = self._inner.wait(timeout_s)
        self.outdone = self._inner.outdone
        return signalled

    def wake(self) -> None:
        self._inner.wake()

    def report(self, report: Report, *, about: bool) -> int:  # noqa: ARG002 - the port's signature
        return self._now_ms

    def tell_content(self, boot: str, request: str, content: bytes) -> None:
        """Nobody counts this process, so nobody waits for its answer."""

    def record_raw_edits(self, actor: str) -> int:  # noqa: ARG002 - the port's signature
        return 0

    def stop_if_older(self, field: str, why: str, release_ms: int) -> bool:  # noqa: ARG002 - the port's signature
        return False

    def submit(self, submission: Submission) -> Written:
        raise RefusedError(f"a {submission.cause} is refused: this store takes no writes")

    def read_fields(self, places: Sequence[Place]) -> FieldReading:
        return self._inner.read_fields(places)

    def save_progress(self, ticking: ProgressUpdate) -> bool:
        raise RefusedError(f"this process cannot drive the plan of '{ticking.split}': this store takes no writes")

    def fleet(self) -> Fleet:
        return self._inner.fleet()

    def flush(self, batch: Batch) -> Flushed:  # noqa: ARG002 - the port's signature
        return Flushed(applied=False, judge="", now_ms=self._now_ms)

    def tally(self, field: str, release: str, started_s: int) -> Tally:
        return self._inner.tally(field, release, started_s)

    def judge(self, judgement: Judgement) -> bool:  # noqa: ARG002 - the port's signature
        return False

    def flush_all(self, batches: Sequence[Batch]) -> Later[Sequence[Flushed | GraysplitError]]:
        return AtOnce([self.flush(batch) for batch in batches])

    def tallies(self, wanted: Sequence[Wanted], now_ms: int) -> Later[Sequence[Tally | GraysplitError]]:
        return self._inner.tallies(wanted, now_ms)

    def judge_all(self, judgements: Sequence[Judgement]) -> Later[Sequence[bool | GraysplitError]]:
        return AtOnce([self.judge(judgement) for judgement in judgements])

    def trip(self, trip: Trip) -> bool:  # noqa: ARG002 - the port's signature
        return False

    def leave(self, boot: str) -> None:
        """Nothing was ever written, so there is nothing to take back."""

    def close(self) -> None:
        self._inner.close()


class RecordingStore:
    """Passes everything through and remembers which verbs were used, in order; for tests and instruments."""

    def __init__(self, inner: Store) -> None:
        """Wrap a store."""
        self._inner = inner
        self.name = f"recording {inner.name}"
        self.calls: list[str] = []

    def load(self) -> Load:
        """Read everything at one moment."""
        self.calls.append("load")
        return self._inner.load()

    def read_fields(self, places: Sequence[Place]) -> FieldReading:
        """Read a few fields at one moment."""
        self.calls.append("read_fields")
        return self._inner.read_fields(places)

    def read_splits(self, splits: Sequence[str]) -> FieldReading:
        """Read what concerns some splits, and every split, at one moment."""
        self.calls.append(f"read_splits {' '.join(splits)}")
        return self._inner.read_splits(splits)

    def submit(self, submission: Submission) -> Written:
        """Write a change."""
        self.calls.append(f"submit {submission.cause} {submission.split}")
        return self._inner.submit(submission)

    def roll_back(self, rollback: Rollback) -> Written:
        """Set the weight to zero and a stop beside it."""
        self.calls.append(f"roll_back {rollback.target}")
        return self._inner.roll_back(rollback)

    def tally(self, field: str, release: str, started_s: int) -> Tally:
        """Read what has been counted of a release, with the course that it took."""
        self.calls.append(f"tally {field}")
        return self._inner.tally(field, release, started_s)

    def history(self, split: str | None = None, count: int = 50) -> tuple[Entry, ...]:
        """Return the newest entries, newest first, of one split or of all."""
        self.calls.append("history")
        return self._inner.history(split, count)

    def fleet(self) -> Fleet:
        """Return the processes that follow this store."""
        self.calls.append("fleet")
        return self._inner.fleet()

    def forget(self, boot: str) -> None:
        """Take a process out of the count."""
        self.calls.append(f"forget {boot}")
        self._inner.forget(boot)

    def followed(self) -> tuple[Followed, ...] | None:
        """Return the namespaces on this server that live processes follow."""
        self.calls.append("followed")
        return self._inner.followed()

    def ask_contents(self, request: str) -> None:
        """Ask every process what it holds."""
        self.calls.append("ask_contents")
        self._inner.ask_contents(request)

    def contents(self, request: str) -> Mapping[str, bytes]:
        """Return what processes have told on a request."""
        self.calls.append("contents")
        return self._inner.contents(request)

    def read_cursors(self) -> CursorReading:
        """Read how far each hook has been told."""
        self.calls.append("read_cursors")
        return self._inner.read_cursors()

    def log(self, start: str, count: int) -> tuple[tuple[str, Entry], ...]:
        """Return the log from a position on, oldest first."""
        self.calls.append("log")
        return self._inner.log(start, count)

    def save_cursor(self, hook: str, read: str | None, text: str) -> bool:
        """Write a hook's record if it is still as read."""
        self.calls.append(f"save_cursor {hook}")
        return self._inner.save_cursor(hook, read, text)

    def follow(self) -> Feed:
        """Open a follower's connection."""
        self.calls.append("follow")
        return self._inner.follow()

    def replicas(self, timeout_s: float) -> Copies | None:
        """Return how many replicas have the last write, or None where that cannot be told."""
        self.calls.append("replicas")
        return self._inner.replicas(timeout_s)

    def close(self) -> None:
        """Let go of all connections."""
        self._inner.close()
