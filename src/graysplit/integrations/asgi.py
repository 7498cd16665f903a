"""ASGI: one context for each request and websocket, the router ready at startup and out of the fleet at shutdown.

For Starlette, FastAPI, Litestar, Quart, and whatever else speaks ASGI; needs no package.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from graysplit.integrations.life import RouterLife
from graysplit.integrations.request import OpenRequest, RequestPolicy
from graysplit.integrations.units import RequestReaders, cookie_value, text_of
from graysplit.scope import scope_reset, scope_set

if TYPE_CHECKING:
    from graysplit.core.durations import Span
    from graysplit.integrations.units import AttributeSources, ReadRequest, UnitSource
    from graysplit.router.router import Router

__all__ = ["GraysplitMiddleware"]

# Any: ASGI's own types
AsgiScope: TypeAlias = MutableMapping[str, Any]
AsgiMessage: TypeAlias = MutableMapping[str, Any]
AsgiReceive: TypeAlias = Callable[[], Awaitable[AsgiMessage]]
AsgiSend: TypeAlias = Callable[[AsgiMessage], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

READY_WITHIN_S: Final = 2.0
_WITH_HEADERS: Final = frozenset(("http.response.start", "websocket.accept"))


class GraysplitMiddleware:
    """Gives each request its context: one decision for each split and unit, in all tasks and threads that it starts.

    Pure ASGI. An error of graysplit's never reaches the application, and one of the application passes through.
    """

    def __init__(  # noqa: PLR0913 - keyword-only settings
        self,
        app: AsgiApp,
        router: Router,
        *,
        unit: UnitSource = None,
        attributes: AttributeSources = None,
        visitor_cookie: str | None = None,
        versions_header: str | None = None,
        ready_within: Span = READY_WITHIN_S,
    ) -> None:
        """Wrap an application; nothing is started.

        `unit`: `"header:x-user"`, `"cookie:sid"`, `"session:user_id"`, a callable on the scope, or a tuple of these
        (the first that gives a unit). `attributes`: names mapped to such sources, or a callable on the scope.
        `visitor_cookie`: the name of a cookie that gives users without a unit a random one. `versions_header`: the
        name of a response header that lists the versions taken. `ready_within`: how long a start waits for the store
        (2 seconds, `"10s"`). Raises `ConfigurationError` for a source that cannot be read.
        """
        self.app = app
        self._policy = RequestPolicy(READERS, unit, attributes, visitor_cookie, versions_header)
        self._life = RouterLife(router, ready_within)
        alone = self._policy.vary_alone
        self._vary_alone = (b"vary", alone.encode("latin-1")) if alone is not None else None

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if not self._life.started:  # a server without a lifespan, or a forked child
            await self._life.astart()
        request = self._policy.open(scope)
        token, taken = scope_set(request.scope), request.taken

        def forward(message: AsgiMessage) -> Awaitable[None]:  # no coroutine of its own: one for each message is enough
            # As `request.marked` says, without its call: this is asked for each message.
            if (taken or request.visitor is not None) and message["type"] in _WITH_HEADERS:
                message = self._marked(request, message)
            return send(message)

        try:
            await self.app(scope, receive, forward)
        finally:
            with suppress(ValueError):  # a loop that ends closes what still runs from a context of its own
                scope_reset(token)

    def _marked(self, request: OpenRequest, message: AsgiMessage) -> AsgiMessage:
        """Return a response's first message with the headers that caches and visitors need."""
        if self._vary_alone is not None and request.is_plain:
            there = message.get("headers") or ()
            if not any(name.lower() == b"vary" for name, _ in there):
                return {**message, "headers": [*there, self._vary_alone]}
        headers = [(bytes(name), bytes(value)) for name, value in message.get("headers") or ()]
        marks = self._policy.marks(request, _values(headers, b"vary"), _values(headers, b"cache-control"))
        replaced = {name.encode("latin-1"): value.encode("latin-1") for name, value in marks.replaced.items()}
        kept = [pair for pair in headers if pair[0].lower() not in replaced]
        added = [(name.encode("latin-1").lower(), value.encode("latin-1")) for name, value in marks.added]
        return {**message, "headers": [*kept, *replaced.items(), *added]}

    async def _live(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """Start before the application does, and say goodbye once it has shut down."""

        async def hear() -> AsgiMessage:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._life.areopen()
            return message

        async def say(message: AsgiMessage) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self._life.aclose()
            await send(message)

        await self.app(scope, hear, say)


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _header(name: str) -> ReadRequest:
    wanted = name.lower().encode("latin-1")

    def read(scope: AsgiScope) -> object:
        found: bytes | None = None
        for key, value in scope["headers"]:
            if key == wanted:
                found = value if found is None else found + b"," + value  # as a WSGI server joins them
        return text_of(found).strip() if found else None

    return read


def _cookie(name: str) -> ReadRequest:
    def read(scope: AsgiScope) -> object:
        for key, value in scope["headers"]:
            if key == b"cookie" and (found := cookie_value(text_of(value), name)) is not None:
                return found
        return None

    return read


def _session(name: str) -> ReadRequest:
    def read(scope: AsgiScope) -> object:
        return scope["session"].get(name)

    return read


READERS: Final = RequestReaders(_header, _cookie, _session)
