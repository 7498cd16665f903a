"""Tables of findings beside targets, 80 columns wide, and as rows of `benchmarks.report`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from benchmarks.guard.chance import clopper_pearson, middle, quantile
from benchmarks.report import Row

NEVER: Final = 1e99  # in place of infinity, which JSON does not have


class Line(NamedTuple):
    """A figure, what else is known of it, and its target where it has one."""

    row: Row
    found: str
    limits: str = ""

    @property
    def verdict(self) -> str:
        """Say PASS, FAIL, or nothing where there is no target."""
        if self.row.goal is None:
            return ""
        return "FAIL" if self.row.missed else "PASS"

    @property
    def known(self) -> str:
        """Say in words what the number alone does not."""
        return f"{self.found} {self.limits}".strip()


class Table(NamedTuple):
    """Lines under a title."""

    title: str
    lines: Sequence[Line]


def share(case: str, found: int, runs: int, goal: float | None = None, *, at_least: bool = False) -> Line:
    """Return how many of the runs ended so, in per cent, with 95 % Clopper-Pearson limits."""
    low, high = clopper_pearson(found, runs)
    row = Row(case, 100 * found / runs, goal, "%", at_least)
    return Line(row, f"{found:,}/{runs:,}", f"[{100 * low:.1f}, {100 * high:.1f}]")


def spread(case: str, values: Sequence[float], runs: int, goal: float | None = None, unit: str = "") -> Line:
    """Return the median and the 90 % mark of what the runs found; those that found nothing are infinite."""
    whole = [*values, *[NEVER] * (runs - len(values))]
    half, most = middle(whole), quantile(whole, 0.9)
    return Line(
        Row(case, half, goal, unit),
        f"{_text(half)} ({_text(most)})",
        "" if len(values) == runs else f"{len(values)}/{runs}",
    )


def mark(case: str, values: Sequence[float], runs: int, goal: float) -> Line:
    """Return the 90 % mark alone, beside its target."""
    most = quantile([*values, *[NEVER] * (runs - len(values))], 0.9)
    return Line(Row(case, most, goal, ""), _text(most))


def figure(case: str, value: float, goal: float | None = None, unit: str = "", *, at_least: bool = False) -> Line:
    """Return one number."""
    return Line(Row(case, value, goal, unit, at_least), f"{_text(value)} {unit}".strip())


def plain(table: Table) -> str:
    """Return a table as text."""
    lines = [table.title, "-" * len(table.title)]
    for line in table.lines:
        row = line.row
        target = "" if row.goal is None else f"{'>=' if row.at_least else '<='} {_text(row.goal)}"
        text = f"{row.case:<35.35} {line.found:>15} {line.limits:>13} {target:>9} {line.verdict}"
        lines.append(text.rstrip())
    return "\n".join(lines)


def _text(value: float) -> str:
    if value >= NEVER:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
