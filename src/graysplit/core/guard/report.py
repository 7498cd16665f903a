"""What can be said of a release from what was counted of it: a pure function of its tally and its history.

Stages stand side by side, each with its own intervals; across them only calls and failures are added, as counts. What
is compared are units, each once, by the hash that drew their side: so the intervals hold whenever one looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from graysplit.core.entry import Entry
from graysplit.core.guard.evaluation import Judge, counts_of, in_full
from graysplit.core.guard.interval import EACH, ESTIMATE_FACTOR, Interval, StageCounts, difference, ratio
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import MICRO, Converted, Pair, Sample, StageTally, Tally, percentile
from graysplit.core.guard.verdict import Verdict
from graysplit.core.guard.verdict_rules import SeenUnits, missing_on_new, ratio_is_off

NO_GUARD: Final = "no guard"
NO_CONTROL: Final = "no control"


class Subject(NamedTuple):
    """Whom a report is about, and how they stand now."""

    split: str
    version: str
    baseline: str
    release: str
    began_ms: int  # server time
    now_ms: int
    share: int = 0  # the candidate's, in thousandths of a percent; 0: nobody is on it
    left: int = 0  # the baseline's
    stop: tuple[str, str] | None = None  # the field of the stop that holds it, and what that says
    guard: Guard | None = None  # None: no guard
    fault: str = ""  # why its guard is not understood here

    @property
    def field(self) -> str:
        """Return the candidate's address."""
        return f"{self.split}/{self.version}"


class ReportSide(NamedTuple):
    """What one version did in one stage."""

    calls: int
    failures: int
    p50_ns: int  # at most, of the calls that were timed; 0: none was
    p95_ns: int
    p99_ns: int
    users: int  # units that met it; an estimate where they are many
    failed: int  # of them, those with a failed call
    cuts: int = 0  # calls that were cut short
    overdue: int = 0  # calls that had not ended by the deadline

    @property
    def rate(self) -> float | None:
        """Return the share of failed calls."""
        return self.failures / self.calls if self.calls else None


class Bounds(NamedTuple):
    """How far apart the shares of two versions are: (share on new) - (share on old), and the one over the other."""

    difference: Interval
    ratio: Interval  # infinite above where old may have none


class Compared(NamedTuple):
    """Always-valid bounds: the truth is inside at all times, with 95 % chance at least."""

    alone: Bounds  # of this stage
    jointly: Bounds  # of all stages of the release together


class GoalReport(NamedTuple):
    """What units did later, of those that are counted exactly."""

    name: str
    users: Pair
    converted: Pair
    values: Pair  # sums, in millionths of the largest value
    rates: Compared | None  # None: nobody to compare with
    means: Compared | None  # of the values per unit; None also where each counts the same


class SampleRatio(NamedTuple):
    """The check of the sample ratio: of the units first seen, how many are on new."""

    on_new: int
    units: int
    expected: float
    off: bool


class StageReport(NamedTuple):
    """What is known of one stage."""

    number: int
    since_s: int
    new_share: int  # in thousandths of a percent
    old_share: int
    old: ReportSide
    new: ReportSide
    failing: Compared | None  # units with a failed call; None: no control, or nobody was seen
    invalid: str  # why its intervals say nothing; "": they hold
    ratio: SampleRatio | None
    extra: float | None  # failed calls on new beyond what old's rate would have caused; None: no calls to compare
    goals: tuple[GoalReport, ...]

    @property
    def control(self) -> bool:
        """Return whether there was somebody to compare with."""
        return self.new_share > 0 and self.old_share > 0


class Pace(NamedTuple):
    """The shares of failed calls between two samples; None where nobody called."""

    from_s: int
    to_s: int
    old: float | None
    new: float | None


