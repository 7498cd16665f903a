"""The demo's drawing: bars of 80 columns, in plain ASCII where the terminal knows no more. Text from values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final, TextIO

from examples.shop.proof import Share

COLUMNS: Final = 80
BAR: Final = 50


def signs_of(stream: TextIO) -> tuple[str, str]:
    """Return the signs for full and empty that a stream can print."""
    try:
        "\u2588\u2591".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "#", "."
    return "\u2588", "\u2591"


def bar(percent: float, signs: tuple[str, str], width: int = BAR) -> str:
    """Draw a share; whoever is above nothing gets at least one sign."""
    full = min(width, max(round(percent * width / 100), 1 if percent > 0 else 0))
    return signs[0] * full + signs[1] * (width - full)


def picture(shares: Sequence[Share], signs: tuple[str, str]) -> Iterator[str]:
    """Draw asked-for and actual shares, step under step; zero at the end is the way back."""
    yield f"{'':<15}0 %{'share of users on the new path':^{BAR - 8}}100 %"
    for number, share in enumerate(shares):
        asked, actual = bar(share.percent, signs), bar(share.actual, signs)
        back = " rolled back" if number and not share.percent else ""
        yield f"  asked  {share.percent:>4g} % {asked}{back}"
        yield f"  actual {share.actual:>4.1f} % {actual} {share.on_new}/{share.users}"


def rule(title: str) -> str:
    """Draw a heading across the page."""
    return f"-- {title} ".ljust(COLUMNS - 1, "-")


def folded(mark: str, text: str) -> Iterator[str]:
    """Fold a claim to the page, its mark in front."""
    for number, line in enumerate(wrap(text, COLUMNS - 8)):
        yield f"  {mark if number == 0 else '':<4}{line}"
