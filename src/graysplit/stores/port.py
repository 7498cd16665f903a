"""The port of every store: few, atomic verbs, each with what it promises under a race.

The contract suite in `graysplit.testing.StoreContract` holds every store and every wrapper to these sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

from graysplit.core.entry import Entry
from graysplit.core.fleet import Declared, Fleet, Mode, Receipt
from graysplit.core.replica.record import Brakes, Breathe, Load

if TYPE_CHECKING:
    from graysplit.core.guard.tally import Batch, Flushed, Judgement, Tally
    from graysplit.errors import GraysplitError

T_co = TypeVar("T_co", covariant=True)

# The hashes that hold what is decided from, and the plans' progress, which nobody follows; their names are the ends
# of the keys in Redis.
KeyName: TypeAlias = Literal["weights", "stops", "splits", "meta", "plans"]
Place: TypeAlias = tuple[KeyName, str]  # a key and a field of it

# A raise that rests on an older reading than this is refused: no delayed `set` overtakes a rollback.
RAISE_WINDOW_MS: Final = 10_000

# A plan does not step in the first seconds of a server's life: it may have forgotten a rollback.
SETTLE_MS: Final = 10_000

# How many of the log's newest entries a follower gets that names no position, to find an ancestor in later.
NEWEST: Final = 200


class Expect(NamedTuple):
    """What an editor saw in a field: its text, or None for absent."""

    key: KeyName
    field: str
    value: str | None


class Write(NamedTuple):
    """What a field is to hold: a text, or None to take it away."""

    key: KeyName
    field: str
    value: str | None


class Due(NamedTuple):
    """When a plan may step or a lease end, by the server's own clock; a step not within ten seconds of its start."""

    from_ms: int
    until_ms: int  # later, time has passed that nobody drove
    settled: bool  # whether this process has been connected for ten seconds: asked where the server hides its start
    settle_ms: int = SETTLE_MS  # how long the server must have run; 0 for what only lowers


class Submission(NamedTuple):
    """One compare-and-set change. All of it happens, or nothing."""

    id: str  # random; the same id again returns the first answer
    split: str
    cause: str
    actor: str
    why: str
    expect: tuple[Expect, ...]
    writes: tuple[Write, ...]
    read_at_ms: int  # server time of the reading that `expect` rests on
    raises: bool = False  # whether it lets anybody in whom the store keeps out now
    begins: tuple[str, ...] = ()  # fields of candidates whose release begins with it
    mends: tuple[KeyName, ...] = ()  # lost keys that it makes whole, in the same step; what is not a hash there goes
    ends: tuple[str, ...] = ()  # splits whose plan is over with it
    due: Due | None = None  # only a plan's step and the end of a lease have one
    above: int = 0  # its revision is to be above this one, too
    # What its entry tells beside its writes: "lost checkout/new" to its weight before and after.
    lost: Mapping[str, tuple[str | None, str | None]] = {}


class Rollback(NamedTuple):
    """Weight zero and stopped. It compares nothing and is never refused for what the store holds.

    A stop that stands there already keeps its text: who stopped it first, when and why. This reason is in the history.
    """

    id: str
    target: str  # "checkout", "ranking/b", or "*": every unfinished release
    actor: str
    why: str
    cause: str = "rollback"


class Written(NamedTuple):
    """What a store did."""

    id: str
    revision: int  # 0 where the history could not be written
    at_ms: int  # server time
    before: Mapping[str, str | None] = {}  # "weights checkout/new" to its text before
    after: Mapping[str, str | None] = {}
    unrecorded: str | None = None  # why there is no history entry, though the change stands
    left: tuple[str, ...] = ()  # with `*`: the finished releases that were left alone
    kept: Mapping[str, str] = {}  # and their weights above zero, by field
    parts: tuple[str, ...] = ()  # the ids of its history entries, where a store wrote it in portions


class Followed(NamedTuple):
    """A namespace on this server that live processes follow."""

    namespace: str
    database: int
    live: int  # processes


class Copies(NamedTuple):
    """How far a write has come: an acknowledged one can die in a failover while no replica has it."""

    have: int
    of: int  # replicas there are


