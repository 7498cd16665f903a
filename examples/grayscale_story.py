"""A grayscale release on a live service: 20 %, a person approves, 50 %, the new path throws, and everybody goes back.

Started by itself it runs a server, this service under uvicorn with two workers, and the users.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Final

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import graysplit
from graysplit import embedded
from graysplit.core.plan import Step

WORKERS: Final = 2
USERS: Final = 16
PLAN: Final = (Step(20_000, approve=True), Step(50_000, approve=True), Step(100_000))

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
        return PlainTextResponse("new path failed", 500)


def broken() -> bool:
    """Say whether the prices have come that break carts."""
    return Path(os.environ["NEW_PRICES"]).exists()


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
    """Follow the store from before the first request until after the last one."""
    with gray:
        gray.wait_ready()
        yield


app = Starlette(routes=[Route("/pay", pay)], lifespan=lifespan)


@contextlib.contextmanager
def service(url: str, new_prices: Path) -> Generator[str]:
    """Open the service on a free port and give its address."""
    here = Path(__file__).resolve()
    uvicorn = [sys.executable, "-m", "uvicorn", f"{here.stem}:app", "--app-dir", str(here.parent)]
    with subprocess.Popen(  # noqa: S603 - this program itself
        [*uvicorn, "--workers", str(WORKERS), "--port", "0", "--no-access-log", "--no-use-colors"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GRAYSPLIT_URL": url, "NEW_PRICES": str(new_prices)},
    ) as process:
        said = process.stderr or iter(())
        address = next(found[1] for line in said if (found := re.search(r"running on (http://\S+)", line)))
        listener = threading.Thread(target=lambda: [*said])  # a pipe that nobody reads would hold the workers up
        listener.start()
        try:
            yield address
        finally:
            process.terminate()
            listener.join()


async def visit(address: str, answers: Counter[str], over: asyncio.Event) -> None:
    """Be one user after the other on one connection, until it is over."""
    async with httpx.AsyncClient(base_url=address) as client:
        for number in itertools.count():
            if over.is_set():
                return
            try:
                answer = await client.get("/pay", params={"user": f"user-{number}"})
                answers[answer.text] += 1
            except httpx.HTTPError as error:
                answers[f"lost: {type(error).__name__}"] += 1


async def opened(address: str) -> None:
    """Wait until the service answers: it names its address before it listens."""
    async with httpx.AsyncClient(base_url=address) as client:
        while True:
            with contextlib.suppress(httpx.ConnectError):
                await client.get("/pay", params={"user": "user-0"})
                return
            await asyncio.sleep(0.02)


class Story:
    """One release, on an open service with its users in it."""

    def __init__(self, control: graysplit.Control, answers: Counter[str]) -> None:
        """Take the hand on the store, and what the users count."""
        self.control = control
        self.answers = answers

    async def tell(self, new_prices: Path) -> None:
        """Ramp, approve, meet the trouble, go back."""
        await self.until(lambda: len(self.control.fleet().live) == WORKERS)
        await asyncio.to_thread(self.control.ramp, "checkout", PLAN, why="release 42")
        print(f"ramp: {await self.weight()}; {await self.share()} of the users are on the new path")
        await self.until(lambda: "approval of step 2" in self.waits())
        await asyncio.to_thread(self.control.approve, "checkout", why="an hour without trouble")
        await self.until(lambda: self.control.show("checkout").rows[0].effective == "50")
        print(f"approved: {await self.weight()}; {await self.share()} of the users are on the new path")
        await asyncio.to_thread(new_prices.touch)
        await self.until(lambda: self.answers["new path failed"] > 0)
        print("the new path throws for some of its users")
        result, receipts = await asyncio.to_thread(
            lambda: self.control.wait_confirmed(self.control.rollback("checkout", why="carts break"))
        )
        print(f"rollback {result.from_} -> {result.to}: {receipts.confirmed}/{receipts.processes} send no new calls")
        await asyncio.sleep(0.2)  # those inside finish
        before = self.answers.copy()
        await self.until(lambda: (self.answers - before).total() > USERS * 10)
        print(f"after it users get {' and '.join(sorted(self.answers - before))}")
        print(f"the plan: {'over' if self.control.show('checkout').plan is None else 'runs'}")

    def waits(self) -> str:
        """Say what the plan waits for."""
        plan = self.control.show("checkout").plan
        return "" if plan is None else plan.why

    async def weight(self) -> str:
        """Give the weight in force."""
        row = (await asyncio.to_thread(self.control.show, "checkout")).rows[0]
        return f"{row.effective} %"

    async def share(self) -> str:
        """Say how many of the users who come from now on get the new path."""
        await asyncio.sleep(0.2)
        before = self.answers.copy()
        await self.until(lambda: (self.answers - before).total() > 2_000)  # noqa: PLR2004 - enough to tell
        found = self.answers - before
        return "about half" if found["new"] > 0.4 * found.total() else "about a fifth"

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        """Ask until it is true."""
        deadline = time.monotonic() + 30
        while not await asyncio.to_thread(condition):
            if time.monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(0.02)


async def main() -> None:
    """Run all parts, and count what the users met."""
    answers: Counter[str] = Counter()
    over = asyncio.Event()
    with tempfile.TemporaryDirectory() as folder, embedded.server() as server:
        new_prices = Path(folder) / "new-prices"
        with service(server.url, new_prices) as address, graysplit.Control(server.url) as control:
            await opened(address)
            users = [asyncio.create_task(visit(address, answers, over)) for _ in range(USERS)]
            await Story(control, answers).tell(new_prices)
            over.set()
            await asyncio.gather(*users)
    lost = sum(count for answer, count in answers.items() if answer not in {"old", "new", "new path failed"})
    enough = "thousands of" if answers.total() > 2_000 else "few"  # noqa: PLR2004 - thousands
    print(f"{enough} requests, {lost} lost; all failures came from the new path itself")


if __name__ == "__main__":
    asyncio.run(main())
