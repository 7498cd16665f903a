"""How a server is kept, judged: what may lose weights, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from redis import exceptions

from graysplit.errors import StoreUnreachableError
from graysplit.stores.port import Advice
from graysplit.stores.redis.client import Reply, mapping_of
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.faults import is_condition, is_oom, reason, unreachable
from graysplit.stores.redis.keys import Keys

# Asked for one by one: all of them would have the server's passwords among them.
_SETTINGS: Final = ("dir", "min-replicas-to-write", "stop-writes-on-bgsave-error")
_CONFIG_SET: Final = " CONFIG SET "
_CANNOT: Final = "cannot look at {what}: {why}"

# How the folder begins in which `graysplit.embedded`, three floors up, lets its servers run.
_EMBEDDED: Final = "graysplit-"


_NO_WRITES: Final = "it takes no writes: no change is possible, not even a rollback"


class ServerVersion(NamedTuple):
    """Which server, and how old."""

    name: str  # Redis, Valkey
    major: int
    minor: int

    @property
    def has_roles(self) -> bool:
        """Return whether it can tell reading from writing in a user's rights (`%R~`)."""
        return (self.major, self.minor) >= (7, 0)

    @property
    def supported(self) -> bool:
        """Return whether it stands on the floor of what graysplit is made for."""
        return (self.major, self.minor) >= ((7, 2) if self.name == "Valkey" else (6, 2))


def version_of(line: Connection) -> ServerVersion | None:
    """Ask for the version; None where the server keeps it to itself."""
    (reply,) = line.ask(("INFO", "server"))
    return None if isinstance(reply, exceptions.ResponseError) else _version(_info(reply))


def advise(line: Connection, keys: Keys, *, failing_over: bool) -> list[Advice]:
    """Return what may lose weights; `failing_over`: Sentinel may put a replica in the primary's place.

    Whether the server takes writes is asked last, by a write into the fleet's keys that changes nothing: a server that
    does not answer it ends the connection.
    """
    info, *config = line.ask(("INFO",), *(("CONFIG", "GET", name) for name in _SETTINGS))
    settings, blocked = _settings(config)
    pieces = list(_expiring(line, keys))
    if isinstance(info, exceptions.ResponseError):
        why = reason(info)
        pieces.append(Advice(_CANNOT.format(what="persistence, eviction and version", why=why), "redis-cli INFO"))
    else:
        pieces += _judged(_info(info), settings)
    if failing_over:
        pieces += _failover(settings, blocked)
    refusal = _writes(line, keys, {} if isinstance(info, exceptions.ResponseError) else _info(info), settings)
    pieces = [_typeable(advice, blocked) for advice in pieces]
    # Where no writes are taken it is serious, whoever can end it.
    return [*pieces, *(_typeable(advice, blocked)._replace(serious=True) for advice in refusal)]


def _typeable(advice: Advice, blocked: str) -> Advice:
    """Return an advice as a note where this server does not let its command be typed: it is another's to follow."""
    if not blocked or _CONFIG_SET not in advice.command:
        return advice
    setting = advice.command.partition(_CONFIG_SET)[2]
    where = f"ask the operator of this server to set: {setting} (CONFIG is refused here: {blocked})"
    return advice._replace(command=where, serious=False)


def _expiring(line: Connection, keys: Keys) -> Iterator[Advice]:
    """Name keys that the server will throw away by itself, at a time that somebody has set."""
    lasting = (*keys.followed, keys.plans, keys.booked, keys.log)
    for key, left in zip(lasting, line.ask(*(("PTTL", key) for key in lasting)), strict=True):
        command = f"redis-cli PERSIST '{key}'"
        if isinstance(left, exceptions.ResponseError):
            yield Advice(_CANNOT.format(what="whether keys expire", why=reason(left)), f"redis-cli PTTL '{key}'")
            return
        if isinstance(left, int) and left >= 0:
            what = f"the key {key} expires in {left // 1000} s: it has a time to live, and then it is lost"
            yield Advice(what, command, serious=True)