class Advice(NamedTuple):
    """A setting of a store that may lose weights, and the next command to type."""

    what: str
    command: str
    serious: bool = False  # it will, sooner or later


class Report(NamedTuple):
    """A heartbeat: who a process is, and what it does now."""

    boot: str
    host: str
    pid: int
    library: str
    declared: Mapping[str, Declared]
    receipt: Receipt
    instance: str = ""  # the name under which its host crosses over
    zone: str = ""
    born_ms: int = 0  # server time at its start; 0 before its first reading
    highest: int = 0  # the highest revision that it has ever followed: no other change may have one of these


class FieldReading(NamedTuple):
    """A few fields at one moment."""

    texts: Mapping[Place, str | None]
    now_ms: int  # server time


class ProgressUpdate(NamedTuple):
    """A driver's note on a plan: what it read, and what it writes instead. Nobody is told, no history is written."""

    split: str
    progress: str  # as read
    tick: str
    new_progress: str
    new_tick: str


class Trip(NamedTuple):
    """An automatic rollback of the release that a guard (or a plan) saw, and of no other."""

    id: str
    field: str  # checkout/new
    release: str
    why: str  # the counts and the evidence, for people
    actor: str = "guard"
    cause: str = "trip"


class Wanted(NamedTuple):
    """A release whose tally is to be read."""

    field: str  # checkout/new
    release: str
    started_s: int  # when it began, in whole seconds of the server's time


class Later(Protocol[T_co]):
    """Answers that may still be under way, while their feed does other things; void where that feed is closed."""

    def here(self, within_s: float) -> bool:
        """Return whether all have come, after so long a wait at most; raises `StoreUnreachableError`."""
        ...

    def take(self) -> T_co:
        """Return them, once they are here; raises `StoreUnreachableError`."""
        ...


class CursorReading(NamedTuple):
    """How far hooks have been told, and where the log ends, at one moment."""

    texts: Mapping[str, str]  # hook to its record
    position: str  # of the log's last entry
    revision: int  # of that entry
    now_ms: int  # server time


