"""Right uses: both checkers find nothing. Checked, never run."""

# pyright: reportUnusedVariable=false, reportUnusedFunction=false

# ruff: noqa: ARG002 - stand-ins have the parameters of what they stand for

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any, Literal, assert_type
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import graysplit
from graysplit import INSTANCE, Control, Router, Split, attribute
from graysplit.control import Outcome


def declare(gray: Router) -> None:
    @gray.route("checkout", unit="user_id", attributes={"plan": "cart"})
    def checkout(user_id: str, cart: int, cur: str = "EUR", *, fast: bool = False) -> float:
        return 1.0

    @checkout.version("new")
    def same(user_id: str, cart: int, cur: str = "EUR", *, fast: bool = False) -> float:
        return 2.0

    @checkout.version("wider")
    def wider(
        user_id: object, cart: float, cur: str | None = "USD", extra: int = 1, *, fast: bool = True, more: str = ""
    ) -> int:
        return 3

    @checkout.version("anything")
    def anything(*args: object, **kwargs: object) -> float:
        return 4.0

    assert_type(checkout("u-1", 1, fast=True), float)
    assert_type(checkout.versions["old"]("u-1", cart=1), float)
    assert_type(checkout.split, str)
    assert_type(same("u-1", 1), float)
    name: str = checkout.__name__
    plain: Callable[[str, int], float] = checkout
    inspect.signature(checkout)

    @checkout.warm("wider", every=30.0)
    def prepare() -> int:
        return 1

    @gray.warm("checkout", "by-name")
    def prepare_by_name(retries: int = 3) -> None: ...

    assert_type(prepare(), int)
    prepare_by_name(retries=2)

    @gray.candidate("checkout", "by-name")
    def by_name(user_id: str, cart: int, mine: int = 0) -> float:
        return 5.0

    assert_type(by_name("u-1", 1, mine=1), float)


def user_of(request: Request) -> str:
    return request.headers["user"]


def asynchronous(gray: Router) -> None:
    @gray.route("search", unit=user_of)
    async def search(request: Request) -> Response:
        return PlainTextResponse("old")

    @search.version("new")
    async def search_new(request: Request, limit: int = 10) -> PlainTextResponse:
        return PlainTextResponse("new")

    async def use(request: Request) -> None:
        assert_type(await search(request), Response)
        task = asyncio.create_task(search(request))
        assert_type(await task, Response)
        both = await asyncio.gather(search(request), search.versions["new"](request))
        coroutine: Coroutine[Any, Any, Response] = search(request)
        await coroutine

    Starlette(routes=[Route("/", search)])


def generators(gray: Router) -> None:
    @gray.route("items", unit=None)
    def items(start: int) -> Iterator[int]:
        yield start

    @items.version("new")
    def items_new(start: int) -> Generator[int, None, None]:
        yield start

    @gray.route("stream", unit=("start", attribute("tenant"), None))
    async def stream(start: int) -> AsyncIterator[int]:
        yield start

    @stream.version("new")
    async def stream_new(start: int) -> AsyncIterator[int]:
        yield start

    assert_type(list(items(1)), list[int])

    async def use() -> None:
        async for number in stream(1):
            assert_type(number, int)


def methods(gray: Router) -> None:
    class Shop:
        tenant = "t-1"

        @gray.route("price", unit="self.tenant", fallback=True)
        def price(self, article: str, count: int = 1) -> float:
            return 1.0

        @price.version("new")
        def price_new(self, article: str, count: int = 1, extra: int = 0) -> float:
            return 2.0

        @gray.route("stock", unit="article")
        async def stock(self, article: str) -> int:
            return 1

    async def use(shop: Shop) -> None:
        assert_type(shop.price("a-1"), float)
        assert_type(shop.price("a-1", count=2), float)
        assert_type(shop.price_new("a-1"), float)
        assert_type(await shop.stock("a-1"), int)
        assert_type(Shop.price.split, str)
        bound: Callable[[str, int], float] = shop.price
        task = asyncio.create_task(shop.stock("a-1"))
        assert_type(await task, int)


def handles(gray: Router) -> None:
    banner: Split[Literal["old", "new"]] = gray.split("banner", "old", "new")
    assert_type(banner.choose("u-1"), Literal["old", "new"])
    assert_type(banner.choose(unit=1, attributes={"plan": "pro"}), Literal["old", "new"])
    assert_type(banner.baseline, Literal["old", "new"])
    assert_type(banner.decide("u-1").reason, graysplit.Reason)
    banner.choose(attribute("tenant"), {"tenant": "t-1"})
    banner.choose(INSTANCE)
    banner.choose(b"u-1")
    banner.choose(UUID(int=1))
    if banner.choose() == "new":
        return
    with banner.attempt(unit="u-1") as version:
        assert_type(version, Literal["old", "new"])
    wider: Split[str] = banner

    @banner.warm("new", every=5)
    def prepare() -> list[str]:
        return []

    assert_type(prepare(), list[str])
    loose = gray.split("banner", "old", "new")
    loose_name: str = loose.choose("u-1")
    assert_type(gray.split("banner").choose("u-1"), Literal["old", "new"])
    typed: Split[str] = gray.split("banner", *["old", "new"], unit=INSTANCE)

    def by_user(unit: graysplit.Unit) -> str:
        return gray.choose("banner", unit)


class Banner(StrEnum):
    OLD = "old"
    NEW = "new"


class Mixed(str, Enum):  # noqa: UP042 - as programs have it that ran under Python 3.10
    OLD = "old"
    NEW = "new"


def members(gray: Router) -> None:
    banner = gray.split("banner", Banner, unit=attribute("tenant"))
    assert_type(banner, Split[Banner])
    assert_type(banner.choose("u-1"), Banner)
    assert_type(banner.baseline, Banner)
    assert_type(banner.versions, tuple[Banner, ...])
    assert_type(gray.split("banner", Mixed).choose(), Mixed)
    with banner.attempt("u-1") as version:
        assert_type(version, Banner)
        match version:
            case Banner.OLD:
                pass
            case Banner.NEW:
                pass

    @banner.warm(Banner.NEW, every="30s")
    def prepare() -> None: ...


def words(gray: Router, control: Control) -> None:
    assert_type(gray.explain("banner", "u-1").reason, graysplit.Reason)
    assert_type(gray.status().phase, graysplit.Phase)
    assert_type(gray.status().mode, graysplit.Mode)
    waited = control.wait_until("banner", until="safe", timeout="10m")
    assert_type(waited.outcome, Outcome)
    control.wait_until("banner", 20)
    control.ramp("banner", [5, 100], every=timedelta(minutes=10), until="safe")
    gray.wait_ready("2s")
    gray.wait_ready(timedelta(seconds=2))
    gray.warm("banner", "new", every=timedelta(seconds=30))


def narrowed(gray: Router) -> None:
    """Narrow by the names alone, where the checker can: pyright, not mypy."""
    banner = gray.split("banner", "old", "new")
    if banner.choose("u-1") == "new":
        return
