"""gRPC's trailing metadata: the versions taken, beside the handler's own, however a call of any kind ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import grpc
import pytest

from graysplit import ConfigurationError, Router
from graysplit.integrations.grpc import GraysplitAioInterceptor, GraysplitInterceptor
from graysplit.integrations.grpc_call import VERSIONS_CHARS, TrailingVersions
from graysplit.scope import Taken
from tests.integrations.conftest import NEW
from tests.integrations.test_grpc import FORMS, method

KEY: Final = "x-versions"
OWN: Final = (("x-own", "kept"), ("x-own-bin", b"\x00\xff"))
NAMED: Final = (("x-named", "kept too"),)
STATUS: Final = grpc.StatusCode


class End(NamedTuple):
    """How a handler ends, and what its client sees."""

    status: grpc.StatusCode
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    told: bool = True


ENDS: Final = {
    "return": End(STATUS.OK),
    "return own": End(STATUS.OK, OWN),
    "return own unasked": End(STATUS.OK, OWN, told=False),
    "code own": End(STATUS.NOT_FOUND, OWN),
    "abort": End(STATUS.ABORTED),
    "abort own": End(STATUS.ABORTED, OWN),
    "raise": End(STATUS.UNKNOWN),
    "raise own": End(STATUS.UNKNOWN, OWN),
}
AIO_ENDS: Final = {**ENDS, "abort own named": End(STATUS.ABORTED, NAMED)}
SYNC_ENDS: Final = {**ENDS, "abort own status": End(STATUS.ABORTED, NAMED)}


class Status(NamedTuple):
    """What `abort_with_status` takes."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


def begin(router: Router, context: Any, how: str) -> None:
    """Take a version, and set metadata, as far as a call asks for it."""
    if "unasked" not in how:
        router.choose("checkout")
    if "own" in how:
        context.set_trailing_metadata(OWN)
    if how.startswith("code"):
        context.set_code(STATUS.NOT_FOUND)
    if how.startswith("raise"):
        raise LookupError("of the handler")


def abort(context: Any, how: str) -> Any:
    """Abort in the way that is asked for."""
    if "status" in how:
        return context.abort_with_status(Status(STATUS.ABORTED, "by status", NAMED))
    return context.abort(STATUS.ABORTED, "aborted", *([NAMED] if "named" in how else []))


def read(request: Any) -> str:
    """Return how a handler is to end: its request says."""
    texts: list[bytes] = [request] if isinstance(request, bytes) else list(request)
    return texts[0].decode()


async def aread(request: Any) -> str:
    """Return the same of a request to a coroutine."""
    texts: list[bytes] = [request] if isinstance(request, bytes) else [text async for text in request]
    return texts[0].decode()


def functions(router: Router, *before: bytes) -> list[Any]:
    """Return the four methods as functions and generators; these answer something before their end.

    An asyncio server of gRPC's own leaves some calls open whose generator aborts after an answer.
    """

    def one(request: object, context: Any) -> bytes:
        how = read(request)
        begin(router, context, how)
        if how.startswith("abort"):
            abort(context, how)
        return b""

    def many(request: object, context: Any) -> Iterator[bytes]:
        yield from before
        yield one(request, context)

    return [method(form, many if form.endswith("stream") else one) for form in FORMS]


def coroutines(router: Router) -> list[Any]:
    """Return them as coroutine functions and async generators."""

    async def one(request: object, context: Any) -> bytes:
        how = await aread(request)
        begin(router, context, how)
        if how.startswith("abort"):
            await abort(context, how)
        return b""

    async def many(request: object, context: Any) -> AsyncIterator[bytes]:
        yield b"before"
        yield await one(request, context)

    return [method(form, many if form.endswith("stream") else one) for form in FORMS]


