"""The evidence of a split's releases: the lines of its picture as plain numbers, and the table beside it."""

from __future__ import annotations

from collections.abc import Mapping

from graysplit.control.guard.report import SplitReport
from graysplit.core.guard.report import ReleaseReport
from graysplit.words.report import (
    SIDE_HEAD,
    basis_words,
    dropped_words,
    extra_words,
    finding_words,
    share_words,
    side_cells,
    verdict_words,
)
from graysplit.words.texts import note_words

POINTS_AT_MOST = 400


def lines_of(report: SplitReport) -> Mapping[str, object]:
    """Return by candidate the share of failed calls and the p95 of both paths; seconds, percent and milliseconds."""
    return {"releases": [_lines(release) for release in report.releases]}


def tables_of(report: SplitReport) -> list[Mapping[str, object]]:
    """Return by candidate what was counted, stage by stage, the newest first."""
    return [_table(release) for release in report.releases]


def _lines(release: ReleaseReport) -> Mapping[str, object]:
    subject = release.subject
    paces = release.paces[-POINTS_AT_MOST:]
    course = release.course[-POINTS_AT_MOST:]
    return {
        "candidate": subject.version,
        "baseline": subject.baseline,
        "failed": {
            "at": [pace.to_s for pace in paces],
            "new": [None if pace.new is None else 100 * pace.new for pace in paces],
            "old": [None if pace.old is None else 100 * pace.old for pace in paces],
        },
        "p95": {
            "at": [sample.at_s for sample in course],
            "new": [sample.p95_ns.new / 1e6 or None for sample in course],
            "old": [sample.p95_ns.old / 1e6 or None for sample in course],
        },
    }


def _table(release: ReleaseReport) -> Mapping[str, object]:
    subject = release.subject
    said = [f"{basis_words(release)}; verdict: {verdict_words(release)}"]
    said += [note_words(release.verdict.note, subject.field)] if release.verdict.note else []
    said += filter(None, (dropped_words(release), extra_words(release)))
    return {
        "field": subject.field,
        "baseline": subject.baseline,
        "began_ms": subject.began_ms,
        "said": said,
        "head": SIDE_HEAD,
        "stages": [
            {
                "title": f"stage {stage.number}: {share_words(stage)}",
                "since_ms": stage.since_s * 1000,
                "rows": [(subject.version, side_cells(stage.new)), (subject.baseline, side_cells(stage.old))],
                "said": [line.strip() for line in finding_words(release, stage)],
            }
            for stage in reversed(release.stages)
        ],
    }
