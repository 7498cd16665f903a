"""gRPC: interceptors for servers, sync and asyncio; one context for each call, its streams too. Needs the extra `grpc`.

grpc.server(pool, interceptors=[GraysplitInterceptor(gray, unit="metadata:x-user")])
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final

from graysplit.integrations.grpc_call import AioCallContext, OpenCall, TrailingVersions, metadata_key
from graysplit.integrations.life import RouterLife
from graysplit.integrations.request import OpenRequest
from graysplit.integrations.units import MetadataReaders, read_attribute_sources, read_unit_source, text_of

try:
    import grpc  # type: ignore[import-untyped] # it has no annotations
    from grpc import aio
except ImportError as missing:
    raise ImportError('graysplit.integrations.grpc needs grpcio: pip install "graysplit[grpc]"') from missing

if TYPE_CHECKING:
    from graysplit.core.durations import Span
    from graysplit.integrations.units import AttributeSources, ReadRequest, UnitSource
    from graysplit.router.router import Router

__all__ = ["GraysplitAioInterceptor", "GraysplitInterceptor"]

READY_WITHIN_S: Final = 2.0
Behavior = Callable[..., Any]  # Any: gRPC's requests, contexts and answers
KEPT_AT_MOST: Final = 1_000  # a program may also make a handler for each call
FORMS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class CallContexts:
    """What both interceptors do with a call: find its unit, and run its handler in a context."""

    _aborts_at_once = False  # whether an `abort` has sent the call's status when it returns

    def __init__(
        self,
        router: Router,
        *,
        unit: UnitSource = None,
        attributes: AttributeSources = None,
        versions_header: str | None = None,
        ready_within: Span = READY_WITHIN_S,
    ) -> None:
        """Take the router; nothing is started.

        `unit`: `"metadata:x-user"`, a callable on gRPC's servicer context, or a tuple of these (the first that gives a
        unit). `attributes`: names mapped to such sources, or a callable on the servicer context. `versions_header`: the
        key of trailing metadata that lists the versions taken. `ready_within`: how long a process's first calls wait
        for the store (2 seconds, `"10s"`). Raises `ConfigurationError` for a source that cannot be read.
        """
        self._unit = read_unit_source(unit, READERS)
        self._attributes = read_attribute_sources(attributes, READERS)
        self._versions_key = metadata_key(versions_header)
        self._life = RouterLife(router, ready_within)
        self._kept: dict[int, tuple[Any, Any]] = {}  # handlers and what was made of them; Any: gRPC's

    def _wrapped(self, handler: Any) -> Any:  # noqa: ANN401 - gRPC's, without annotations
        """Return a handler that does the same in a context of its own for each call.

        gRPC asks before each call, and mostly about the same handlers: these are made once.
        """
        kept = self._kept.get(id(handler))
        if kept is not None and kept[0] is handler:
            return kept[1]
        made = self._made(handler)
        if len(self._kept) < KEPT_AT_MOST:
            self._kept[id(handler)] = (handler, made)
        return made

    def _made(self, handler: Any) -> Any:  # noqa: ANN401 - as above
        form = FORMS[2 * bool(handler.request_streaming) + bool(handler.response_streaming)]
        behavior: Behavior = getattr(handler, form)
        if getattr(behavior, "experimental_non_blocking", False):
            return handler  # it answers by a callback, from any thread at any time
        make = getattr(grpc, f"{form}_rpc_method_handler")
        return make(self._around(behavior, form), handler.request_deserializer, handler.response_serializer)

    def _around(self, behavior: Behavior, form: str) -> Behavior:
        if isasyncgenfunction(behavior):
            return self._around_async_steps(behavior)
        if iscoroutinefunction(behavior):
            return self._around_coroutine(behavior)
        return self._around_steps(behavior) if form.endswith("_stream") else self._around_function(behavior)

    def _open(self, context: object) -> OpenCall:
        given = self._attributes.find(context) if self._attributes is not None else None
        attributes: Any = given  # Any: a mapping, or what a callable of the user's made of it
        request = OpenRequest(self._unit.find(context), attributes)
        if self._versions_key is None:
            return OpenCall(request.scope, context)
        versions = TrailingVersions(self._versions_key, request.taken)
        given_context = AioCallContext(context, versions) if self._aborts_at_once else context
        return OpenCall(request.scope, given_context, versions)

    def _around_function(self, behavior: Behavior) -> Behavior:
        @wraps(behavior)
        def answer(request: object, context: object) -> object:
            self._wait()
            call = self._open(context)
            try:
                with call:
                    return behavior(request, call.context)
            finally:
                call.end()

        return answer

    def _around_steps(self, behavior: Behavior) -> Behavior:
        @wraps(behavior)
        def answers(request: object, context: object) -> Iterator[object]:
            self._wait()
            call = self._open(context)
            steps: Iterator[object] = iter(())
            try:
                with call:
                    steps = iter(behavior(request, call.context))
                while True:  # nothing is left open between two answers: the thread is the pool's
                    with call:
                        try:
                            answer = next(steps)
                        except StopIteration:
                            return
                    yield answer
            finally:
                close = getattr(steps, "close", None)
                if close is not None:
                    with call:
                        close()
                call.end()

        return answers

    def _around_coroutine(self, behavior: Behavior) -> Behavior:
        @wraps(behavior)
        async def answer(request: object, context: object) -> object:
            call = self._open(context)
            try:
                with call:
                    return await behavior(request, call.context)
            finally:
                call.end()

        return answer

    def _around_async_steps(self, behavior: Behavior) -> Behavior:
        @wraps(behavior)
        async def answers(request: object, context: object) -> AsyncGenerator[object, None]:
            call = self._open(context)
            steps = behavior(request, call.context)
            try:
                while True:
                    with call:
                        try:
                            answer = await anext(steps)
                        except StopAsyncIteration:
                            return
                    yield answer
            finally:
                with call:
                    await steps.aclose()
                call.end()

        return answers

    def _wait(self) -> None:
        if not self._life.started:
            self._life.start()


class GraysplitInterceptor(CallContexts, grpc.ServerInterceptor):  # type: ignore[misc] # gRPC has no annotations
    """Gives each call of a `grpc.server` its context; what raises in it passes through."""

    def intercept_service(self, continuation: Behavior, handler_call_details: Any) -> Any:  # noqa: ANN401 - gRPC's
        """Return the call's handler, in a context."""
        handler = continuation(handler_call_details)
        return self._wrapped(handler) if handler is not None else None


class GraysplitAioInterceptor(CallContexts, aio.ServerInterceptor):  # type: ignore[misc] # as above
    """Gives each call of a `grpc.aio.server` its context, also where its handler is no coroutine."""

    _aborts_at_once = True

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,  # noqa: ANN401 - gRPC's
    ) -> Any:  # noqa: ANN401 - as above
        """Return the call's handler, in a context; the first calls of a process wait for the store."""
        if not self._life.started:
            await self._life.astart()
        handler = await continuation(handler_call_details)
        return self._wrapped(handler) if handler is not None else None


def _metadata(name: str) -> ReadRequest:
    wanted = name.lower()

    def read(context: Any) -> object:  # noqa: ANN401 - gRPC's
        found = [value for key, value in context.invocation_metadata() or () if key == wanted]
        texts = [text_of(value) if isinstance(value, bytes) else str(value) for value in found]
        return ",".join(texts).strip() if texts else None  # as HTTP joins headers of one name

    return read


READERS: Final = MetadataReaders(_metadata)