def writers(router: Router) -> list[Any]:
    """Return them as coroutine functions that read and write by their context."""

    async def one(request: object, context: Any) -> bytes:
        how = request.decode() if isinstance(request, bytes) else (await context.read()).decode()
        begin(router, context, how)
        if how.startswith("abort"):
            await abort(context, how)
        return b""

    async def many(request: object, context: Any) -> None:
        await context.write(b"before")
        await context.write(await one(request, context))

    return [method(form, many if form.endswith("stream") else one) for form in FORMS]


@contextmanager
def sync_server(router: Router) -> Iterator[int]:
    """Serve in threads; give the port."""
    interceptor = GraysplitInterceptor(router, unit="metadata:x-user", versions_header="X-Versions")
    server = grpc.server(ThreadPoolExecutor(1), interceptors=[interceptor])
    server.add_generic_rpc_handlers(tuple(functions(router, b"before")))
    port: int = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def ended(channel: grpc.Channel, form: str, how: str) -> End:
    """Return how a call ended for its client."""
    request: Any = iter([how.encode()]) if form.startswith("stream") else how.encode()
    stub: Any = getattr(channel, form)(f"/shop/{form}")
    metadata = (("x-user", NEW),)
    call: Any
    try:
        if form.endswith("stream"):
            call = stub(request, metadata=metadata, timeout=30)
            list(call)
        else:
            _, call = stub.with_call(request, metadata=metadata, timeout=30)
    except grpc.RpcError as fault:
        call = fault
    told = [(key, value) for key, value in call.trailing_metadata() if key == KEY]
    assert told in ([], [(KEY, "checkout=new")])
    own = tuple((key, value) for key, value in call.trailing_metadata() if key != KEY)
    return End(call.code(), own, bool(told))


def unlike(port: int, ends: dict[str, End]) -> list[tuple[str, str, End]]:
    """Return the calls, of each kind and end, that ended otherwise."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        seen = [(form, how, ended(channel, form, how)) for form in FORMS for how in ends]
    return [one for one in seen if one[2] != ends[one[1]]]


def test_a_call_in_threads_tells_the_versions_it_has_taken(router: Router) -> None:
    """It returns, aborts or raises: the handler's own metadata stay."""
    with sync_server(router) as port:
        assert unlike(port, SYNC_ENDS) == []


@pytest.mark.parametrize("served", [coroutines, writers, functions])
def test_a_call_in_asyncio_tells_them_too(router: Router, served: Callable[[Router], list[Any]]) -> None:
    """Its `abort` sends the status at once, with metadata of its own or with those set before."""

    async def main() -> list[tuple[str, str, End]]:
        interceptor = GraysplitAioInterceptor(router, unit="metadata:x-user", versions_header=KEY)
        server = grpc.aio.server(ThreadPoolExecutor(1), interceptors=[interceptor])
        server.add_generic_rpc_handlers(tuple(served(router)))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            return await asyncio.to_thread(unlike, port, AIO_ENDS)
        finally:
            await server.stop(None)

    assert asyncio.run(main()) == []


def test_more_versions_than_a_client_takes_are_cut() -> None:
    """A client fails a call whose metadata exceed 8 kB; a name is never cut in two."""
    taken = Taken(None)
    for number in range(50):
        taken.note(f"split-{number:02}-{'x' * 90}", "new", None)
    ((key, text),) = TrailingVersions(KEY, taken).beside(None)
    assert key == KEY
    assert isinstance(text, str)
    assert VERSIONS_CHARS - 200 < len(text) <= VERSIONS_CHARS
    assert all(part.endswith("=new") for part in text.split(", "))


@pytest.mark.parametrize("name", ["", "a b", "grpc-versions", "versions-bin", "x-Ä", "a\r\n", 7])
def test_a_key_that_grpc_refuses_is_an_error_at_once(router: Router, name: Any) -> None:
    """Not in each call."""
    for make in (GraysplitInterceptor, GraysplitAioInterceptor):
        with pytest.raises(ConfigurationError, match="invalid versions_header"):
            make(router, versions_header=name)
