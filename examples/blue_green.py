"""Blue-green under real load: a standby that is not ready is refused, then everybody goes over, and back.

Started by itself it runs a server, this shop under uvicorn with two workers, and the users.
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
from graysplit.control import Result

WORKERS: Final = 2
USERS: Final = 16

gray = graysplit.Router()  # the worker processes find the server's address in their environment
prices = gray.split("prices", "old", "new")


@prices.warm("new", every=0.5)
def ask_the_new_prices() -> None:
    """Prepare the new path, and see twice a second that it would answer; it only reads."""
    Path(os.environ["NEW_PRICES"]).read_text(encoding="utf-8")


async def get_price(request: Request) -> Response:
    """Answer a request that needs its side twice; what began on one side ends on it."""
    with graysplit.context(unit=request.query_params["user"]):
        quoted_by = prices.choose()
        await asyncio.sleep(0.02)  # meanwhile somebody may switch
        booked_by = prices.choose()
    return PlainTextResponse(quoted_by if quoted_by == booked_by else f"{quoted_by}, then {booked_by}")


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
    """Follow the store from before the first request until after the last one."""
    with gray:
        gray.wait_ready()
        yield


app = Starlette(routes=[Route("/price", get_price)], lifespan=lifespan)


@contextlib.contextmanager
def shop(url: str, new_prices: Path) -> Generator[str]:
    """Open the shop on a free port and give its address."""
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
                answer = await client.get("/price", params={"user": f"user-{number}"})
                answers[answer.text if answer.is_success else f"failed: {answer.status_code}"] += 1
            except httpx.HTTPError as error:
                answers[f"failed: {type(error).__name__}"] += 1


class Story:
    """One operator's evening, on an open shop with its users in it."""

    def __init__(self, control: graysplit.Control, answers: Counter[str]) -> None:
        """Take the hand on the store, and what the users count."""
        self.control = control
        self.answers = answers

    async def tell(self, new_prices: Path) -> None:
        """Switch too early, then at the right time, and go back twice."""
        await self.until(lambda: len(self.control.fleet().live) == WORKERS)
        self.control.create("prices", ["old", "new"], in_flight="finish")
        print(f"at first users get {await self.served()}")
        print(await self.switch("new"))
        print(f"so users still get {await self.served()}")
        await asyncio.to_thread(new_prices.touch)
        await self.until(lambda: self.control.standby("prices", "new").ready == WORKERS)
        print(await self.switch("new"))
        print(f"after it users get {await self.served()}")
        print(await self.switch("old", over_s=1.0))
        print(f"after it users get {await self.served()}")
        print(await self.switch("new"))
        print(f"began on one side and ended on the other: {torn(self.answers)}")
        print(await self.confirmed(lambda: self.control.rollback("prices", why="a wrong price")))
        print(f"after it users get {await self.served()}")

    async def switch(self, to: str, over_s: float | None = None) -> str:
        """Switch, and say how it went."""
        try:
            return await self.confirmed(lambda: self.control.switch("prices", to=to, over_s=over_s))
        except graysplit.RefusedError as refused:
            return f"refused: {re.sub('[^ ]+/[0-9]+ ', 'a worker ', str(refused))}"

    async def confirmed(self, act: Callable[[], Result]) -> str:
        """Act, and count who has confirmed it."""
        result, receipts = await asyncio.to_thread(lambda: self.control.wait_confirmed(act()))
        return f"{result.cause} {result.from_} -> {result.to}: {receipts.confirmed}/{receipts.processes} confirmed"

    async def served(self) -> str:
        """Say what the users get who come from now on."""
        await asyncio.sleep(0.1)  # those inside finish
        before = self.answers.copy()
        await self.until(lambda: (self.answers - before).total() > USERS * 2)
        return " and ".join(sorted(self.answers - before))

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        """Ask until it is true."""
        deadline = time.monotonic() + 20
        while not await asyncio.to_thread(condition):
            if time.monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(0.02)


def torn(answers: Counter[str]) -> int:
    """Count the requests that did not end on the side on which they began."""
    return sum(count for answer, count in answers.items() if ", then " in answer)


async def main() -> None:
    """Run all parts, and count what the users met."""
    answers: Counter[str] = Counter()
    over = asyncio.Event()
    with tempfile.TemporaryDirectory() as folder, embedded.server() as server:
        new_prices = Path(folder) / "new-prices"
        with shop(server.url, new_prices) as address, graysplit.Control(server.url) as control:
            users = [asyncio.create_task(visit(address, answers, over)) for _ in range(USERS)]
            await Story(control, answers).tell(new_prices)
            over.set()
            await asyncio.gather(*users)
    failed = sum(count for answer, count in answers.items() if answer.startswith("failed"))
    enough = "hundreds of" if answers.total() > 200 else "few"  # noqa: PLR2004 - hundreds
    print(f"{enough} requests, {failed} failed")


if __name__ == "__main__":
    asyncio.run(main())
