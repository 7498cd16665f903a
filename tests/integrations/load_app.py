"""Applications under load, as ASGI (`asgi`), WSGI (`wsgi`) and of each framework: say what a request was answered.

An answer is `pid number versions bare`: which request of its process it was, what it was told in a row in its context,
and what would have been told without one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from contextvars import Context
from itertools import count
from typing import Any, Final

import graysplit
from graysplit.integrations import asgi as for_asgi
from graysplit.integrations import wsgi as for_wsgi

UNIT: Final = "header:x-user"
STEP_S: Final = 0.004  # a flip comes every 50 ms
QUESTIONS: Final = 3

gray = graysplit.Router()
gray.split("checkout", "old", "new")
_number = count(1)


def bare(user: str) -> str:
    """Decide without a context."""
    return Context().run(gray.choose, "checkout", user)


def told(number: int, versions: Iterable[str], without: Iterable[str]) -> bytes:
    """Return an answer."""
    return f"{os.getpid()} {number} {','.join(versions)} {','.join(without)}".encode()


async def asked(user: str) -> bytes:
    """Ask in the loop and in a thread, with time in between."""
    number, versions, without = next(_number), [gray.choose("checkout")], [bare(user)]
    for _ in range(QUESTIONS):
        await asyncio.sleep(STEP_S)
        versions += [gray.choose("checkout"), await asyncio.to_thread(gray.choose, "checkout")]
        without.append(bare(user))
    return told(number, versions, without)


def asked_at_once(user: str) -> bytes:
    """Ask in this thread, with time in between."""
    number, versions, without = next(_number), [gray.choose("checkout")], [bare(user)]
    for _ in range(QUESTIONS):
        time.sleep(STEP_S)  # noqa: TID251 - the work of a request
        versions.append(gray.choose("checkout"))
        without.append(bare(user))
    return told(number, versions, without)


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = await asked(dict(scope["headers"])[b"x-user"].decode())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def _wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    body = asked_at_once(environ["HTTP_X_USER"])
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    yield body


asgi = for_asgi.GraysplitMiddleware(_asgi, gray, unit=UNIT)
wsgi = for_wsgi.GraysplitMiddleware(_wsgi, gray, unit=UNIT)


def __getattr__(name: str) -> Any:
    """Make the application of a framework when it is asked for: a test of one needs no other."""
    makers = {
        "aiohttp": _aiohttp,
        "fastapi": _fastapi,
        "flask": _flask,
        "django_asgi": _django,
        "django_wsgi": _django,
    }
    if name not in makers:
        raise AttributeError(name)
    return makers[name](name)


def _aiohttp(_: str) -> Any:
    from aiohttp import web

    from graysplit.integrations.aiohttp import setup

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=await asked(request.headers["x-user"]))

    app = web.Application()
    app.router.add_get("/", answer)
    setup(app, gray, unit=UNIT)
    return app


def _fastapi(_: str) -> Any:
    from fastapi import FastAPI, Request
    from fastapi.responses import PlainTextResponse

    from graysplit.integrations.fastapi import GraysplitMiddleware

    app = FastAPI()
    app.add_middleware(GraysplitMiddleware, router=gray, unit=UNIT)

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await asked(request.headers["x-user"]))

    app.add_route("/", answer)  # type: ignore[arg-type] # Starlette's own form
    return app


def _flask(_: str) -> Any:
    import flask

    from graysplit.integrations.flask import Graysplit

    app = flask.Flask("load")
    app.config["GRAYSPLIT_UNIT"] = UNIT
    Graysplit(app, gray)

    @app.get("/")
    def answer() -> bytes:
        return asked_at_once(flask.request.headers["x-user"])

    return app


def _django(name: str) -> Any:
    import django
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    async def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(await asked(request.headers["x-user"]))

    def answer_at_once(request: HttpRequest) -> HttpResponse:
        return HttpResponse(asked_at_once(request.headers["x-user"]))

    settings.configure(
        ROOT_URLCONF=(path("", answer if name == "django_asgi" else answer_at_once),),
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["graysplit.integrations.django"],
        MIDDLEWARE=["graysplit.integrations.django.GraysplitMiddleware"],
        GRAYSPLIT={"ROUTER": f"{__name__}.gray", "UNIT": UNIT},
    )
    django.setup()
    if name == "django_asgi":
        from django.core.asgi import get_asgi_application

        return get_asgi_application()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()
