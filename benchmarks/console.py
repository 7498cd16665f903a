"""The console under many eyes: 200 open pages, 100 splits, 20 changes a second.

A real server, the console in a process of its own under uvicorn, pages as open event streams. How long it takes from a
change in the store, by the server's clock, until a page has been sent the line that shows it; what the console asks of
the server with 200 pages beside one; its connections, its CPU time and its memory. For an hour: `--minutes 60`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.processes import ROOT, surroundings
from benchmarks.report import Row, as_json, misses, progress, python, table
from benchmarks.setting import fill, many, until
from graysplit import Control, embedded
from graysplit.stores import store_from_url

PAGES: Final = 200
SPLITS: Final = 100
CHANGES_PER_S: Final = 20
ON_SCREEN_MS: Final = 300.0
SERVER_RATIO: Final = 1.1
SETTLED_S: Final = 1.0
WARM_UP_S: Final = 10.0
GROWTH_KB_A_MINUTE: Final = 100.0
_ROW: Final = re.compile(rb"event: row-(\S+)")
_WEIGHT: Final = re.compile(rb"(\d+\.\d+)%")


def make_app() -> Any:  # noqa: ANN401 - Starlette's
    """Make the console, for uvicorn."""
    from graysplit.console import app

    return app()


class Eyes:
    """Open pages, and how late each line came to them."""

    def __init__(self, port: int) -> None:
        """Open none yet."""
        self._port = port
        self._written: dict[tuple[str, str], float] = {}  # by split and weight: when it was written, by the clock
        self._streams: list[asyncio.Task[None]] = []
        self.late_ms: list[float] = []
        self.open = 0

    def expect(self, split: str, weight: str, at_ms: float) -> None:
        """Note a change that pages will show."""
        self._written[split, weight] = at_ms

    async def look(self, pages: int) -> None:
        """Have this many pages open."""
        while len(self._streams) < pages:
            self._streams.append(asyncio.create_task(self._page()))
        while self.open < len(self._streams):
            await asyncio.sleep(0.05)
            for stream in self._streams:
                if stream.done():
                    stream.result()

    async def close(self) -> None:
        """Close all."""
        for stream in self._streams:
            stream.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    async def _page(self) -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
            try:
                writer.write(b"GET /events HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n")
                self.open += 1
                await self._read(reader)
            finally:
                self.open -= 1
                writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        settled = time.monotonic() + SETTLED_S  # a page that has just been opened is sent what it has not got yet
        rest, met = b"", set[tuple[str, str]]()
        while piece := await reader.read(1 << 16):
            *whole, rest = (rest + piece).split(b"\r\n\r\n")
            now_ms = time.time() * 1000
            for change in {change for event in whole for change in _changes(event)} - met:
                met.add(change)
                if change in self._written and time.monotonic() > settled:
                    self.late_ms.append(now_ms - self._written[change])


def _changes(event: bytes) -> Iterator[tuple[str, str]]:
    """Return the split and the weights that an event shows."""
    row = _ROW.search(event)
    if row is not None:
        yield from ((row[1].decode(), weight.decode()) for weight in _WEIGHT.findall(event))


class Cost(NamedTuple):
    """What was spent in a time."""

    commands_per_s: float
    cpu_share: float  # of a core, by the console
    connections: int


@contextmanager
def console(url: str) -> Iterator[tuple[int, int]]:
    """Serve the console; gives its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.console:make_app"]
    command += ["--port", str(port), "--log-level", "warning"]
    served = subprocess.Popen(command, cwd=ROOT, env=surroundings({"GRAYSPLIT_URL": url}))
    try:
        until(lambda: _answers(port), "the console answers")
        yield port, served.pid
    finally:
        served.terminate()
        served.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def router(url: str) -> Iterator[int]:
    """Run a program with a router; gives its process."""
    text = "import sys, graysplit; graysplit.Router(sys.argv[1]).wait_ready(10); print('ready', flush=True); input()"
    program = subprocess.Popen(
        [sys.executable, "-c", text, url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=surroundings(None),
    )  # fmt: skip
    assert program.stdout is not None  # noqa: S101 - asked for above
    program.stdout.readline()
    try:
        yield program.pid
    finally:
        program.communicate(b"\n")


class Load:
    """Changes at an even pace, each of another weight, and what they cost everybody."""

    _numbers = count(1)

    def __init__(self, control: Control, client: Any, eyes: Eyes, process: int) -> None:  # noqa: ANN401 - redis-py's
        """Take the parts, all of them running."""
        self._control = control
        self._client = client
        self._eyes = eyes
        self._process = process

    async def run(self, seconds: float) -> Cost:
        """Change for so long."""
        commands, spent, began = self._commands(), self._cpu_s(), time.monotonic()
        own = 0
        while time.monotonic() < began + seconds:
            due = began + (own + 1) / CHANGES_PER_S
            await asyncio.to_thread(self._change)
            own += 1
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        took_s = time.monotonic() - began
        asked = self._commands() - commands - own  # a change by hand is one command
        return Cost(asked / took_s, (self._cpu_s() - spent) / took_s, len(self._client.client_list()) - 1)

    def _change(self) -> None:
        number = next(self._numbers)
        split, weight = f"split-{number % SPLITS:05d}", f"{1 + number % 98}.{number % 899 + 101}"
        self._client.hset("graysplit:{default}:weights", f"{split}/new", weight)
        self._eyes.expect(split, weight, time.time() * 1000)

    def _commands(self) -> int:
        return int(self._client.info("stats")["total_commands_processed"])

    def _cpu_s(self) -> float:
        ticks = Path(f"/proc/{self._process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def memory_kb(process: int) -> int:
    """Return what a process has in memory."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def measure(url: str, minutes: float, pages: int) -> list[Row]:
    """Return all rows."""
    import redis

    client: Any = redis.Redis.from_url(url)
    progress("one process with a router, and no console")
    with router(url) as process, Control(url) as control:
        load = Load(control, client, Eyes(0), process)
        await load.run(WARM_UP_S / 2)
        routed = await load.run(WARM_UP_S)
    with console(url) as (port, process), Control(url) as control:
        eyes = Eyes(port)
        load = Load(control, client, eyes, process)
        progress("one page")
        await eyes.look(1)
        await load.run(WARM_UP_S / 2)
        one = await load.run(WARM_UP_S)
        progress(f"{pages} pages")
        await eyes.look(pages)
        await load.run(WARM_UP_S)
        eyes.late_ms.clear()
        before_kb, began = memory_kb(process), time.monotonic()
        cost = await load.run(minutes * 60)
        grown_kb, took_min = memory_kb(process) - before_kb, (time.monotonic() - began) / 60
        await eyes.close()
    late = sorted(eyes.late_ms)
    if not late:
        raise RuntimeError("no page was sent any change")
    count = f"{len(late):,} lines seen"
    return [
        Row("change on the screen, median", late[len(late) // 2], unit="ms", note=count),
        Row("change on the screen, p99", late[len(late) * 99 // 100], ON_SCREEN_MS, unit="ms"),
        Row("commands of the console at the server, over one page", cost.commands_per_s / one.commands_per_s,
            SERVER_RATIO, note=f"{cost.commands_per_s:.0f} against {one.commands_per_s:.0f} a second"),
        Row("the same, over a process with a router", cost.commands_per_s / routed.commands_per_s,
            note=f"{routed.commands_per_s:.0f} a second"),
        Row("its connections to the server", cost.connections, note=f"with one page {one.connections}", unit=""),
        Row("its CPU time, of a core", 100 * cost.cpu_share, unit="%", note=f"with one page {100 * one.cpu_share:.0f}"),
        Row("its memory grows in a minute by", grown_kb / took_min, GROWTH_KB_A_MINUTE, unit="kB",
            note=f"{before_kb / 1024:.0f} MB at the beginning, {took_min:.1f} minutes"),
    ]  # fmt: skip


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON value instead of a table")
    parser.add_argument("--quick", action="store_true", help="few pages, a few seconds: shows that it runs")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long changes are made under all pages")
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with embedded.server() as server:
        with closing(store_from_url(server.url)) as store:
            fill(store, many(SPLITS))
        rows = asyncio.run(measure(server.url, 0.1 if asked.quick else asked.minutes, 10 if asked.quick else PAGES))
    title = f"The console under {10 if asked.quick else PAGES} pages ({python()})"
    print(as_json(title, rows) if asked.json else f"{table(title, rows)}\n{misses(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
