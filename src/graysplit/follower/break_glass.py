"""Break-glass: everything, or the named splits, to the baseline without Redis, from the environment or a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from graysplit.core.address import EVERYTHING

# What people type when they mean everything, and when they mean nothing. In doubt lower: `on` and `off` alike, and a
# split of such a name is switched off by it all the same.
_ALL: Final = frozenset({"*", "1", "true", "yes", "y", "on", "off", "all", "everything", "everybody"})
_NONE: Final = frozenset({"0", "false", "no", "n", "none", "nothing", "graysplit_off", "export", "set"})
# Between two names; `=` and `:` because a whole line of a configuration is pasted into the file.
_BETWEEN: Final = re.compile(r"[\s,;|=:\[\]()]+")
_AROUND: Final = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb\ufeff"
# Enough for any list of names; a larger file is read to here.
READ_AT_MOST: Final = 1 << 20


class BreakGlass:
    """The words of `GRAYSPLIT_OFF`, and of the file that `GRAYSPLIT_OFF_FILE` names, which is looked at again."""

    def __init__(self, words: str = "", path: str | None = None) -> None:
        """Take the environment's words and the file's path."""
        self._always, self._never = _words(words), frozenset[str]()
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self.names = frozenset[str]()
        self._read("")
        self.poll()

    @property
    def watched(self) -> bool:
        """Return whether there is a file to look at."""
        return self._path is not None

    def covers(self, split: str) -> bool:
        """Return whether a split is switched off."""
        return EVERYTHING in self.names or split in self.names or split in self._never

    def poll(self) -> bool:
        """Look at the file; True where what is switched off has changed.

        A file that cannot be read, though it was there before, keeps its last words (in doubt, lower); one that is
        gone says nothing.
        """
        if self._path is None:
            return False
        try:
            stat = Path(self._path).stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp == self._stamp:
                return False
            with Path(self._path).open("rb") as file:
                words = _text(file.read(READ_AT_MOST))
        except FileNotFoundError:
            stamp, words = None, ""
        except OSError:
            return False
        self._stamp = stamp
        before = self.names, self._never
        self._read(words)
        return before != (self.names, self._never)

    def _read(self, words: str) -> None:
        """Unite the file's words with the environment's."""
        found = self._always | _words(words)
        everything = frozenset({EVERYTHING}) if found & _ALL else frozenset[str]()
        self.names, self._never = everything | (found - _ALL - _NONE), found & _NONE


def _text(raw: bytes) -> str:
    """Return a file's bytes as text, whatever wrote it: names are ASCII, so of UTF-16 only the zero bytes are odd."""
    return raw.replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").decode("utf-8", "replace")


def _words(words: str) -> frozenset[str]:
    """Return words as names are written; `checkout/new` switches the whole split off."""
    parts = (part.strip(_AROUND).casefold().partition("/")[0] for part in _BETWEEN.split(words))
    return frozenset(part for part in parts if part)
