"""In processes of their own: a server with a console in it ends; a console beside Flask and Django rolls them back."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import httpx
import pytest

from graysplit import Control
from tests.console.site import OWN_PAGE, Page, events
from tests.support import bare_environment, eventually

UNITS: Final = tuple(f"u-{number}" for number in range(40))
SHOPS: Final = "tests.console.shops"
SERVERS: Final = {
    "uvicorn": ["uvicorn", "--factory", "--log-level", "warning", "--port", "{port}", f"{SHOPS}:mounted"],
    "hypercorn": ["hypercorn", "-b", "127.0.0.1:{port}", f"{SHOPS}:mounted()"],
    "granian": ["granian", "--interface", "asgi", "--factory", "--port", "{port}", f"{SHOPS}:mounted"],
    "gunicorn": [
        *("gunicorn", "--preload", "-w", "2", "-k", "uvicorn_worker.UvicornWorker"),
        *("-b", "127.0.0.1:{port}", f"{SHOPS}:mounted()"),
    ],
}


@contextmanager
def running(url: str, namespace: str, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """Run a server with an application of `shops`, and return it with a client once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", *(word.replace("{port}", port) for word in words)]
    environment = {**bare_environment(), "GRAYSPLIT_URL": url, "GRAYSPLIT_NAMESPACE": namespace}
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, follow_redirects=True) as client,
    ):

        def answers() -> bool:
            with suppress(httpx.TransportError):
                return bool(client.get("/u-1").status_code)
            return False

        try:
            eventually(answers, 30)
            yield process, client
        finally:
            process.kill()


@pytest.mark.parametrize(
    "kind",
    ["uvicorn", *(pytest.param(each, marks=pytest.mark.soak) for each in ("hypercorn", "granian", "gunicorn"))],
)
def test_an_open_page_keeps_no_server_from_its_end(control: Control, redis_url: str, namespace: str, kind: str) -> None:
    """Neither the stream nor the follower, although nobody runs the lifespan of a mounted application."""
    with running(redis_url, namespace, *SERVERS[kind]) as (process, client):
        since = Page(client.get("/gray/").text).one("body").attributes["sse-connect"]
        with client.stream("GET", str(since)) as response:
            assert next(events(response))
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) in {0, -signal.SIGTERM}
    assert control.show("checkout").split == "checkout"


@pytest.mark.parametrize("framework", ["flask", pytest.param("django", marks=pytest.mark.soak)])
def test_beside_an_application_it_rolls_its_processes_back(
    control: Control, redis_url: str, namespace: str, framework: str
) -> None:
    """`graysplit console` next to gunicorn's workers: one press, and each of them says so and serves the old path."""
    control.set("checkout", 100, confirm="checkout")
    shop = ("gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", f"{SHOPS}:in_{framework}()")
    command = [sys.executable, "-m", "graysplit", "console", "--read-write", "--url", redis_url]
    with (
        running(redis_url, namespace, *shop) as (_, client),
        subprocess.Popen(
            [*command, "--namespace", namespace], stdout=subprocess.PIPE, env={**os.environ, "GRAYSPLIT_ACTOR": "anna"}
        ) as console,
        httpx.Client(follow_redirects=True, timeout=30) as anna,
    ):
        try:
            assert console.stdout is not None
            link = console.stdout.readline().decode().strip()
            root = link.partition("/login/")[0]
            eventually(lambda: {client.get(f"/{unit}").text for unit in UNITS} == {"new"}, 20)
            eventually(lambda: len(control.fleet().live) == 2, 20)
            anna.get(link).raise_for_status()
            eventually(lambda: "on 2 of 2 processes" in anna.get(f"{root}/").text, 20)
            said = anna.post(f"{root}/splits/checkout/rollback", headers=OWN_PAGE).raise_for_status()
            assert re.search("2/2 processes stopped sending calls", Page(said.text).one("main").text)
            assert {client.get(f"/{unit}").text for unit in UNITS} == {"old"}
        finally:
            console.kill()
