"""Where a request comes from: a change is made only by a page of this console itself, under a name it is known by."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

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

    def __init__(self, app: ASGIApp, refuse: Refuse, hosts: Collection[str] | None) -> None:
        """Take the app, what answers a request that is refused, and the hosts it is reached under; None: any."""
        self._app = app
        self._refuse = refuse
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

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
        reason = self._foreign_host(headers) or ("" if scope["method"] in SAFE else foreign_origin(headers))
        answer = self._refuse(Request(scope), reason) if reason else self._app
        await answer(scope, receive, sent)

    def _foreign_host(self, headers: Headers) -> str:
        if self._hosts is None:
            return ""
        own = _authority(headers.get("host", ""), None)
        known = own is not None and own[0] in self._hosts
        return "" if known else "the console is not served under this host name"


def foreign_origin(headers: Headers) -> str:
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
    return "" if own is not None and own == _authority(theirs, port) else "the request comes from another site"


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
