"""The pictures of a release as SVG: evidence, weight, failures and times on one axis of time, and every change.

Each is read without its colours: the candidate's line is solid, the baseline's dashed, and both carry their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from math import ceil, log
from typing import Final, NamedTuple

from graysplit.cli.output import clean
from graysplit.cli.plan.picture import LEFT, RIGHT, WIDTH
from graysplit.core.durations import format_span
from graysplit.core.entry import Entry
from graysplit.core.guard.report import ReleaseReport
from graysplit.core.guard.tally import Sample
from graysplit.core.weights import FULL
from graysplit.words.report import duration, weight_words

HEIGHT: Final = 150
TOP: Final = 56  # room for the title, and below it for the labels of changes
BOTTOM: Final = 24
ENDS: Final = 70  # room at the right for the names of lines
LABEL: Final = 7  # the width of a label's character
ROWS: Final = 3  # of labels of changes
MOST: Final = 12  # the power of ten above which evidence is drawn no higher: far above any limit
LN10: Final = log(10)

STYLE: Final = """
svg{width:100%;height:auto;display:block;margin:0 0 1rem;break-inside:avoid}
svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
svg .name{font-size:13px;font-weight:600;fill:var(--text)}
svg .axis{stroke:var(--line);stroke-width:1}
svg .grid{stroke:var(--line);stroke-opacity:.35;stroke-width:1}
svg .new,svg .old,svg .limit{stroke-width:2;fill:none}
svg .dot{stroke-width:5}
svg .new{stroke:var(--new)}
svg .old{stroke:var(--old);stroke-dasharray:6 4}
svg .limit{stroke:var(--bad);stroke-dasharray:2 3}
svg .change{stroke:var(--text);stroke-opacity:.45;stroke-width:1;stroke-dasharray:1 3}
svg .on-new{fill:var(--new)}
svg .on-old{fill:var(--old)}
svg .on-limit{fill:var(--bad)}
"""

Point = tuple[float, float]  # second, value


class ChartLine(NamedTuple):
    """One line of a picture: pieces between which nothing is known."""

    kind: str  # its class: new, old, limit
    name: str
    pieces: Sequence[Sequence[Point]]


class Scale(NamedTuple):
    """What a picture's height means."""

    low: float
    high: float
    marks: Sequence[float]
    said: Callable[[float], str]


class Frame(NamedTuple):
    """What all pictures of a release share: the time, and the changes in it."""

    from_s: float
    to_s: float
    changes: Sequence[Entry]

    def x(self, second: float) -> float:
        """Return where a second is."""
        part = (min(max(second, self.from_s), self.to_s) - self.from_s) / (self.to_s - self.from_s)
        return LEFT + (WIDTH - LEFT - RIGHT - ENDS) * part


def charts(release: ReleaseReport, changes: Sequence[Entry]) -> Iterator[str]:
    """Draw a release, with these of its changes."""
    subject = release.subject
    began_s, now_s = subject.began_ms / 1000, subject.now_ms / 1000
    times = [began_s, *(sample.at_s for sample in release.course), *(entry.at_ms / 1000 for entry in changes)]
    # A release that is over is drawn until then, and a little beyond: not until somebody looks.
    ends_s = now_s if subject.share else min(now_s, max(times) + (max(times) - min(times)) / 20)
    frame = Frame(min(times), max(ends_s, *times, min(times) + 1), changes)
    yield _evidence(frame, release)
    yield _weight(frame, release)
    yield _rates(frame, release)
    yield _times(frame, release)


def _evidence(frame: Frame, release: ReleaseReport) -> str:
    """Draw the evidence and its limit as powers of ten; far below 1 it speaks for the candidate."""
    judged = [sample for sample in release.course if sample.ln_limit > 0]
    limits = [(float(sample.at_s), sample.ln_limit / LN10) for sample in judged]
    highest = max([4.0, *(sample.ln_evidence / LN10 for sample in judged), *(value for _, value in limits)])
    top = min(ceil(highest) + 1, MOST)
    step = ceil(top / 4)
    evidence = [(float(sample.at_s), max(-step, sample.ln_evidence / LN10)) for sample in judged]
    scale = Scale(-step, top, range(-step, top + 1, step), _power)
    lines = (ChartLine("new", "evidence", [evidence]), ChartLine("limit", "limit", [limits]))
    crossed = any(sample.ln_evidence >= sample.ln_limit for sample in judged)
    told = "it has reached its limit" if crossed else "it has not reached its limit" if judged else "none yet"
    return _chart(frame, f"Evidence against {release.subject.version}", told, scale, lines)


