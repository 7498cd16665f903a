"""From an address to a store."""

from __future__ import annotations

import re
from typing import Final

from graysplit.environment import check_namespace
from graysplit.errors import ConfigurationError, nearest
from graysplit.stores.port import Store

REDIS_SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
_SCHEMES: Final = (*REDIS_SCHEMES, "memory")
_SCHEME: Final = re.compile(r"[a-z+]{1,16}")  # anything else before "://" may be a login


def store_from_url(url: str, namespace: str = "default") -> Store:
    """Make the store that an address names; nothing is connected yet.

    `redis://host:6379/0`, `rediss://` (TLS), `unix:///path/to/socket`, `redis+sentinel://h1:26379,h2:26379/name`,
    `redis+cluster://h1:6379,h2:6379`, `memory://` (private) or `memory://name` (shared inside this process).
    """
    url = url.strip()  # a file that holds an address often ends in a line feed
    check_scheme(url)
    scheme, _, rest = url.partition("://")
    check_namespace(namespace)
    if scheme == "memory":
        from graysplit.stores.memory import MemoryStore

        return MemoryStore(rest.strip("/"), namespace)
    from graysplit.stores.redis import RedisStore

    return RedisStore(url, namespace)


def check_scheme(url: str) -> None:
    """Raise `ConfigurationError` for an address that names no kind of store; the rest of it is read at the start."""
    scheme, found, _ = url.strip().partition("://")
    if not found or scheme not in _SCHEMES:
        raise ConfigurationError(_unknown(scheme if found and _SCHEME.fullmatch(scheme) else ""))


def place_of(name: str) -> str:
    """Return where a store is, from its printable name, as people look for it: `HOST:PORT/DB`."""
    scheme, _, rest = name.partition("://")
    if scheme not in {"redis", "rediss"}:
        return name
    host, _, database = rest.partition("/")
    port = "" if re.search(r":[0-9]+$", host) else ":6379"
    return f"{host or 'localhost'}{port}/{database or '0'}"


def _unknown(scheme: str) -> str:
    """Return what addresses look like, without the address: it may hold a password."""
    known = ", ".join(f"{name}://" for name in _SCHEMES)
    if not scheme:
        return f"the store's address has no scheme (use one of {known}), for example redis://localhost:6379/0"
    guess = nearest(scheme, _SCHEMES)
    hint = f" Did you mean {guess}://?" if guess else ""
    return f"unknown store scheme {scheme}://.{hint} Use one of {known}"
