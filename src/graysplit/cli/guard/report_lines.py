"""What a report prints: lines and plain values from what is known of a release."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Final

from graysplit.cli.entries import entry_json
from graysplit.cli.words import age, note_words, number, stop_words, table, when
from graysplit.control.guard.report import SplitReport
from graysplit.core.address import field_of
from graysplit.core.guard.interval import Interval
from graysplit.core.guard.pairs import PairReport, PairStage
from graysplit.core.guard.report import Bounds, Compared, GoalReport, ReleaseReport, ReportSide, StageReport
from graysplit.core.guard.tally import Pair
from graysplit.core.weights import FULL, format_weight


def report_lines(found: SplitReport) -> list[str]:
    """Lay a report out in lines."""
    lines: list[str] = []
    for release in found.releases:
        lines += [*([""] if lines else []), *release_lines(release)]
    for pair in found.pairs:
        lines += ["", *pair_lines(found.split, pair)]
    lines += [f"{field}: {why}" for field, why in found.uncounted.items()]
    return lines


def pair_lines(split: str, found: PairReport) -> Iterator[str]:
    """Return two candidates beside each other: each stage that they share, and how far apart they are."""
    yield f"{field_of(split, found.first)} compared with {field_of(split, found.second)}"
    if not found.stages:
        yield "not compared: they were never counted in the same stage (between the same changes)"
        return
    for stage in found.stages:
        yield f"stage of {pair_title(found, stage)}"
        yield from (f"  {line}" for line in pair_words(found, stage))
    yield pair_bounds_words(found)


def pair_title(found: PairReport, stage: PairStage) -> str:
    """Return the weights of a stage that two candidates share, and since when."""
    named = " and ".join(
        f"{name} at {weight_words(share)}"
        for name, share in zip((found.first, found.second), stage.shares, strict=True)
    )
    return f"{named}, since {when(stage.since_s * 1000)}"


def pair_words(found: PairReport, stage: PairStage) -> Iterator[str]:
    """Return how far apart two candidates are in one stage, and whether that can be trusted."""
    names, less = (found.first, found.second), f"{found.first} minus {found.second}"

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


def pair_bounds_words(found: PairReport) -> str:
    """Return what the bounds of a pair hold for, and what they do not."""
    return (
        f"bounds: 95 % for this pair and stage alone. The split has {found.comparisons} comparisons, each of two "
        "versions: to choose the best version, use the bounds for all of them together: --json"
    )


def release_lines(found: ReleaseReport) -> Iterator[str]:
    """Return one candidate's release: how it stands, then each stage, then the counts of all."""
    subject = found.subject
    pair = f"{subject.field} compared with {subject.baseline}"
    yield f"{pair}, release since {when(subject.began_ms)}, {basis_words(found)}"
    yield f"verdict: {verdict_words(found)}"
    if found.verdict.note:
        yield note_words(found.verdict.note, subject.field)
    yield from filter(None, (dropped_words(found), extra_words(found)))
    for stage in found.stages:
        yield ""
        yield from stage_lines(found, stage)
    yield ""
    yield f"in total (counts only): {total_words(found)}"
    yield "bounds: 95 % for each stage, valid at any time; for all stages together: --json"


def stage_lines(found: ReleaseReport, stage: StageReport) -> Iterator[str]:
    """Return one stage: what both versions did, and how far apart they are."""
    subject = found.subject
    yield f"stage {stage.number}: {share_words(stage)}, since {when(stage.since_s * 1000)}"
    names = (subject.version, subject.baseline)
    rows = [(name, *side_cells(side), "") for name, side in zip(names, (stage.new, stage.old), strict=True)]
    for line in table(("", *SIDE_HEAD, ""), rows, 20):
        yield f"  {line}"
    for line in (*finding_words(found, stage), *(words for goal in stage.goals for words in goal_words(found, goal))):
        yield f"  {line}"


SIDE_HEAD: Final = ("calls", "failed", "rate", "p50", "p95", "p99")


def side_cells(side: ReportSide) -> tuple[str, ...]:
    """Return what one version did, in the order of the head."""
    times = (duration(ns) for ns in (side.p50_ns, side.p95_ns, side.p99_ns))
    return f"{side.calls:,}", f"{side.failures:,}", rate(side.rate), *times


