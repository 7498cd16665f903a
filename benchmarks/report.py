"""Figures beside their goals, as a table for people or as JSON."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

SCHEMA: Final = 1


class Row(NamedTuple):
    """One figure; without a goal it is for information."""

    case: str
    value: float
    goal: float | None = None
    unit: str = "x"
    at_least: bool = False  # whether more is better
    note: str = ""

    @property
    def verdict(self) -> str:
        """Say `ok`, `over`, `under`, or nothing where there is no goal."""
        if self.goal is None:
            return ""
        if self.at_least:
            return "ok" if self.value >= self.goal else "under"
        return "ok" if self.value <= self.goal else "over"

    @property
    def missed(self) -> bool:
        """Return whether there is a goal and it is not reached."""
        return self.verdict in ("over", "under")


def table(title: str, rows: Sequence[Row]) -> str:
    """Return the rows as text in columns."""
    width = max([len(row.case) for row in rows] + [20])
    lines = [title, "-" * len(title)]
    for row in rows:
        goal = "" if row.goal is None else f"{'>=' if row.at_least else '<='} {_number(row.goal)}"
        line = f"{row.case:<{width}}  {_number(row.value):>9} {row.unit:<3} {goal:>10}  {row.verdict:<5}  {row.note}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def side_by_side(title: str, left: tuple[str, Sequence[Row]], right: tuple[str, Sequence[Row]]) -> str:
    """Return the rows of two runs in columns under their names; a case that one run lacks is left out."""
    width = max(len(row.case) for row in left[1])
    others = {row.case: row for row in right[1]}
    lines = [title, "-" * len(title), f"{'':<{width}}  {left[0]:<30}  {right[0]}"]
    both = [(row, others[row.case]) for row in left[1] if row.case in others]
    lines += [f"{row.case:<{width}}  {_figure(row):<30}  {_figure(other)}".rstrip() for row, other in both]
    return "\n".join(lines)


def _figure(row: Row) -> str:
    goal = "" if row.goal is None else f"{'>=' if row.at_least else '<='} {_number(row.goal)}"
    return f"{_number(row.value):>9} {row.unit:<3} {goal:>9} {row.verdict:<5}"


def _number(value: float) -> str:
    return (
        f"{value:,.0f}"
        if value == int(value) and value >= 100
        else f"{value:.3g}"
        if abs(value) < 1
        else f"{value:.2f}"
    )


def misses(rows: Sequence[Row]) -> str:
    """Say in one line which goals are missed."""
    missed = [row.case for row in rows if row.missed]
    with_goal = sum(row.goal is not None for row in rows)
    if not missed:
        return f"all {with_goal} goals reached"
    return f"{len(missed)} of {with_goal} goals missed: {', '.join(missed)}"


def python() -> str:
    """Name the interpreter."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def as_json(title: str, rows: Sequence[Row]) -> str:
    """Return the rows as one JSON value."""
    listed = [{**row._asdict(), "verdict": row.verdict} for row in rows]
    return json.dumps({"schema_version": SCHEMA, "title": title, "python": python(), "rows": listed}, indent=1)


def from_json(text: str) -> tuple[str, list[Row]]:
    """Read what `as_json` wrote."""
    found = json.loads(text)
    return found["title"], [Row(**{key: row[key] for key in Row._fields}) for row in found["rows"]]


def program(title: str, run: Callable[[bool], Sequence[Row]], doc: str | None) -> int:
    """Run a benchmark from the command line; 0 also where goals are missed. `run` is told whether to be quick."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON value instead of a table")
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that it runs, proves nothing")
    asked = parser.parse_args()
    rows = run(asked.quick)
    titled = f"{title} ({python()})"
    if asked.json:
        print(as_json(titled, rows))
    else:
        print(table(titled, rows))
        print(misses(rows))
    return 0


def progress(text: str) -> None:
    """Say on standard error what is being done, for whoever waits."""
    print(f"  {text} ...", file=sys.stderr, flush=True)
