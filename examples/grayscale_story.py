"""A grayscale release on a live service: 20 %, a person approves, 50 %, the new path throws, and everybody goes back.

Started by itself it runs a server, this service under uvicorn with two workers, and the users.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, NamedTuple

from live.service import WORKERS, service
from live.users import AT_ONCE, Users, until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import graysplit
from graysplit import embedded
from graysplit.control.steps import Step

PLAN: Final = (Step(20, approve=True), Step(50, approve=True), Step(100))
BROKE: Final = "the new path broke"

gray = graysplit.Router()  # the worker processes find the server's address in their environment


@gray.route("checkout", unit="user")
async def checkout(user: str) -> str:  # noqa: ARG001 - the unit
    """Pay as today."""
    await asyncio.sleep(0.002)
    return "old"


@checkout.version("new")
async def checkout_new(user: str) -> str:
    """Pay the new way, which some users' carts break once the day's prices have come."""
    await asyncio.sleep(0.002)
    if user.endswith("7") and broken():
        raise LookupError
    return "new"


async def pay(request: Request) -> Response:
    """Answer a request; what the path raises is the service's own trouble."""
    try:
        return PlainTextResponse(await checkout(request.query_params["user"]))
    except LookupError:
        return PlainTextResponse(BROKE, 500)


def broken() -> bool:
    """Return whether the prices have come that break carts."""
    return Path(os.environ["NEW_PRICES"]).exists()


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
    """Follow the store from before the first request until after the last one."""
    with gray:
        gray.wait_ready()
        yield


app = Starlette(routes=[Route("/pay", pay)], lifespan=lifespan)


class Story(NamedTuple):
    """One release, on an open service with its users in it."""

    control: graysplit.Control
    users: Users

    async def tell(self, new_prices: Path) -> None:
        """Ramp, approve, meet the trouble, go back."""
        await until(lambda: len(self.control.fleet().live) == WORKERS)
        await asyncio.to_thread(self.control.ramp, "checkout", PLAN, why="release 42", confirm="checkout")
        print(f"ramp: {await self.weight()}; {await self.share()} of the users are on the new path")
        await until(lambda: "approval of step 2" in self.waits())
        await asyncio.to_thread(self.control.approve, "checkout", 50, why="an hour without trouble")
        await until(lambda: self.control.show("checkout").rows[0].effective == "50")
        print(f"approved: {await self.weight()}; {await self.share()} of the users are on the new path")
        await asyncio.to_thread(new_prices.touch)
        await until(lambda: self.users.answers[f"failed: {BROKE}"] > 0)
        print("the new path throws for some of its users")
        done = await asyncio.to_thread(
            lambda: self.control.wait_confirmed(self.control.rollback("checkout", why="carts break"))
        )
        result, receipts = done.result, done.receipts
        confirmed = f"{receipts.confirmed}/{receipts.processes} processes"
        print(f"rollback {result.from_} -> {result.to}: {confirmed} stopped sending calls to new")
        print(f"after it users get {' and '.join(sorted(await self.users.served(AT_ONCE * 10)))}")
        print(f"the plan: {'over' if self.control.show('checkout').plan is None else 'runs'}")

    def waits(self) -> str:
        """Say what the plan waits for."""
        plan = self.control.show("checkout").plan
        return "" if plan is None else plan.why

    async def weight(self) -> str:
        """Return the weight in force."""
        row = (await asyncio.to_thread(self.control.show, "checkout")).rows[0]
        return f"{row.effective} %"

    async def share(self) -> str:
        """Say how many of the users who come from now on get the new path."""
        found = await self.users.served(1_000)  # enough to tell
        return "about half" if found["new"] > 0.4 * found.total() else "about a fifth"


async def main() -> None:
    """Run all parts, and count what the users met."""
    with tempfile.TemporaryDirectory() as folder, embedded.server() as server, graysplit.Control(server.url) as control:
        new_prices = Path(folder) / "new-prices"
        with service(__file__, server.url, NEW_PRICES=str(new_prices)) as address:
            async with Users(address, "/pay") as users:
                await Story(control, users).tell(new_prices)
    lost = sum(count for answer, count in users.answers.items() if answer not in {"old", "new", f"failed: {BROKE}"})
    enough = "thousands of" if users.answers.total() > 2_000 else "few"  # noqa: PLR2004 - thousands
    print(f"{enough} requests, {lost} lost; all failures came from the new path itself")


if __name__ == "__main__":
    asyncio.run(main())
