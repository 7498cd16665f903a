"""What a request costs below each middleware, as a ratio to the same request below an empty one of its framework.

Either way the view asks once for a version and answers with it: below the empty one with the unit of the header that it
reads itself. First as served: the CPU time of a real server's process, with all that a request costs there. Then the
framework alone, called in this process: CPU time of one thread, for information. Short chunks of both kinds in turn, of
each the first tenth: a busy machine only adds.
"""

# ruff: noqa: ANN401 - applications of many frameworks

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Annotated, Any, Final, NamedTuple

import graysplit
from benchmarks.asgi import served
from benchmarks.harness import quiet
from benchmarks.report import Row, program, progress
from benchmarks.servers import CHUNK, SERVERS, USER, measure_served, ratio_row
from benchmarks.setting import many, memory_router, plain

PAIRS: Final = 300
UNIT: Final = "header:x-user"


class Compared(NamedTuple):
    """One framework: what serves a request below our middleware, and below an empty one."""

    name: str
    ours: Callable[[], object]
    empty: Callable[[], object]


# --- ASGI ------------------------------------------------------------------------------------------------------------


class EmptyAsgi:
    """A middleware that does nothing."""

    def __init__(self, app: Any) -> None:
        """Wrap."""
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve."""
        await self.app(scope, receive, send)


def starlette(router: graysplit.Router) -> Compared:
    """Starlette's bare routing."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from graysplit.integrations.asgi import GraysplitMiddleware

    async def ambient(_: Request) -> PlainTextResponse:
        return PlainTextResponse(router.choose("checkout"))

    async def named(request: Request) -> PlainTextResponse:
        return PlainTextResponse(router.choose("checkout", request.headers["x-user"]))

    ours = Starlette(routes=[Route("/", ambient)])
    ours.add_middleware(GraysplitMiddleware, router=router, unit=UNIT)
    empty = Starlette(routes=[Route("/", named)])
    empty.add_middleware(EmptyAsgi)
    return Compared("  in process: Starlette", served(ours, USER), served(empty, USER))


def fastapi(router: graysplit.Router) -> Compared:
    """FastAPI, with the version as a parameter."""
    from fastapi import FastAPI, Header
    from fastapi.responses import PlainTextResponse

    from graysplit.integrations.fastapi import GraysplitMiddleware, version_of

    ours, empty = FastAPI(), FastAPI()
    ours.add_middleware(GraysplitMiddleware, router=router, unit=UNIT)
    empty.add_middleware(EmptyAsgi)

    @ours.get("/")
    async def ambient(version: str = version_of(router, "checkout")) -> PlainTextResponse:
        return PlainTextResponse(version)

    @empty.get("/")
    async def named(x_user: Annotated[str, Header()]) -> PlainTextResponse:
        return PlainTextResponse(router.choose("checkout", x_user))

    return Compared("  in process: FastAPI", served(ours, USER), served(empty, USER))


# --- WSGI ------------------------------------------------------------------------------------------------------------


class EmptyWsgi:
    """A middleware that does nothing."""

    def __init__(self, app: Any) -> None:
        """Wrap."""
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Serve."""
        return self.app(environ, start_response)


def called(app: Any) -> Callable[[], object]:
    """Return what serves one request, and closes it as a server does."""
    from werkzeug.test import EnvironBuilder

    environ = EnvironBuilder("/", headers={"X-User": USER, "Accept": "*/*"}).get_environ()

    def start_response(*_: object) -> None:
        pass

    def serve() -> None:
        answer: Any = app(environ.copy(), start_response)
        for _ in answer:
            pass
        if hasattr(answer, "close"):
            answer.close()

    return serve


def _flask_app(answer: Callable[[], str]) -> Any:
    import flask

    app = flask.Flask("bench")
    app.add_url_rule("/", "shop", answer)
    return app


def wsgi(router: graysplit.Router) -> Compared:
    """Wrap the bare middleware around a Flask application."""
    import flask

    from graysplit.integrations.wsgi import GraysplitMiddleware

    ours = _flask_app(lambda: router.choose("checkout"))
    empty = _flask_app(lambda: router.choose("checkout", flask.request.headers["x-user"]))
    return Compared(
        "  in process: WSGI around Flask",
        called(GraysplitMiddleware(ours.wsgi_app, router, unit=UNIT)),
        called(EmptyWsgi(empty.wsgi_app)),
    )


def flask_extension(router: graysplit.Router) -> Compared:
    """Flask's extension, beside an empty middleware and an empty `before_request`."""
    import flask

    from graysplit.integrations.flask import Graysplit

    ours = _flask_app(lambda: router.choose("checkout"))
    ours.config["GRAYSPLIT_UNIT"] = UNIT
    Graysplit(ours, router)
    empty = _flask_app(lambda: router.choose("checkout", flask.request.headers["x-user"]))
    empty.wsgi_app = EmptyWsgi(empty.wsgi_app)  # type: ignore[method-assign] # Flask's way
    empty.before_request(lambda: None)
    return Compared("  in process: Flask", called(ours.wsgi_app), called(empty.wsgi_app))


