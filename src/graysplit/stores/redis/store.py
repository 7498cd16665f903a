"""The store as operators use it: few connections, short timeouts, no hidden attempts."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from graysplit.core.entry import Entry
from graysplit.core.fleet import Fleet
from graysplit.core.guard.tally import Tally
from graysplit.core.replica.record import Load
from graysplit.errors import ConflictError, GraysplitError, RefusedError, StoreCorruptError, StoreUnreachableError
from graysplit.server_access import check_server
from graysplit.stores.port import (
    Advice,
    Copies,
    CursorReading,
    FieldReading,
    Followed,
    Place,
    Rollback,
    SplitSurvey,
    Submission,
    Survey,
    Wanted,
    Written,
)
from graysplit.stores.redis.advice import ServerVersion, advise, version_of
from graysplit.stores.redis.client import Pool, Reply, is_list
from graysplit.stores.redis.connection import Connection, LostReplyError
from graysplit.stores.redis.content import ask_contents, read_contents
from graysplit.stores.redis.cursors import read_log, read_told, save_cursor
from graysplit.stores.redis.feed import RedisFeed
from graysplit.stores.redis.fleet import forget, read_fleet
from graysplit.stores.redis.followed import read_followed
from graysplit.stores.redis.history import read_history
from graysplit.stores.redis.keys import keys_of
from graysplit.stores.redis.ladder import Ladder
from graysplit.stores.redis.modes import check_transactions, open_feed
from graysplit.stores.redis.portions import roll_back_by_portions
from graysplit.stores.redis.reader import Reader, check_role, check_written, is_replica, measured_glance
from graysplit.stores.redis.rollback import Part, StepAnswer, read_portions, roll_back
from graysplit.stores.redis.sentinels import WAY_S, Host
from graysplit.stores.redis.submit import submit
from graysplit.stores.redis.tally import read_tally, tallies
from graysplit.stores.redis.topology import Timeouts, Topology

T = TypeVar("T")

# A hanging server is given up after a second of silence, a dripping one after three in all.
TIMEOUTS: Final = Timeouts(connect_s=1.0, answer_s=1.0)
VERB_WITHIN_S: Final = 3.0
_REMEMBERED: Final = 1_000


class RedisStore:
    """A namespace in Redis or Valkey. Safe to share between threads."""

    def __init__(self, url: str, namespace: str = "default") -> None:
        """Take the address apart; nothing is connected yet."""
        self._topology = Topology(url)
        self._keys = keys_of(namespace)
        self.name = self._topology.name if namespace == "default" else f"{self._topology.name} namespace {namespace}"
        check_server(self.name)
        self._ladder = Ladder()
        self._primary: Host | None = None  # whom Sentinel named last
        self._looked_at = float("-inf")
        self._pool: Pool | None = None
        self._sent: deque[str] = deque(maxlen=_REMEMBERED)
        self._wrote_on: int | None = None  # the connection of the last write: only that one can tell how far it came
        self._role: Reply = None  # of its server, right behind that write

    def load(self) -> Load:
        """Read everything at one moment."""
        with self._line() as line:
            return Reader(line, self._keys, books=True).read("", whole=True)

    def read_fields(self, places: Sequence[Place]) -> FieldReading:
        """Read a few fields at one moment."""
        with self._line() as line:
            return measured_glance(line, self._keys, places)

    def read_splits(self, splits: Sequence[str]) -> FieldReading:
        """Read what concerns some splits, and every split, at one moment."""
        from graysplit.stores.redis.split_reader import read_splits  # a process that follows never needs it

        with self._line() as line:
            return read_splits(line, self._keys, splits)

    def survey(self) -> Survey:
        """Read the fleet, then everything, then how far each hook has been told."""
        from graysplit.stores.redis.survey import survey  # as above

        with self._line() as line:
            return survey(line, self._keys)

    def survey_splits(self, splits: Sequence[str]) -> SplitSurvey:
        """Read what concerns some splits, then the fleet."""
        from graysplit.stores.redis.survey import survey_splits  # as above

        with self._line() as line:
            return survey_splits(line, self._keys, splits, self.fleet)

    def tallies(self, wanted: Sequence[Wanted], now_ms: int) -> Sequence[Tally | GraysplitError]:
        """Read what has been counted of some releases, all at one moment."""
        with self._line() as line:
            return tallies(line, self._keys, wanted, now_ms).take()

    def submit(self, submission: Submission) -> Written:
        """Compare, write, bump the revision and append to the history, in one step."""
        return self._written(submission.id, lambda again: self._submit(submission, again=again))

    def roll_back(self, rollback: Rollback) -> Written:
        """Set the weight to zero and a stop beside it, whatever stands there; of everything a portion at a time."""
        return roll_back_by_portions(self._roll_back, self._portions, rollback)

    def tally(self, field: str, release: str, started_s: int) -> Tally:
        """Read what has been counted of a release, with the course that it took."""
        with self._line() as line:
            return read_tally(line, self._keys, field, release, started_s, course=True)

    def history(self, split: str | None = None, count: int = 50) -> tuple[Entry, ...]:
        """Return the newest entries, newest first, of one split or of all."""
        with self._line() as line:
            return read_history(line, self._keys, split, count)

    def fleet(self) -> Fleet:
        """Return the processes that follow this store; those silent for ten minutes are passed over."""
        with self._line() as line:
            return read_fleet(line, self._keys)

    def forget(self, boot: str) -> None:
        """Take a process out of the count."""
        with self._line() as line:
            forget(line, self._keys, boot)

    def followed(self) -> tuple[Followed, ...] | None:
        """Return the namespaces on this server that live processes follow, over a connection of its own."""
        pool = self._topology.pool(self._keys.weights, TIMEOUTS, protocol=2)
        try:
            line = Connection(pool, self.name, TIMEOUTS.answer_s)
            with line.within(VERB_WITHIN_S):
                return read_followed(line)
        finally:
            pool.disconnect()

    def ask_contents(self, request: str) -> None:
        """Ask every process what it holds; raises `RefusedError` where this role may not."""
        with self._line() as line:
            ask_contents(line, self._keys, request)

    def contents(self, request: str) -> Mapping[str, bytes]:
        """Return what processes have told on a request, by boot id."""
        with self._line() as line:
            return read_contents(line, self._keys, request)

    def read_cursors(self) -> CursorReading:
        """Read how far each hook has been told, with the log's end."""
        with self._line() as line:
            return read_told(line, self._keys)

    def log(self, start: str, count: int) -> tuple[tuple[str, Entry], ...]:
        """Return positions and entries of the log from a position on, oldest first."""
        with self._line() as line:
            return read_log(line, self._keys, start, count)

    def save_cursor(self, hook: str, read: str | None, text: str) -> bool:
        """Write a hook's record if it is still as read."""
        with self._line() as line:
            return save_cursor(line, self._keys, hook, read, text)

    def follow(self) -> RedisFeed:
        """Open a follower's connection."""
        return open_feed(self._topology, self._keys, self._ladder)

    def replicas(self, timeout_s: float) -> Copies | None:
        """Return how many replicas have the last write that this store made, or None where that cannot be told."""
        role, self._role = self._role, None
        if is_list(role) and not (is_replica(role) or role[2]):
            return Copies(0, 0)  # it had none right behind the write
        with self._line() as line, line.within(timeout_s + line.answer_s):
            role = role or line.role()
            if not is_list(role) or is_replica(role) or line.connection != self._wrote_on:
                return None
            wanted = len(role[2])  # master, offset, replicas
            if not wanted:
                return Copies(0, 0)
            within_s = timeout_s + line.answer_s
            (count,) = line.ask(("WAIT", wanted, max(1, int(timeout_s * 1000))), within_s=within_s)
        return Copies(count, wanted) if isinstance(count, int) else None

    def advice(self) -> list[Advice]:
        """Return what of the server's settings may lose weights."""
        with self._line() as line:
            advice_ = advise(line, self._keys, failing_over=self._topology.kind == "sentinel")
        own = f"{self.redis_cli()} "
        return [advice._replace(command=re.sub(r"^redis-cli ", lambda _: own, advice.command)) for advice in advice_]

    def redis_cli(self) -> str:
        """Return the `redis-cli` that reaches the same server, for a shell."""
        return self._topology.redis_cli()

    def version(self) -> ServerVersion | None:
        """Return the server's version, or None where it is not told."""
        with self._line() as line:
            return version_of(line)

    def close(self) -> None:
        """Let go of all connections; never raises, may be called twice."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.disconnect()

    def _submit(self, submission: Submission, *, again: bool) -> Written:
        with self._line() as line:
            self._wrote_on, self._role = line.connection, None
            try:
                written = submit(line, self._keys, submission, again=again)
            except (ConflictError, RefusedError, StoreCorruptError):
                check_role(line, line.role())  # what a replica finds missing may only not have arrived
                raise
            self._role = check_written(line)
            return written

    def _roll_back(self, rollback: Rollback, part: Part | None) -> StepAnswer | None:
        """Write one portion, with as much time as a whole verb has."""
        return self._written(rollback.id, lambda again: self._send_rollback(rollback, part, again=again))

    def _send_rollback(self, rollback: Rollback, part: Part | None, *, again: bool) -> StepAnswer | None:
        with self._line() as line:
            self._wrote_on, self._role = line.connection, None
            answer = roll_back(line, self._keys, rollback, part, again=again)
            self._role = check_written(line)
            return answer

    def _portions(self) -> list[list[str]]:
        with self._line() as line:
            return read_portions(line, self._keys)

    def _written(self, change: str, once: Callable[[bool], T]) -> T:
        """Write a change, a second time where the first answer was lost; what was sent before may have been done."""
        again = self._known(change)
        try:
            return once(again)
        except LostReplyError:
            again = True
        except StoreUnreachableError as lost:
            lost.written = None if again and lost.written is False else lost.written
            raise
        try:
            return once(again)
        except StoreUnreachableError as lost:
            lost.written = lost.written or None
            raise

    def _known(self, change: str) -> bool:
        """Return whether this store has sent a change before, and remember that it does now."""
        known = change in self._sent
        if not known:
            self._sent.append(change)
        return known

    @contextmanager
    def _line(self) -> Generator[Connection]:
        """Lend a connection of the pool; a broken one is not given back whole."""
        self._look_for_primary()
        try:
            line = self._connected()
        except StoreUnreachableError:
            if not self._topology.kind:
                raise
            self._forget_primary()
            line = self._connected()  # it may have moved
        try:
            with line.within(VERB_WITHIN_S):
                yield line
        except StoreUnreachableError as lost:
            if lost.mend and not lost.mend.startswith("redis-cli"):
                lost.mend = f"{self.redis_cli()} {lost.mend}"
            line.close()
            if isinstance(lost, LostReplyError):
                self._check_transactions()
            self._forget_primary()
            raise
        except GraysplitError:
            line.release()
            raise
        except BaseException:
            line.close()
            raise
        else:
            line.release()

    def _check_transactions(self) -> None:
        """Raise `LostReplyError` with the cause where it is `MULTI` that ends connections."""
        pool = self._pool
        if pool is None:
            return
        try:
            line = Connection(pool, self.name, TIMEOUTS.answer_s)
        except StoreUnreachableError:
            return  # it is gone altogether
        try:
            check_transactions(line)
        except LostReplyError:
            raise
        except StoreUnreachableError:
            return  # as above
        finally:
            line.close()

    def _connected(self) -> Connection:
        if self._pool is None:
            self._pool = self._topology.pool(self._keys.weights, TIMEOUTS, protocol=2)
        line = Connection(self._pool, self.name, TIMEOUTS.answer_s)
        if self._topology.kind:
            line.greet()  # a server that does not answer may not be the primary any more
        return line

    def _look_for_primary(self) -> None:
        """Ask Sentinel again where the pool is older than a second: a demoted primary that is cut off takes writes."""
        if self._topology.kind != "sentinel" or time.monotonic() - self._looked_at < WAY_S:
            return
        primary, self._looked_at = self._topology.primary(), time.monotonic()
        if primary not in (self._primary, None):
            self._forget_primary()
            self._primary = primary

    def _forget_primary(self) -> None:
        """Ask Sentinel or Cluster again next time: the primary may have moved."""
        if self._topology.kind:
            self.close()
