"""The log's entries as a server answers them, and its newest ones: a page with each trip that a start makes anyway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from graysplit.core.entry import Entry
from graysplit.stores.redis.client import Reply, is_list, mapping_of
from graysplit.stores.redis.connection import Connection, Posted
from graysplit.stores.redis.keys import Keys
from graysplit.stores.text.records import exact, read_entry

# So many first, then more while they are small.
AT_FIRST: Final = 4
GROWTH: Final = 8
BYTES: Final = 2 << 20


class NewestEntries:
    """Reads them newest first, a page at a time: fewer where they are big, as whole definitions made them."""

    def __init__(self, line: Connection, keys: Keys, wanted: int) -> None:
        """Begin with none; of one entry alone nobody asks here."""
        self._line = line
        self._keys = keys
        self._wanted = wanted if wanted > 1 else 0
        self._page = AT_FIRST
        self._rows: list[tuple[bytes, Mapping[bytes, bytes]]] = []
        self._bytes = 0
        self._posted: Posted | None = None
        self._asked = 0  # entries of the page that was asked for last

    @property
    def position(self) -> str:
        """The newest one's position, or an empty text where there is none or none was read yet."""
        return exact(self._rows[0][0]) if self._rows else ""

    def post(self) -> bool:
        """Ask for the next page and wait for nothing, once what was asked before is here; return whether there is one.

        The first may go out with the greeting.
        """
        self.take()
        self._asked = min(self._page, self._wanted - len(self._rows))
        if self._asked <= 0 or self._bytes >= BYTES:
            return False
        end = f"({exact(self._rows[-1][0])}" if self._rows else "+"
        self._posted = self._line.post_reading(("XREVRANGE", self._keys.log, end, "-", "COUNT", self._asked))
        self._page *= GROWTH
        return True

    def take(self) -> None:
        """Take the page that was asked for last."""
        posted, self._posted = self._posted, None
        if posted is None:
            return
        (reply,) = self._line.replies(posted)
        rows = rows_of(reply)
        self._rows += rows
        self._bytes += sum(len(text) for _, fields in rows for text in fields.values())
        self._wanted = self._wanted if len(rows) == self._asked else 0

    def entries(self) -> list[tuple[str, Entry]]:
        """Return all that were read, after what is still missing."""
        while self.post():
            pass
        return [(exact(position), read_entry(position, fields)) for position, fields in self._rows]


def entries_of(reply: Reply) -> list[tuple[str, Entry]]:
    """Take the answer to `XREVRANGE`: positions and entries, newest first; nothing where the log is unreadable."""
    return [(exact(position), read_entry(position, fields)) for position, fields in rows_of(reply)]


def rows_of(reply: Reply) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
    """Take the same answer unread."""
    rows = reply if is_list(reply) else []
    return [(row[0], mapping_of(row[1])) for row in rows if row[1] is not None]
