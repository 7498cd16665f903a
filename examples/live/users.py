"""Users of a service that is open, and waiting for what becomes true while they are there."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Self

import httpx

AT_ONCE: Final = 16
PATIENCE_S: Final = 30.0


class Users:
    """Sixteen at any time, each visit by a new one, from where the block begins to where it ends."""

    def __init__(self, address: str, path: str) -> None:
        """Take where they go."""
        self.answers: Counter[str] = Counter()  # by what was answered; what failed begins with `failed: `
        self._address = address
        self._path = path
        self._numbers = itertools.count()
        self._nothing_trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # plain HTTP: spares each its certificates
        self._over = asyncio.Event()
        self._inside: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Let them in."""
        self._inside = [asyncio.create_task(self._visit()) for _ in range(AT_ONCE)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the last ones out."""
        self._over.set()
        await asyncio.gather(*self._inside)

    async def served(self, count: int) -> Counter[str]:
        """Return what those get who come from now on, once more than so many have been answered."""
        await asyncio.sleep(0.2)  # those inside finish
        before = self.answers.copy()
        await until(lambda: self.answers.total() - before.total() > count)
        return self.answers - before

    async def _visit(self) -> None:
        """Be one user after the other on one connection."""
        async with httpx.AsyncClient(base_url=self._address, verify=self._nothing_trusted) as client:
            while not self._over.is_set():
                try:
                    answer = await client.get(self._path, params={"user": f"user-{next(self._numbers)}"})
                    self.answers[answer.text if answer.is_success else f"failed: {answer.text}"] += 1
                except httpx.HTTPError as error:
                    self.answers[f"failed: {type(error).__name__}"] += 1


async def until(condition: Callable[[], bool]) -> None:
    """Ask until it is true, and let the users go on meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.02)