def _judged(info: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[Advice]:
    version = _version(info)
    if version is not None and not version.supported:
        named = f"{version.name} {version.major}.{version.minor}"
        what = f"{named} is too old: graysplit is made for Redis 6.2, Valkey 7.2 and newer"
        yield Advice(what, "redis-cli INFO server", serious=True)
    if info.get("aof_enabled") == "0" and info.get("connected_slaves", "0") == "0":
        what = "neither an append-only file nor a replica: a crash brings back old weights, or none"
        yield Advice(what, "redis-cli CONFIG SET appendonly yes", serious=not _is_for_trying_out(settings))
    policy = info.get("maxmemory_policy", "")
    if policy.startswith("allkeys-"):
        what = f"maxmemory-policy {policy}: when out of memory, the server evicts weights and stops"
        yield Advice(what, "redis-cli CONFIG SET maxmemory-policy noeviction", serious=True)


def _writes(line: Connection, keys: Keys, info: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[Advice]:
    """Yield advice where a server takes no writes; where it may not be asked, by what it tells of itself."""
    try:
        (answer,) = line.ask(("ZADD", keys.seen, "XX", 0, ""))
    except StoreUnreachableError as fault:
        command = "redis-cli CLIENT UNPAUSE" if fault.silent else "redis-cli INFO"
        yield Advice(f"{_NO_WRITES}: {fault.reason}", command)
        return
    if not isinstance(answer, exceptions.ResponseError):
        return
    if not is_condition(answer):  # this command alone, or this key
        yield from _told_of_writes(info, settings)
    else:
        yield Advice(f"{_NO_WRITES}: {reason(answer)}", _way_out(str(answer)))


def _told_of_writes(info: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[Advice]:
    if info.get("rdb_last_bgsave_status") == "err" and settings.get("stop-writes-on-bgsave-error") != "no":
        known = "" if settings else ", unless stop-writes-on-bgsave-error is no"
        yield Advice(f"{_NO_WRITES}: its last save to disk has failed{known}", _way_out("MISCONF"))
    if info.get("aof_last_write_status") == "err":
        what = f"{_NO_WRITES}: it cannot write its append-only file"
        yield Advice(what, _way_out("MISCONF Errors writing to the AOF file"))
    most, used = int(info.get("maxmemory") or 0), int(info.get("used_memory") or 0)
    if 0 < most <= used and info.get("maxmemory_policy") == "noeviction":
        yield Advice(f"{_NO_WRITES}: it is out of memory ({used} of {most} bytes)", _way_out("OOM"))


def _way_out(error: str) -> str:
    """Return the command that makes a server take writes again, by its own words."""
    if is_oom(exceptions.ResponseError(error)):
        return "redis-cli CONFIG SET maxmemory 0, or more than it has"
    return f"redis-cli {unreachable('', exceptions.ResponseError(error)).mend or 'INFO'}"


def _is_for_trying_out(settings: Mapping[str, str]) -> bool:
    """Return whether the server is one of `graysplit.embedded`, which is meant to keep nothing: known by its folder."""
    return PurePosixPath(settings.get("dir", "")).name.startswith(_EMBEDDED)


def _failover(settings: Mapping[str, str], blocked: str) -> Iterator[Advice]:
    command = "redis-cli CONFIG SET min-replicas-to-write 1"
    if blocked:
        yield Advice(_CANNOT.format(what="min-replicas-to-write", why=blocked), command)
    elif settings.get("min-replicas-to-write") == "0":
        what = (
            "min-replicas-to-write is 0 under Sentinel: a primary that was cut off still takes writes, and loses them"
        )
        yield Advice(what, command, serious=True)


def _settings(replies: Iterable[Reply]) -> tuple[Mapping[str, str], str]:
    """Read the server's settings; or say why it does not tell them."""
    read: dict[str, str] = {}
    for reply in replies:
        if isinstance(reply, exceptions.ResponseError):
            return {}, reason(reply)
        read |= {name.decode(): value.decode(errors="replace") for name, value in mapping_of(reply).items()}
    return read, ""


def _version(info: Mapping[str, str]) -> ServerVersion | None:
    for name, field in (("Valkey", "valkey_version"), ("Redis", "redis_version")):
        parts = info.get(field, "").split(".")
        if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit():
            return ServerVersion(name, int(parts[0]), int(parts[1]))
    return None


def _info(reply: Reply) -> dict[str, str]:
    text = reply.decode("utf-8", errors="replace") if isinstance(reply, bytes) else ""
    rows = (row.partition(":") for row in text.splitlines() if ":" in row)
    return {name: value.strip() for name, _, value in rows}
