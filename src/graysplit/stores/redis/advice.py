"""How a server is kept, judged: what may lose weights, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from redis import exceptions

from graysplit.stores.port import Advice
from graysplit.stores.redis.client import Reply
from graysplit.stores.redis.faults import reason
from graysplit.stores.redis.line import Line
from graysplit.stores.redis.reading import mapping_of

_CANNOT: Final = "cannot look at {what}: {why}"

# How the folder begins in which `graysplit.embedded`, three floors up, lets its servers run.
_EMBEDDED: Final = "graysplit-"


class Version(NamedTuple):
    """Which server, and how old."""

    name: str  # Redis, Valkey
    major: int
    minor: int

    @property
    def has_roles(self) -> bool:
        """Say whether it can tell reading from writing in a user's rights (`%R~`)."""
        return (self.major, self.minor) >= (7, 0)

    @property
    def supported(self) -> bool:
        """Say whether it stands on the floor of what graysplit is made for."""
        return (self.major, self.minor) >= ((7, 2) if self.name == "Valkey" else (6, 2))


def version_of(line: Line) -> Version | None:
    """Ask for the version; None where the server keeps it to itself."""
    (reply,) = line.ask(("INFO", "server"))
    return None if isinstance(reply, exceptions.ResponseError) else _version(_info(reply))


def advise(line: Line, *, failing_over: bool) -> list[Advice]:
    """Give what may lose weights; `failing_over`: Sentinel may put a replica in the primary's place."""
    (reply,) = line.ask(("INFO",))
    if isinstance(reply, exceptions.ResponseError):
        why = reason(reply)
        found = [Advice(_CANNOT.format(what="persistence, eviction and version", why=why), "redis-cli INFO")]
    else:
        found = list(_judged(line, _info(reply)))
    return [*found, *(_failover(line) if failing_over else ())]


def _judged(line: Line, info: Mapping[str, str]) -> Iterator[Advice]:
    version = _version(info)
    if version is not None and not version.supported:
        named = f"{version.name} {version.major}.{version.minor}"
        what = f"{named} is too old: graysplit is made for Redis 6.2, Valkey 7.2 and newer"
        yield Advice(what, "redis-cli INFO server", serious=True)
    if info.get("aof_enabled") == "0" and info.get("connected_slaves", "0") == "0":
        what = "neither an append-only file nor a replica: a crash brings back old weights, or none"
        yield Advice(what, "redis-cli CONFIG SET appendonly yes", serious=not _is_for_trying_out(line))
    policy = info.get("maxmemory_policy", "")
    if policy.startswith("allkeys-"):
        what = f"maxmemory-policy {policy}: out of memory the server throws away weights and stops"
        yield Advice(what, "redis-cli CONFIG SET maxmemory-policy noeviction", serious=True)


def _is_for_trying_out(line: Line) -> bool:
    """Say whether the server is one of `graysplit.embedded`, which is meant to keep nothing: known by its folder."""
    (reply,) = line.ask(("CONFIG", "GET", "dir"))
    if isinstance(reply, exceptions.ResponseError):
        return False
    return PurePosixPath((_setting(reply) or b"").decode(errors="replace")).name.startswith(_EMBEDDED)


def _failover(line: Line) -> Iterator[Advice]:
    command = "redis-cli CONFIG SET min-replicas-to-write 1"
    (reply,) = line.ask(("CONFIG", "GET", "min-replicas-to-write"))
    if isinstance(reply, exceptions.ResponseError):
        yield Advice(_CANNOT.format(what="min-replicas-to-write", why=reason(reply)), command)
    elif _setting(reply) == b"0":
        what = (
            "min-replicas-to-write is 0 under Sentinel: a primary that was cut off still takes writes, and loses them"
        )
        yield Advice(what, command, serious=True)


def _setting(reply: Reply) -> bytes | None:
    return next(iter(mapping_of(reply).values()), None)


def _version(info: Mapping[str, str]) -> Version | None:
    for name, field in (("Valkey", "valkey_version"), ("Redis", "redis_version")):
        parts = info.get(field, "").split(".")
        if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit():
            return Version(name, int(parts[0]), int(parts[1]))
    return None


def _info(reply: Reply) -> dict[str, str]:
    text = reply.decode("utf-8", errors="replace") if isinstance(reply, bytes) else ""
    rows = (row.partition(":") for row in text.splitlines() if ":" in row)
    return {name: value.strip() for name, _, value in rows}
