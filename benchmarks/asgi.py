"""Serve requests of an ASGI application in this process, without a server and without a loop."""

# ruff: noqa: ANN401 - applications of many frameworks

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any


async def _receive() -> dict[str, object]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: object) -> None:
    del message


def served(app: Any, user: str) -> Callable[[], object]:
    """Return what serves one request of a user, without a loop: nothing in it waits."""
    headers = [(b"host", b"shop"), (b"user-agent", b"bench"), (b"accept", b"*/*"), (b"x-user", user.encode())]

    def scope() -> dict[str, object]:
        return {
            "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "",
            "headers": headers, "http_version": "1.1", "scheme": "http", "server": ("shop", 80),
            "client": ("10.0.0.1", 1), "asgi": {"version": "3.0"},
        }  # fmt: skip

    def serve() -> None:
        coroutine = app(scope(), _receive, _send)
        with suppress(StopIteration):
            coroutine.send(None)
            raise RuntimeError("what is measured here must not wait")

    asyncio.run(app(scope(), _receive, _send))  # a process's first request may wait
    return serve
