"""WSGI: one context for each request, until its answer is closed; the router ready before a process's first request.

For Flask, Django, Pyramid, Bottle, and whatever else speaks WSGI; needs no package. gunicorn, uWSGI and waitress need
no line for start and end: a worker says goodbye when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from graysplit.integrations.life import RouterLife
from graysplit.integrations.request import OpenRequest, RequestPolicy
from graysplit.integrations.units import RequestReaders, cookie_value, text_of
from graysplit.scope import scope_reset, scope_set

if TYPE_CHECKING:
    from graysplit.core.durations import Span
    from graysplit.integrations.units import AttributeSources, ReadRequest, UnitSource
    from graysplit.router.router import Router
    from graysplit.scope import Scope

__all__ = ["GraysplitMiddleware"]

Environ: TypeAlias = dict[str, Any]  # Any: WSGI's own types
StartResponse: TypeAlias = Callable[..., Any]
WsgiApp: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]
ResponseHeaders: TypeAlias = list[tuple[str, str]]

READY_WITHIN_S: Final = 2.0
SESSIONS: Final = ("beaker.session", "werkzeug.session", "session")  # where session middlewares leave theirs
REQUEST: Final = "graysplit.request"  # in the environ, for the frameworks that know the unit later


class GraysplitMiddleware:
    """Gives each request its context: one decision for each split and unit, also while its answer is streamed.

    An error of graysplit's never reaches the application, and one of the application passes through.
    """

    def __init__(  # noqa: PLR0913 - keyword-only settings
        self,
        app: WsgiApp,
        router: Router,
        *,
        unit: UnitSource = None,
        attributes: AttributeSources = None,
        visitor_cookie: str | None = None,
        versions_header: str | None = None,
        ready_within: Span = READY_WITHIN_S,
    ) -> None:
        """Wrap an application; nothing is started.

        `unit`: `"header:x-user"`, `"cookie:sid"`, `"session:user_id"`, a callable on the environ, or a tuple of these
        (the first that gives a unit). `attributes`: names mapped to such sources, or a callable on the environ.
        `visitor_cookie`: the name of a cookie that gives users without a unit a random one. `versions_header`: the
        name of a response header that lists the versions taken. `ready_within`: how long a process's first request
        waits for the store (2 seconds, `"10s"`). Raises `ConfigurationError` for a source that cannot be read.
        """
        self.app = app
        self._policy = RequestPolicy(READERS, unit, attributes, visitor_cookie, versions_header)
        self._life = RouterLife(router, ready_within)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if not self._life.started:
            self._life.start()
        environ[REQUEST] = request = self._open(environ)
        token = scope_set(request.scope)
        try:
            answer = self.app(environ, partial(self._start, request, start_response))
        finally:
            scope_reset(token)
        if answer.__class__ in (list, tuple) or _is_file(answer, environ):
            return answer  # no code of the application's runs in it
        return ScopedAnswer(answer, request.scope)

    def _open(self, environ: Environ) -> OpenRequest:
        return self._policy.open(environ)

    def _start(
        self,
        request: OpenRequest,
        start_response: StartResponse,
        status: str,
        headers: ResponseHeaders,
        *exc_info: object,
    ) -> object:
        if request.marked:
            alone = self._policy.vary_alone
            if alone is not None and request.is_plain and not _values(headers, "vary"):
                headers = [*headers, ("Vary", alone)]
            else:
                headers = self._marked(request, headers)
        return start_response(status, headers, *exc_info)

    def _marked(self, request: OpenRequest, headers: ResponseHeaders) -> ResponseHeaders:
        """Return a response's headers with those that caches and visitors need."""
        marks = self._policy.marks(request, _values(headers, "vary"), _values(headers, "cache-control"))
        kept = [pair for pair in headers if pair[0].lower() not in marks.replaced]
        return [*kept, *((name.title(), value) for name, value in (*marks.replaced.items(), *marks.added))]


class ScopedAnswer:
    """An answer's body, each step of which runs in the request's context; nothing is left open between two of them."""

    __slots__ = ("_body", "_next", "_scope")

    def __init__(self, body: Iterable[bytes], scope: Scope) -> None:
        """Take the body, not begun yet."""
        self._body = body
        self._scope = scope
        self._next: Callable[[], bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Return the next part."""
        token = scope_set(self._scope)
        try:
            if self._next is None:
                self._next = iter(self._body).__next__
            return self._next()
        finally:
            scope_reset(token)

    def close(self) -> None:
        """Close the body, in the context too."""
        close = getattr(self._body, "close", None)
        if close is not None:
            token = scope_set(self._scope)
            try:
                close()
            finally:
                scope_reset(token)


def _is_file(answer: object, environ: Environ) -> bool:
    """Return whether the server sends this as a file by itself: it must see its own wrapper."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(answer, wrapper)


def _values(headers: ResponseHeaders, name: str) -> list[str]:
    return [value for key, value in headers if key.lower() == name]


def _header(name: str) -> ReadRequest:
    key = name.upper().replace("-", "_")
    key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"

    def read(environ: Environ) -> object:
        value = environ.get(key)
        return _text(value).strip() if value else None

    return read


def _cookie(name: str) -> ReadRequest:
    def read(environ: Environ) -> object:
        return cookie_value(_text(environ.get("HTTP_COOKIE", "")), name)

    return read


def _session(name: str) -> ReadRequest:
    def read(environ: Environ) -> object:
        key = next((key for key in SESSIONS if key in environ), SESSIONS[0])
        return cast("Mapping[str, object]", environ[key]).get(name)

    return read


def _text(value: str) -> str:
    """Return a header as text: a server hands its bytes over as latin-1."""
    return value if value.isascii() else text_of(value.encode("latin-1", "replace"))


READERS: Final = RequestReaders(_header, _cookie, _session)
