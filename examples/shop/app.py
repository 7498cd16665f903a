"""A small web shop whose prices move from an old path to a new one.

    GRAYSPLIT_URL=redis://localhost:6379/0 uvicorn examples.shop.app:app --workers 4
    curl -i 'localhost:8000/price?user=user-17&items=tea,tea,mug'

The two functions below are all that graysplit asks for. Each answer says which of them priced it and when it entered
that function, so that the demo can tell when the last request entered the new path.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import graysplit

CENTS: Final = {"tea": 450, "mug": 1200, "pot": 2800, "tin": 990}

gray = graysplit.Router()


class Quote(NamedTuple):
    """What a cart costs, which path said so, and when the path was entered (the machine's monotonic clock)."""

    cents: int
    priced_by: str
    entered_at: float


@gray.route("pricing", unit="user_id")
def price(user_id: str, items: Sequence[str]) -> Quote:  # noqa: ARG001 - the unit; prices are the same for all
    """Price a cart item by item: what has run for years."""
    entered_at = time.monotonic()
    cents = 0
    for item in items:
        cents += CENTS[item]
    return Quote(cents, "old", entered_at)


@price.version("new")
def price_by_kind(user_id: str, items: Sequence[str]) -> Quote:  # noqa: ARG001 - takes every call that `price` takes
    """Price a cart kind by kind: the rewrite on trial."""
    entered_at = time.monotonic()
    cents = sum(CENTS[kind] * items.count(kind) for kind in dict.fromkeys(items))
    return Quote(cents, "new", entered_at)


async def get_price(request: Request) -> Response:
    """Answer `GET /price?user=...&items=tea,mug`."""
    user, items = request.query_params.get("user", ""), request.query_params.get("items", "")
    cart = [item for item in items.split(",") if item]
    unknown = sorted(set(cart) - CENTS.keys())
    if unknown or not user:
        sold = ", ".join(CENTS)
        return JSONResponse({"error": f"ask for /price?user=NAME&items=A,B with items of: {sold}"}, status_code=400)
    quote = price(user, cart)
    headers = {
        "x-priced-by": quote.priced_by,
        "x-entered-at": repr(quote.entered_at),
        "x-worker": str(os.getpid()),
    }
    return JSONResponse({"user": user, "cents": quote.cents}, headers=headers)


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Follow the store from before the first request until after the last one."""
    with gray:
        gray.wait_ready()
        yield


app = Starlette(routes=[Route("/price", get_price)], lifespan=lifespan)
