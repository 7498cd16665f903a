"""What a fork and a signal handler may cross: a lock, a flag to wait for, and whether uWSGI may still fork.

uWSGI forks in C, and leaves out Python's own hooks unless told `--py-call-uwsgi-fork-hooks`. So nobody tells a worker
that its follower is gone: it would decide by what its master knew, for ever. And where a thread of the master has the
interpreter at that moment, it has it in the worker too, without being there: the worker never runs. No thread in the
master, not even one that writes a line of log, is the way around both; it serves nobody.
"""

from __future__ import annotations

import _thread
import os
import sys
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType


def is_master() -> bool:
    """Return whether this is uWSGI and may still be forked: it is neither worker, mule nor spooler. Never raises."""
    uwsgi: Any = sys.modules.get("uwsgi")  # Any: it has no annotations, and exists inside uWSGI only
    if uwsgi is None:
        return False
    try:
        return not (uwsgi.worker_id() or uwsgi.mule_id() or uwsgi.i_am_the_spooler())
    except Exception:  # noqa: BLE001 - a module of the program's own by that name may do anything
        return False


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


class Latch:
    """What `threading.Event` is, without its lock: a handler may set or await it while the same thread does.

    An `Event` holds an ordinary lock for a moment in `set` and in `wait`; a signal handler that runs in that moment,
    in the same thread, would wait for itself for ever.
    """

    __slots__ = ("_gate", "_set")

    def __init__(self) -> None:
        """Begin unset."""
        self._set = False
        self._gate = _thread.allocate_lock()
        self._gate.acquire()  # open once set: whoever passes opens it again behind them

    def is_set(self) -> bool:
        """Return whether it has been set."""
        return self._set

    def set(self) -> None:
        """Set it, and let all who wait go on."""
        self._set = True
        self._open()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is set, for so many seconds at most; return whether it is."""
        if not self._set and timeout_s > 0 and self._gate.acquire(timeout=min(timeout_s, _thread.TIMEOUT_MAX)):
            self._open()
        return self._set

    def _open(self) -> None:
        with suppress(RuntimeError):  # open already
            self._gate.release()
