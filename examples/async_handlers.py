"""A routed coroutine is a coroutine: as a bare Starlette route, in `create_task`, and inside one request's context."""

from __future__ import annotations

import asyncio
import inspect
from typing import Final

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import graysplit

STORE: Final = "memory://async"

gray = graysplit.Router(STORE)


def user_of(request: Request) -> str:
    """Pick the unit; asked for with the routed function's argument of the same name."""
    return request.headers.get("x-user", "")


@gray.route("greeting", unit=user_of)
async def greeting(request: Request) -> Response:  # noqa: ARG001 - a route's signature
    """Greet as ever."""
    return PlainTextResponse("Good day")


@greeting.version("new")
async def greeting_new(request: Request) -> Response:  # noqa: ARG001 - a route's signature
    """Greet anew."""
    await asyncio.sleep(0)
    return PlainTextResponse("Hi!")


app = Starlette(routes=[Route("/", greeting)])


async def main() -> None:
    """Ask as two users, and start the routed coroutine as a task."""
    with graysplit.Control(STORE) as control:
        control.create("greeting")
        control.set("greeting", 30)
    await asyncio.to_thread(gray.wait_ready)
    print(f"the routed function is a coroutine function: {inspect.iscoroutinefunction(greeting)}")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        for user in ("user-3", "user-1"):
            answer = await client.get("/", headers={"x-user": user})
            print(f"{user} over HTTP: {answer.text}")
    scope = {"type": "http", "headers": [(b"x-user", b"user-1")]}
    task = asyncio.create_task(greeting(Request(scope)))
    print(f"user-1 as a task: {bytes((await task).body).decode()}")


if __name__ == "__main__":
    asyncio.run(main())
