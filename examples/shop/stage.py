"""The real parts of the demo, each started and stopped with the block around it: shop, console, and a typed command."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
OPEN_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 5.0

_ADDRESS: Final = re.compile(r"running on (http://\S+)")


class Shop(NamedTuple):
    """A shop that is open."""

    address: str
    pid: int  # of uvicorn; its workers are in its process group


class Console(NamedTuple):
    """A console that is served: the link opens it once, in one browser."""

    link: str
    pid: int


class PartError(Exception):
    """A part of the demo did not start or ended early; says which, and its last words."""


def environment(url: str) -> Mapping[str, str]:
    """Return the environment of all parts: this one's, with no word to graysplit but where its server is."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRAYSPLIT_")}
    return {**clean, "GRAYSPLIT_URL": url, "GRAYSPLIT_ACTOR": "demo"}


@asynccontextmanager
async def shop(url: str, workers: int) -> AsyncIterator[Shop]:
    """Open the shop under uvicorn on a free port; close it with all its workers."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "examples.shop.app:app", "--app-dir", str(ROOT)),
        *("--workers", str(workers), "--port", "0", "--no-access-log", "--no-use-colors"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment(url),
        start_new_session=True,  # Ctrl-C ends the demo, which then closes the shop
    )
    said: deque[str] = deque(maxlen=20)
    try:
        address = await asyncio.wait_for(_opened(process, said, workers), OPEN_WITHIN_S)
        yield Shop(address, process.pid)
    finally:
        await _end(process)


@asynccontextmanager
async def console(url: str, *, read_write: bool) -> AsyncIterator[Console]:
    """Serve the console on this machine alone, as an operator would; changes get the name of who runs this."""
    named = {name: value for name, value in environment(url).items() if name != "GRAYSPLIT_ACTOR"}
    process = await asyncio.create_subprocess_exec(
        *_graysplit(),
        *("console", "--json", *(["--read-write"] if read_write else [])),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=named,
        start_new_session=True,  # as the shop
    )
    try:
        yield Console(await asyncio.wait_for(_link(process), OPEN_WITHIN_S), process.pid)
    finally:
        await _end(process)


async def _link(process: asyncio.subprocess.Process) -> str:
    """Return the link from the one line that the console prints; what it prints instead says why there is none."""
    line = await anext(_lines(process.stdout), "nothing")
    try:
        return str(json.loads(line)["link"])
    except (ValueError, KeyError):
        raise PartError(f"the console did not open: {line}") from None


async def _opened(process: asyncio.subprocess.Process, said: deque[str], workers: int) -> str:
    """Read what uvicorn says until all its workers are up; then leave somebody behind who listens on."""
    address, ready = "", 0
    async for line in _lines(process.stderr):
        said.append(line)
        found = _ADDRESS.search(line)
        address = found[1] if found else address
        ready += "Application startup complete" in line
        if address and ready == workers:
            _listeners.add(asyncio.create_task(_listen(process, said)))
            return address
    raise PartError("the shop did not open:\n  " + "\n  ".join(said))


_listeners: Final[set[asyncio.Task[None]]] = set()  # the event loop itself keeps none alive


async def _listen(process: asyncio.subprocess.Process, said: deque[str]) -> None:
    async for line in _lines(process.stderr):
        said.append(line)


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    while stream is not None and (line := await stream.readline()):
        yield line.decode(errors="replace").rstrip()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask it to end; end by force, with all that it started, what has not gone by then."""
    try:
        with suppress(ProcessLookupError, TimeoutError):
            process.terminate()
            await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


async def operate(url: str, *words: str, say: Callable[[str], None]) -> int:
    """Type a graysplit command as an operator would; hand on what it says, line by line, and return its exit code."""
    process = await asyncio.create_subprocess_exec(
        *_graysplit(),
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(url),
    )
    try:
        async for line in _lines(process.stdout):
            say(line)
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _graysplit() -> list[str]:
    """Return the command of this environment."""
    program = shutil.which("graysplit", path=str(Path(sys.executable).parent))
    return [program] if program else [sys.executable, "-m", "graysplit.cli"]