class ReleaseReport(NamedTuple):
    """All that is known of a candidate's release."""

    subject: Subject
    verdict: Verdict
    judged_ms: int  # server time of the last judgement; 0: never
    missing: float | None  # how many more units on new `safe` needs; None: not to be told
    stages: tuple[StageReport, ...]
    calls: Pair
    failures: Pair
    extra: float | None
    course: tuple[Sample, ...]
    paces: tuple[Pace, ...]
    changes: tuple[Entry, ...]  # of the split since the release began, oldest first
    cuts: Pair = Pair()  # calls that were cut short
    overdue: Pair = Pair()  # calls that had not ended by the deadline
    dropped: int = 0  # pieces of evidence (a call, its user, a goal) that processes could not tell


def release_of(subject: Subject, tally: Tally, judge: Judge, history: Iterable[Entry] = ()) -> ReleaseReport:
    """Return what is known of a release."""
    stages = tuple(_stage(stage, judge) for stage in tally.stages)
    extras = [stage.extra for stage in stages if stage.extra is not None]
    verdict = in_full(verdict_of(subject, judge), tally.stages[-1], subject.version)
    return ReleaseReport(
        subject,
        verdict,
        judge.at_ms if judge.nonce else 0,
        _missing(subject, tally, verdict),
        stages,
        _summed(stage.calls for stage in tally.stages),
        _summed(stage.failures for stage in tally.stages),
        sum(extras) if extras else None,
        tuple(sorted(tally.course, key=lambda sample: sample.at_s)),
        tuple(paces_of(tally)),
        tuple(sorted((one for one in history if one.at_ms >= subject.began_ms), key=lambda one: one.revision)),
        _summed(stage.cuts for stage in tally.stages),
        _summed(stage.overdue for stage in tally.stages),
        sum(stage.dropped for stage in tally.stages),
    )


def verdict_of(subject: Subject, judge: Judge) -> Verdict:
    """Return the verdict as far as it speaks of what stands now; at 100 % there is none, and never `safe`."""
    last, uncontrolled = judge.verdict, _without_control(subject)
    if subject.guard is None:
        return Verdict(NO_GUARD, f"not watched. Add a guard with: graysplit guard {subject.split}")
    if subject.fault:
        return Verdict("unclear", f"this graysplit cannot read its guard ({subject.fault}): upgrade it")
    if judge.nonce and (last.word == "worse" or (last.word == "suspect" and subject.share in {0, judge.share})):
        return last  # it stands until a person acts, whoever judges
    if uncontrolled is not None:
        return last if last.word == NO_CONTROL else uncontrolled
    outdated = _outdated(subject, judge)
    return Verdict("unclear", outdated) if outdated else last


def _outdated(subject: Subject, judge: Judge) -> str:
    """Return why the last verdict does not speak of what stands now, or nothing."""
    if not judge.nonce:
        return "not evaluated yet"
    said = f"the last verdict was {judge.verdict.word}: {judge.verdict.why}"
    if not subject.share:
        return f"no units are assigned to {subject.version} any more; {said}"
    if not judge.is_fresh(subject.now_ms):
        return f"not being evaluated; {said}"
    return "" if judge.share == subject.share else "no calls counted at this weight yet"


def paces_of(tally: Tally) -> Iterator[Pace]:
    """Return the shares of failed calls from each sample to the next, by stage; a count that shrinks tells nothing."""
    began = {stage.number: stage.since_s for stage in tally.stages}
    before: dict[int, Sample] = {}
    for sample in sorted(tally.course, key=lambda one: one.at_s):
        last = before.get(sample.stage)
        from_s = last.at_s if last else min(began.get(sample.stage, sample.at_s), sample.at_s)
        shares = [
            _share(calls - known_calls, failures - known_failures)
            for calls, failures, known_calls, known_failures in zip(
                sample.calls,
                sample.failures,
                last.calls if last else Pair(),
                last.failures if last else Pair(),
                strict=True,
            )
        ]
        if from_s < sample.at_s:
            yield Pace(from_s, sample.at_s, *shares)
        before[sample.stage] = sample


def compared(counts: StageCounts, most: float, number: int) -> Compared | None:
    """Return the bounds of how far apart two versions are; None where there is nobody to compare with.

    `counts.n` is the least number of units there may have been, `most` the largest, and `number` the stage's: all
    stages together miss no more than one alone, as each has its part of that in the second bounds.
    """
    if not (0 < counts.w < 1 and counts.n):
        return None
    return Compared(_bounds(counts, most, EACH), _bounds(counts, most, EACH / (number * (number + 1))))


