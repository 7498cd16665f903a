"""What a report prints: lines and plain values from what is known of a release."""

from __future__ import annotations

from collections.abc import Iterator

from graysplit.cli.table import table
from graysplit.control.guard.report import SplitReport
from graysplit.core.address import field_of
from graysplit.core.guard.pairs import PairReport
from graysplit.core.guard.report import ReleaseReport, StageReport
from graysplit.words.report import (
    SIDE_HEAD,
    basis_words,
    dropped_words,
    extra_words,
    finding_words,
    goal_words,
    pair_bounds_words,
    pair_title,
    pair_words,
    share_words,
    side_cells,
    total_words,
    verdict_words,
)
from graysplit.words.texts import note_words, when


def report_lines(report: SplitReport) -> list[str]:
    """Lay a report out in lines."""
    lines: list[str] = []
    for release in report.releases:
        lines += [*([""] if lines else []), *release_lines(release)]
    for pair in report.pairs:
        lines += ["", *pair_lines(report.split, pair)]
    lines += [f"{field}: {why}" for field, why in report.uncounted.items()]
    return lines


def pair_lines(split: str, pair: PairReport) -> Iterator[str]:
    """Return two candidates beside each other: each stage that they share, and how far apart they are."""
    yield f"{field_of(split, pair.first)} compared with {field_of(split, pair.second)}"
    if not pair.stages:
        yield "not compared: they were never counted in the same stage (between the same changes)"
        return
    for stage in pair.stages:
        yield f"stage of {pair_title(pair, stage)}"
        yield from (f"  {line}" for line in pair_words(pair, stage))
    yield pair_bounds_words(pair)


def release_lines(release: ReleaseReport) -> Iterator[str]:
    """Return one candidate's release: how it stands, then each stage, then the counts of all."""
    subject = release.subject
    pair = f"{subject.field} compared with {subject.baseline}"
    yield f"{pair}, release since {when(subject.began_ms)}, {basis_words(release)}"
    yield f"verdict: {verdict_words(release)}"
    if release.verdict.note:
        yield note_words(release.verdict.note, subject.field)
    yield from filter(None, (dropped_words(release), extra_words(release)))
    for stage in release.stages:
        yield ""
        yield from stage_lines(release, stage)
    yield ""
    yield f"in total (counts only): {total_words(release)}"
    yield "bounds: 95 % for each stage, valid at any time; for all stages together: --json"


def stage_lines(release: ReleaseReport, stage: StageReport) -> Iterator[str]:
    """Return one stage: what both versions did, and how far apart they are."""
    subject = release.subject
    yield f"stage {stage.number}: {share_words(stage)}, since {when(stage.since_s * 1000)}"
    names = (subject.version, subject.baseline)
    rows = [(name, *side_cells(side), "") for name, side in zip(names, (stage.new, stage.old), strict=True)]
    for line in table(("", *SIDE_HEAD, ""), rows, 20):
        yield f"  {line}"
    for line in (
        *finding_words(release, stage),
        *(words for goal in stage.goals for words in goal_words(release, goal)),
    ):
        yield f"  {line}"
