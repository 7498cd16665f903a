"""A gRPC server under load, sync or asyncio: it says what a call was answered, as load_app does, and on which port."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from graysplit.integrations.grpc import GraysplitAioInterceptor, GraysplitInterceptor
from tests.integrations.load_app import asked, asked_at_once, gray

UNIT = "metadata:x-user"


def methods(behavior: Any) -> Any:
    """Return the service: one method."""
    return grpc.method_handlers_generic_handler("load", {"ask": grpc.unary_unary_rpc_method_handler(behavior)})


def serve_sync() -> None:
    """Answer in a pool of threads."""
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[GraysplitInterceptor(gray, unit=UNIT)])
    server.add_generic_rpc_handlers([methods(lambda user, _: asked_at_once(user.decode()))])
    port = server.add_insecure_port("127.0.0.1:0")
    with gray:
        server.start()
        print(port, flush=True)  # noqa: T201 - for the test that started it
        server.wait_for_termination()


async def serve_async() -> None:
    """Answer in a loop."""

    async def answer(user: bytes, _: object) -> bytes:
        return await asked(user.decode())

    server = grpc.aio.server(interceptors=[GraysplitAioInterceptor(gray, unit=UNIT)])
    server.add_generic_rpc_handlers([methods(answer)])
    port = server.add_insecure_port("127.0.0.1:0")
    async with gray:
        await server.start()
        print(port, flush=True)  # noqa: T201 - for the test that started it
        await server.wait_for_termination()


if __name__ == "__main__":
    serve_sync() if sys.argv[1] == "sync" else asyncio.run(serve_async())
