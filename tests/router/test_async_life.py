"""The life of a router in an event loop: nothing of it blocks the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from graysplit import Router
from graysplit.stores.memory import MemoryStore


def test_async_with_starts_and_closes(store: MemoryStore) -> None:
    """Inside the block the router follows, and after it is closed."""

    async def run() -> tuple[bool, str]:
        async with Router(store) as gray:
            return await gray.ready(5), gray.status().phase

    assert asyncio.run(run()) == (True, "live")


def test_a_closed_router_says_closed(store: MemoryStore) -> None:
    """The phase after the block is `closed`."""
    gray = Router(store)

    async def run() -> None:
        async with gray:
            assert await gray.ready(5)

    asyncio.run(run())
    assert gray.status().phase == "closed"


def test_waiting_leaves_the_loop_free(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a router waits for its store, and while it closes, other tasks run."""
    gray, may_end = Router(store), threading.Event()
    lifecycle = gray._lifecycle
    monkeypatch.setattr(lifecycle, "wait_ready", lambda _: may_end.wait(20))

    async def run() -> bool:
        async with gray:
            waiting = asyncio.create_task(gray.ready(20))
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.01, may_end.set)  # a blocked loop would never come to it
            return await waiting

    assert asyncio.run(run())
