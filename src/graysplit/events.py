"""Tell people what happened: one log line per state change, repeats counted instead of printed.

The logger is `graysplit`; graysplit configures no logging, and a program that configures none sees nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from graysplit.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from logging import Logger

# Per kind of line: the first at once, then at most one a minute, with the number left out meanwhile.
QUIET_S: Final = 60.0
KINDS_AT_MOST: Final = 1_000


class Events:
    """The lines one router logs. Never raises into its caller, never holds a unit id."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        """Begin with nothing said."""
        self._clock = clock
        self.left_out = 0  # lines that were counted instead of printed
        self._said: dict[str, tuple[float, int]] = {}  # kind to when it was last printed, and how many since

    def info(self, kind: str, message: str) -> None:
        """Say that something changed as it should."""
        self._say("info", kind, message)

    def warning(self, kind: str, message: str) -> None:
        """Say that something needs a person's eye."""
        self._say("warning", kind, message)

    def over(self, kind: str) -> None:
        """Forget a kind, so that its next line is printed at once: its trouble has ended."""
        self._said.pop(kind, None)

    def _say(self, level: str, kind: str, message: str) -> None:
        now = self._clock.monotonic()
        last, left_out = self._said.get(kind, (float("-inf"), 0))
        if now - last < QUIET_S:
            self._said[kind] = (last, left_out + 1)
            self.left_out += 1
            return
        if len(self._said) >= KINDS_AT_MOST:
            self._said.clear()
        self._said[kind] = (now, 0)
        more = f" ({left_out} more like this since)" if left_out else ""
        getattr(_logger(), level)("%s%s", message, more)


def _logger() -> Logger:
    import logging

    logger = logging.getLogger("graysplit")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger
