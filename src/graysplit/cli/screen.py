"""What `watch` shows: the picture, drawn from the top of the screen and no more than it holds, and a dialog below.

Where nothing is drawn, a dialog's lines are printed as they come.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from graysplit.cli.output import WIDTH, fold_to, is_screen, tell

if TYPE_CHECKING:
    from graysplit.control.views import Overview

NARROWEST: Final = 20  # columns; what is narrower is drawn as if it were not


class Screen:
    """One terminal, or what stands for it. The thread that follows draws, the one that reads keys has the dialog."""

    def __init__(self, *, json: bool) -> None:
        """Begin with nothing shown."""
        self.json = json  # whether JSON lines are printed
        self.view: Overview | None = None  # what was read last
        self.is_read = threading.Event()  # whether anything was
        self._picture: Sequence[str] = ()
        self._dialog: Sequence[str] = ()
        self._over = False
        self._lock = threading.Lock()

    @property
    def draws(self) -> bool:
        """Return whether the whole is drawn anew with each change."""
        return is_screen() and not self.json

    def read(self, view: Overview) -> None:
        """Take what was read: the dialog asks about what is shown."""
        self.view = view
        self.is_read.set()

    def draw(self, picture: Sequence[str]) -> None:
        """Show the picture, above the dialog."""
        with self._lock:
            self._picture = picture
            self._paint()

    def tell(self, dialog: Sequence[str]) -> None:
        """Show the dialog, below the picture once there is one; where nothing is drawn, print what is new of it."""
        with self._lock:
            before, self._dialog = self._dialog, dialog
            if self._over:
                return
            if not self.draws:
                told = takewhile(lambda pair: pair[0] == pair[1], zip(before, dialog, strict=False))
                tell(*dialog[len([*told]) :])
            elif self._picture:
                self._paint()

    def close(self) -> None:
        """Show nothing more: the last word is the program's."""
        with self._lock:
            self._over = True

    def _paint(self) -> None:
        """Draw from the top of the screen, leaving nothing of the last time, and no more than it holds.

        A line is erased before it is written: behind one as wide as the screen its last character would be erased.
        """
        columns, height = shutil.get_terminal_size()
        width, height = min(WIDTH, max(NARROWEST, columns)), max(2, height - 1)
        below = ["", *self._dialog] if self._dialog else []
        dialog = [part for line in below for part in fold_to(line, width)][2 - height :]
        folded = [part for line in self._picture for part in fold_to(line, width)]
        room = height - len(dialog)
        if len(folded) > room:
            more = f"... and {len(folded) - room + 1} more lines: graysplit list"
            folded = [*folded[: room - 1], *fold_to(more, width)[:1]]
        text = "\x1b[H" + "".join(f"\x1b[K{line}\n" for line in [*folded, *dialog]) + "\x1b[J"
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:  # a terminal that knows ASCII only
            sys.stdout.write(text.encode("ascii", "backslashreplace").decode())
        sys.stdout.flush()
