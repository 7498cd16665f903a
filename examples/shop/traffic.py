"""Many users at the shop: real HTTP on keep-alive connections, spread over all its workers."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Final, NamedTuple, Self

import httpx

CARTS: Final = ("tea", "tea,tea,mug", "pot,tin", "mug,mug,tin,tea", "pot")
CONNECTIONS: Final = 16
TIMEOUT_S: Final = 10.0
AT_MOST_PER_WORKER: Final = 6
TRIES: Final = 1_000  # a connection goes to whichever worker takes it first: connect until all have one


class Visit(NamedTuple):
    """One answered request."""

    user: str
    version: str
    entered_at: float  # when it entered the path that priced it, by the machine's monotonic clock
    worker: str


class Traffic:
    """A constant load: user after user, each request on the next connection, so that a user meets every worker."""

    def __init__(self, url: str, *, users: int, per_second: float, workers: int) -> None:
        """Take where to go and how much; nothing is sent yet."""
        self.users = tuple(f"user-{number}" for number in range(users))
        self.visits: list[Visit] = []
        self.failures: list[str] = []
        self._url = url
        self._pause_s = 1 / per_second
        self._workers = workers
        self._stack = AsyncExitStack()
        self._lines: list[httpx.AsyncClient] = []
        self._senders: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Open the connections, then let the users in."""
        await self._connect()
        requests = self._requests()
        self._senders = [asyncio.create_task(self._send(line, requests)) for line in self._lines]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let nobody in any more, and hang up."""
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await self._stack.aclose()

    @property
    def answered(self) -> int:
        """The requests that were answered well."""
        return len(self.visits)

    def forget(self, before: float) -> None:
        """Drop the visits before a moment, where there is no end at which they are judged."""
        self.visits = [visit for visit in self.visits if visit.entered_at >= before]

    @property
    def connections(self) -> int:
        """The connections that were kept."""
        return len(self._lines)

    async def _connect(self) -> None:
        """Open connections until each worker has one and there are enough; close what a worker has too many of."""
        taken: dict[str, int] = {}
        nothing_trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # plain HTTP: spares each client its certificates
        for _ in range(TRIES):
            missing = self._workers - len(taken)
            if not missing and len(self._lines) == CONNECTIONS:
                return
            line = httpx.AsyncClient(base_url=self._url, verify=nothing_trusted, timeout=TIMEOUT_S)
            answer = await line.get("/price", params={"user": self.users[0], "items": CARTS[0]})
            worker = answer.headers["x-worker"]
            left_for_others = CONNECTIONS - len(self._lines) > missing
            if worker not in taken or (left_for_others and taken[worker] < AT_MOST_PER_WORKER):
                taken[worker] = taken.get(worker, 0) + 1
                self._lines.append(line)
                self._stack.push_async_callback(line.aclose)
            else:
                await line.aclose()

    def _requests(self) -> Iterator[tuple[float, str, str]]:
        """Return due time, user and cart of each request, without end."""
        number, due = 0, time.monotonic()
        while True:
            due = max(due + self._pause_s, time.monotonic() - 1.0)  # after a hiccup, do not make up for all of it
            yield due, self.users[number % len(self.users)], CARTS[number % len(CARTS)]
            number += 1

    async def _send(self, line: httpx.AsyncClient, requests: Iterator[tuple[float, str, str]]) -> None:
        for due, user, cart in requests:
            await asyncio.sleep(due - time.monotonic())
            try:
                answer = await line.get("/price", params={"user": user, "items": cart})
                answer.raise_for_status()
            except httpx.HTTPError as fault:
                self.failures.append(f"{type(fault).__name__}: {fault}")
                continue
            heads = answer.headers
            self.visits.append(Visit(user, heads["x-priced-by"], float(heads["x-entered-at"]), heads["x-worker"]))
