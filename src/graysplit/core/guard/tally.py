"""What a fleet has counted of one candidate in one release: as each process tells it, and as it is read back.

Processes tell in batches, each numbered within the random id of the buffer that it comes from, so that a batch that is
sent twice counts once. What a store gives back are counts, from which every verdict can be computed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:  # operators read tallies too, and need none of the arithmetic
    from graysplit.core.guard.verdict import What
    from graysplit.core.guard.windows import Span, Window

_NO_TIMES: Final[Mapping[int, int]] = MappingProxyType({})

# Units of one stage that are kept exactly: from then on those whose hash ends in one more zero bit, and so on.
EXPOSED_AT_MOST: Final = 65_536
MICRO: Final = 1_000_000  # values of goals, scaled to 0..1, are summed in millionths


class Raised(NamedTuple):
    """How often a named exception was raised in this release."""

    on_new: int
    on_old: int


class Pair(NamedTuple):
    """One number of each side."""

    old: int = 0
    new: int = 0


class Stage(NamedTuple):
    """The shares of a time of constant weights, in thousandths of a percent, and the change that began it."""

    new: int
    old: int
    revision: int = 0  # of the change with which a process saw it begin; 0: not known

    @property
    def w(self) -> float:
        """Return the chance of new among the calls that fall on new or old."""
        return self.new / (self.new + self.old) if self.new + self.old else 0.0


# --- what a process tells --------------------------------------------------------------------------------------------


class Begun(NamedTuple):
    """Calls begun in one second on one side."""

    second: int  # of the server's time
    on_new: bool
    calls: int


class Failed(NamedTuple):
    """A unit's failed (or slow, or unfinished) calls begun in one second."""

    second: int
    unit: int  # 64 bits of its hash, with a seed of this release's
    on_new: bool
    calls: int = 1


class Exposed(NamedTuple):
    """A unit that met the split."""

    unit: int  # the 32 bits by which it is bucketed
    on_new: bool


class Goal(NamedTuple):
    """What a unit did later: it counts once, if the unit had met the split before."""

    name: str
    unit: int  # as `Exposed.unit`
    micro: int = MICRO  # its value, scaled to 0..1, in millionths


class Batch(NamedTuple):
    """What one buffer of one process has counted since its last batch. Applied whole and once, or not at all."""

    field: str  # the candidate: checkout/new
    release: str
    started_s: int  # when the release began, in whole seconds of the server's time: windows are counted from it
    buffer: str  # random: numbers restart with a process, and this does not
    number: int  # from 1; a number that is not higher than the last one applied is a repetition
    stage: Stage
    calls: tuple[Begun, ...] = ()  # eligible calls
    failures: Pair = Pair()  # failed calls
    errors: tuple[Failed, ...] = ()
    timed: tuple[Begun, ...] = ()  # of the calls, those that were timed and have ended
    slow: tuple[Failed, ...] = ()
    exposed: tuple[Exposed, ...] = ()
    durations: tuple[Mapping[int, int], Mapping[int, int]] = (_NO_TIMES, _NO_TIMES)  # old, new; calls by bucket
    named: Mapping[str, Pair] = MappingProxyType({})  # exceptions of which the first stops, how often
    goals: tuple[Goal, ...] = ()
    # These two replace what the buffer told before.
    running: tuple[Begun, ...] = ()  # calls that have begun and not ended, by begin second, both sides
    hanging: tuple[Failed, ...] = ()  # those whose unit is known: charged when the process is not heard again
    # Calls that ended without answer or error: cancelled, timed out by their caller, left by their client.
    cuts: Pair = Pair()
    cut: tuple[Failed, ...] = ()
    overdue: Pair = Pair()  # calls that had not ended by the deadline; their units are among `errors`
    # Calls of old that were under way when their process ended: they may have been about to fail, as new had already.
    abandoned: tuple[Begun, ...] = ()
    unfinished: Pair = Pair()  # timed calls that returned a coroutine, a generator or a future: how do they end?
    dropped: int = 0  # calls, users and goals of this release that its process could not tell
    unblamed: int = 0  # failed, slow and overdue calls, and those cut short, whose unit its process could not tell


class Flushed(NamedTuple):
    """What a store answers to a batch."""

    applied: bool  # False: it had been applied before
    judge: str  # who judges, since when, and the verdict, as it was last written; "" at first
    now_ms: int


