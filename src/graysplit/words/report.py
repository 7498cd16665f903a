"""What a report says of a release: the words for its stages, sides and bounds."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Final

from graysplit.core.guard.interval import Interval
from graysplit.core.guard.pairs import PairReport, PairStage
from graysplit.core.guard.report import Bounds, GoalReport, ReleaseReport, ReportSide, StageReport
from graysplit.core.guard.tally import Pair
from graysplit.core.weights import FULL, format_weight
from graysplit.words.texts import age, stop_words, when


def pair_title(pair: PairReport, stage: PairStage) -> str:
    """Return the weights of a stage that two candidates share, and since when."""
    named = " and ".join(
        f"{name} at {weight_words(share)}" for name, share in zip((pair.first, pair.second), stage.shares, strict=True)
    )
    return f"{named}, since {when(stage.since_s * 1000)}"


def pair_words(pair: PairReport, stage: PairStage) -> Iterator[str]:
    """Return how far apart two candidates are in one stage, and whether that can be trusted."""
    names, less = (pair.first, pair.second), f"{pair.first} minus {pair.second}"

    def both(some: tuple[int, int], of: tuple[int, int]) -> str:
        sides = zip(names, some, of, strict=True)
        return "; ".join(f"{name} {done:,} of {users:,} ({rate(part(done, users))})" for name, done, users in sides)

    one, other = stage.sides
    if stage.failing is None:
        yield "no users yet: nothing to compare"
    else:
        yield f"users with a failed call: {both((one.failed, other.failed), (one.users, other.users))}"
        yield f"  {less}: {bounds_words(stage.failing.alone)}"
    for goal in stage.goals:
        yield f"goal {goal.name}: {both(goal.converted, goal.users)}"
        if goal.rates is not None:
            yield f"  {less}: {bounds_words(goal.rates.alone)}"
        if goal.means is not None:
            yield f"  value per user, as a fraction of the largest: {bounds_words(goal.means.alone)}"
    if stage.invalid:
        yield f"INVALID, {stage.invalid}: do not use the bounds of this stage"


def pair_bounds_words(pair: PairReport) -> str:
    """Return what the bounds of a pair hold for, and what they do not."""
    return (
        f"bounds: 95 % for this pair and stage alone. The split has {pair.comparisons} comparisons, each of two "
        "versions: to choose the best version, use the bounds for all of them together: --json"
    )


SIDE_HEAD: Final = ("calls", "failed", "rate", "p50", "p95", "p99")


def side_cells(side: ReportSide) -> tuple[str, ...]:
    """Return what one version did, in the order of the head."""
    times = (duration(ns) for ns in (side.p50_ns, side.p95_ns, side.p99_ns))
    return f"{side.calls:,}", f"{side.failures:,}", rate(side.rate), *times


def finding_words(release: ReleaseReport, stage: StageReport) -> Iterator[str]:
    """Return how far apart the versions are in one stage, and whether that can be trusted."""
    subject = release.subject
    if not stage.control:
        yield "no control: everybody was on one version, so there is nothing to compare"
        return
    calls = Pair(stage.old.calls, stage.new.calls)
    if stage.old.cuts or stage.new.cuts:
        yield f"calls cut short: {both_words(release, Pair(stage.old.cuts, stage.new.cuts), calls)}"
    if stage.old.overdue or stage.new.overdue:
        yield f"calls past the deadline: {both_words(release, Pair(stage.old.overdue, stage.new.overdue), calls)}"
    if stage.failing is None:
        yield "no users yet: nothing to compare"
    else:
        users, failed = Pair(stage.old.users, stage.new.users), Pair(stage.old.failed, stage.new.failed)
        yield f"users with a failed call: {both_words(release, failed, users)}"
        yield f"  {less_words(release)}: {bounds_words(stage.failing.alone)}"
    mix = stage.ratio
    if mix is not None:
        said = f"{mix.on_new:,} of {mix.units:,} users on {subject.version}, {mix.expected:,.0f} expected"
        yield f"sample ratio: {said}: {'OFF' if mix.off else 'fits'}"
    if stage.invalid:
        yield f"INVALID, {stage.invalid}: do not use the bounds of this stage"


def goal_words(release: ReleaseReport, goal: GoalReport) -> Iterator[str]:
    """Return what one goal came to on either version, and how far apart they are."""
    yield f"goal {goal.name}: {both_words(release, goal.converted, goal.users)}"
    if goal.rates is not None:
        yield f"  {less_words(release)}: {bounds_words(goal.rates.alone)}"
    if goal.means is not None:
        yield f"  value per user, as a fraction of the largest: {bounds_words(goal.means.alone)}"


def both_words(release: ReleaseReport, some: Pair, of: Pair) -> str:
    """Return how many of the users of either version."""
    sides = ((release.subject.version, some.new, of.new), (release.subject.baseline, some.old, of.old))
    return "; ".join(f"{name} {done:,} of {users:,} ({rate(part(done, users))})" for name, done, users in sides)


def less_words(release: ReleaseReport) -> str:
    """Return which way a difference is taken."""
    return f"{release.subject.version} minus {release.subject.baseline}"


def basis_words(release: ReleaseReport) -> str:
    """Return how the candidate stands now."""
    subject = release.subject
    if subject.stop is not None:
        return f"stopped ({stop_words(*subject.stop)})"
    return f"{weight_words(subject.share)} now"


def verdict_words(release: ReleaseReport) -> str:
    """Return the verdict with its reason and its age."""
    word, why = release.verdict.word, release.verdict.why
    judged = f" (judged {age(release.subject.now_ms - release.judged_ms)} ago)" if release.judged_ms else ""
    return f"{word}: {why}{judged}" if why else f"{word}{judged}"


def dropped_words(release: ReleaseReport) -> str:
    """Return how much evidence was never told, or nothing where all was."""
    if not release.dropped:
        return ""
    some = "1 piece of evidence was" if release.dropped == 1 else f"{release.dropped:,} pieces of evidence were"
    return (
        f"{some} dropped (a call, its user and a goal are one each): too many came at once, or the store was "
        "unreachable; the verdict uses the rest"
    )


def extra_words(release: ReleaseReport) -> str:
    """Return how many failed calls the candidate has cost so far, or nothing where that cannot be told."""
    if release.extra is None:
        return ""
    extra, baseline = round(release.extra), release.subject.baseline
    if not extra:
        return f"failed calls so far: as many as expected at {baseline}'s rate"
    some = f"{abs(extra):,} {'fewer' if extra < 0 else 'more'}"
    return f"failed calls so far: about {some} than expected at {baseline}'s rate"


def total_words(release: ReleaseReport) -> str:
    """Return the counts of all stages."""
    subject = release.subject
    sides = (
        (subject.version, release.calls.new, release.failures.new, release.cuts.new, release.overdue.new),
        (subject.baseline, release.calls.old, release.failures.old, release.cuts.old, release.overdue.old),
    )
    return "; ".join(
        f"{name} {calls:,} calls, {failures:,} failed"
        + (f", {cuts:,} cut short" if any(release.cuts) else "")
        + (f", {overdue:,} past the deadline" if any(release.overdue) else "")
        for name, calls, failures, cuts, overdue in sides
    )


def bounds_words(bounds: Bounds) -> str:
    """Return how far apart two shares are, in points and as a ratio."""
    low, high = bounds.difference
    return f"{100 * low:+.2f} to {100 * high:+.2f} points; {times_words(bounds.ratio)}"


def times_words(bounds: Interval) -> str:
    """Return a ratio's bounds; without an upper one, where the old version may have none at all."""
    low, high = bounds
    if isfinite(high):
        return f"{low:.2f} to {high:.2f} times"
    return f"at least {low:.2f} times" if low else "ratio not known yet"


def share_words(stage: StageReport) -> str:
    """Return the weight of a stage; where other candidates run too, with what was left to the baseline."""
    rest = "" if stage.new_share + stage.old_share == FULL else f" compared with {weight_words(stage.old_share)}"
    return f"{weight_words(stage.new_share)}{rest}"


def weight_words(share: int) -> str:
    """Return thousandths of a percent with the unit."""
    return f"{format_weight(share)}%"


def duration(ns: float) -> str:
    """Return a duration in nanoseconds in two or three digits; `-` for none."""
    if ns <= 0:
        return "-"
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= size:
            return f"{ns / size:.{0 if ns >= 10 * size else 1}f} {unit}"
    return f"{ns:.0f} ns"


def rate(share: float | None) -> str:
    """Return a share in percent; `-` for none."""
    return "-" if share is None else f"{100 * share:.2f}%"


def part(some: int, of: int) -> float | None:
    """Return a share, or None of nothing."""
    return some / of if of else None
