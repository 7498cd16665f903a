"""A program at a terminal: keys are typed, and what it prints is looked at as a terminal would show it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import termios
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from tests import warm
from tests.support import eventually

ROWS: Final = 90
WITHIN_S: Final = 30.0
_PARTS: Final = re.compile(r"\x1b\[(?:\?\d+)?([A-Za-z])|(.)", re.DOTALL)
_UNFINISHED: Final = re.compile(r"\x1b(?:\[[?\d]*)?$")


class Terminal:
    """A terminal as far as `watch` uses one: it wraps in its last column, and erases from the cursor on."""

    def __init__(self, columns: int, rows: int = ROWS) -> None:
        """Begin empty."""
        self.columns = columns
        self.frames = 0
        self._rows = rows
        self._cells = [[" "] * columns for _ in range(rows)]
        self._row = self._column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Show what a program prints; a sequence that is not whole yet waits for its end."""
        text = self._rest + text
        unfinished = _UNFINISHED.search(text)
        at = unfinished.start() if unfinished else len(text)
        text, self._rest = text[:at], text[at:]
        for code, letter in _PARTS.findall(text):
            if code == "H":
                self._row = self._column = 0
                self.frames += 1
            elif code == "K":  # in the last column it takes the character that stands there
                at = min(self._column, self.columns - 1)
                self._cells[self._row][at:] = [" "] * (self.columns - at)
            elif code == "J":
                self._cells[self._row :] = [[" "] * self.columns for _ in self._cells[self._row :]]
            elif letter == "\n":
                self._feed_line()
            elif letter == "\r":
                self._column = 0
            elif letter:
                self._put(letter)

    def _put(self, letter: str) -> None:
        wide = 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if self._column + wide > self.columns:
            self._feed_line()
            self._column = 0
        self._cells[self._row][self._column : self._column + wide] = [letter, ""][:wide]
        self._column += wide

    def _feed_line(self) -> None:
        if self._row == self._rows - 1:
            self._cells = [*self._cells[1:], [" "] * self.columns]
        else:
            self._row += 1

    def lines(self) -> list[str]:
        """Return what is seen, row by row."""
        return ["".join(row).rstrip() for row in self._cells]


class Seat:
    """Somebody at a terminal, in front of a program."""

    def __init__(self, mine: int, its: int, columns: int, rows: int) -> None:
        """Sit down."""
        self.terminal = Terminal(columns, rows)
        self.process: Any = None  # Any: what ran it, with the methods of `subprocess.Popen`
        self._mine, self._its = mine, its
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.first_mode = self.mode()  # before a program has set it otherwise

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._mine, text.encode())

    def look(self) -> str:
        """Return what is seen now, as one line."""
        while select.select([self._mine], [], [], 0)[0]:
            self.terminal.feed(self._decoder.decode(os.read(self._mine, 65_536)))
        return " ".join(" ".join(self.terminal.lines()).split())

    def see(self, text: str, *, gone: bool = False) -> str:
        """Wait until something is seen, or is not any more, and return all that is."""

        def there() -> str:
            seen = self.look()
            assert (text in seen) is not gone, f"{text!r} in {seen!r}" if gone else f"no {text!r} in {seen!r}"
            return seen

        return eventually(there, WITHIN_S)

    def mode(self) -> list[Any]:  # Any: flags and characters
        """Return how the terminal is set."""
        return termios.tcgetattr(self._its)

    def is_watched(self) -> bool:
        """Return whether keys are read one by one, and not shown."""
        return not self.mode()[3] & (termios.ECHO | termios.ICANON)


@contextmanager
def seat(columns: int = 80, rows: int = ROWS) -> Iterator[Seat]:
    """Have a terminal of this size."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        yield Seat(mine, its, columns, rows)
    finally:
        os.close(its)
        os.close(mine)


@contextmanager
def at_terminal(
    environment: Mapping[str, str],
    *words: str,
    module: str = "graysplit.cli",
    columns: int = 80,
    rows: int = ROWS,
    stdin: int | None = None,
    term: str = "xterm",
) -> Iterator[Seat]:
    """Run a program at a terminal; `stdin` is another standard input than the terminal."""
    kept = {name: value for name, value in environment.items() if name not in {"COLUMNS", "LINES"}}
    with seat(columns, rows) as place:
        its = place._its  # pyright: ignore[reportPrivateUsage]
        streams: dict[str, int] = {"stdin": its if stdin is None else stdin, "stdout": its, "stderr": its}
        with warm.Program(module, *words, env={**kept, "TERM": term}, **streams) as process:
            place.process = process
            try:
                yield place
            finally:
                process.kill()
