"""Forked processes follow like any other: no deadlock under load, no call needed, and the parent goes on (timeline 10).

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

import graysplit
from graysplit import embedded
from tests.clocks import ShiftedClock
from tests.faults.followers import ROOT
from tests.faults.shares import following, share
from tests.support import bare_environment, eventually

WORKERS: Final = 2
SEEN_WITHIN_S: Final = 10.0
KINDS: Final = {
    "sync": ("gunicorn", "wsgi"),
    "gthread": ("gunicorn", "wsgi"),
    "gevent": ("gevent", "wsgi"),
    "uvicorn_worker.UvicornWorker": ("uvicorn_worker", "asgi"),
}


# --- os.fork under load ----------------------------------------------------------------------------------------------


def fork_under_load(count: int) -> None:
    """Have a program fork while its threads decide, and look at what became of every child."""
    with embedded.server() as own:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.forking", own.url, str(count)],
            cwd=ROOT,
            env=bare_environment(),  # coverage's own locks do not outlive a fork among threads
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.stderr == ""
    said = json.loads(done.stdout)
    # At baseline where the parent's last contact was too long ago on a busy machine: safe, never wrong.
    assert said.pop("first 50", 0) + said.pop("first 0", 0) == count, said
    assert said == {"follows": count, "crashed": 0, "parent": 0}


def test_fifty_forks_under_load_all_follow() -> None:
    """With eight threads deciding, 50 children decide at once, follow the rollback, and end; so does the parent."""
    for _ in range(2):
        fork_under_load(25)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_five_hundred_forks_under_load_all_follow() -> None:
    """The same, 500 times: no deadlock."""
    for _ in range(25):
        fork_under_load(20)


# --- a child that sleeps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weight", "expected"), [(50, 0), (100, 100)])
def test_f10_a_child_that_slept_an_hour_begins_safe(
    control: graysplit.Control, server: embedded.Server, redis_url: str, namespace: str, weight: int, expected: int
) -> None:
    """Its first decision an hour later: a version on trial is at baseline until the load that it starts.

    Timeline 10.
    """
    clock = ShiftedClock()
    control.create("checkout")
    control.set("checkout", weight, allow_needless=True)
    with following(redis_url, namespace, clock=clock) as router:
        assert share(router) == weight
        hear, tell = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other tests' threads are of no matter to this child
            child = os.fork()
        if not child:
            with suppress(BaseException):
                signal.alarm(30)
                clock.ahead_s = 3_600.0
                server.pause()  # so that the load which the first decision starts cannot be faster than the second
                first = router.decide("checkout", "user-1")
                asleep = share(router)
                server.resume()
                eventually(lambda: share(router) == weight)
                os.write(tell, f"{first.reason} {asleep}".encode())
            os._exit(0)
        os.close(tell)
        with os.fdopen(hear) as heard:
            said = heard.read()
        os.waitpid(child, 0)
    assert said == f"{'not_ready' if weight == 50 else 'bucket'} {expected}"


# --- gunicorn --preload ----------------------------------------------------------------------------------------------


class Web:
    """A running gunicorn: what its workers and its master decide."""

    def __init__(self, port: int, master_sees: Path) -> None:
        """Take where it listens, and where its master writes."""
        self._address = f"http://127.0.0.1:{port}/"
        self._master_sees = master_sees

    def ask(self) -> tuple[int, int]:
        """Ask one of the workers: its process id and its share."""
        with urllib.request.urlopen(self._address, timeout=5) as reply:  # noqa: S310 - our own server
            pid, found = reply.read().split()
        return int(pid), int(found)

    def shares(self) -> set[int]:
        """Return what all workers decide now; asks until each has answered twice."""
        answers: dict[int, list[int]] = {}
        for _ in range(200):
            pid, found = self.ask()
            answers.setdefault(pid, []).append(found)
            if len(answers) == WORKERS and min(map(len, answers.values())) > 1:
                break
        assert len(answers) == WORKERS
        return {found[-1] for found in answers.values()} | {int(self._master_sees.read_text())}


@contextmanager
def gunicorn(kind: str, app: str, url: str, folder: Path) -> Iterator[Web]:
    """Start gunicorn with its application loaded before it forks."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    settings = {"GRAYSPLIT_URL": url, "MASTER_SEES": str(folder / "master"), "PYTHONPATH": path}
    log = (folder / "gunicorn.log").open("wb")
    words = ["-m", "gunicorn", "--preload", "-k", kind, "-w", str(WORKERS), "-b", f"127.0.0.1:{port}", "--threads", "2"]
    process = subprocess.Popen(
        [sys.executable, *words, "--no-control-socket", f"tests.faults.web:{app}"],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    web = Web(port, folder / "master")

    def serves() -> bool:
        if process.poll() is not None:
            pytest.fail((folder / "gunicorn.log").read_text())
        with suppress(OSError):
            return bool(web.ask())
        return False

    try:
        eventually(serves, 30)
        yield web
        process.terminate()
        assert process.wait(20) == 0, (folder / "gunicorn.log").read_text()
    finally:
        process.kill()
        process.wait()
        log.close()


def rounds(kind: str, folder: Path, count: int) -> None:
    """Change the weight again and again, and see all workers and the master follow each time."""
    module, app = KINDS[kind]
    for needed in ("gunicorn", module):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed here: these workers are not tried")
    with embedded.server() as own, graysplit.Control(own.url, confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 10)
        with gunicorn(kind, app, own.url, folder) as web:
            eventually(lambda: web.shares() == {10}, SEEN_WITHIN_S)
            for number in range(count):
                weight = 20 + number % 60
                began = time.monotonic()
                result = control.set("checkout", weight, unstop=True) if number % 3 else control.rollback("checkout")
                expected = weight if number % 3 else 0
                eventually(lambda expected=expected: web.shares() == {expected}, SEEN_WITHIN_S)  # type: ignore[misc]
                receipts = control.wait_confirmed(result).receipts
                assert (receipts.confirmed, receipts.processes) == (WORKERS + 1, WORKERS + 1), receipts
                assert time.monotonic() - began < SEEN_WITHIN_S
        assert control.fleet().processes == (), "who ends says goodbye"


@pytest.mark.parametrize("kind", KINDS)
def test_all_workers_and_the_master_see_each_change(kind: str, tmp_path: Path) -> None:
    """`gunicorn --preload` with each kind of worker, ten rounds, and no call in any hook but uvicorn's goodbye."""
    rounds(kind, tmp_path, 10)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_all_workers_and_the_master_see_a_hundred_changes(kind: str, tmp_path: Path) -> None:
    """The same a hundred times."""
    rounds(kind, tmp_path, 100)
