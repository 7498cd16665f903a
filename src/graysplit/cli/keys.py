"""Keys at a terminal, read one by one, and the terminal as it was before at every end.

Whatever ends the program gives the terminal back first: a return, an exception, SIGTERM, SIGHUP, SIGQUIT. So does
Ctrl-Z; in the foreground again, keys are read again. In the background nothing is read: the system would stop whoever
does. Needs `termios`, which Windows has not got.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import threading
from contextlib import suppress
from types import FrameType
from typing import Final

ENDS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# Arrows and function keys send a sequence that holds letters, and Alt puts an escape before one.
_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\[O\x1b])")
_LOCAL, _CHARACTERS = 3, 6  # where `tcgetattr` has the flags and the special characters


class Keyboard:
    """Standard input as keys. `key` belongs to one thread, everything else to the main thread."""

    def __init__(self) -> None:
        """Remember how the terminal is."""
        self._terminal = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._terminal)
        self._lock = threading.RLock()  # a signal may come while the main thread has it
        self._away = False  # whether the terminal is to be left alone
        self._taken = False  # whether it gives keys one by one
        self._typed = ""

    def open(self) -> None:
        """Take the terminal, and see to it that each end gives it back."""
        for number in ENDS:
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._end)
        if signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, self._suspend)
            signal.signal(signal.SIGCONT, self._resume)
        self._take()

    def close(self) -> None:
        """Leave the terminal as it was, for good."""
        with self._lock:
            self._away = True
            self._give_back()

    def key(self, within_s: float) -> str:
        """Return the next key, or "" where none comes in time or another program has the terminal."""
        if not self._typed and self._take() and select.select([self._terminal], [], [], within_s)[0]:
            self._typed = _SEQUENCE.sub("", self._read().decode(errors="ignore"))
        elif not self._taken:
            threading.Event().wait(within_s)
        key, self._typed = self._typed[:1], self._typed[1:]
        return key

    def _read(self) -> bytes:
        """Read what was typed, unless the terminal was given back meanwhile: then it is another program's.

        A terminal that is gone gives nothing, and is left alone from then on.
        """
        with self._lock:
            if not self._taken or not select.select([self._terminal], [], [], 0)[0]:
                return b""
            try:
                typed = os.read(self._terminal, 1024)
            except OSError:
                typed = b""
            if not typed:
                self.close()
            return typed

    def forget(self) -> None:
        """Drop what was typed and not read: it was no answer to what is asked now."""
        self._typed = ""
        with suppress(termios.error):
            termios.tcflush(self._terminal, termios.TCIFLUSH)

    def _take(self) -> bool:
        """Have the terminal give keys one by one, without showing them; Ctrl-C and Ctrl-Z stay what they are."""
        with self._lock:
            if self._away or not self._in_front():
                self._taken = False
            elif not self._taken:
                mode = termios.tcgetattr(self._terminal)
                mode[_LOCAL] &= ~(termios.ECHO | termios.ICANON)
                mode[_CHARACTERS] = [*mode[_CHARACTERS]]
                mode[_CHARACTERS][termios.VMIN], mode[_CHARACTERS][termios.VTIME] = 1, 0
                termios.tcsetattr(self._terminal, termios.TCSANOW, mode)
                self._taken = True
            return self._taken

    def _give_back(self) -> None:
        """Set the terminal as it was, without what was typed and not read: it was meant for nobody else."""
        if self._taken:
            self._taken = False
            with suppress(termios.error):  # the terminal may be gone
                termios.tcflush(self._terminal, termios.TCIFLUSH)
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)

    def _in_front(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:  # not the terminal that controls this program: then nobody takes it away
            return True

    def _end(self, number: int, _: FrameType | None) -> None:
        self.close()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _suspend(self, number: int, _: FrameType | None) -> None:
        with self._lock:
            self._away = True
            self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # returns when somebody lets it go on
        signal.signal(number, self._suspend)
        self._away = False

    def _resume(self, _number: int, _: FrameType | None) -> None:
        """Whoever had the terminal meanwhile may have left it in another mode."""
        self._taken = False
