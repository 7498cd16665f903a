"""A small picture of a plan: weight over time, as SVG that stands by itself and is read on dark and on light.

Time that can be told is drawn to scale. A wait that nobody can time is a dashed stretch of always the same width.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final, NamedTuple

from graysplit.control.simulate import Simulation
from graysplit.core.durations import format_span
from graysplit.core.plan.forecast import End
from graysplit.core.weights import FULL, format_weight
from graysplit.words.texts import when

WIDTH: Final = 760
HEIGHT: Final = 320
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 48, 64
WAIT: Final = 48  # the width of a wait for a person
TAIL: Final = 40  # what is drawn of the time after the end
LABEL: Final = 62  # the least room between two times

# Grey in the middle is read on both; the line's blue too.
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#6e7781}"
    ".name{font-size:14px;font-weight:600}"
    ".axis{stroke:#8c959f;stroke-width:1}"
    ".grid{stroke:#8c959f;stroke-opacity:.3;stroke-width:1}"
    ".weight{stroke:#2f81f7;stroke-width:2.5;fill:none}"
    ".wait{stroke:#2f81f7;stroke-width:2.5;stroke-dasharray:2 5;fill:none}"
    ".why{fill:#2f81f7}"
    "@media (prefers-color-scheme:dark){text{fill:#adbac7}.why{fill:#6cb6ff}}"
)


class Stretch(NamedTuple):
    """A stretch of constant weight on the picture."""

    left: float
    right: float
    weight: int
    at_ms: int
    waits: int  # how many waits lie at its right end


def picture(simulation: Simulation) -> str:
    """Draw it."""
    title = f"{simulation.field}: weight over time"
    stretches = _stretches(simulation)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text class="name" x="{LEFT}" y="20">{escape(title)}</text>',
        *_axes(),
        *_line(stretches, simulation.forecast.end),
        *_weights(stretches),
        *_times(simulation, stretches),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _stretches(simulation: Simulation) -> list[Stretch]:
    """Lay the steps out from left to right."""
    steps, end = simulation.forecast.steps, simulation.forecast.end
    bounds = [*((step.at_ms, len(step.waits)) for step in steps[1:]), (end.at_ms, len(end.waits))]
    waits_in_all = len(end.waits)
    timed_ms = max(1, end.at_ms - steps[0].at_ms)
    room = WIDTH - LEFT - RIGHT - TAIL - WAIT * min(waits_in_all, _most_waits())
    width = WAIT if waits_in_all <= _most_waits() else (WIDTH - LEFT - RIGHT - TAIL) / 2 / waits_in_all
    made: list[Stretch] = []
    left, waited = float(LEFT), 0
    for step, (until_ms, waits) in zip(steps, bounds, strict=True):
        right = left + room * (until_ms - step.at_ms) / timed_ms + width * (waits - waited)
        made.append(Stretch(left, right, step.weight, step.at_ms, waits - waited))
        left, waited = right, waits
    return made


def _most_waits() -> int:
    return (WIDTH - LEFT - RIGHT - TAIL) // 2 // WAIT


def _y(weight: int) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - weight / FULL)


def _axes() -> Iterator[str]:
    for percent in (0, 25, 50, 75, 100):
        y = _y(percent * 1000)
        kind = "axis" if percent == 0 else "grid"
        yield f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{percent}%</text>'


def _line(stretches: list[Stretch], end: End) -> Iterator[str]:
    """Draw the weight, and what is left of it at the end: solid where time is told, dashed where it waits."""
    below = _y(0)
    for stretch in stretches:
        y = _y(stretch.weight)
        dashed = min(stretch.right - stretch.left, stretch.waits * WAIT)
        turn = stretch.right - dashed
        yield f'<path class="weight" d="M{stretch.left:.1f} {below:.1f}V{y:.1f}H{turn:.1f}"/>'
        if dashed:
            yield f'<path class="wait" d="M{turn:.1f} {y:.1f}H{stretch.right:.1f}"/>'
            middle, beside = (turn + stretch.right) / 2, y + 16 if y + 20 < _y(0) else y - 6
            yield f'<text class="why" x="{middle:.1f}" y="{beside:.1f}" text-anchor="middle">waits</text>'
        below = y
    right = stretches[-1].right
    after = _y(0) if end.outcome == "rollback" else below
    yield f'<path class="weight" d="M{right:.1f} {below:.1f}V{after:.1f}H{right + TAIL:.1f}"/>'


def _weights(stretches: list[Stretch]) -> Iterator[str]:
    for stretch in stretches:
        label = f"{format_weight(stretch.weight)}%"
        yield f'<text x="{stretch.left + 3:.1f}" y="{_y(stretch.weight) - 6:.1f}">{label}</text>'


def _times(simulation: Simulation, stretches: list[Stretch]) -> Iterator[str]:
    """Write when each step is taken, where there is room; the first as a date, the others from there."""
    base = HEIGHT - BOTTOM + 18
    first_ms = stretches[0].at_ms
    yield f'<text x="{LEFT}" y="{base + 34}">{escape(_words(simulation))}</text>'
    marks = [(s.left, s.at_ms, len(step.waits)) for s, step in zip(stretches, simulation.forecast.steps, strict=True)]
    end = simulation.forecast.end
    marks.append((stretches[-1].right, end.at_ms, len(end.waits)))
    free = 0.0
    for x, at_ms, waits in marks:
        if x < free:
            continue
        label = (
            "start" if at_ms == first_ms and not waits else f"{format_span(at_ms - first_ms)}{' +' if waits else ''}"
        )
        anchor = "end" if x > WIDTH - RIGHT - LABEL else "start"
        yield f'<text x="{x:.1f}" y="{base}" text-anchor="{anchor}">{label}</text>'
        free = x + LABEL


def _words(simulation: Simulation) -> str:
    end = simulation.forecast.end
    outcome = {"done": "done", "rollback": "goes back", "stays": "stays"}[end.outcome]
    plus = ", and the waits (+)" if end.waits else ""
    begin, span = when(simulation.forecast.steps[0].at_ms), format_span(end.at_ms - simulation.forecast.steps[0].at_ms)
    return f"starts {begin}; {outcome} after {span}{plus}"
