"""How far hooks have been told, in Redis: read it, read the log from there, write it if it is still as read."""

from __future__ import annotations

from redis import exceptions

from graysplit.core.entry import Entry
from graysplit.stores.port import CursorReading
from graysplit.stores.redis.client import Command, mapping_of
from graysplit.stores.redis.connection import Connection, Posted
from graysplit.stores.redis.faults import lacks_scripts, neither, refused, unreachable
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.newest import entries_of
from graysplit.stores.redis.reader import check_role, server_ms
from graysplit.stores.redis.scripts import script
from graysplit.stores.text.records import exact, raw_of

_REFUSED = "this process sends no notices"


def begin_told(line: Connection, keys: Keys) -> Posted:
    """Ask how far each hook has been told, for `read_told` to take the answer."""
    return line.begin_transaction(*_told_commands(keys))


def read_told(line: Connection, keys: Keys, begun: Posted | None = None) -> CursorReading:
    """Read how far each hook has been told, with the log's end; raises `RefusedError` where they may not be read.

    `begun`: it was asked already.
    """
    notices, end, now, role = line.transaction(*_told_commands(keys), begun=begun)
    check_role(line, role)
    for reply in (notices, end):
        if isinstance(reply, exceptions.ResponseError):
            raise refused("the hooks' cursors cannot be read", reply)
    texts = {exact(hook): exact(raw) for hook, raw in mapping_of(notices).items()}
    position, revision = next(((at, entry.revision) for at, entry in entries_of(end)), ("0-0", 0))
    return CursorReading(texts, position, revision, server_ms(line, now))


def _told_commands(keys: Keys) -> tuple[Command, ...]:
    return ("HGETALL", keys.notices), ("XREVRANGE", keys.log, "+", "-", "COUNT", 1), ("TIME",), ("ROLE",)


def read_log(line: Connection, keys: Keys, start: str, count: int) -> tuple[tuple[str, Entry], ...]:
    """Read the log from a position on, oldest first; the entry that stands there is the first."""
    (reply,) = line.ask(("XRANGE", keys.log, start, "+", "COUNT", count))
    if isinstance(reply, exceptions.ResponseError):
        raise unreachable(line.name, reply, needed="XRANGE")
    return tuple(entries_of(reply))


def save_cursor(line: Connection, keys: Keys, hook: str, read: str | None, text: str) -> bool:
    """Write a hook's record if it is still as read; raises `RefusedError` where this role may not."""
    answer = line.evaluate(script("save_cursor"), (keys.notices,), (raw_of(hook), raw_of(read or ""), raw_of(text)))
    if lacks_scripts(answer):
        return _tell_by_watching(line, keys, hook, read, text)
    if isinstance(answer, exceptions.ResponseError):
        raise refused(_REFUSED, answer)
    return bool(answer)


def _tell_by_watching(line: Connection, keys: Keys, hook: str, read: str | None, text: str) -> bool:
    watched, found = line.ask(("WATCH", keys.notices), ("HGET", keys.notices, raw_of(hook)))
    if isinstance(watched, exceptions.ResponseError):
        raise neither(_REFUSED, watched)
    if isinstance(found, exceptions.ResponseError):
        line.ask(("UNWATCH",))
        raise refused(_REFUSED, found)
    if (found or b"") != raw_of(read or ""):
        line.ask(("UNWATCH",))
        return False
    written = line.commit(("HSET", keys.notices, raw_of(hook), raw_of(text)))
    if isinstance(written, exceptions.ResponseError):
        raise refused(_REFUSED, written)
    return written is not None
