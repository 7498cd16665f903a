"""The rights of a server's users, as data: `app` can only lower, `drive` may also raise, `ops` may do everything here.

Redis knows commands and keys, not whether a write goes up or down: that is why a stop is a key of its own, and why
a driver may raise. A script runs with its caller's rights, and what it declares is checked as if it were
written to; so a script declares only what it writes, and rights to run one never reach further than rights to write.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from graysplit.stores.redis.keys import keys_of


class Grant(NamedTuple):
    """Commands on keys (the ends of their names, `*` for all); an empty tuple of keys: commands without keys."""

    commands: tuple[str, ...]
    keys: tuple[str, ...] = ()
    write: bool = False


_SCRIPTS: Final = ("eval", "evalsha")
_HASHES: Final = ("hset", "hdel", "hincrby")

# What every role needs to follow and to look.
READ: Final = (
    Grant(
        (
            *("hgetall", "hget", "hmget", "hlen", "hkeys", "hexists", "hscan", "hstrlen"),
            *("xrange", "xrevrange", "xread", "xlen", "memory|usage", "zrange", "pttl", "watch"),
        ),
        ("*",),
    ),
    Grant(
        (
            *("hello", "ping", "select", "multi", "exec", "discard", "unwatch"),
            *("role", "info", "time", "wait", "command", "cluster|slots", "cluster|shards"),
            *("client|id", "client|tracking", "subscribe"),
        )
    ),
)
# No XADD: `XADD log MAXLEN 0` would empty the history. No EXPIRE where stops are: that would be a way to clear them.
APP: Final = (
    *READ,
    Grant(("hsetnx", *_SCRIPTS), ("stops",), write=True),
    Grant((*_HASHES, "zadd", "zrem", "pexpire", *_SCRIPTS), ("fleet:*", "tally:*"), write=True),
)
_DRIVEN: Final = ("weights", "meta", "plans", "booked", "log", "latest")
DRIVE: Final = (
    *APP,
    Grant((*_HASHES, "xadd"), _DRIVEN, write=True),
    Grant(_SCRIPTS, (*_DRIVEN, "stops"), write=True),
)
OPS: Final = (
    *READ,
    Grant(("config|get", "client|list")),  # client|list: whose connection has ended
    Grant((*_HASHES, "hsetnx", "xadd", "zadd", "zrem", "pexpire", *_SCRIPTS), ("*",), write=True),
)
ROLES: Final = {"app": APP, "drive": DRIVE, "ops": OPS}
MEANINGS: Final = {
    "app": "follows, and may stop a candidate; cannot raise, clear a stop or write history",
    "drive": "may also write weights, plans and history: a driver may raise",
    "ops": "may also write definitions and clear stops",
}
_CHANNELS: Final = ("resetchannels", "&__redis__:invalidate")  # Redis 6.2 begins with all channels


def rules(role: str, namespace: str) -> tuple[str, ...]:
    """Return a role's rules for Redis 7.0 and newer: rights to read, and a selector for each way to write."""
    reads = [grant for grant in ROLES[role] if not grant.write]
    patterns = [f"%R~{_pattern(end, namespace)}" for grant in reads for end in grant.keys]
    commands = [f"+{command}" for grant in reads for command in grant.commands]
    return (*patterns, *_CHANNELS, *commands, *(_selector(g, namespace) for g in ROLES[role] if g.write))


def rules_before_7(role: str, namespace: str) -> tuple[str, ...]:
    """Return the nearest that older servers know: commands alone, so that every role can raise."""
    commands = dict.fromkeys(f"+{command}" for grant in ROLES[role] for command in grant.commands)
    return (f"~{_pattern('*', namespace)}", *_CHANNELS, *commands)


def _selector(grant: Grant, namespace: str) -> str:
    words = (*(f"~{_pattern(end, namespace)}" for end in grant.keys), *(f"+{command}" for command in grant.commands))
    return f"({' '.join(words)})"


def _pattern(end: str, namespace: str) -> str:
    prefix = keys_of(namespace).weights.removesuffix("weights")
    return re.sub(r"([\\*?\[\]])", r"\\\1", prefix) + end
