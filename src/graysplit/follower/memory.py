"""Return to the system what a very large reading took and let go of.

The tables behind a hundred thousand fields are megabytes each, and one after the other is made and dropped while they
change. glibc keeps what was freed of them (measured: 40 MB, a minute after the fields were gone) until it is asked.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

# So many fields fewer than at most: about ten megabytes. Nobody asks for less.
FEWER: Final = 20_000


class Memory:
    """How much was held at most since memory was given back last; used by the follower's thread alone."""

    def __init__(self) -> None:
        """Begin with nothing held."""
        self._most = 0

    def note(self, fields: int, *, quiet: bool) -> bool:
        """Take note of how many fields are held; where very many are gone and it is quiet again, give memory back."""
        self._most = max(self._most, fields)
        if not quiet or self._most - fields < FEWER:
            return False
        self._most = fields
        give_back()
        return True


def give_back() -> None:
    """Have glibc return what is free, where it is glibc; other threads go on, and it takes milliseconds."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(ImportError, OSError, AttributeError):  # another C library, or Python built without ctypes
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
