"""taskiq: a task has its sender's unit, and one version for its run."""

from __future__ import annotations

import asyncio

from taskiq import InMemoryBroker

import graysplit
from graysplit.integrations.taskiq import GraysplitMiddleware

gray = graysplit.Router("memory://taskiq")
price = gray.split("price", "old", "new")
broker = InMemoryBroker().with_middlewares(GraysplitMiddleware(gray, unit="user_id"))


@broker.task
async def price_of(user_id: str) -> str:
    """Price by the version."""
    return f"{user_id}: {price.choose()} price"


async def main() -> None:
    """Send two tasks, and print what they return."""
    await broker.startup()
    for user in ("user-1", "user-8"):
        task = await price_of.kiq(user)
        print((await task.wait_result(timeout=5)).return_value)
    await broker.shutdown()


if __name__ == "__main__":
    with graysplit.Control("memory://taskiq") as control:
        control.create("price")
        control.set("price", 30)
    gray.wait_ready()
    asyncio.run(main())
