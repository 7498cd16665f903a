"""What processes hold, in Redis: asked for with one field, told for minutes, one copy of each distinct content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from redis import exceptions

from graysplit.stores.redis.client import Command, Reply, mapping_of
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.faults import refused
from graysplit.stores.redis.keys import Keys
from graysplit.stores.text.records import exact, raw_of

KEPT_MS: Final = 300_000  # definitions may name units: nothing of them outlives what it was asked for
_ASKED: Final = "asked"
_CONTENT: Final = "content:"


def ask_contents(line: Connection, keys: Keys, request: str) -> None:
    """Ask every process what it holds; raises `RefusedError` where this role may not."""
    _write(line, "the processes cannot be asked for content", keys, ("HSET", keys.contents, _ASKED, raw_of(request)))


def tell_content(line: Connection, keys: Keys, boot: str, request: str, content: bytes) -> None:
    """Answer a request, with the content itself only where no process has told the same; raises `RefusedError`."""
    from hashlib import sha256

    digest = sha256(content).hexdigest()
    (known,) = line.ask(("HEXISTS", keys.contents, _CONTENT + digest))
    whole: list[Command] = [] if known == 1 else [("HSET", keys.contents, _CONTENT + digest, content)]
    answer = ("HSET", keys.contents, boot, raw_of(f"{request} {digest}"))
    _write(line, "this process's content was not accepted", keys, *whole, answer)


def read_contents(line: Connection, keys: Keys, request: str) -> Mapping[str, bytes]:
    """Return what was told on a request, by boot id; nothing where the key cannot be read."""
    fields = mapping_of(line.ask(("HGETALL", keys.contents))[0])
    told: dict[str, bytes] = {}
    for boot, answer in fields.items():
        said, _, digest = exact(answer[:200]).partition(" ")
        content = fields.get(raw_of(_CONTENT + digest)) if said == request else None
        if content is not None:
            told[exact(boot)] = content
    return told


def request_in(reply: Reply) -> str:
    """Return the request that a heartbeat was answered with; "" where there is none."""
    return exact(reply) if isinstance(reply, bytes) else ""


def _write(line: Connection, what: str, keys: Keys, *writes: Command) -> None:
    for reply in line.ask(*writes, ("PEXPIRE", keys.contents, KEPT_MS)):
        if isinstance(reply, exceptions.ResponseError):
            raise refused(what, reply)
