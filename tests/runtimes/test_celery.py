"""Celery's prefork pool, a real worker: the tasks of all children follow, whenever their message was written."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

import graysplit
from graysplit import embedded
from tests.faults.followers import ROOT
from tests.support import eventually, skip_or_fail

CHILDREN: Final = 4
SEEN_WITHIN_S: Final = 10.0
QUEUED: Final = 200


class Crew:
    """A running worker with its children, seen through the tasks they run."""

    def __init__(self, broker: str) -> None:
        """Speak to it through the broker, without the application's own module: that is the worker's."""
        import celery

        self._app = celery.Celery("caller", broker=broker, backend=broker)

    def send(self, task: str, *args: object) -> Any:  # Any: Celery's
        """Queue a message."""
        return self._app.send_task(f"tests.runtimes.celery_app.{task}", args)

    def looks(self) -> dict[int, int]:
        """Return what each child decides now; asks until all have answered."""
        seen: dict[int, int] = {}
        for _ in range(10):
            asked = [self.send("look") for _ in range(2 * CHILDREN)]
            seen |= dict(answer.get(timeout=20) for answer in asked)
            if len(seen) == CHILDREN:
                return seen
        raise AssertionError(f"only {len(seen)} of {CHILDREN} children get tasks")

    def close(self) -> None:
        """Let the connections go, and the answers before: Celery 5.5 asks their server for them when they are freed."""
        gc.collect()
        self._app.close()


@contextmanager
def worker(server: embedded.Server, folder: Path) -> Iterator[Crew]:
    """Return a worker that runs tasks; it ends by a warm shutdown."""
    broker = server.url.removesuffix("/0") + "/1"
    log = (folder / "worker.log").open("wb")
    words = ("worker", "-P", "prefork", "-c", str(CHILDREN), "-l", "WARNING", "--without-mingle", "--without-gossip")
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "tests.runtimes.celery_app", *words],
        cwd=folder,
        env={**os.environ, "GRAYSPLIT_URL": server.url, "BROKER": broker, "PYTHONPATH": path, "C_FORCE_ROOT": "1"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    crew = Crew(broker)
    try:
        crew.looks()
        yield crew
        process.terminate()
        assert process.wait(30) == 0, (folder / "worker.log").read_text()
    except AssertionError as doubt:
        doubt.add_note((folder / "worker.log").read_text())
        raise
    finally:
        crew.close()
        with suppress(OSError):
            process.kill()
        process.wait()
        log.close()


def prefork(folder: Path, rounds: int) -> dict[str, float]:
    """Change the weight again and again under a running worker, then roll back before a full queue."""
    slowest = 0.0
    with embedded.server() as server, graysplit.Control(server.url, confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 10)
        with worker(server, folder) as crew:
            eventually(lambda: {*crew.looks().values()} == {10}, SEEN_WITHIN_S)
            for number in range(rounds):
                weight = 20 + number % 60 if number % 3 else 0
                result = control.set("checkout", weight, unstop=True) if weight else control.rollback("checkout")
                receipts = control.wait_confirmed(result).receipts
                assert (receipts.confirmed, receipts.processes) == (CHILDREN + 1, CHILDREN + 1), receipts
                slowest = max(slowest, receipts.seconds)
                assert {*crew.looks().values()} == {weight}, "confirmed means: no task decides otherwise from now on"
            rolled_back_before_a_full_queue(crew, control, folder / "go")
        gone = time.monotonic()
        eventually(lambda: control.fleet().processes == (), 5, message="who ends says goodbye")
    return {"slowest confirmation s": slowest, "gone after s": round(time.monotonic() - gone, 2)}


def rolled_back_before_a_full_queue(crew: Crew, control: graysplit.Control, go: Path) -> None:
    """Queue orders at 100 % behind busy children, roll back, and let them go: not one takes the new path."""
    control.wait_confirmed(control.set("checkout", 100, allow_needless=True))
    assert crew.send("order", 0).get(timeout=20)[1] == "new"
    busy = [crew.send("wait_for", str(go)) for _ in range(CHILDREN)]
    orders = [crew.send("order", number) for number in range(QUEUED)]
    receipts = control.wait_confirmed(control.rollback("checkout")).receipts
    assert receipts.confirmed == CHILDREN + 1
    go.touch()
    for each in busy:
        each.get(timeout=20)
    took = [order.get(timeout=20) for order in orders]
    assert {version for _, version in took} == {"old"}
    assert len({pid for pid, _ in took}) > 1


def need_celery() -> None:
    """Skip loudly where Celery is not installed."""
    if find_spec("celery") is None:
        skip_or_fail("celery is not installed here: its workers are not tried")


def test_all_children_follow_and_old_messages_obey(tmp_path: Path, record_property: Callable[..., None]) -> None:
    """Six changes, each confirmed by the parent and four children; 200 messages queued before a rollback obey it."""
    need_celery()
    for name, found in prefork(tmp_path, 6).items():
        record_property(name, found)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_all_children_follow_a_hundred_changes(tmp_path: Path) -> None:
    """The same a hundred times."""
    need_celery()
    prefork(tmp_path, 100)
