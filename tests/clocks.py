"""The clocks of tests: one that is moved alone, and the machine's own, put forward."""

from __future__ import annotations

from typing import Final

from graysplit.clock import SystemClock

BEGAN_S: Final = 1_700_000_000.0


class MovedClock:
    """A clock that stays where a test puts it; its three times are one."""

    def __init__(self, now: float = BEGAN_S) -> None:
        """Begin at a time (seconds since the epoch)."""
        self.now = now

    @property
    def now_ms(self) -> int:
        """The time in milliseconds."""
        return round(self.now * 1000)

    def monotonic(self) -> float:
        """Return the time that was set."""
        return self.now

    boottime = time = monotonic


class ShiftedClock(SystemClock):
    """The machine's clocks, put forward; beside that the wall clock may jump, and the boot clock may have slept."""

    def __init__(self, *, ahead_s: float = 0.0, jumped_s: float = 0.0) -> None:
        """Begin with the machine's time, or ahead of it."""
        self.ahead_s = ahead_s
        self.jumped_s = jumped_s
        self.slept_s = 0.0
        self.drift = 1.0  # how many seconds pass in one of the machine's
        self._began = super().monotonic()

    def monotonic(self) -> float:
        """Return the time put forward."""
        return self._began + (super().monotonic() - self._began) * self.drift + self.ahead_s

    def boottime(self) -> float:
        """Return the time put forward."""
        return super().boottime() + self.ahead_s + self.slept_s

    def time(self) -> float:
        """Return the wall clock as it was set."""
        return super().time() + self.ahead_s + self.jumped_s
