"""Django's middleware, for sync and async servers: one context for each request, also while its answer is streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async

from graysplit.integrations import wsgi
from graysplit.integrations.django.options import get_router, make_policy, options
from graysplit.integrations.life import RouterLife
from graysplit.integrations.request import OpenRequest
from graysplit.integrations.units import RequestReaders
from graysplit.scope_entry import Resumed

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from graysplit.integrations.units import ReadRequest
    from graysplit.scope import Scope


class GraysplitMiddleware:
    """Gives each request its context, and `request.graysplit`, the router.

    It stands below the middlewares of the session and of the user, where its unit is read from these.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:  # Any: a response, or one to await
        """Read the settings; nothing is started."""
        self._get_response = get_response
        self._router = get_router()
        self._policy = make_policy(READERS)
        self._life = RouterLife(self._router, options().get("READY_WITHIN", wsgi.READY_WITHIN_S))
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        if self._is_async:
            return self._aserve(request)
        if not self._life.started:
            self._life.start()
        opened = self._open(request)
        with Resumed(opened.scope):
            return self._answered(opened, self._get_response(request))

    async def _aserve(self, request: HttpRequest) -> HttpResponseBase:
        if not self._life.started:
            await self._life.astart()
        # In a thread: a session or a user may be read from the database there.
        opened = await sync_to_async(self._open)(request) if self._policy.may_wait else self._open(request)
        with Resumed(opened.scope):
            return self._answered(opened, await self._get_response(request))

    def _open(self, request: HttpRequest) -> OpenRequest:
        request.graysplit = self._router
        return self._policy.open(request)

    def _answered(self, opened: OpenRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.streaming and getattr(response, "file_to_stream", None) is None:  # files are the server's
            streamed: Any = response  # Any: sync or async
            parts = streamed.streaming_content
            streamed.streaming_content = (
                _aresumed(parts, opened.scope) if streamed.is_async else _resumed(parts, opened.scope)
            )
        if opened.marked:
            said = response.headers
            marks = self._policy.marks(opened, [said.get("Vary", "")], [said.get("Cache-Control", "")])
            for name, value in marks.replaced.items():
                response[name.title()] = value
            for name, value in marks.added:
                if name == "set-cookie":
                    response.cookies.load(value)
                else:
                    response[name] = value
        return response


def _resumed(parts: Iterator[bytes], scope: Scope) -> Iterator[bytes]:
    """Return the parts, each made in the request's context."""
    steps = iter(parts)
    while True:
        with Resumed(scope):
            try:
                part = next(steps)
            except StopIteration:
                return
        yield part


async def _aresumed(parts: AsyncIterator[bytes], scope: Scope) -> AsyncIterator[bytes]:
    """Return the parts, each made in the request's context."""
    steps = aiter(parts)
    while True:
        with Resumed(scope):
            try:
                part = await anext(steps)
            except StopAsyncIteration:
                return
        yield part


def _header(name: str) -> ReadRequest:
    read = wsgi.READERS.header(name)
    return lambda request: read(request.META)


def _cookie(name: str) -> ReadRequest:
    return lambda request: request.COOKIES.get(name)


def _session(name: str) -> ReadRequest:
    return lambda request: cast("Any", request).session.get(name)  # Any: a session of whatever engine


READERS: Final = RequestReaders(_header, _cookie, _session)