def _weight(frame: Frame, release: ReleaseReport) -> str:
    """Draw the candidate's weight as steps."""
    steps = [(float(stage.since_s), stage.new_share / 1000) for stage in release.stages]
    steps.append((frame.to_s, release.subject.share / 1000))
    path = [*_steps(sorted([*steps, *_zero(frame, release)]), frame.to_s)]
    scale = Scale(0, FULL / 1000, (0, 50, 100), _percent)
    told = f"{weight_words(release.subject.share)} now"
    return _chart(
        frame, f"Weight of {release.subject.version}", told, scale, [ChartLine("new", release.subject.version, [path])]
    )


def _zero(frame: Frame, release: ReleaseReport) -> Iterator[Point]:
    """Return when a candidate that stands at zero came to it: no stage begins with that."""
    field = f"weights {release.subject.field}"
    stop = {f"stops {release.subject.field}", f"stops {release.subject.split}", "stops *"}
    for entry in frame.changes:
        stopped = any(entry.after.get(at) is not None for at in stop)
        if stopped or (field in entry.after and entry.after[field] in {None, "", "0"}):
            yield entry.at_ms / 1000, 0.0


def _rates(frame: Frame, release: ReleaseReport) -> str:
    """Draw both paths' failures, from sample to sample."""
    new, old = (
        [[(float(pace.from_s), share), (float(pace.to_s), share)] for pace, share in shares if share is not None]
        for shares in (
            [(pace, pace.new) for pace in release.paces],
            [(pace, pace.old) for pace in release.paces],
        )
    )
    scale = _scale([value for piece in (*new, *old) for _, value in piece], 0.01, lambda value: f"{100 * value:.3g}%")
    subject = release.subject
    told = _last(subject.version, new, scale.said), _last(subject.baseline, old, scale.said)
    lines = (ChartLine("old", subject.baseline, _joined(old)), ChartLine("new", subject.version, _joined(new)))
    return _chart(frame, "Failed calls", f"latest {', '.join(told)}", scale, lines)


def _times(frame: Frame, release: ReleaseReport) -> str:
    """Draw both paths' p95, of each stage so far."""
    new, old = ([*_by_stage(release.course, side)] for side in (1, 0))
    scale = _scale([value for piece in (*new, *old) for _, value in piece], 1e3, _time)
    subject = release.subject
    told = _last(subject.version, new, duration), _last(subject.baseline, old, duration)
    lines = (ChartLine("old", subject.baseline, old), ChartLine("new", subject.version, new))
    return _chart(frame, "p95 of the call times of each stage so far", f"latest {', '.join(told)}", scale, lines)


def _by_stage(course: Iterable[Sample], side: int) -> Iterator[list[Point]]:
    stages: dict[int, list[Point]] = {}
    for sample in course:
        if sample.p95_ns[side]:
            stages.setdefault(sample.stage, []).append((float(sample.at_s), float(sample.p95_ns[side])))
    yield from stages.values()


def _joined(pieces: Sequence[Sequence[Point]]) -> list[list[Point]]:
    """Join pieces where one begins at the moment that the other ends."""
    joined: list[list[Point]] = []
    for piece in pieces:
        if joined and joined[-1][-1][0] == piece[0][0]:
            joined[-1] += piece
        else:
            joined.append([*piece])
    return joined


def _steps(points: Iterable[Point], to_s: float) -> Iterator[Point]:
    last: Point | None = None
    for second, value in points:
        if last is not None:
            yield second, last[1]
        yield second, value
        last = (second, value)
    if last is not None:
        yield to_s, last[1]


def _scale(values: Sequence[float], least: float, said: Callable[[float], str]) -> Scale:
    """Return a scale from zero to a round number above all values."""
    top = max([least, *values]) * 1.1
    size = 10.0 ** (len(f"{int(top / least):d}") - 1) * least
    high = next(size * times for times in (1, 2, 5, 10, 20) if size * times >= top)
    return Scale(0, high, (0, high / 2, high), said)


def _power(value: float) -> str:
    return f"10^{value:.0f}" if value else "1"


def _percent(value: float) -> str:
    return f"{value:.0f}%"


def _time(ns: float) -> str:
    return duration(ns) if ns else "0"


