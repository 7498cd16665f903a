"""What the settings dict `GRAYSPLIT` says, and the router that it names.

| key | what it says |
|---|---|
| `ROUTER` | where the program's router is, as a dotted path (`"shop.splits.gray"`); without it this app has one |
| `URL`, `NAMESPACE` | the store, where the router was not told and has not started |
| `UNIT` | `"header:x-user"`, `"cookie:sid"`, `"session:_auth_user_id"`, a callable on the request, or several |
| `ATTRIBUTES` | names mapped to such sources, or a callable on the request |
| `VISITOR_COOKIE` | the name of a cookie that gives users without a unit a random one |
| `VERSIONS_HEADER` | the name of a response header that lists the versions taken |
| `READY_WITHIN` | how long a process's first request waits for the store, in seconds |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from django.conf import settings
from django.utils.module_loading import import_string

from graysplit.errors import ConfigurationError
from graysplit.integrations.request import RequestPolicy
from graysplit.integrations.units import RequestReaders
from graysplit.router.inside import lifecycle_of
from graysplit.router.router import Router

KEYS: Final = frozenset(
    ("ROUTER", "URL", "NAMESPACE", "UNIT", "ATTRIBUTES", "VISITOR_COOKIE", "VERSIONS_HEADER", "READY_WITHIN")
)

_own: Final[list[Router]] = []


def options() -> Mapping[str, Any]:  # Any: each key's own
    """Return the settings dict; raise `ConfigurationError` where it is not one."""
    found = getattr(settings, "GRAYSPLIT", {})
    if not isinstance(found, Mapping):
        raise ConfigurationError("invalid setting GRAYSPLIT: write a dict")
    return cast("Mapping[str, Any]", found)


def get_router() -> Router:
    """Return the router that the settings name, told of the store; it is not started."""
    asked = options()
    path = asked.get("ROUTER")
    router = import_string(path) if path else _the_own()
    if not isinstance(router, Router):
        raise ConfigurationError(f"invalid GRAYSPLIT['ROUTER'] {path!r}: it is of type {type(router).__name__}")
    url, namespace = asked.get("URL"), asked.get("NAMESPACE")
    if (url or namespace) and not lifecycle_of(router).started:
        router.configure(url, namespace=namespace)
    return router


def make_policy(readers: RequestReaders) -> RequestPolicy:
    """Return how requests are taken; raise `ConfigurationError` for settings that cannot work."""
    asked = options()
    return RequestPolicy(
        readers, asked.get("UNIT"), asked.get("ATTRIBUTES"), asked.get("VISITOR_COOKIE"), asked.get("VERSIONS_HEADER")
    )


def _the_own() -> Router:
    if not _own:
        _own.append(Router())
    return _own[0]
