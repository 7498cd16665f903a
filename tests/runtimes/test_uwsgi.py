"""uWSGI, which forks without Python's hooks: all its workers follow, however it is told to run them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

import graysplit
from graysplit import embedded
from tests.faults.followers import ROOT
from tests.support import eventually, skip_or_fail

SEEN_WITHIN_S: Final = 10.0
STARTED_WITHIN_S: Final = 30.0
KINDS: Final = {
    "preforked": (2, ("--master", "--processes", "2")),
    "threads": (2, ("--master", "--processes", "2", "--threads", "2")),
    "hooks": (2, ("--master", "--processes", "2", "--enable-threads", "--py-call-uwsgi-fork-hooks")),
    "lazy": (2, ("--master", "--processes", "2", "--enable-threads", "--lazy-apps")),
    "alone": (1, ("--enable-threads",)),
}


class Web:
    """A running uWSGI."""

    def __init__(self, port: int, workers: int, threads: int) -> None:
        """Take where it listens, how many workers answer there, and how many threads they have together."""
        self._port = port
        self._workers = workers
        self._threads = threads

    def ask(self) -> dict[int, int]:
        """Ask all the workers: their process ids, each with its share.

        A connection without a request keeps one thread of one worker waiting, so as many connections as there are
        threads reach every worker; one request after another may reach the same worker for ever.
        """
        with ExitStack() as stack:
            connections = [
                stack.enter_context(socket.create_connection(("127.0.0.1", self._port), 5))
                for _ in range(self._threads)
            ]
            return dict(_answer(connection) for connection in connections)

    def shares(self) -> set[int]:
        """Return what all workers decide now."""
        answers: dict[int, int] = {}

        def all_answered() -> bool:
            with suppress(OSError):
                answers.update(self.ask())
            return len(answers) == self._workers

        eventually(all_answered, SEEN_WITHIN_S, message=f"{self._workers} workers answer")
        return {*answers.values()}


def _answer(connection: socket.socket) -> tuple[int, int]:
    """Send a request over a connection; return the process id and the share that come back."""
    connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    answer = b"".join(iter(partial(connection.recv, 4096), b""))
    pid, found = answer.partition(b"\r\n\r\n")[2].split()
    return int(pid), int(found)


@contextmanager
def running(kind: str, url: str, folder: Path) -> Iterator[Web]:
    """Return a running server; it ends by SIGTERM."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    workers, words = KINDS[kind]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    log = (folder / "uwsgi.log").open("wb")
    where = ("--http-socket", f"127.0.0.1:{port}", "--module", "tests.runtimes.uwsgi_app", "--need-app")
    process = subprocess.Popen(
        [sys.executable, "-c", "import pyuwsgi; pyuwsgi.run()", *where, "--die-on-term", "--disable-logging", *words],
        cwd=ROOT,
        env={**os.environ, "GRAYSPLIT_URL": url, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    web = Web(port, workers, workers * (2 if kind == "threads" else 1))

    def serves() -> bool:
        assert process.poll() is None
        with suppress(OSError):
            return bool(web.ask())
        return False

    try:
        eventually(serves, STARTED_WITHIN_S)
        yield web
        process.terminate()
        process.wait(20)
    except Exception as doubt:
        doubt.add_note((folder / "uwsgi.log").read_text())
        raise
    finally:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)  # a worker that hangs outlives its master
        process.wait()
        log.close()


def rounds(kind: str, folder: Path, count: int) -> float:
    """Change the weight again and again, and see all workers follow each time; return the slowest confirmation."""
    if find_spec("pyuwsgi") is None:
        skip_or_fail("pyuwsgi is not installed here: uWSGI is not tried")
    workers, slowest = KINDS[kind][0], 0.0
    with embedded.server() as own, graysplit.Control(own.url, confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 10)
        with running(kind, own.url, folder) as web:
            eventually(lambda: web.shares() == {10}, SEEN_WITHIN_S)
            for number in range(count):
                weight = 20 + number % 60 if number % 3 else 0
                result = control.set("checkout", weight, unstop=True) if weight else control.rollback("checkout")
                receipts = control.wait_confirmed(result).receipts
                assert (receipts.confirmed, receipts.processes) == (workers, workers), receipts
                assert web.shares() == {weight}, "confirmed means: no worker decides otherwise from now on"
                slowest = max(slowest, receipts.seconds)
            # At the exit of a worker that it counts as busy, uWSGI runs nothing: a change lets the last request end.
            control.wait_confirmed(control.rollback("checkout"))
        assert control.fleet().processes == (), "who ends says goodbye"
    return slowest


@pytest.mark.parametrize("kind", KINDS)
def test_all_workers_see_each_change(kind: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Ten rounds, no call in any hook; the master, which serves nobody, is not counted."""
    record_property("slowest confirmation s", rounds(kind, tmp_path, 10))


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_all_workers_see_a_hundred_changes(kind: str, tmp_path: Path) -> None:
    """The same a hundred times."""
    rounds(kind, tmp_path, 100)
