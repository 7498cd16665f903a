"""Remember which ways to be signalled have failed, so that the next lesser one is taken, and the better tried again.

A server that is gone says nothing of them: a way has failed where it broke and a plain connection works all the same.
"""

from __future__ import annotations

import time
from typing import Final

FAILURES: Final = 2  # so many one after the other, and a way is left
AGAIN_S: Final = 60.0  # after which it is tried again; then one failure is enough
STEADY_S: Final = 2.0  # a connection that fell silent before this counts as a failure of its way


class Ladder:
    """What one store knows of its ways; used by one follower's thread."""

    def __init__(self) -> None:
        """Begin with nothing known against any."""
        self._failures: dict[str, int] = {}
        self._left: dict[str, tuple[float, str]] = {}  # by mode: until when it is not tried, and why
        self._suspect: tuple[str, str] | None = None

    def fail(self, mode: str, why: str) -> str:
        """Count a failure; return why the mode is left, or an empty text while it is tried again at once."""
        self._failures[mode] = self._failures.get(mode, 0) + 1
        if self._failures[mode] >= FAILURES:
            self._left[mode] = (time.monotonic() + AGAIN_S, why)
        return self.why_left(mode)

    def suspect(self, mode: str, why: str) -> None:
        """Note that a connection did not live long: the next one shows whether that was the server."""
        self._suspect = (mode, why)

    def take_suspect(self) -> tuple[str, str] | None:
        """Return what was noted, once."""
        found, self._suspect = self._suspect, None
        return found

    def stay(self, mode: str) -> None:
        """Note that a way works: what was counted against it is forgotten."""
        self._failures.pop(mode, None)
        self._left.pop(mode, None)

    def forget(self) -> None:
        """Forget everything: the least of all ways fails alike."""
        self._failures.clear()
        self._left.clear()

    def why_left(self, mode: str) -> str:
        """Return why a mode is not tried now, or an empty text where it may be."""
        until, why = self._left.get(mode, (0.0, ""))
        return f"{mode} does not work ({why}) and is tried again each minute" if time.monotonic() < until else ""

    def is_due(self, mode: str) -> bool:
        """Return whether a mode that was left is to be tried again now."""
        return mode in self._left and time.monotonic() >= self._left[mode][0]
