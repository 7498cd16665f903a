"""`watch` on terminals of many widths: what it draws is looked at as a terminal would show it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import unicodedata
from contextlib import closing

import pytest

from graysplit import Control
from graysplit.cli.output import fold_to
from graysplit.control.operator import operator_of
from tests.cli.test_process import CLI, surroundings
from tests.control.processes import live
from tests.support import eventually

ROWS = 90
_PARTS = re.compile(r"\x1b\[(?:\?\d+)?([A-Za-z])|(.)", re.DOTALL)


class Terminal:
    """A terminal as far as `watch` uses one: it wraps in its last column, and erases from the cursor on."""

    def __init__(self, columns: int) -> None:
        """Begin empty."""
        self.columns = columns
        self.frames = 0
        self._cells = [[" "] * columns for _ in range(ROWS)]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        """Show what a program prints."""
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
                self._row = min(self._row + 1, ROWS - 1)
            elif letter == "\r":
                self._column = 0
            elif letter:
                self._put(letter)

    def _put(self, letter: str) -> None:
        wide = 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if self._column + wide > self.columns:
            self._row, self._column = self._row + 1, 0
        self._cells[self._row][self._column : self._column + wide] = [letter, ""][:wide]
        self._column += wide

    def lines(self) -> list[str]:
        """Return what is seen, row by row."""
        return ["".join(row).rstrip() for row in self._cells]


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 132])
def test_the_picture_fits_the_terminal(redis_url: str, namespace: str, columns: int) -> None:
    """No line wraps by itself, none loses its last letter, and nothing is left of the picture before."""
    why = "結帳錯誤增加" * 8 + " https://example.com/" + "x" * 90
    with closing(Control(redis_url, namespace=namespace, actor="ada@lab")) as control:
        control.create("checkout")
        control.set("checkout", 20, why=why)
        control.create("a-split-with-a-name-that-is-longer-than-a-small-terminal-is-wide")
        control.rollback("checkout", why=why)
        live(operator_of(control).store, 1)
        screen = drawn(redis_url, namespace, columns)
    shown = "".join(line.strip() for line in screen.lines()).replace(" ", "")
    assert "stopcheckout:byada@lab," in shown
    assert why.replace(" ", "") in shown
    assert "lastchange:" in shown
    lines = [line for line in screen.lines() if line]
    assert sum("namespace" in line.split()[:1] for line in lines) == 1
    assert lines[-1].endswith("ago"), lines


def drawn(url: str, namespace: str, columns: int) -> Terminal:
    """Return what a terminal of this width shows once `watch` has drawn at least three times."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    environment = {key: value for key, value in surroundings(url, namespace).items() if key not in {"COLUMNS", "LINES"}}
    screen, rest = Terminal(columns), b""
    with subprocess.Popen(
        [*CLI, "watch"], env={**environment, "TERM": "xterm"}, stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as process:

        def three() -> bool:
            nonlocal rest
            while select.select([mine], [], [], 0)[0]:
                rest += os.read(mine, 65_536)
            whole, end, rest = rest.rpartition(b"\x1b[J")
            screen.feed((whole + end).decode())
            return screen.frames >= 3

        try:
            eventually(three, 30.0)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            os.close(its)
            os.close(mine)
    return screen


@pytest.mark.parametrize("width", [20, 21, 40, 79, 80])
@pytest.mark.parametrize("line", ["word " * 40, "x" * 300, "結" * 101, "a結 " * 60, "    deep: " + "y" * 90, ""])
def test_a_line_is_folded_into_the_columns_there_are(line: str, width: int) -> None:
    """Nothing is lost, and wide characters count twice."""
    parts = fold_to(line, width)
    assert "".join(parts).replace(" ", "") == line.replace(" ", "")
    for part in parts:
        assert sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in part) <= width
