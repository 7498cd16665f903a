"""A flag that is set once and can be waited for, also from a signal handler and across a fork."""

from __future__ import annotations

import _thread
from contextlib import suppress


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
