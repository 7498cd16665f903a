"""What a report gives to scripts: plain values; shares are parts of one, times nanoseconds."""

from __future__ import annotations

from math import isfinite

from graysplit.control.guard.report import SplitReport
from graysplit.core.guard.pairs import PairReport
from graysplit.core.guard.report import Bounds, Compared, ReleaseReport, ReportSide, StageReport
from graysplit.core.weights import format_weight
from graysplit.words.entries import entry_json
from graysplit.words.texts import number


def report_json(report: SplitReport) -> dict[str, object]:
    """Return a report for scripts; shares are parts of one, times nanoseconds."""
    return {
        "split": report.split,
        "namespace": report.namespace,
        "now_ms": report.now_ms,
        "releases": [release_json(release) for release in report.releases],
        "uncounted": dict(report.uncounted),
        "pairs": [pair_json(pair) for pair in report.pairs],
    }


def pair_json(pair: PairReport) -> dict[str, object]:
    """Return two candidates beside each other; differences are the first's less the second's."""
    names = (pair.first, pair.second)

    def by_name(values: tuple[object, object]) -> dict[str, object]:
        return dict(zip(names, values, strict=True))

    return {
        "candidates": list(names),
        "comparisons": pair.comparisons,
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
            for stage in pair.stages
        ],
    }


def _side_json(side: ReportSide) -> dict[str, object]:
    return {**side._asdict(), "rate": side.rate}


def release_json(release: ReleaseReport) -> dict[str, object]:
    """Return one candidate's release."""
    subject = release.subject
    return {
        "candidate": subject.field,
        "baseline": subject.baseline,
        "release": subject.release,
        "began_ms": subject.began_ms,
        "weight": number(format_weight(subject.share)),
        "stop": subject.stop[0] if subject.stop else None,
        "verdict": {
            "word": release.verdict.word,
            "why": release.verdict.why,
            "note": release.verdict.note or None,
            "judged_ms": release.judged_ms or None,
        },
        "missing_on_new": release.missing,
        "extra_failures": release.extra,
        "calls": release.calls._asdict(),
        "failures": release.failures._asdict(),
        "cuts": release.cuts._asdict(),
        "overdue": release.overdue._asdict(),
        "evidence_dropped": release.dropped,
        "stages": [stage_json(stage) for stage in release.stages],
        "changes": [entry_json(entry) for entry in release.changes],
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


def compared_json(compared: Compared | None) -> dict[str, object] | None:
    """Return bounds, of one stage alone and of all together; without an upper one, null."""
    if compared is None:
        return None
    return {name: _bounds_json(bounds) for name, bounds in compared._asdict().items()}


def _bounds_json(bounds: Bounds) -> dict[str, object]:
    low, high = bounds.ratio
    return {"difference": list(bounds.difference), "ratio": [low, high if isfinite(high) else None]}
