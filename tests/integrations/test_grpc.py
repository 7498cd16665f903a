"""gRPC's servers: one context for each call of the four kinds, sync and asyncio, and none between two calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import pytest

from graysplit import ConfigurationError, Router
from graysplit.integrations.grpc import KEPT_AT_MOST, GraysplitAioInterceptor, GraysplitInterceptor
from graysplit.scope import scope_get
from tests.integrations.conftest import NEW, OLD

FORMS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
EXPECTED: Final = {"unary_unary": 1, "unary_stream": 3, "stream_unary": 1, "stream_stream": 3}


def method(form: str, function: Any) -> Any:
    """Return a generic handler of one method, named for its form; bytes in and out."""
    made = getattr(grpc, f"{form}_rpc_method_handler")(function)
    return grpc.method_handlers_generic_handler("shop", {form: made})


def call(channel: grpc.Channel, form: str, unit: str) -> list[bytes]:
    """Return what a method answers a unit."""
    stub = getattr(channel, form)(f"/shop/{form}")
    request: Any = iter([b"", b""]) if form.startswith("stream") else b""
    answer = stub(request, metadata=(("x-user", unit),), timeout=30)
    return list(answer) if form.endswith("stream") else [answer]


def served_sync(router: Router) -> Any:
    """Return the four methods as functions and generators."""

    def one(request: object, _: object) -> bytes:
        list(request) if not isinstance(request, bytes) else None  # type: ignore[call-overload] # a stream's requests
        return router.choose("checkout").encode()

    def many(_: object, __: object) -> Iterator[bytes]:
        for _ in range(3):
            yield router.choose("checkout").encode()

    return [method(form, many if form.endswith("stream") else one) for form in FORMS]


def served_async(router: Router) -> Any:
    """Return the four methods as coroutine functions and async generators."""

    async def one(_: object, __: object) -> bytes:
        return (await asyncio.to_thread(router.choose, "checkout")).encode()

    async def many(_: object, __: object) -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield router.choose("checkout").encode()

    return [method(form, many if form.endswith("stream") else one) for form in FORMS]


def test_each_kind_of_call_is_in_its_context_and_leaves_none(router: Router) -> None:
    """One thread serves all: what a call leaves open the next would see; the first call waits for the store."""
    server = grpc.server(
        ThreadPoolExecutor(1), interceptors=[GraysplitInterceptor(router, unit=("metadata:x-user", lambda _: None))]
    )
    left: list[object] = []
    server.add_generic_rpc_handlers((*served_sync(router), method("unary_unary", None)))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for form in FORMS:
                for unit, version in ((NEW, b"new"), (OLD, b"old"), (NEW, b"new")):
                    assert call(channel, form, unit) == [version] * EXPECTED[form]
            with pytest.raises(grpc.RpcError) as fault:
                channel.unary_unary("/shop/missing")(b"")
            assert fault.value.code() is grpc.StatusCode.UNIMPLEMENTED
        left.append(scope_get())
    finally:
        server.stop(None).wait()
    assert left == [None]


def test_two_streams_side_by_side_keep_their_own_units(router: Router) -> None:
    """Each step of a stream is in its own call's context, and the end of one that is cancelled too."""
    interceptor = GraysplitInterceptor(router, unit="metadata:x-user")
    ended: list[str] = []

    class Context:
        def __init__(self, unit: str) -> None:
            self.unit = unit

        def invocation_metadata(self) -> tuple[tuple[str, object], ...]:
            return (("x-user", self.unit.encode()),)

    def many(_: object, __: object) -> Iterator[str]:
        try:
            while True:
                yield router.choose("checkout")
        finally:
            ended.append(router.choose("checkout"))

    handler = interceptor.intercept_service(lambda _: grpc.unary_stream_rpc_method_handler(many), None)
    streams = [handler.unary_stream(b"", Context(unit)) for unit in (NEW, OLD)]  # type: ignore[attr-defined] # gRPC's
    for _ in range(2):
        assert [next(stream) for stream in streams] == ["new", "old"]
        assert scope_get() is None
    for stream in streams:
        stream.close()
    assert ended == ["new", "old"]


def test_a_handler_that_answers_by_a_callback_is_left_alone(router: Router) -> None:
    """As the health service of gRPC does: it takes a third argument."""

    def watch(_: object, __: object, send: object) -> None:
        del send

    watch.experimental_non_blocking = True  # type: ignore[attr-defined] # gRPC's own mark
    handler = grpc.unary_stream_rpc_method_handler(watch)
    assert GraysplitInterceptor(router).intercept_service(lambda _: handler, None) is handler
    assert GraysplitInterceptor(router).intercept_service(lambda _: None, None) is None


def test_each_handler_is_answered_for_itself_and_no_more_than_some_are_kept(router: Router) -> None:
    """A handler is asked for before each call: the same one is made once, one made for each call is no leak."""
    interceptor = GraysplitInterceptor(router)
    same = grpc.unary_unary_rpc_method_handler(lambda _, __: b"same")
    first = interceptor.intercept_service(lambda _: same, None)

    class Context:
        def invocation_metadata(self) -> tuple[()]:
            return ()

    for number in range(2 * KEPT_AT_MOST):
        handler = grpc.unary_unary_rpc_method_handler(lambda _, __, number=number: number)
        made: Any = interceptor.intercept_service(lambda _, handler=handler: handler, None)
        assert made.unary_unary(b"", Context()) == number
    assert interceptor.intercept_service(lambda _: same, None) is first
    assert len(interceptor._kept) == KEPT_AT_MOST


@pytest.mark.parametrize("served", [served_async, served_sync])
def test_an_asyncio_server_has_contexts_for_coroutines_and_functions(router: Router, served: Any) -> None:
    """In its tasks, in threads that they start, and in the threads that functions run in."""

    async def main() -> None:
        server = grpc.aio.server(
            ThreadPoolExecutor(1), interceptors=[GraysplitAioInterceptor(router, unit="metadata:x-user")]
        )
        server.add_generic_rpc_handlers(tuple(served(router)))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            await asyncio.to_thread(visit, port)
        finally:
            await server.stop(None)

    def visit(port: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for form in FORMS:
                for unit, version in ((NEW, b"new"), (OLD, b"old")):
                    assert call(channel, form, unit) == [version] * EXPECTED[form]

    asyncio.run(main())


def test_a_source_of_http_is_refused_where_it_is_written(router: Router) -> None:
    """A call has metadata, no headers."""
    for make in (GraysplitInterceptor, GraysplitAioInterceptor):
        with pytest.raises(ConfigurationError, match="metadata:NAME"):
            make(router, unit="header:x-user")
