"""aiohttp: one line gives each request its unit, and the router its start and end."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import graysplit
from graysplit.integrations.aiohttp import setup

gray = graysplit.Router("memory://aiohttp")


@gray.route("price")
def price() -> str:
    """Price as ever."""
    return "old price"


@price.version("new")
def price_new() -> str:
    """Price anew."""
    return "new price"


async def shop(_: web.Request) -> web.Response:
    """Answer with the price; the unit is the request's."""
    return web.Response(text=price())


app = web.Application()
app.router.add_get("/", shop)
setup(app, gray, unit="header:x-user", versions_header="x-versions")


async def main() -> None:
    """Visit the shop over a socket."""
    async with TestClient(TestServer(app)) as client:
        for user in ("user-1", "user-8"):
            answer = await client.get("/", headers={"X-User": user})
            print(f"{user}: {await answer.text()} ({answer.headers['X-Versions']}; vary: {answer.headers['Vary']})")


if __name__ == "__main__":
    with graysplit.Control("memory://aiohttp") as control:
        control.create("price")
        control.set("price", 30)
    asyncio.run(main())
