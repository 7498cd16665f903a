"""Two hosts of the shop under gunicorn, each with processes of its own, and users who visit both."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

import httpx

from benchmarks.processes import ROOT, surroundings
from examples.shop.traffic import Traffic, Visit

WORKERS: Final = 2
OPEN_WITHIN_S: Final = 60.0
QUIETLY: Final = ("--log-level", "error", "--graceful-timeout", "3", "--no-control-socket")


@contextmanager
def host(url: str, name: str) -> Iterator[str]:
    """Serve the shop as one host, and return its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "examples.shop.app:app", "-k", "uvicorn_worker.UvicornWorker"]
    with subprocess.Popen(
        [*command, "-w", str(WORKERS), "-b", f"127.0.0.1:{port}", *QUIETLY],
        cwd=ROOT,
        env=surroundings({"GRAYSPLIT_URL": url, "GRAYSPLIT_INSTANCE": name}),
    ) as served:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            served.terminate()


class Visits:
    """What users have met at both hosts."""

    def __init__(self, traffics: tuple[Traffic, ...]) -> None:
        """Take the load on each host."""
        self._traffics = traffics

    def all(self) -> list[Visit]:
        """Return the visits so far, in the order in which they entered a path."""
        return sorted((visit for one in self._traffics for visit in one.visits), key=lambda visit: visit.entered_at)

    @property
    def lost(self) -> list[str]:
        """What went wrong with requests that were not answered well."""
        return [fault for one in self._traffics for fault in one.failures]


@asynccontextmanager
async def shops(url: str, users: int, per_second: float) -> AsyncIterator[Visits]:
    """Open both hosts, and let users in at each."""
    async with AsyncExitStack() as stack:
        addresses = [stack.enter_context(host(url, name)) for name in ("web-a", "web-b")]
        for address in addresses:
            await _open(address)
        traffics = [Traffic(one, users=users, per_second=per_second / 2, workers=WORKERS) for one in addresses]
        for one in traffics:
            await stack.enter_async_context(one)
        yield Visits(tuple(traffics))


async def _open(address: str) -> None:
    async with asyncio.timeout(OPEN_WITHIN_S), httpx.AsyncClient() as client:
        while True:
            try:
                await client.get(address + "/price", params={"user": "first", "items": "tea"})
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