def finding_words(found: ReleaseReport, stage: StageReport) -> Iterator[str]:
    """Return how far apart the versions are in one stage, and whether that can be trusted."""
    subject = found.subject
    if not stage.control:
        yield "no control: everybody was on one version, so there is nothing to compare"
        return
    calls = Pair(stage.old.calls, stage.new.calls)
    if stage.old.cuts or stage.new.cuts:
        yield f"calls cut short: {both_words(found, Pair(stage.old.cuts, stage.new.cuts), calls)}"
    if stage.old.overdue or stage.new.overdue:
        yield f"calls past the deadline: {both_words(found, Pair(stage.old.overdue, stage.new.overdue), calls)}"
    if stage.failing is None:
        yield "no users yet: nothing to compare"
    else:
        users, failed = Pair(stage.old.users, stage.new.users), Pair(stage.old.failed, stage.new.failed)
        yield f"users with a failed call: {both_words(found, failed, users)}"
        yield f"  {less_words(found)}: {bounds_words(stage.failing.alone)}"
    mix = stage.ratio
    if mix is not None:
        said = f"{mix.on_new:,} of {mix.units:,} users on {subject.version}, {mix.expected:,.0f} expected"
        yield f"sample ratio: {said}: {'OFF' if mix.off else 'fits'}"
    if stage.invalid:
        yield f"INVALID, {stage.invalid}: do not use the bounds of this stage"


def goal_words(found: ReleaseReport, goal: GoalReport) -> Iterator[str]:
    """Return what one goal came to on either version, and how far apart they are."""
    yield f"goal {goal.name}: {both_words(found, goal.converted, goal.users)}"
    if goal.rates is not None:
        yield f"  {less_words(found)}: {bounds_words(goal.rates.alone)}"
    if goal.means is not None:
        yield f"  value per user, as a fraction of the largest: {bounds_words(goal.means.alone)}"


def both_words(found: ReleaseReport, some: Pair, of: Pair) -> str:
    """Return how many of the users of either version."""
    sides = ((found.subject.version, some.new, of.new), (found.subject.baseline, some.old, of.old))
    return "; ".join(f"{name} {done:,} of {users:,} ({rate(part(done, users))})" for name, done, users in sides)


def less_words(found: ReleaseReport) -> str:
    """Return which way a difference is taken."""
    return f"{found.subject.version} minus {found.subject.baseline}"


def basis_words(found: ReleaseReport) -> str:
    """Return how the candidate stands now."""
    subject = found.subject
    if subject.stop is not None:
        return f"stopped ({stop_words(*subject.stop)})"
    return f"{weight_words(subject.share)} now"


def verdict_words(found: ReleaseReport) -> str:
    """Return the verdict with its reason and its age."""
    word, why = found.verdict.word, found.verdict.why
    judged = f" (judged {age(found.subject.now_ms - found.judged_ms)} ago)" if found.judged_ms else ""
    return f"{word}: {why}{judged}" if why else f"{word}{judged}"


def dropped_words(found: ReleaseReport) -> str:
    """Return how much evidence was never told, or nothing where all was."""
    if not found.dropped:
        return ""
    some = "1 piece of evidence was" if found.dropped == 1 else f"{found.dropped:,} pieces of evidence were"
    return (
        f"{some} dropped (a call, its user and a goal are one each): too many came at once, or the store was "
        "unreachable; the verdict uses the rest"
    )


def extra_words(found: ReleaseReport) -> str:
    """Return how many failed calls the candidate has cost so far, or nothing where that cannot be told."""
    if found.extra is None:
        return ""
    extra, baseline = round(found.extra), found.subject.baseline
    if not extra:
        return f"failed calls so far: as many as expected at {baseline}'s rate"
    some = f"{abs(extra):,} {'fewer' if extra < 0 else 'more'}"
    return f"failed calls so far: about {some} than expected at {baseline}'s rate"