def _bounds(counts: StageCounts, most: float, a: float) -> Bounds:
    low, high = difference(counts._replace(n=1.0), a)  # in units
    return Bounds(
        Interval(
            max(-1.0, low / (most if low > 0 else counts.n)),
            min(1.0, high / (counts.n if high > 0 else most)),
        ),
        ratio(counts, a),
    )


def _stage(stage: StageTally, judge: Judge) -> StageReport:
    ratio = _sample_ratio(stage)
    w = stage.stage.w
    counts = counts_of(stage, w)
    # The least that it may have been is counted there: as much the other way is the most.
    most = counts.n / ESTIMATE_FACTOR**2 if stage.exposed_bits else counts.n
    invalid = "sample ratio mismatch" if ratio is not None and ratio.off else ""
    if judge.stage == stage.number and judge.lost:
        invalid = f"evidence was lost: {judge.lost}"
    return StageReport(
        stage.number,
        stage.since_s,
        stage.stage.new,
        stage.stage.old,
        side_of(stage, 0),
        side_of(stage, 1),
        compared(counts, most, stage.number),
        invalid,
        ratio,
        _extra(stage),
        tuple(_goal(name, goal, stage) for name, goal in sorted(stage.goals.items())),
    )


def side_of(stage: StageTally, side: int) -> ReportSide:
    """Return what the baseline (0) or the candidate (1) did in a stage."""
    durations = stage.durations[side]
    return ReportSide(
        stage.calls[side],
        stage.failures[side],
        percentile(durations, 0.5),
        percentile(durations, 0.95),
        percentile(durations, 0.99),
        stage.exposed[side] << stage.exposed_bits,
        stage.units[side] << stage.unit_bits,
        stage.cuts[side],
        stage.overdue[side],
    )


def _sample_ratio(stage: StageTally) -> SampleRatio | None:
    units, w = sum(stage.ratio), stage.stage.w
    if not units or not 0 < w < 1:
        return None
    seen = SeenUnits(stage.ratio.new, units, w)
    return SampleRatio(stage.ratio.new, units, units * w, ratio_is_off((seen,), stage.number))


def _extra(stage: StageTally) -> float | None:
    rate = _share(stage.calls.old, stage.failures.old)
    return None if rate is None or not stage.calls.new else stage.failures.new - stage.calls.new * rate


def _goal(name: str, goal: Converted, stage: StageTally) -> GoalReport:
    """Compare within the subset that is kept exactly: who converted is counted in it as who was exposed is."""
    n, w = float(sum(stage.exposed)), stage.stage.w
    valued = goal.micro != Pair(goal.units.old * MICRO, goal.units.new * MICRO)
    values = StageCounts(goal.micro.new / MICRO, goal.micro.old / MICRO, n, w)
    return GoalReport(
        name,
        stage.exposed,
        goal.units,
        goal.micro,
        compared(StageCounts(goal.units.new, goal.units.old, n, w), n, stage.number),
        compared(values, n, stage.number) if valued else None,
    )


def _missing(subject: Subject, tally: Tally, verdict: Verdict) -> float | None:
    """Estimate how many more units on new `safe` needs at the weight that stands."""
    if not tally.stages or verdict.word not in {"safe", "unclear"} or not (subject.share and subject.left):
        return None
    stage = tally.stages[-1]
    ratio = missing_on_new((counts_of(stage, stage.stage.w),))
    return None if ratio is None else ratio * (1 << stage.unit_bits)


def _without_control(subject: Subject) -> Verdict | None:
    if subject.left or not subject.share:
        return None
    return Verdict(NO_CONTROL, f"everybody is on {subject.version}: there is nothing to compare with")


def _summed(pairs: Iterable[Pair]) -> Pair:
    each = tuple(pairs)
    return Pair(sum(pair.old for pair in each), sum(pair.new for pair in each))


def _share(calls: int, failures: int) -> float | None:
    return failures / calls if calls > 0 and failures >= 0 else None
