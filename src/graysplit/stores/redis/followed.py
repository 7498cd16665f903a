"""The namespaces on a server that live processes follow: for an operator who looks in an empty one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Final

from redis import exceptions

from graysplit.core.fleet import LIVE_MS
from graysplit.stores.port import Followed
from graysplit.stores.redis.client import Reply, is_list
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.reader import server_ms
from graysplit.stores.text.records import exact

PATTERN: Final = "graysplit:{*}:fleet:seen"
# How much is looked through: keys of one `SCAN` (about half a millisecond of the server); time and databases in all.
KEYS_AT_ONCE: Final = 1_000
WITHIN_S: Final = 1.0
DATABASES: Final = 16

_SEEN: Final = re.compile(r"graysplit:\{(.+)\}:fleet:seen", re.DOTALL)
_DATABASE: Final = re.compile(rb"^db([0-9]+):", re.MULTILINE)


def read_followed(line: Connection) -> tuple[Followed, ...] | None:
    """Return the namespaces with live processes, of all databases; None where the server does not tell.

    It leaves another database selected: the line is of no other use.
    """
    ends = time.monotonic() + WITHIN_S
    info, now = line.ask(("INFO", "keyspace"), ("TIME",))
    databases = sorted(map(int, _DATABASE.findall(info)))[:DATABASES] if isinstance(info, bytes) else []
    found: list[Followed] = []
    told = False
    for database in databases:
        (selected,) = line.ask(("SELECT", database))
        if isinstance(selected, exceptions.ResponseError):
            continue
        for key in _keys(line, ends):
            told = True
            name = _SEEN.fullmatch(exact(key))
            if name is not None:
                found.append(Followed(name[1], database, _live(line, key, server_ms(line, now))))
    return tuple(sorted({one for one in found if one.live})) if told else None


def _keys(line: Connection, ends: float) -> Iterator[bytes]:
    """Return the keys that list processes, and an empty one for each answer: it shows that the server tells."""
    cursor: Reply = b"0"
    while time.monotonic() < ends:
        (reply,) = line.ask(("SCAN", cursor, "MATCH", PATTERN, "COUNT", KEYS_AT_ONCE))
        if not is_list(reply):
            return
        cursor, keys = reply
        yield from (b"", *keys)
        if cursor in {b"0", 0}:
            return


def _live(line: Connection, key: bytes, now_ms: int) -> int:
    """Count the live processes; a heartbeat may have come since the time was read, within the search's own time."""
    (count,) = line.ask(("ZCOUNT", key, now_ms - LIVE_MS, now_ms + LIVE_MS))
    return count if isinstance(count, int) else 0
