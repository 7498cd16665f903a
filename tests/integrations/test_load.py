"""Two workers of each server under load while the weight flips 20 times a second: no request is told two versions.

A lowering to zero is obeyed at once, in requests under way too: these are counted apart.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import redis

import graysplit
from graysplit import embedded
from tests.faults.shares import units
from tests.support import eventually

ROOT: Final = Path(__file__).resolve().parents[2]
WEIGHTS: Final = "graysplit:{default}:weights"
FLIP_S: Final = 0.05
ZERO_EVERY: Final = 20  # flips
OBEYED_WITHIN_S: Final = 2.0  # of a zero, on a crowded machine
CLIENTS: Final = 8
WORKERS: Final = 2
GUNICORN: Final = "gunicorn -w {workers} --no-control-socket --log-level warning"
GRANIAN: Final = "granian --workers {workers} --log-level warning --port {port} --interface"
# How each is started; `{at}` is host and port, `{port}` the port alone.
SERVERS: Final = {
    "uvicorn": "uvicorn --workers {workers} --log-level warning --port {port}",
    "hypercorn": "hypercorn -w {workers} --log-level warning -b {at}",
    "granian": f"{GRANIAN} asgi",
    "granian wsgi": f"{GRANIAN} wsgi --blocking-threads 4",
    "gunicorn": f"{GUNICORN} --threads 4 -b {{at}}",
    "gunicorn uvicorn": f"{GUNICORN} -k uvicorn_worker.UvicornWorker -b {{at}}",
    "gunicorn aiohttp": f"{GUNICORN} -k aiohttp.GunicornWebWorker -b {{at}}",
}

SHOWN: Final = (
    ("uvicorn", "asgi"),
    ("hypercorn", "asgi"),
    ("granian", "asgi"),
    ("gunicorn", "wsgi"),
    ("gunicorn aiohttp", "aiohttp"),
)
SOAKED: Final = (
    *SHOWN,
    ("granian wsgi", "wsgi"),
    ("gunicorn uvicorn", "asgi"),
    ("uvicorn", "fastapi"),
    ("uvicorn", "django_asgi"),
    ("gunicorn", "flask"),
    ("gunicorn", "django_wsgi"),
)


class LoadAnswer(NamedTuple):
    """One answer of the application, and when it was asked for and there."""

    began: float
    ended: float
    pid: int
    number: int
    versions: list[str]
    bare: list[str]


class Flips:
    """Writes a weight 20 times a second, 20 and 80 in turn, now and then 0; knows when it was 0."""

    def __init__(self, url: str) -> None:
        """Begin."""
        self.zeros: list[float] = []
        self._client = redis.Redis.from_url(url)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._flip)
        self._thread.start()

    def end(self) -> None:
        """Stop."""
        self._over.set()
        self._thread.join()
        self._client.close()

    def _flip(self) -> None:
        number = 0
        while not self._over.wait(FLIP_S):
            number += 1
            weight = 0 if number % ZERO_EVERY == 0 else (20, 80)[number % 2]
            if weight == 0:
                self.zeros.append(time.monotonic())
            self._client.hset(WEIGHTS, "checkout/new", weight)


def mixed(versions: list[str]) -> bool:
    """Return whether a request was told two versions."""
    return len({*versions}) > 1


def lowered(answer: LoadAnswer, zeros: list[float]) -> bool:
    """Return whether a zero came while a request was under way: from new to old, and never back."""
    once = answer.versions == sorted(answer.versions)  # new before old
    return once and any(answer.began - OBEYED_WITHIN_S < zero < answer.ended for zero in zeros)


def ask(port: int, user: str) -> LoadAnswer:
    """Make one request over a connection of its own, so that any worker may take it."""
    own = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    began = time.monotonic()
    own.request("GET", "/", headers={"X-User": user})
    response = own.getresponse()
    said = response.read().decode()
    assert response.status == 200, said
    own.close()
    return read_answer(began, said)


def read_answer(began: float, said: str) -> LoadAnswer:
    """Return what an application of load_app has said."""
    pid, number, versions, bare = said.split()
    return LoadAnswer(began, time.monotonic(), int(pid), int(number), versions.split(","), bare.split(","))


@contextmanager
def serving(server: str, app: str, url: str, folder: Path) -> Iterator[tuple[int, list[LoadAnswer], Callable[[], str]]]:
    """Return a server's port, its first answers and its log; it ends by SIGTERM, in the ordinary way."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = SERVERS[server].format(workers=WORKERS, at=f"127.0.0.1:{port}", port=port).split()
    log = folder / "server.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", *words, app],
            cwd=ROOT,
            env={**os.environ, "GRAYSPLIT_URL": url, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
        first: list[LoadAnswer] = []

        def serves() -> bool:
            assert process.poll() is None, log.read_text()
            with suppress(OSError, http.client.HTTPException):
                first.append(ask(port, units("checkout")[50]))
            return bool(first)

        try:
            eventually(serves, 60)
            yield port, first, log.read_text
            process.terminate()
            process.wait(30)
        finally:
            process.kill()
            process.wait()


def flood(port: int, requests: int) -> list[LoadAnswer]:
    """Make that many requests by several clients, each over connections of its own."""
    users = units("checkout")

    def client(number: int) -> list[LoadAnswer]:
        return [ask(port, users[(7 * number + 13 * turn) % 100]) for turn in range(requests // CLIENTS)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [answer for answers in pool.map(client, range(CLIENTS)) for answer in answers]


def judge(title: str, answers: list[LoadAnswer], zeros: list[float]) -> None:
    """Check that no answer is mixed, that flips were met, and that both processes answered from their first one."""
    torn = [answer for answer in answers if mixed(answer.versions)]
    excused = [answer for answer in torn if lowered(answer, zeros)]
    told = f"{len(answers)} requests, {len(torn) - len(excused)} mixed, {len(excused)} lowered to zero"
    without = sum(mixed(answer.bare) for answer in answers)
    print(f"{title}: {told}; without a context {without}")  # noqa: T201 - for `make soak`
    assert [answer for answer in torn if answer not in excused] == []
    assert without > 10, "no flip fell into a request: nothing was shown"
    assert len({answer.pid for answer in answers}) == WORKERS
    assert {answer.pid for answer in answers if answer.number == 1} == {answer.pid for answer in answers}


def hold(server: str, app: str, requests: int, folder: Path) -> None:
    """Serve under load while the weight flips, and check all answers and the end."""
    with embedded.server() as own, graysplit.Control(own.url, confirm=True) as control:
        control.create("checkout")
        flips = Flips(own.url)
        try:
            with serving(server, app, own.url, folder) as (port, first, log):
                answers = [*first, *flood(port, requests)]
                flips.end()
                said = log()
        finally:
            flips.end()
        judge(f"{server} {app}", answers, flips.zeros)
        assert "Traceback" not in said, said
        assert control.fleet().processes == (), "a worker ended without a goodbye"


@pytest.mark.parametrize(("server", "app"), SHOWN)
def test_no_request_is_told_two_versions(server: str, app: str, tmp_path: Path) -> None:
    """Hundreds of requests, the first of each process among them; both workers say goodbye."""
    hold(server, f"tests.integrations.load_app:{app}", 500, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("server", "app"), SOAKED)
def test_none_of_ten_thousand_is_told_two_versions(server: str, app: str, tmp_path: Path) -> None:
    """The same at length, for each framework, too."""
    hold(server, f"tests.integrations.load_app:{app}", 10_000, tmp_path)