def empty_django(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a middleware that does nothing."""

    def middleware(request: Any) -> Any:
        return get_response(request)

    return middleware


def django_sync(router: graysplit.Router) -> Compared:
    """Django's handler with one middleware, sync."""
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpRequest, HttpResponse
    from django.test import override_settings
    from django.urls import path

    def ambient(_: HttpRequest) -> HttpResponse:
        return HttpResponse(router.choose("checkout"))

    def named(request: HttpRequest) -> HttpResponse:
        return HttpResponse(router.choose("checkout", request.headers["x-user"]))

    globals()["gray"] = router
    settings.configure(
        ROOT_URLCONF=(path("", ambient), path("named", named)),
        ALLOWED_HOSTS=["*"],
        GRAYSPLIT={"ROUTER": f"{__name__}.gray", "UNIT": UNIT},
        MIDDLEWARE=[],
    )
    django.setup()
    with override_settings(MIDDLEWARE=["graysplit.integrations.django.GraysplitMiddleware"]):
        ours = called(WSGIHandler())
    with override_settings(MIDDLEWARE=[f"{__name__}.empty_django"]):
        handler = WSGIHandler()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ["PATH_INFO"] = "/named"
        return handler(environ, start_response)

    return Compared("  in process: Django", ours, called(app))


# --- aiohttp ---------------------------------------------------------------------------------------------------------


async def empty_aiohttp(request: Any, handler: Callable[[Any], Any]) -> Any:
    """Serve as a middleware that does nothing."""
    return await handler(request)


def aiohttp(router: graysplit.Router) -> Compared:
    """Call aiohttp's application without its server: routing, middleware and response, written to nobody."""
    from aiohttp import web

    from graysplit.integrations.aiohttp import setup

    async def ambient(_: web.Request) -> web.Response:
        return web.Response(text=router.choose("checkout"))

    async def named(request: web.Request) -> web.Response:
        return web.Response(text=router.choose("checkout", request.headers["x-user"]))

    ours, empty = web.Application(), web.Application()
    setup(ours, router, unit=UNIT)
    empty.middlewares.append(web.middleware(empty_aiohttp))
    ours.router.add_get("/", ambient)
    empty.router.add_get("/", named)
    return Compared("  in process: aiohttp", handled(ours), handled(empty))


def handled(app: Any) -> Callable[[], object]:
    """Return what serves one request of an aiohttp application, and writes the answer to nobody."""
    from aiohttp.test_utils import make_mocked_request

    class Nobody:
        """Takes an answer."""

        output_size = 0

        async def write_headers(self, *_: object) -> None:
            """Take it."""

        async def write_eof(self, *_: object) -> None:
            """Take it."""

        def send_headers(self) -> None:
            """Take them."""

    asyncio.set_event_loop(asyncio.new_event_loop())  # each request asks for one, and waits for nothing
    app.freeze()
    first = make_mocked_request("GET", "/", headers={"X-User": USER, "Accept": "*/*"}, app=app, writer=Nobody())

    async def answer() -> None:
        request = first.clone()
        response = await app._handle(request)  # noqa: SLF001 - what its server calls
        await response.prepare(request)
        await response.write_eof()

    def serve() -> None:
        with suppress(StopIteration):
            answer().send(None)
            raise RuntimeError("what is measured here must not wait")

    return serve


# --- all -------------------------------------------------------------------------------------------------------------


def measure(compared: Compared, pairs: int) -> Row:
    """Return one framework's ratio, in this process."""
    for serve in (compared.ours, compared.empty):
        _cpu_ns(serve)
    return ratio_row(compared.name, [(_cpu_ns(compared.empty), _cpu_ns(compared.ours)) for _ in range(pairs)], None)


def _cpu_ns(serve: Callable[[], object]) -> int:
    with quiet():
        began = time.thread_time_ns()
        for _ in range(CHUNK):
            serve()
        spent = time.thread_time_ns() - began
    gc.collect(0)
    return spent


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - a program's switch
    """Return all rows."""
    rows: list[Row] = []
    pairs = 2 if quick else PAIRS
    for server in SERVERS:
        progress(server.name)
        rows.append(measure_served(server, pairs))
    with memory_router({"checkout": plain("checkout"), **many(10)}) as (router, _):
        for make in (starlette, wsgi, fastapi, flask_extension, django_sync, aiohttp):
            progress(make.__name__)
            rows.append(measure(make(router), pairs))
    return rows


if __name__ == "__main__":
    sys.exit(program("Requests below a middleware, as a ratio to an empty one", run, __doc__))
