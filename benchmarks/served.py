"""The applications of `benchmarks.requests` behind real servers: `/ours`, `/empty`, and `/cpu` for the CPU time so far.

One process serves all three, so that its middlewares are compared under the same weather. Frameworks that bring their
own server are started here: `python -m benchmarks.served aiohttp|grpc|grpc.aio PORT`.
"""

# ruff: noqa: ANN401 - applications

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import graysplit
from graysplit.integrations import asgi as for_asgi
from graysplit.integrations import wsgi as for_wsgi

UNIT = "header:x-user"
gray = graysplit.Router("memory://served")
gray.split("checkout", "old", "new")


def _cpu() -> bytes:
    return b"%d" % time.process_time_ns()


def make_asgi() -> Any:
    """Return one ASGI application of three."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    from benchmarks.requests import EmptyAsgi

    async def ambient(_: Request) -> Response:
        return PlainTextResponse(gray.choose("checkout"))

    async def named(request: Request) -> Response:
        return PlainTextResponse(gray.choose("checkout", request.headers["x-user"]))

    async def cpu(_: Request) -> Response:
        return Response(_cpu())

    ours = Starlette(routes=[Route("/ours", ambient)])
    ours.add_middleware(for_asgi.GraysplitMiddleware, router=gray, unit=UNIT)
    empty = Starlette(routes=[Route("/empty", named), Route("/cpu", cpu)])
    empty.add_middleware(EmptyAsgi)

    async def either(scope: Any, receive: Any, send: Any) -> None:
        await (empty if scope.get("path") in ("/empty", "/cpu") else ours)(scope, receive, send)

    return either


def make_wsgi() -> Any:
    """Return one WSGI application of three."""
    import flask

    from benchmarks.requests import EmptyWsgi

    ours, empty = flask.Flask("ours"), flask.Flask("empty")
    ours.add_url_rule("/ours", "shop", lambda: gray.choose("checkout"))
    empty.add_url_rule("/empty", "shop", lambda: gray.choose("checkout", flask.request.headers["x-user"]))
    empty.add_url_rule("/cpu", "cpu", _cpu)
    below, beside = for_wsgi.GraysplitMiddleware(ours.wsgi_app, gray, unit=UNIT), EmptyWsgi(empty.wsgi_app)

    def either(environ: Any, start_response: Any) -> Any:
        return (below if environ["PATH_INFO"] == "/ours" else beside)(environ, start_response)

    return either


def serve_aiohttp(port: int) -> None:
    """Serve one application of two, each with its middleware, by aiohttp's own server."""
    from aiohttp import web

    from benchmarks.requests import empty_aiohttp
    from graysplit.integrations.aiohttp import setup

    async def ambient(_: web.Request) -> web.Response:
        return web.Response(text=gray.choose("checkout"))

    async def named(request: web.Request) -> web.Response:
        return web.Response(text=gray.choose("checkout", request.headers["x-user"]))

    async def cpu(_: web.Request) -> web.Response:
        return web.Response(body=_cpu())

    app, ours, empty = web.Application(), web.Application(), web.Application()
    setup(ours, gray, unit=UNIT)
    empty.middlewares.append(web.middleware(empty_aiohttp))
    ours.router.add_get("", ambient)
    empty.router.add_get("", named)
    app.router.add_get("/cpu", cpu)
    app.add_subapp("/ours", ours)
    app.add_subapp("/empty", empty)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


def _either(base: type, below: Any) -> Any:
    """Return an interceptor that leaves each call to ours or, as an empty one does, to its handler as it is."""

    def intercept_service(_: object, continuation: Any, details: Any) -> Any:
        return (below.intercept_service if details.method == "/shop/ours" else lambda go, call: go(call))(
            continuation, details
        )

    return type("Either", (base,), {"intercept_service": intercept_service})()


def _methods(**behaviors: Any) -> Any:
    import grpc

    made = {name: grpc.unary_unary_rpc_method_handler(behavior) for name, behavior in behaviors.items()}
    return grpc.method_handlers_generic_handler("shop", made)


def _unit_of(context: Any) -> str:
    return next(value for key, value in context.invocation_metadata() if key == "x-user")


def serve_grpc(port: int) -> None:
    """Serve the three methods by `grpc.server`, in threads."""
    import grpc

    from graysplit.integrations.grpc import GraysplitInterceptor

    server = grpc.server(
        ThreadPoolExecutor(2),
        interceptors=[_either(grpc.ServerInterceptor, GraysplitInterceptor(gray, unit="metadata:x-user"))],
    )
    methods = _methods(
        ours=lambda _, __: gray.choose("checkout").encode(),
        empty=lambda _, context: gray.choose("checkout", _unit_of(context)).encode(),
        cpu=lambda _, __: _cpu(),
    )
    server.add_generic_rpc_handlers((methods,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


async def serve_grpc_aio(port: int) -> None:
    """Serve them by `grpc.aio.server`, in a loop."""
    import grpc

    from graysplit.integrations.grpc import GraysplitAioInterceptor

    async def ours(_: object, __: object) -> bytes:
        return gray.choose("checkout").encode()

    async def empty(_: object, context: object) -> bytes:
        return gray.choose("checkout", _unit_of(context)).encode()

    async def cpu(_: object, __: object) -> bytes:
        return _cpu()

    interceptor = _either(grpc.aio.ServerInterceptor, GraysplitAioInterceptor(gray, unit="metadata:x-user"))
    server = grpc.aio.server(interceptors=[interceptor])
    server.add_generic_rpc_handlers((_methods(ours=ours, empty=empty, cpu=cpu),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    kind, where = sys.argv[1], int(sys.argv[2])
    if kind == "aiohttp":
        serve_aiohttp(where)
    elif kind == "grpc":
        serve_grpc(where)
    else:
        asyncio.run(serve_grpc_aio(where))
