"""aiohttp's server: `setup(app, gray, unit="header:x-user")`. Needs the extra `aiohttp`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from graysplit.errors import ConfigurationError
from graysplit.integrations.life import RouterLife
from graysplit.integrations.request import OpenRequest, RequestPolicy
from graysplit.integrations.units import RequestReaders, cookie_value, text_of
from graysplit.router.router import Router
from graysplit.scope import scope_reset, scope_set

try:
    from aiohttp import web
except ImportError as missing:
    raise ImportError('graysplit.integrations.aiohttp needs aiohttp: pip install "graysplit[aiohttp]"') from missing

if TYPE_CHECKING:
    from graysplit.core.durations import Span
    from graysplit.integrations.units import AttributeSources, ReadRequest, UnitSource

__all__ = ["ROUTER", "setup"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

READY_WITHIN_S: Final = 2.0
ROUTER: Final = web.AppKey("graysplit.router", Router)  # in the application, for handlers that want it
SESSION_STORAGE: Final = "aiohttp_session_storage"  # where aiohttp-session leaves what it reads from


def _request_key(name: str) -> Any:  # noqa: ANN401 - a key of whichever kind this aiohttp has
    """Return what a request keeps something under; plain text is discouraged since aiohttp 3.14."""
    make = getattr(web, "RequestKey", None)
    return name if make is None else make(name, object)


SESSION: Final = _request_key("graysplit.session")


def setup(  # noqa: PLR0913 - keyword-only settings
    app: web.Application,
    router: Router,
    *,
    unit: UnitSource = None,
    attributes: AttributeSources = None,
    visitor_cookie: str | None = None,
    versions_header: str | None = None,
    ready_within: Span = READY_WITHIN_S,
) -> None:
    """Open a context for each request of an application and its sub-applications; start and end the router with it.

    `unit`: `"header:x-user"`, `"cookie:sid"`, `"session:user_id"` of aiohttp-session, a callable on aiohttp's request,
    or a tuple of these (the first that gives a unit). `attributes`: names mapped to such sources, or a callable on the
    request. `visitor_cookie`: the name of a cookie that gives users without a unit a random one. `versions_header`:
    the name of a response header that lists the versions taken. `ready_within`: how long a start waits for the store
    (2 seconds, `"10s"`). Nothing is started. Raises `ConfigurationError` for a source that cannot be read.
    """
    if ROUTER in app:
        raise ConfigurationError("graysplit has joined this aiohttp application already: call setup once")
    policy = RequestPolicy(READERS, unit, attributes, visitor_cookie, versions_header)
    life = RouterLife(router, ready_within)
    contexts = RequestContexts(policy)

    async def live(_: web.Application) -> AsyncIterator[None]:
        await life.areopen()
        yield
        await life.aclose()

    app[ROUTER] = router
    app.middlewares.append(web.middleware(contexts))
    app.on_response_prepare.append(contexts.prepare)
    app.cleanup_ctx.insert(0, live)  # before what else the application starts, and after what it ends


class RequestContexts:
    """The middleware, and what is done when an answer begins."""

    def __init__(self, policy: RequestPolicy) -> None:
        """Do nothing yet."""
        self._policy = policy
        # In the request, by names of this application's own: a sub-application may have another setup.
        self._opened = _request_key(f"graysplit.request.{id(self)}")
        self._handled = _request_key(f"graysplit.handled.{id(self)}")

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Serve one request, or a websocket for its life."""
        if self._policy.may_wait and SESSION_STORAGE in request:
            await _load_session(request)
        opened = request[self._opened] = self._policy.open(request)
        token = scope_set(opened.scope)
        try:
            return await handler(request)
        finally:
            request[self._handled] = True
            with suppress(ValueError):  # a loop that ends closes what still runs from a context of its own
                scope_reset(token)

    async def prepare(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Set the headers of an answer that caches and visitors need."""
        opened: OpenRequest | None = request.get(self._opened)
        if opened is None:
            return
        if self._handled in request:
            scope_set(opened.scope)  # aiohttp writes a body of parts after all middlewares, and ends the task with it
        if opened.marked:
            self._mark(opened, response.headers)

    def _mark(self, opened: OpenRequest, headers: Any) -> None:  # noqa: ANN401 - a multidict
        alone = self._policy.vary_alone
        if alone is not None and opened.is_plain and "Vary" not in headers:
            headers["Vary"] = alone
            return
        marks = self._policy.marks(opened, headers.getall("Vary", ()), headers.getall("Cache-Control", ()))
        for name, value in marks.replaced.items():
            headers[name.title()] = value
        for name, value in marks.added:
            headers.add(name.title(), value)


async def _load_session(request: web.Request) -> None:
    """Have aiohttp-session's session read, which it does when it is asked for; what fails there gives no unit."""
    from aiohttp_session import get_session

    with suppress(Exception):
        request[SESSION] = await get_session(request)


def _header(name: str) -> ReadRequest:
    def read(request: web.Request) -> object:
        found: list[str] = request.headers.getall(name, [])
        return _text(",".join(found)).strip() if found else None  # as a WSGI server joins them

    return read


def _cookie(name: str) -> ReadRequest:
    def read(request: web.Request) -> object:
        found = (cookie_value(_text(header), name) for header in request.headers.getall("Cookie", ()))
        return next((value for value in found if value is not None), None)

    return read


def _session(name: str) -> ReadRequest:
    def read(request: web.Request) -> object:
        return request[SESSION].get(name)

    return read


def _text(value: str) -> str:
    """Return a header as text: aiohttp hands bytes that are not UTF-8 over as surrogates."""
    return value if value.isascii() else text_of(value.encode("utf-8", "surrogateescape"))


READERS: Final = RequestReaders(_header, _cookie, _session)
