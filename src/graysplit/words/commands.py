"""Lines that people copy whole: commands for a shell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# A line that begins so is for copying, and is never folded.
COPY: Final = "  $ "


def paragraphs(lines: Iterable[str]) -> list[str]:
    """Join the lines that a terminal breaks: a sentence goes on until a full stop, a colon or a command."""
    told: list[str] = []
    is_open = False
    for line in lines:
        if is_open and not line.startswith(COPY):
            told[-1] += f" {line}"
        else:
            told.append(line)
        is_open = not line.startswith(COPY) and not line.endswith((".", ":"))
    return told
