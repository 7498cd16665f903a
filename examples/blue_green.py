"""Blue-green under real load: a standby that is not ready is refused, then everybody goes over, and back.

Started by itself it runs a server, this shop under uvicorn with two workers, and the users.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import NamedTuple

from live.service import WORKERS, service
from live.users import AT_ONCE, Users, until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import graysplit
from graysplit import embedded
from graysplit.control import Result

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


class Story(NamedTuple):
    """One operator's evening, on an open shop with its users in it."""

    control: graysplit.Control
    users: Users

    async def tell(self, new_prices: Path) -> None:
        """Switch too early, then at the right time, and go back twice."""
        await until(lambda: len(self.control.fleet().live) == WORKERS)
        self.control.create("prices", ["old", "new"], in_flight="finish")
        print(f"at first users get {await self.served()}")
        print(await self.switch("new"))
        print(f"so users still get {await self.served()}")
        await asyncio.to_thread(new_prices.touch)
        await until(lambda: self.control.standby("prices", "new").ready == WORKERS)
        print(await self.switch("new"))
        print(f"after it users get {await self.served()}")
        print(await self.switch("old", over=1.0))
        print(f"after it users get {await self.served()}")
        print(await self.switch("new"))
        print(f"began on one side and ended on the other: {torn(self.users.answers)}")
        print(await self.confirmed(lambda: self.control.rollback("prices", why="a wrong price")))
        print(f"after it users get {await self.served()}")

    async def switch(self, to: str, over: float | None = None) -> str:
        """Switch, and say how it went."""
        try:
            return await self.confirmed(lambda: self.control.switch("prices", to=to, over=over, confirm="prices"))
        except graysplit.RefusedError as refused:
            return f"refused: {re.sub('[^ ]+/[0-9]+ ', 'a worker ', str(refused))}"

    async def confirmed(self, act: Callable[[], Result]) -> str:
        """Act, and count who has confirmed it."""
        done = await asyncio.to_thread(lambda: self.control.wait_confirmed(act()))
        result, receipts = done.result, done.receipts
        return f"{result.cause} {result.from_} -> {result.to}: {receipts.confirmed}/{receipts.processes} confirmed"

    async def served(self) -> str:
        """Say what the users get who come from now on."""
        return " and ".join(sorted(await self.users.served(AT_ONCE * 2)))


def torn(answers: Counter[str]) -> int:
    """Count the requests that did not end on the side on which they began."""
    return sum(count for answer, count in answers.items() if ", then " in answer)


async def main() -> None:
    """Run all parts, and count what the users met."""
    with tempfile.TemporaryDirectory() as folder, embedded.server() as server, graysplit.Control(server.url) as control:
        new_prices = Path(folder) / "new-prices"
        with service(__file__, server.url, NEW_PRICES=str(new_prices)) as address:
            async with Users(address, "/price") as users:
                await Story(control, users).tell(new_prices)
    failed = sum(count for answer, count in users.answers.items() if answer.startswith("failed"))
    enough = "hundreds of" if users.answers.total() > 200 else "few"  # noqa: PLR2004 - hundreds
    print(f"{enough} requests, {failed} failed")


if __name__ == "__main__":
    asyncio.run(main())
