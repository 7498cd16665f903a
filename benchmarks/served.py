"""The applications of `benchmarks.requests` behind real servers: `/ours`, `/empty`, and `/cpu` for the CPU time so far.

One process serves all three, so that its middlewares are compared under the same weather.
"""

# ruff: noqa: ANN401 - applications

from __future__ import annotations

import time
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
