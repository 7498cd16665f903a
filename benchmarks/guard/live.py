"""The guard on real processes under load: `python -m benchmarks.guard.live`.

Eight uvicorn workers serve users at 20 %. An outage of both paths must do nothing; then the new path begins to fail for
30 % of its users, twice, the second time with the server just killed. Printed: how long until no request enters the
new path any more, what failed until then, and what stands in the history.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final, NamedTuple

import httpx

import graysplit
from graysplit import embedded

WORKERS: Final = 8
USERS: Final = 12
WEIGHT: Final = 20
PATIENCE_S: Final = 60.0
# In the fleet-wide outage: how long nothing must happen.
OUTAGE_S: Final = 5.0
ENOUGH: Final = 50  # users on new before anything happens
QUIET_S: Final = 3.0  # nobody has entered the new path for so long: they are gone


class Visit(NamedTuple):
    """One answer."""

    path: str  # "old", "new" or "failed"
    entered: float  # when the handler began


class Found(NamedTuple):
    """What came of a run."""

    seconds: float | None  # from the first failure to the last request that entered the new path
    requests: int
    failed: int
    lost: int
    causes: tuple[str, ...]  # of the history, oldest first
    why: str
    told: int  # hooks called
    weight: str


class Load:
    """Users who visit one after the other, each once, until it is over."""

    def __init__(self, address: str) -> None:
        """Take where they go."""
        self.visits: list[Visit] = []
        self.lost = 0
        self._address = address
        self._over = asyncio.Event()
        self._numbers = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Let them in once the door is open: the service names its address before it listens."""
        async with httpx.AsyncClient(base_url=self._address) as client:
            while True:
                with contextlib.suppress(httpx.ConnectError):
                    await client.get("/pay", params={"user": "nobody"})
                    break
                await asyncio.sleep(0.02)
        self._tasks = [asyncio.create_task(self._visit()) for _ in range(USERS)]

    async def end(self) -> None:
        """Let the last ones out."""
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def _visit(self) -> None:
        async with httpx.AsyncClient(base_url=self._address, timeout=10) as client:
            while not self._over.is_set():
                try:
                    answer = await client.get("/pay", params={"user": f"user-{next(self._numbers)}"})
                    self.visits.append(Visit(answer.text, float(answer.headers["entered"])))
                except httpx.HTTPError:
                    self.lost += 1


@contextlib.contextmanager
def service(url: str, hook: str, folder: Path, workers: int) -> Generator[str]:
    """Open the service on a free port and return its address."""
    environment = {
        **os.environ,
        "GRAYSPLIT_URL": url,
        "GRAYSPLIT_NOTIFY_URL": hook,
        "BROKEN": str(folder / "broken"),
        "SHARED": str(folder / "shared"),
    }
    command = [sys.executable, "-m", "uvicorn", "benchmarks.guard.service:app", "--workers", str(workers)]
    with subprocess.Popen(
        [*command, "--port", "0", "--no-access-log", "--no-use-colors"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
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


async def until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Ask until it is true."""
    deadline = time.monotonic() + patience_s
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def hook(told: list[str]) -> Generator[str]:
    """Take notices on a free port, and keep their causes."""

    class Taking(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep a notice's cause."""
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["cause"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taking) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}/told"
        finally:
            listening.shutdown()
            thread.join()


class Trial:
    """One release on an open service, with its users in it."""

    def __init__(self, server: embedded.Server, control: graysplit.Control, load: Load, folder: Path) -> None:
        """Take the hands on server, store, users and trouble."""
        self.server = server
        self.control = control
        self.load = load
        self.folder = folder
        self.told: list[str] = []

    async def outage(self) -> Found:
        """Let both paths fail for the same users, for longer than it takes to find a version that is worse."""
        await self._begin()
        self._trouble("shared")
        await until(lambda: self._on("failed"))
        await asyncio.sleep(OUTAGE_S)
        self._over("shared")
        found = self._found(None)
        await asyncio.to_thread(self.control.rollback, "checkout", why="the next trial")
        return found

    async def failing(self, *, store_gone: bool) -> Found:
        """Let the new path fail, be it just after the server has been killed, and wait until nobody is on it."""
        await self._begin()
        if store_gone:
            await asyncio.to_thread(self.server.kill)
        self._trouble("broken")
        await until(lambda: self._on("failed"))
        first = next(visit.entered for visit in self.load.visits if visit.path == "failed")
        seconds = await self._left() - first
        if store_gone:
            await asyncio.to_thread(self.server.start)
        await until(lambda: self._causes()[-1] == "trip")
        await until(lambda: "trip" in self.told)
        self._over("broken")
        return self._found(seconds)

    async def _begin(self) -> None:
        """Raise to the weight, and wait until the guard has something to compare."""
        self.load.visits.clear()
        self.told.clear()
        await asyncio.to_thread(self.control.set, "checkout", WEIGHT, why="a trial", unstop=True)
        await until(lambda: self._on("new") > ENOUGH)

    async def _left(self) -> float:
        """Wait until nobody enters the new path any more, and return the moment of the last entry."""
        last, since, deadline = 0.0, time.monotonic(), time.monotonic() + PATIENCE_S
        while time.monotonic() - since < QUIET_S:
            found = max((visit.entered for visit in self.load.visits if visit.path != "old"), default=0.0)
            if found > last:
                last, since = found, time.monotonic()
            if time.monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(0.05)
        return last

    def _trouble(self, name: str) -> None:
        (self.folder / name).touch()

    def _over(self, name: str) -> None:
        (self.folder / name).unlink()

    def _on(self, path: str) -> int:
        return sum(visit.path == path for visit in self.load.visits)

    def _causes(self) -> list[str]:
        """Return what the history says since the trial began, oldest first."""
        causes = [entry.cause for entry in self.control.history("checkout")]
        return causes[: causes.index("set") + 1][::-1]

    def _found(self, seconds: float | None) -> Found:
        entries = self.control.history("checkout")
        return Found(
            seconds,
            len(self.load.visits),
            self._on("failed"),
            self.load.lost,
            tuple(self._causes()),
            entries[0].why if entries[0].cause == "trip" else "",
            self.told.count("trip"),
            self.control.show("checkout").rows[0].effective,
        )


async def run(workers: int = WORKERS) -> dict[str, Found]:
    """Run the three trials, one release after the other, on one service."""
    told: list[str] = []
    with tempfile.TemporaryDirectory() as name, embedded.server(appendonly=True) as server, hook(told) as address:
        folder = Path(name)
        with graysplit.Control(server.url) as control, service(server.url, address, folder, workers) as url:
            load = Load(url)
            await load.begin()
            await until(lambda: len(control.fleet().live) == workers)
            control.create("checkout", ("old", "new"))
            control.guard("checkout", why="the trials")
            trial = Trial(server, control, load, folder)
            trial.told = told
            found = {
                "an outage of both paths": await trial.outage(),
                "the new path fails": await trial.failing(store_gone=False),
                "the same, the server just killed": await trial.failing(store_gone=True),
            }
            await load.end()
    return found


def main() -> None:
    """Run the trials, and print what came of them."""
    for case, found in asyncio.run(run()).items():
        print(f"{case}: weight {found.weight}, history {', '.join(found.causes)}, hooks told {found.told}")
        print(f"  requests {found.requests:,}, failed {found.failed:,}, lost {found.lost}")
        if found.seconds is not None:
            print(f"  first failure to last request on the new path: {found.seconds:.2f} s")
            print(f"  {found.why}")


if __name__ == "__main__":
    main()
