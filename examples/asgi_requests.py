"""Starlette: one line gives each request its unit, and the router its start and end."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import graysplit
from graysplit.integrations.asgi import GraysplitMiddleware

gray = graysplit.Router("memory://asgi")


@gray.route("price")
def price() -> str:
    """Price as ever."""
    return "old price"


@price.version("new")
def price_new() -> str:
    """Price anew."""
    return "new price"


async def shop(_: Request) -> PlainTextResponse:
    """Answer with the price; the unit is the request's."""
    return PlainTextResponse(price())


app = Starlette(routes=[Route("/", shop)])
app.add_middleware(GraysplitMiddleware, router=gray, unit="header:x-user", versions_header="x-versions")

if __name__ == "__main__":
    with graysplit.Control("memory://asgi") as control:
        control.create("price")
        control.set("price", 30)
    with TestClient(app) as client:
        for user in ("user-1", "user-8"):
            answer = client.get("/", headers={"x-user": user})
            print(f"{user}: {answer.text} ({answer.headers['x-versions']}; vary: {answer.headers['vary']})")
