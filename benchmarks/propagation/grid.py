"""Tables of columns for people, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.report import Row, table


def grid(title: str, header: Sequence[str], lines: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """Return a table; the first columns are words, the others numbers."""
    every = [header, *lines]
    widths = [max(len(line[at]) for line in every) for at in range(len(header))]
    said = [
        "  ".join(
            cell.ljust(width) if at < words else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in every
    ]
    return "\n".join([title, "-" * len(title), *said])


def listing(title: str, rows: Sequence[Row]) -> str:
    """Return figures beside their goals, each note on a line of its own."""
    head, rule, *lines = table(title, [row._replace(note="") for row in rows]).splitlines()
    said = [[line, f"    {row.note}"] if row.note else [line] for line, row in zip(lines, rows, strict=True)]
    return "\n".join([head, rule, *(text for texts in said for text in texts)])
