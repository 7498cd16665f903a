"""A service with a routed handler whose new path fails for some users once a file exists."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import mmh3
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import graysplit

FAILING: Final = 0.3  # of the users, on the new path; with SHARED on both

gray = graysplit.Router()
broken = Path(os.environ.get("BROKEN", "/nonexistent"))
shared = Path(os.environ.get("SHARED", "/nonexistent"))


def fails(user: str, *troubles: Path) -> bool:
    """Return whether it fails for a user, by a hash that has nothing to do with the split's, once there is trouble."""
    return mmh3.mmh3_32_uintdigest(user.encode(), 7) < FAILING * 2**32 and any(one.exists() for one in troubles)


@gray.route("checkout", unit="user")
async def checkout(user: str) -> str:
    """Pay as today."""
    await asyncio.sleep(0.002)
    if fails(user, shared):
        raise LookupError
    return "old"


@checkout.version("new")
async def checkout_new(user: str) -> str:
    """Pay the new way."""
    await asyncio.sleep(0.002)
    if fails(user, broken, shared):
        raise LookupError
    return "new"


async def pay(request: Request) -> Response:
    """Answer with the path, and when it was entered."""
    entered = time.time()
    try:
        found = PlainTextResponse(await checkout(request.query_params["user"]))
    except LookupError:
        found = PlainTextResponse("failed", 500)
    found.headers["entered"] = repr(entered)
    return found


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
    """Follow the store from before the first request until after the last one."""
    with gray:
        gray.wait_ready()
        yield


app = Starlette(routes=[Route("/pay", pay)], lifespan=lifespan)