# --- what is read back -----------------------------------------------------------------------------------------------


class Converted(NamedTuple):
    """What a stage has counted of one goal, in the subset of units that is kept exactly."""

    units: Pair = Pair()
    micro: Pair = Pair()  # the sums of their values, in millionths


class StageTally(NamedTuple):
    """What one stage has counted."""

    number: int  # from 1 within the release
    stage: Stage
    since_s: int
    calls: Pair = Pair()
    failures: Pair = Pair()
    units: Pair = Pair()  # with a first error since the stage began, of those whose 64 bits end in `unit_bits` zeros
    unit_bits: int = 0
    exposed: Pair = Pair()  # units, of those whose 32 bits end in `exposed_bits` zeros
    exposed_bits: int = 0
    ratio: Pair = Pair()  # the first 65,536 units of the stage, for the sample ratio
    durations: tuple[Mapping[int, int], Mapping[int, int]] = (_NO_TIMES, _NO_TIMES)  # old, new
    goals: Mapping[str, Converted] = MappingProxyType({})
    cuts: Pair = Pair()  # calls that were cut short
    overdue: Pair = Pair()  # calls that had not ended by the deadline; whatever became of them later
    unfinished: Pair = Pair()  # timed calls that returned what was not done yet
    dropped: int = 0  # calls, users and goals that processes could not tell, as they said in this stage
    unblamed: int = 0  # of them failed, slow and overdue calls, and those cut short


class RunningCalls(NamedTuple):
    """What one buffer told last of its calls under way."""

    buffer: str
    number: int  # of that batch
    at_ms: int  # server time of that batch
    stage: int  # the stage's number
    calls: tuple[Begun, ...] = ()
    hanging: tuple[Failed, ...] = ()


class Kept(NamedTuple):
    """A window's books as a store keeps them, and how admission to it is thinned; running calls are apart."""

    what: What
    window: Window
    levels: tuple[tuple[int, int], ...] = ()  # (from which second, bits), as in `admission.Levels`


class Sample(NamedTuple):
    """How things stood at one moment, for the picture of a release."""

    at_s: int
    stage: int
    verdict: str
    weight: int  # the candidate's, in thousandths of a percent
    ln_evidence: float
    ln_limit: float
    calls: Pair  # of the stage, so far
    failures: Pair
    p95_ns: Pair


class Tally(NamedTuple):
    """All that a store holds of one candidate's release, at one moment."""

    field: str
    release: str
    kept: tuple[Kept, ...] = ()
    stages: tuple[StageTally, ...] = ()  # in order of their numbers
    running: tuple[RunningCalls, ...] = ()
    named: Mapping[str, Raised] = MappingProxyType({})
    judge: str = ""
    course: tuple[Sample, ...] = ()  # only where asked for
    now_ms: int = 0


class Judgement(NamedTuple):
    """What an evaluator writes, if whoever judged before is still as it read it. All of it, or nothing."""

    field: str
    release: str
    before: str  # the judge's text as read
    after: str
    levels: tuple[tuple[What, Span, tuple[tuple[int, int], ...]], ...] = ()  # for seconds still ahead
    settled_s: int = 0  # first errors begun before this second need not be told apart any more
    sample: Sample | None = None
    forget: tuple[str, ...] = ()  # buffers whose running calls have been charged, or ended long ago
    spans: tuple[Span, ...] | None = None  # the windows that were judged; None: those of the store's present time


def duration_bucket(ns: int) -> int:
    """Return the bucket of a duration in nanoseconds: four to each doubling, so at most 19 % wide."""
    if ns < 4:  # noqa: PLR2004 - below four there is no second bit
        return max(ns, 0)
    power = ns.bit_length() - 1
    return (power - 1) * 4 + ((ns >> (power - 2)) & 3)


def bucket_end(bucket: int) -> int:
    """Return the first duration in nanoseconds above a bucket."""
    if bucket < 4:  # noqa: PLR2004 - as above
        return bucket + 1
    power, part = divmod(bucket, 4)
    return (5 + part) << (power - 1)


def percentile(durations: Mapping[int, int], share: float) -> int:
    """Return the duration in nanoseconds that this share of calls stays below, as the end of its bucket; 0 for none."""
    wanted, passed = share * sum(durations.values()), 0
    for bucket in sorted(durations):
        passed += durations[bucket]
        if passed >= wanted:
            return bucket_end(bucket)
    return 0
