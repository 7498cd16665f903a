"""Where a request comes from: a change is made only by a page of this console itself, under a name it is known by."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graysplit.environment import kind_of
from graysplit.errors import ConfigurationError

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FRAMES: Final = frozenset({"embed", "fencedframe", "frame", "iframe", "object"})
ANY_HOST: Final = "*"

# No script, style or frame but our own files; `same-origin` and not `no-referrer`, under which browsers send
# `Origin: null` with a form.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
Refuse: TypeAlias = Callable[[Request, str], Response]
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class OriginCheck:
    """Refuses what another site sends, and a host that this console is not; puts its headers on every response."""

    def __init__(self, app: ASGIApp, refuse: Refuse, hosts: Collection[str]) -> None:
        """Take the app, what answers a request that is refused, and the hosts it is reached under."""
        self._app = app
        self._refuse = refuse
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        reason = foreign_host(headers, self._hosts) or framed(headers)
        if not reason and scope["method"] not in SAFE:
            reason = foreign_origin(headers, scope["scheme"])
        answer = self._refuse(Request(scope), reason) if reason else self._app
        await answer(scope, receive, sent)


def checked_hosts(hosts: Collection[str] | None) -> frozenset[str]:
    """Return the names that a console is reached under; raise `ConfigurationError` for what no request can have."""
    if hosts is None:
        return frozenset()
    if isinstance(hosts, str):
        raise ConfigurationError(f"hosts= must be a list of host names, not {kind_of(hosts)}: hosts=['{hosts}']")
    return frozenset(_checked_host(host) for host in hosts)


def foreign_host(headers: Headers, hosts: Collection[str]) -> str:
    """Return why a request's host is refused, or "".

    Another site can have its own name lead here (DNS rebinding), and is then of one origin with what it asks for. An
    address or `localhost` is no such name; any other must have been named.
    """
    if ANY_HOST in hosts:
        return ""
    own = _authority(headers.get("host", ""), None)
    if own is None:
        return "the request names no host that could be this console's"
    if own[0] in hosts or _is_local(own[0]):
        return ""
    return f"the console is not served as '{own[0]}'. To serve it there: graysplit.console.app(..., hosts=['{own[0]}'])"


def framed(headers: Headers) -> str:
    """Return why a request for a frame is refused, or ""."""
    return "the console is not shown inside another page" if headers.get("sec-fetch-dest") in FRAMES else ""


def _checked_host(host: str) -> str:
    name, port = (host, None) if host == ANY_HOST else _authority(host, None) or ("", None)
    if not name or port is not None:
        raise ConfigurationError(
            f"invalid host {host!r} in hosts=: name it without scheme, port and path ('ops.example.com'), or '*' where "
            "a proxy or the application around it checks hosts"
        )
    return name


def _is_local(host: str) -> bool:
    """Return whether a host is one to which no other site's name can lead."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def foreign_origin(headers: Headers, reached_by: str) -> str:
    """Return why an unsafe request is refused, or "": the browser must say that a page of this origin sent it."""
    sites = headers.getlist("sec-fetch-site")
    if sites:
        return "" if sites == ["same-origin"] else "the request comes from another site"
    origins = headers.getlist("origin")  # from a browser that is old, or reached over plain http
    if len(origins) != 1:
        return "the request does not say which page it comes from"
    scheme, _, theirs = origins[0].partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    own = _authority(headers.get("host", ""), port)
    is_own = own is not None and own == _authority(theirs, port)
    downgraded = reached_by == "https" and scheme != "https"  # a page that anybody on the way can write
    return "" if is_own and port is not None and not downgraded else "the request comes from another site"


def _authority(host: str, default: int | None) -> tuple[str, int | None] | None:
    """Return a host's name and port, or None for what cannot be read as one."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or "@" in host or parts.path or parts.query or parts.fragment:
        return None
    return name.lower(), default if port is None else port
