"""gRPC: interceptors for servers, sync and asyncio; one context for each call, its streams too. Needs the extra `grpc`.

grpc.server(pool, interceptors=[GraysplitInterceptor(gray, unit="metadata:x-user")])
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final

from graysplit.integrations.life import RouterLife
from graysplit.integrations.request import OpenRequest
from graysplit.integrations.units import MetadataReaders, read_attribute_sources, read_unit_source, text_of
from graysplit.scope_entry import Resumed

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
FORMS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class CallContexts:
    """What both interceptors do with a call: find its unit, and run its handler in a context."""

    def __init__(
        self,
        router: Router,
        *,
        unit: UnitSource = None,
        attributes: AttributeSources = None,
        ready_within: Span = READY_WITHIN_S,
    ) -> None:
        """Take the router; nothing is started.

        `unit`: `"metadata:x-user"`, a callable on gRPC's servicer context, or a tuple of these (the first that gives a
        unit). `attributes`: names mapped to such sources, or a callable on the servicer context. `ready_within`: how
        long a process's first calls wait for the store (2 seconds, `"10s"`). Raises `ConfigurationError` for a source
        that cannot be read.
        """
        self._unit = read_unit_source(unit, READERS)
        self._attributes = read_attribute_sources(attributes, READERS)
        self._life = RouterLife(router, ready_within)

    def _wrapped(self, handler: Any) -> Any:  # noqa: ANN401 - gRPC's, without annotations
        """Return a handler that does the same in a context of its own for each call."""
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

    def _open(self, context: object) -> Resumed:
        given = self._attributes.find(context) if self._attributes is not None else None
        attributes: Any = given  # Any: a mapping, or what a callable of the user's made of it
        return Resumed(OpenRequest(self._unit.find(context), attributes).scope)

    def _around_function(self, behavior: Behavior) -> Behavior:
        @wraps(behavior)
        def answer(request: object, context: object) -> object:
            self._wait()
            with self._open(context):
                return behavior(request, context)

        return answer

    def _around_steps(self, behavior: Behavior) -> Behavior:
        @wraps(behavior)
        def answers(request: object, context: object) -> Iterator[object]:
            self._wait()
            resumed = self._open(context)
            with resumed:
                steps = iter(behavior(request, context))
            try:
                while True:  # nothing is left open between two answers: the thread is the pool's
                    with resumed:
                        try:
                            answer = next(steps)
                        except StopIteration:
                            return
                    yield answer
            finally:
                close = getattr(steps, "close", None)
                if close is not None:
                    with resumed:
                        close()

        return answers

    def _around_coroutine(self, behavior: Behavior) -> Behavior:
        @wraps(behavior)
        async def answer(request: object, context: object) -> object:
            with self._open(context):
                return await behavior(request, context)

        return answer

    def _around_async_steps(self, behavior: Behavior) -> Behavior:
        @wraps(behavior)
        async def answers(request: object, context: object) -> AsyncGenerator[object, None]:
            resumed = self._open(context)
            steps = behavior(request, context)
            try:
                while True:
                    with resumed:
                        try:
                            answer = await anext(steps)
                        except StopAsyncIteration:
                            return
                    yield answer
            finally:
                with resumed:
                    await steps.aclose()

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
