"""Plain WSGI: a streamed answer keeps its request's version until it is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import graysplit
from graysplit.integrations.wsgi import GraysplitMiddleware

gray = graysplit.Router("memory://wsgi")


@gray.route("price")
def price() -> bytes:
    """Price as ever."""
    return b"old "


@price.version("new")
def price_new() -> bytes:
    """Price anew."""
    return b"new "


def shop(_: dict[str, str], start_response: Callable[..., object]) -> Iterator[bytes]:
    """Answer with three prices, one after the other."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _number in range(3):
        yield price()


app = GraysplitMiddleware(shop, gray, unit="header:x-user")

if __name__ == "__main__":
    with graysplit.Control("memory://wsgi") as control:
        control.create("price")
        control.set("price", 30)
    for user in ("user-1", "user-8"):
        answer = app({"HTTP_X_USER": user}, lambda *_: None)
        print(f"{user}: {b''.join(answer).decode()}")
