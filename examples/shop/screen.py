"""Where the demo prints: lines, and one that is drawn anew while it waits, if there is a terminal."""

from __future__ import annotations

import sys
import time
from typing import Final

from examples.shop import picture

TELL_EVERY_S: Final = 2.0  # where there is no terminal to draw on


class Screen:
    """Standard output, be it a terminal, a pipe or a file."""

    def __init__(self) -> None:
        """Find out what standard output can show."""
        self.signs = picture.signs_of(sys.stdout)
        self._live = sys.stdout.isatty()
        self._told = 0.0

    def say(self, line: str = "") -> None:
        """Print a line, over the one that is drawn."""
        self._told = time.monotonic()
        print(f"\r{'':<{picture.COLUMNS - 1}}\r{line}" if self._live else line, flush=True)

    def draw(self, line: str) -> None:
        """Draw a line to be drawn over; without a terminal, print one now and then."""
        if self._live:
            print(f"\r{line:<{picture.COLUMNS - 1}}", end="", flush=True)
        elif time.monotonic() - self._told >= TELL_EVERY_S:
            self._told = time.monotonic()
            print(line, flush=True)