class Feed(Protocol):
    """One follower's connection. Used by one thread; a signal only ever means: read again."""

    mode: Mode  # which promise is in force: one of `graysplit.core.fleet.PROMISES`
    counted: int  # processes that the store counted at the last heartbeat; 0 where that is not known
    unbooked: int  # not 0: the last `book` has left something for the next one, to book or to look at
    asked: str  # the request to tell what is held that stood at the last heartbeat; "" where none did
    outdone: bool  # whether a better way to follow works again, so that this one is to be left for it

    @property
    def mode_why(self) -> str:
        """Return why it is not a better mode, and what is not known of the server; "" where there is nothing to say."""
        ...

    def load(self, since: str, *, whole: bool) -> Load:
        """Read everything at one moment, with the log since a position ("" for its newest entries only).

        With `whole` false, a store may leave out definitions that its log says are unchanged (`Load.whole`). Raises
        `StoreUnreachableError`, also where the server is a replica.
        """
        ...

    def untouched(self) -> int:
        """Return the server's time in ms where nothing was written since everything was read last; 0 where unknown."""
        ...

    def while_reading(self, act: Breathe) -> None:
        """Have something done again and again during a long `load`; it may use this feed, but for `load`."""
        ...

    def brakes(self, fields: Sequence[str]) -> Brakes:
        """Read the weights of some candidates and the stops over them; an absent weight is 0 where its key stands."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Wait for a signal; True: something may have changed, read again. False may come before the time is over.

        Checks by itself that the other end still answers, and raises `StoreUnreachableError` at most 1.5 seconds
        after it stopped.
        """
        ...

    def wake(self) -> None:
        """End the present `wait` where that takes no lock, and each one from now on: a signal handler may ask."""
        ...

    def report(self, report: Report, *, about: bool) -> int:
        """Write a heartbeat (with `about`, also what does not change); gives the server time in ms."""
        ...

    def tell_content(self, boot: str, request: str, content: bytes) -> None:
        """Answer a request: write what this process holds, for minutes; equal contents are kept once.

        Nobody is signalled. Raises `RefusedError` where this server or role takes none.
        """
        ...

    def record_raw_edits(self, actor: str) -> int:
        """Write history entries for raw edits that have none; gives their number. Racing processes book once.

        Where there are many a store may write some of them, and say so (`unbooked`): the next call goes on.

        A stop whose text says whose it is (who, change: as graysplit writes it) is theirs: a guard's trip, anybody
        else's rollback, as an entry of its own with their reason, and the zeros are written with it. Beside a zero
        that a process has written back (`brake`) the weight stays.
        """
        ...

    def stop_if_older(self, field: str, why: str, release_ms: int) -> bool:
        """Stop a field unless it is stopped already, or its release in the store began later than `release_ms`.

        All that an `app` role may do to lower; gives whether a stop stands now.
        """
        ...

    def submit(self, submission: Submission) -> Written:
        """Write a change as `Store.submit` does, over this connection."""
        ...

    def read_fields(self, places: Sequence[Place]) -> FieldReading:
        """Read a few fields at one moment; a key of the wrong type has none."""
        ...

    def save_progress(self, ticking: ProgressUpdate) -> bool:
        """Write a plan's progress and tick if both are still as read; False where somebody was faster."""
        ...

    def fleet(self) -> Fleet:
        """Return the processes that follow this store, over this connection."""
        ...

    def flush(self, batch: Batch) -> Flushed:
        """Add what one buffer has counted to its release's tally: all of it and once, whatever is sent again.

        Nobody is signalled. What is told of a stage belongs to the newest stage where that has these shares; to a new
        one where its change is newer than all that were told of the newest; else to the latest of these shares. Units
        of a stage are told for ten minutes after the next has begun. Windows are kept for five minutes after their
        end at least. The rest expires when nobody flushes or judges: a buffer's number after a quarter of an hour,
        units and calls under way after a day, counts after a month. Raises `RefusedError` where this server or role
        takes none.
        """
        ...

    def tally(self, field: str, release: str, started_s: int) -> Tally:
        """Read what has been counted of a release, with the windows that are to be judged now; no course."""
        ...

    def judge(self, judgement: Judgement) -> bool:
        """Write a judgement if the judge's text is still as read; False where somebody was faster.

        Nobody is signalled, and what is kept of the release is kept alive. Raises `RefusedError` where this server or
        role takes none.
        """
        ...

    def flush_all(self, batches: Sequence[Batch]) -> Later[Sequence[Flushed | GraysplitError]]:
        """Begin to add batches as `flush` does, in this order, and wait for nothing; each has an answer of its own."""
        ...

    def tallies(self, wanted: Sequence[Wanted], now_ms: int) -> Later[Sequence[Tally | GraysplitError]]:
        """Begin to read as `tally` does, and wait for nothing; each has an answer of its own.

        `now_ms`: the server's time as it is thought to be.
        """
        ...

    def judge_all(self, judgements: Sequence[Judgement]) -> Later[Sequence[bool | GraysplitError]]:
        """Begin to write judgements as `judge` does, and wait for nothing; each has an answer of its own."""
        ...

    def trip(self, trip: Trip) -> bool:
        """Stop a candidate if its release is still this one; False, and nothing is done, where another has begun.

        Where this role may: with the zero, the end of its plan and the history entry, in one change; else the stop
        alone, which whoever may writes into the history, as whose it is and with the zero (`book`). A stop that stands
        already is left as it is, and True given. Where `meta` is lost nobody knows of another release: it stops.
        """
        ...

    def leave(self, boot: str) -> None:
        """Say goodbye: the process leaves the count."""
        ...

    def close(self) -> None:
        """Let go of the connection; never raises."""
        ...


