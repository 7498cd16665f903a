"""Break-glass: everything, or the named splits, to the baseline without Redis, from the environment or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

EVERYTHING: Final = "*"
# Enough for any list of names; a larger file is read to here.
READ_AT_MOST: Final = 1 << 20


class BreakGlass:
    """The words of `GRAYSPLIT_OFF`, and of the file that `GRAYSPLIT_OFF_FILE` names, which is looked at again."""

    def __init__(self, words: str = "", path: str | None = None) -> None:
        """Take the environment's words and the file's path."""
        self._always = _names(words)
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self.names: frozenset[str] = self._always
        self.poll()

    def covers(self, split: str) -> bool:
        """Say whether a split is switched off."""
        return EVERYTHING in self.names or split in self.names

    def poll(self) -> bool:
        """Look at the file; True where what is switched off has changed.

        A file that cannot be read, though it was there before, keeps its last words (in doubt, lower); one that is
        gone says nothing.
        """
        if self._path is None:
            return False
        try:
            found = Path(self._path).stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return False
            with Path(self._path).open(encoding="utf-8", errors="replace") as file:
                words = file.read(READ_AT_MOST)
        except FileNotFoundError:
            stamp, words = None, ""
        except OSError:
            return False
        self._stamp = stamp
        before, self.names = self.names, self._always | _names(words)
        return before != self.names


def _names(words: str) -> frozenset[str]:
    """Read names parted by commas or white space; `checkout/new` switches the whole split off."""
    return frozenset(word.partition("/")[0] for word in words.replace(",", " ").split())
