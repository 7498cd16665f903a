"""A lock that belongs to one process: a fork leaves its child another one, whoever held it."""

from __future__ import annotations

import os
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class ProcessLock:
    """A re-entrant lock: a signal handler may take it again in the thread that it interrupts.

    A child is never left with a lock held by a thread that only its parent has, although nothing was registered
    to run after the fork.
    """

    __slots__ = ("_mine",)

    def __init__(self) -> None:
        """Begin free."""
        self._mine = (os.getpid(), RLock())

    def acquire(self, timeout_s: float = -1) -> bool:
        """Take it; with a timeout return False where that takes longer."""
        return self._lock().acquire(timeout=timeout_s)

    def release(self) -> None:
        """Release it; a child that was forked meanwhile holds nothing."""
        with suppress(RuntimeError):
            self._lock().release()

    def __enter__(self) -> None:
        """Take it."""
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""
        self.release()

    def _lock(self) -> RLock:
        if self._mine[0] != os.getpid():
            self._mine = (os.getpid(), RLock())
        return self._mine[1]
