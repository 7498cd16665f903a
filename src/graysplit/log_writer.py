"""Write lines to the program's logging from a thread of their own.

A handler, filter or formatter is the program's code: it may raise, take seconds, or call graysplit again. None of that
reaches whoever has something to say: a line is put into a bounded queue, and nobody waits for it.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from contextlib import suppress
from threading import Thread
from typing import Final, NamedTuple

from graysplit.forks import is_master

LOGGER: Final = "graysplit"
WAITING_AT_MOST: Final = 1_000
LAST_WORDS_S: Final = 0.3  # how long an ending program waits for its last lines


class LogLine(NamedTuple):
    """A line to be written; or a mark that says, by opening, that all before it has been."""

    level: str
    text: str
    extra: dict[str, object]  # attributes of the log record
    written: threading.Lock | None = None


class LogWriter:
    """The lines of one process. `put` never waits and never raises; it may be called from a signal handler.

    Only locks that are never waited for by the caller are used: one says that a thread is being started, the other is
    released to wake it.
    """

    def __init__(self) -> None:
        """Begin with nothing to write; no thread runs."""
        self.lost = 0  # lines that logging did not take: a handler raised, or too many waited
        self._hooked = False
        self._thread: Thread | None = None
        self._begin_anew()

    def start(self) -> None:
        """Start the thread, unless it lives; where the system gives none, the next line tries again.

        A router's start calls this, so that a line from a signal handler finds the thread there. In uWSGI's master no
        thread may run: what waits there is inherited, and written by each worker.
        """
        if self._lives() or is_master() or not self._starting.acquire(blocking=False):
            return
        try:
            if self._lives():  # another thread has started it since: two would write lines out of their order
                return
            self._hook_life()
            # Made here, by the module's present name: gevent replaces it after a fork, and its threads need its locks.
            self._wake = wake = threading.Lock()
            wake.acquire()
            thread = Thread(target=self._work, args=(self._lines, wake), name="graysplit log", daemon=True)
            thread.start()
            self._thread = thread
        except RuntimeError:  # too many threads, or the interpreter is about to end
            return
        finally:
            self._starting.release()

    def _lives(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def put(self, level: str, text: str, extra: dict[str, object] | None = None) -> None:
        """Have a line written, in its turn, as a log record with these attributes."""
        if len(self._lines) >= WAITING_AT_MOST:
            self.lost += 1
            return
        self._lines.append(LogLine(level, text, extra or {}))
        self.start()
        with suppress(RuntimeError):  # it is awake already
            self._wake.release()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put has been written; False where that takes longer."""
        if not self._lines and not self._busy:
            return True
        written = threading.Lock()
        written.acquire()
        self._lines.append(LogLine("", "", {}, written))
        self.start()
        with suppress(RuntimeError):
            self._wake.release()
        return written.acquire(timeout=timeout_s)

    def _begin_anew(self) -> None:
        """Forget, in a forked child too, what another thread was to write: its parent writes it."""
        self._lines: deque[LogLine] = deque()
        self._starting = threading.Lock()
        self._wake = threading.Lock()
        self._thread = None
        self._busy = False

    def _hook_life(self) -> None:
        if self._hooked:
            return
        # Its own end at exit is registered by its import, so that ours, registered after it, comes before.
        import logging  # noqa: F401 # pyright: ignore[reportUnusedImport]

        self._hooked = True
        atexit.register(self.flush, LAST_WORDS_S)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_anew)

    def _work(self, lines: deque[LogLine], wake: threading.Lock) -> None:
        """Write what waits, and wait for more; the queue is handed in, as a forked child gets another."""
        while lines is self._lines:
            wake.acquire()
            while lines:
                self._busy = True
                self._write(lines.popleft())
            self._busy = False

    def _write(self, line: LogLine) -> None:
        if line.written is not None:
            line.written.release()
            return
        try:
            import logging

            getattr(logging.getLogger(LOGGER), line.level)("%s", line.text, extra=line.extra)
        except BaseException:  # noqa: BLE001 - whatever a handler raises, SystemExit too, ends at the handler
            self.lost += 1


WRITER: Final = LogWriter()
