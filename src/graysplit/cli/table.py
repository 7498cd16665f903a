"""Rows of text in columns, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], widest: int = 36) -> list[str]:
    """Lay out rows in columns, the first one left, the last one free; a long first cell stands on a line alone."""
    columns = len(head)
    widths = [min(max(len(row[i]) for row in [head, *rows]), widest if i == 0 else 100) for i in range(columns)]
    lines: list[str] = []
    for row in [head, *rows]:
        first = row[0]
        if len(first) > widths[0]:
            lines.append(first)
            first = ""
        cells = [first.ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, columns - 1)), row[-1]]
        lines.append("  ".join(cells).rstrip())
    return lines