class Store(Protocol):
    """A store as operators use it."""

    name: str  # printable address, without password

    def load(self) -> Load:
        """Read everything at one moment, the books (`Load.booked`) too."""
        ...

    def read_fields(self, places: Sequence[Place]) -> FieldReading:
        """Read a few fields at one moment, however much stands beside them; a key of the wrong type has none."""
        ...

    def read_splits(self, splits: Sequence[str]) -> FieldReading:
        """Read what concerns some splits, and every split, at one moment, however much stands beside it.

        `graysplit.stores.places` names the fields: those of each split and of the versions that its definition names.
        """
        ...

    def submit(self, submission: Submission) -> Written:
        """Compare, write, bump the revision and append to the history, in one step.

        The revision is above the one that stands, the log's last one, and every one that a heartbeat has told of.
        Raises `ConflictError` where a field is not what was expected, `RefusedError` for a raise that rests on a
        reading older than 10 s of server time, `StoreCorruptError` where a key is lost or of the wrong type that the
        submission does not mend, and `StoreUnreachableError`; `NotYetError` for a step that is not due by the server's
        clock. The first write into an empty namespace makes its keys.
        """
        ...

    def roll_back(self, rollback: Rollback) -> Written:
        """Set the weight to zero and a stop beside it, whatever stands there.

        Works with unreadable neighbours and when the server is out of memory; has worked as soon as stop or weight
        stands. Raises `StoreUnreachableError` where neither does. Of everything (`*`) a store may write a portion at a
        time, each in one step with an entry of its own, what is not stopped yet and the largest shares first; what
        comes between two portions and lets somebody in is lowered, too.
        """
        ...

    def tally(self, field: str, release: str, started_s: int) -> Tally:
        """Read what has been counted of a release, with the course that it took."""
        ...

    def history(self, split: str | None = None, count: int = 50) -> tuple[Entry, ...]:
        """Return the newest entries, newest first, of one split or of all."""
        ...

    def fleet(self) -> Fleet:
        """Return the processes that follow this store."""
        ...

    def forget(self, boot: str) -> None:
        """Take a process out of the count, as its own goodbye would; one that lives is back with its next heartbeat."""
        ...

    def followed(self) -> tuple[Followed, ...] | None:
        """Return the namespaces on this server that live processes follow, as far as a short look finds them.

        None where the server does not tell. Not for the hot path: it looks through the server's keys.
        """
        ...

    def ask_contents(self, request: str) -> None:
        """Ask every process what it holds: it hears of it with its next heartbeat, and of the last request only.

        Raises `RefusedError` where this role may not.
        """
        ...

    def contents(self, request: str) -> Mapping[str, bytes]:
        """Return what processes have told on a request, by boot id."""
        ...

    def read_cursors(self) -> CursorReading:
        """Read how far each hook has been told, with the log's end."""
        ...

    def log(self, start: str, count: int) -> tuple[tuple[str, Entry], ...]:
        """Return positions and entries of the log from a position on, oldest first; who stands there is the first."""
        ...

    def save_cursor(self, hook: str, read: str | None, text: str) -> bool:
        """Write a hook's record if it is still as read (None: absent); False where somebody was faster.

        Nobody is signalled, and no history is written.
        """
        ...

    def follow(self) -> Feed:
        """Open a follower's connection; raises `StoreUnreachableError`."""
        ...

    def replicas(self, timeout_s: float) -> Copies | None:
        """Return how many replicas have this store's last write, or None where that cannot be told."""
        ...

    def close(self) -> None:
        """Let go of all connections; never raises, may be called twice."""
        ...


class Survey(NamedTuple):
    """All that an overview shows, read together."""

    fleet: Fleet  # read before the store: what processes tell is then no newer than what the store says
    load: Load
    cursors: CursorReading | None  # None where they may not be read
    last: tuple[Entry, ...]  # the newest entry of the log, where there is one


class SplitSurvey(NamedTuple):
    """What concerns a few splits, and the processes."""

    found: FieldReading
    fleet: Callable[[], Fleet]  # read out of what was told when it is first asked for: most changes need none


@runtime_checkable
class Surveyor(Protocol):
    """A store that reads together, in few round trips, what it also reads one by one."""

    def survey(self) -> Survey:
        """Read the fleet, then everything, then how far each hook has been told."""
        ...

    def survey_splits(self, splits: Sequence[str]) -> SplitSurvey:
        """Read what concerns some splits as `Store.read_splits` does, then the fleet."""
        ...

    def tallies(self, wanted: Sequence[Wanted], now_ms: int) -> Sequence[Tally | GraysplitError]:
        """Read what has been counted of some releases as `Feed.tallies` does, without the courses that they took."""
        ...


@runtime_checkable
class ByHand(Protocol):
    """A store that people can reach without graysplit."""

    def redis_cli(self) -> str:
        """Return the `redis-cli` that reaches the same server, for a shell; the password is not in it."""
        ...