def _last(name: str, pieces: Sequence[Sequence[Point]], said: Callable[[float], str]) -> str:
    return f"{name} {said(pieces[-1][-1][1]) if pieces else 'unknown'}"


def _chart(frame: Frame, title: str, told: str, scale: Scale, lines: Sequence[ChartLine]) -> str:
    """Draw one picture; what it shows is told in words too, for those who do not see it."""
    text = escape(clean(f"{title}: {told}"))
    height = TOP + HEIGHT + BOTTOM

    def y(value: float) -> float:
        return TOP + HEIGHT * (1 - (min(max(value, scale.low), scale.high) - scale.low) / (scale.high - scale.low))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{text}">',
        f"<title>{text}</title>",
        f'<text class="name" x="{LEFT}" y="14">{escape(clean(title))}</text>',
    ]
    right = WIDTH - RIGHT - ENDS
    for mark in scale.marks:
        kind = "axis" if mark == scale.marks[0] else "grid"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{right}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(mark) + 4:.1f}" text-anchor="end">{escape(scale.said(mark))}</text>')
    parts += [*_clock(frame), *_changes(frame)]
    if not any(piece for line in lines for piece in line.pieces):
        parts.append(f'<text x="{(LEFT + right) / 2}" y="{TOP + HEIGHT / 2}" text-anchor="middle">nothing yet</text>')
    parts += [path for line in lines for path in _path(frame, line, y)]
    parts += [*_names(lines, y)]
    return "\n".join([*parts, "</svg>"])


def _path(frame: Frame, line: ChartLine, y: Callable[[float], float]) -> Iterator[str]:
    """Draw a line's pieces; one of a single point as a dot, which is a line of no length with round ends."""
    for kind, pieces in (
        (line.kind, [piece for piece in line.pieces if len(piece) > 1]),
        (f"{line.kind} dot", [[*piece, *piece] for piece in line.pieces if len(piece) == 1]),
    ):
        d = "".join(
            f"M{'L'.join(f'{frame.x(second):.1f} {y(value):.1f}' for second, value in piece)}" for piece in pieces
        )
        if d:
            yield f'<path class="{kind}" stroke-linecap="round" d="{d}"/>'


def _names(lines: Sequence[ChartLine], y: Callable[[float], float]) -> Iterator[str]:
    """Write the lines' names at their ends, from below, each above the one before."""
    ends = [(y(line.pieces[-1][-1][1]), line) for line in lines if any(line.pieces)]
    lowest = float(TOP + HEIGHT)
    for at, line in sorted(ends, key=lambda end: -end[0]):
        lowest = min(at + 4, lowest)
        name = clean(line.name)
        short = name if len(name) <= ENDS // LABEL else f"{name[: ENDS // LABEL - 1]}…"
        yield f'<text class="on-{line.kind}" x="{WIDTH - RIGHT - ENDS + 6}" y="{lowest:.1f}">{escape(short)}</text>'
        lowest -= 13


def _clock(frame: Frame) -> Iterator[str]:
    """Write the time since the release began, at four places."""
    span, base = frame.to_s - frame.from_s, TOP + HEIGHT + 16
    for part in range(5):
        second = frame.from_s + span * part / 4
        label = "begin" if part == 0 else format_span(span * part / 4 * 1000)
        anchor = "start" if part == 0 else "middle"
        yield f'<text x="{frame.x(second):.1f}" y="{base}" text-anchor="{anchor}">{label}</text>'


def _changes(frame: Frame) -> Iterator[str]:
    """Draw every change as a line; its revision and verb above it, or where there is less room its revision alone."""
    free = [0.0] * ROWS  # from where on each row has room
    for entry in frame.changes:
        x = frame.x(entry.at_ms / 1000)
        number = str(entry.revision or "-")
        label = f"{number} {clean(entry.cause)}"
        told = escape(clean(f"{number}: {entry.cause} by {entry.actor}{': ' if entry.why else ''}{entry.why}"))
        at = f'x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{TOP + HEIGHT}"'
        yield f'<line class="change" {at}><title>{told}</title></line>'
        row = next((row for row in range(ROWS) if free[row] <= x), None)
        if row is None:
            row, label = min(range(ROWS), key=free.__getitem__), number
            if free[row] > x + LABEL:
                continue
        yield f'<text x="{x:.1f}" y="{TOP - 8 - 12 * row}">{escape(label)}</text>'
        free[row] = x + LABEL * (len(label) + 1)
