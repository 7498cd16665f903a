"""A report as one page of HTML that stands by itself: no script, no font, nothing from outside; it prints well too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from graysplit.cli.guard.charts import STYLE, charts
from graysplit.cli.guard.report_lines import pair_lines
from graysplit.cli.output import clean
from graysplit.control.guard.report import SplitReport
from graysplit.core.entry import Entry
from graysplit.core.guard.pairs import PairReport
from graysplit.core.guard.report import ReleaseReport, StageReport
from graysplit.words.entries import entry_line
from graysplit.words.report import (
    SIDE_HEAD,
    basis_words,
    dropped_words,
    extra_words,
    finding_words,
    goal_words,
    share_words,
    side_cells,
    total_words,
    verdict_words,
)
from graysplit.words.texts import note_words, when

# How many changes are drawn and listed: the newest.
CHANGES_AT_MOST: Final = 200

_PAGE: Final = """
:root{color-scheme:light dark;--text:#1f2328;--soft:#59636e;--ground:#fff;--line:#8c959f;--new:#0969da;--old:#6e5494;
--bad:#cf222e}
@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--soft:#9198a1;--ground:#0d1117;--line:#6e7681;--new:#58a6ff;
--old:#c297ff;--bad:#ff7b72}}
@media print{:root{color-scheme:light;--text:#000;--soft:#333;--ground:#fff;--line:#777;--new:#0550ae;--old:#5a3e85;
--bad:#a40e26}h2,h3{break-after:avoid}tr{break-inside:avoid}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--ground);max-width:60rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.25rem;margin-top:2.5rem}h3{font-size:1rem;margin-bottom:.3rem}
p{margin:.3rem 0}.soft{color:var(--soft)}
.verdict{border:2px solid var(--line);border-left-width:.5rem;padding:.5rem 1rem}
.verdict.bad{border-color:var(--bad)}
table{border-collapse:collapse;margin:.5rem 0;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.15rem .8rem .15rem 0;border-bottom:1px solid var(--line);vertical-align:top}
caption{text-align:left;font-weight:600;padding-top:1rem}td{white-space:nowrap}td.why{white-space:normal}
.numbers td{text-align:right}.numbers th+th{text-align:right}td.why{overflow-wrap:anywhere;width:100%}
ul{margin:.3rem 0;padding-left:1.2rem}
"""


def page(report: SplitReport) -> str:
    """Write the page."""
    title = f"{report.split}: report"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title><style>{_PAGE}{STYLE}</style></head><body>",
        f"<h1>{_text(title)}</h1>",
        f'<p class="soft">namespace {_text(report.namespace)}, {when(report.now_ms)}</p>',
        *(part for release in report.releases for part in _release(release)),
        *(part for pair in report.pairs for part in _pair(report.split, pair)),
        *(f"<p>{_text(field)}: {_text(why)}</p>" for field, why in report.uncounted.items()),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _release(release: ReleaseReport) -> Iterator[str]:
    subject = release.subject
    bad = " bad" if release.verdict.word in {"worse", "suspect"} else ""
    yield f"<h2>{_text(subject.field)} compared with {_text(subject.baseline)}</h2>"
    yield f'<p class="soft">release since {when(subject.began_ms)}, {_text(basis_words(release))}</p>'
    yield f'<p class="verdict{bad}"><strong>verdict</strong> {_text(verdict_words(release))}</p>'
    if release.verdict.note:
        yield f"<p>{_text(note_words(release.verdict.note, subject.field))}</p>"
    yield from (
        f"<p>{_text(words)}</p>"
        for words in (dropped_words(release), extra_words(release), f"in total: {total_words(release)}")
        if words
    )
    changes = release.changes[-CHANGES_AT_MOST:]
    yield from charts(release, changes)
    yield "<h3>Stages</h3>"
    yield (
        '<p class="soft">Bounds are at 95 % for each stage and valid at any time. '
        "Stages are shown separately and never added up.</p>"
    )
    yield from (part for stage in release.stages for part in _stage(release, stage))
    yield "<h3>Changes</h3>"
    yield from _changes(changes)


def _stage(release: ReleaseReport, stage: StageReport) -> Iterator[str]:
    subject = release.subject
    title = f"Stage {stage.number}: {share_words(stage)}, since {when(stage.since_s * 1000)}"
    yield '<table class="numbers">'
    yield f"<caption>{_text(title)}</caption>"
    yield _head(("version", *SIDE_HEAD))
    for name, side in ((subject.version, stage.new), (subject.baseline, stage.old)):
        yield f'<tr><th scope="row">{_text(name)}</th>{_cells(side_cells(side))}</tr>'
    yield "</table>"
    said = (*finding_words(release, stage), *(words for goal in stage.goals for words in goal_words(release, goal)))
    yield f"<ul>{''.join(f'<li>{item}</li>' for item in _items(said))}</ul>"


def _pair(split: str, pair: PairReport) -> Iterator[str]:
    """Write two candidates beside each other, as the text has it."""
    title, *lines = pair_lines(split, pair)
    yield f"<h2>{_text(title)}</h2>"
    yield f"<ul>{''.join(f'<li>{item}</li>' for item in _items(lines))}</ul>"


def _items(lines: Iterable[str]) -> Iterator[str]:
    """Join lines that are set in to the one above them."""
    item = ""
    for line in lines:
        if line.startswith(" "):
            item += f"<br>{_text(line.strip())}"
            continue
        if item:
            yield item
        item = _text(line)
    if item:
        yield item


def _changes(changes: Sequence[Entry]) -> Iterator[str]:
    yield f"<table>{_head(('when', 'change'))}"
    for entry in changes:
        yield f'<tr>{_cells((when(entry.at_ms),))}<td class="why">{_text(entry_line(entry))}</td></tr>'
    yield "</table>"


def _head(names: Iterable[str]) -> str:
    return "<tr>" + "".join(f'<th scope="col">{_text(name)}</th>' for name in names) + "</tr>"


def _cells(cells: Iterable[str]) -> str:
    return "".join(f"<td>{_text(cell)}</td>" for cell in cells)


def _text(text: str) -> str:
    """Escape what somebody may have stored: for the page, and what could not be printed."""
    return escape(clean(text))
