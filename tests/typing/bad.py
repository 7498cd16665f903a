"""Wrong uses: each line marked with `error` is one for both checkers, and no other. Checked, never run."""

# pyright: reportUnusedVariable=false, reportUnusedFunction=false

# ruff: noqa: ARG002 - stand-ins have the parameters of what they stand for

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

from graysplit import Control, Router, Split


def functions(gray: Router) -> None:
    @gray.route("checkout", unit="user_id")
    def checkout(user_id: str, cart: int, cur: str = "EUR") -> float:
        return 1.0

    def renamed(uid: str, cart: int, cur: str = "EUR") -> float:
        return 1.0

    def missing(user_id: str, cur: str = "EUR") -> float:
        return 1.0

    def retyped(user_id: int, cart: int, cur: str = "EUR") -> float:
        return 1.0

    def lost_default(user_id: str, cart: int, cur: str) -> float:
        return 1.0

    async def async_for_sync(user_id: str, cart: int, cur: str = "EUR") -> float:
        return 1.0

    def other_result(user_id: str, cart: int, cur: str = "EUR") -> str:
        return ""

    def more_required(user_id: str, cart: int, cur: str = "EUR", *, more: int) -> float:
        return 1.0

    checkout.version("renamed")(renamed)  # error
    checkout.version("missing")(missing)  # error
    checkout.version("retyped")(retyped)  # error
    checkout.version("lost")(lost_default)  # error
    checkout.version("async")(async_for_sync)  # error
    checkout.version("other")(other_result)  # error
    checkout.version("more")(more_required)  # error

    @checkout.version("decorated")  # error
    def decorated(uid: str, cart: int, cur: str = "EUR") -> float:
        return 1.0

    checkout("u-1")  # error
    checkout("u-1", "cart")  # error
    checkout("u-1", 1, currency="EUR")  # error
    checkout.versions["new"](1, 2)  # error
    checkout.warmed  # error
    checkout.warm("new")(renamed)  # error
    checkout.warm("new", every=[30])  # error
    checkout.warm("new", 30)  # error
    gray.route("checkout", unit=3)  # error
    gray.route("checkout", unit="user_id", fallback="yes")  # error


def asynchronous(gray: Router) -> None:
    @gray.route("search", unit="query")
    async def search(query: str) -> int:
        return 1

    def sync_for_async(query: str) -> int:
        return 1

    async def other(query: str) -> str:
        return ""

    def generator(query: str) -> Iterator[int]:
        yield 1

    search.version("sync")(sync_for_async)  # error
    search.version("other")(other)  # error
    search.version("generator")(generator)  # error

    async def use() -> None:
        found: str = await search("q")  # error


def methods(gray: Router) -> None:
    class Shop:
        @gray.route("price", unit="article")
        def price(self, article: str) -> float:
            return 1.0

        def renamed(self, name: str) -> float:
            return 1.0

        price.version("renamed")(renamed)  # error

    def use(shop: Shop) -> None:
        shop.price(1)  # error
        shop.price()  # error


def handles(gray: Router) -> None:
    banner: Split[Literal["old", "new"]] = gray.split("banner", "old", "new")
    if banner.choose("u-1") == "nwe":  # error
        return
    wrong: Literal["old"] = banner.choose("u-1")  # error
    narrower: Split[Literal["old"]] = banner  # error
    banner.choose("u-1", attributes=3)  # error
    banner.attempt("u-1").version  # error
    banner.warm("new", every=[30])  # error
    banner.swap(None)  # error
    banner.choose(1.5)  # error
    banner.choose(None)  # error
    gray.choose("banner", unit=object())  # error
    gray.split("banner", ["old", "new"])  # error
    gray.split("banner", 1, 2)  # error


class Banner(StrEnum):
    OLD = "old"
    NEW = "new"


def members(gray: Router) -> None:
    banner = gray.split("banner", Banner)
    name: Literal["old"] = banner.choose("u-1")  # error
    other: Split[Literal["old", "new"]] = banner  # error
    banner.choose("u-1").nwe  # error


def words(gray: Router, control: Control) -> None:
    if gray.decide("banner", "u-1").reason == "buckett":  # error
        return
    if gray.status().phase == "ready":  # error
        return
    if gray.status().mode == "push":  # error
        return
    if control.wait_until("banner").outcome == "done":  # error
        return
    control.wait_until("banner", until="save")  # error
    control.ramp("banner", [5, 100], until="done")  # error