def total_words(found: ReleaseReport) -> str:
    """Return the counts of all stages."""
    subject = found.subject
    sides = (
        (subject.version, found.calls.new, found.failures.new, found.cuts.new, found.overdue.new),
        (subject.baseline, found.calls.old, found.failures.old, found.cuts.old, found.overdue.old),
    )
    return "; ".join(
        f"{name} {calls:,} calls, {failures:,} failed"
        + (f", {cuts:,} cut short" if any(found.cuts) else "")
        + (f", {overdue:,} past the deadline" if any(found.overdue) else "")
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


# --- for scripts -----------------------------------------------------------------------------------------------------


def report_json(found: SplitReport) -> dict[str, object]:
    """Return a report for scripts; shares are parts of one, times nanoseconds."""
    return {
        "split": found.split,
        "namespace": found.namespace,
        "now_ms": found.now_ms,
        "releases": [release_json(release) for release in found.releases],
        "uncounted": dict(found.uncounted),
        "pairs": [pair_json(pair) for pair in found.pairs],
    }


def pair_json(found: PairReport) -> dict[str, object]:
    """Return two candidates beside each other; differences are the first's less the second's."""
    names = (found.first, found.second)

    def by_name(values: tuple[object, object]) -> dict[str, object]:
        return dict(zip(names, values, strict=True))

    return {
        "candidates": list(names),
        "comparisons": found.comparisons,
        "stages": [
            {
                "stages": by_name(stage.numbers),
                "since_ms": stage.since_s * 1000,
                "weights": by_name((number(format_weight(stage.shares[0])), number(format_weight(stage.shares[1])))),
                "sides": by_name((_side_json(stage.sides[0]), _side_json(stage.sides[1]))),
                "failing_users": compared_json(stage.failing),
                "invalid": stage.invalid or None,
                "sample_ratio": stage.ratio._asdict() if stage.ratio else None,
                "goals": {
                    goal.name: {
                        "users": by_name(goal.users),
                        "converted": by_name(goal.converted),
                        "rates": compared_json(goal.rates),
                        "means": compared_json(goal.means),
                    }
                    for goal in stage.goals
                },
            }
            for stage in found.stages
        ],
    }


def _side_json(side: ReportSide) -> dict[str, object]:
    return {**side._asdict(), "rate": side.rate}


def release_json(found: ReleaseReport) -> dict[str, object]:
    """Return one candidate's release."""
    subject = found.subject
    return {
        "candidate": subject.field,
        "baseline": subject.baseline,
        "release": subject.release,
        "began_ms": subject.began_ms,
        "weight": number(format_weight(subject.share)),
        "stop": subject.stop[0] if subject.stop else None,
        "verdict": {
            "word": found.verdict.word,
            "why": found.verdict.why,
            "note": found.verdict.note or None,
            "judged_ms": found.judged_ms or None,
        },
        "missing_on_new": found.missing,
        "extra_failures": found.extra,
        "calls": found.calls._asdict(),
        "failures": found.failures._asdict(),
        "cuts": found.cuts._asdict(),
        "overdue": found.overdue._asdict(),
        "evidence_dropped": found.dropped,
        "stages": [stage_json(stage) for stage in found.stages],
        "changes": [entry_json(entry) for entry in found.changes],
    }


def stage_json(stage: StageReport) -> dict[str, object]:
    """Return one stage."""
    return {
        "stage": stage.number,
        "since_ms": stage.since_s * 1000,
        "weight": number(format_weight(stage.new_share)),
        "baseline_weight": number(format_weight(stage.old_share)),
        "control": stage.control,
        "old": _side_json(stage.old),
        "new": _side_json(stage.new),
        "failing_users": compared_json(stage.failing),
        "invalid": stage.invalid or None,
        "sample_ratio": stage.ratio._asdict() if stage.ratio else None,
        "extra_failures": stage.extra,
        "goals": {
            goal.name: {
                "users": goal.users._asdict(),
                "converted": goal.converted._asdict(),
                "values": {"old": goal.values.old / 1e6, "new": goal.values.new / 1e6},
                "rates": compared_json(goal.rates),
                "means": compared_json(goal.means),
            }
            for goal in stage.goals
        },
    }


def compared_json(found: Compared | None) -> dict[str, object] | None:
    """Return bounds, of one stage alone and of all together; without an upper one, null."""
    if found is None:
        return None
    return {name: _bounds_json(bounds) for name, bounds in found._asdict().items()}


def _bounds_json(bounds: Bounds) -> dict[str, object]:
    low, high = bounds.ratio
    return {"difference": list(bounds.difference), "ratio": [low, high if isfinite(high) else None]}
