"""Time as a guest: what asks for the time takes a Clock, so that tests can move it."""

from __future__ import annotations

import time
from typing import Final, Protocol


class Clock(Protocol):
    """The two clocks graysplit reads; neither decides a push, a lease or a plan (server time does)."""

    def monotonic(self) -> float:
        """Return seconds that never go back and are shared by a process and its forks."""
        ...

    def boottime(self) -> float:
        """Return seconds that go on also while the machine sleeps; a lease ends by them."""
        ...

    def time(self) -> float:
        """Return seconds since the epoch, for people and files only."""
        ...


_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it, macOS and Windows do not


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    def boottime(self) -> float:
        """Return the machine's seconds since it was started, its sleep included where the system tells."""
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)

    def time(self) -> float:
        """Return the machine's wall clock."""
        return time.time()


SYSTEM_CLOCK = SystemClock()
