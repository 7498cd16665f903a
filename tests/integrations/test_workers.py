"""Real workers of dramatiq, taskiq and RQ while the weight flips 20 times a second: no task is told two versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
import redis

import graysplit
from graysplit import embedded
from tests.faults.shares import units
from tests.integrations.test_load import Flips, LoadAnswer, lowered, mixed
from tests.support import eventually, skip_or_fail

ROOT: Final = Path(__file__).resolve().parents[2]
APP: Final = "tests.integrations.worker_app"
WITHIN_S: Final = 60.0
# How each is started: two processes that take tasks.
WORKERS: Final = {
    "dramatiq": [["dramatiq", APP, "--processes", "2", "--threads", "4"]],
    "taskiq": [["taskiq", "worker", f"{APP}:broker", "--workers", "2"]],
    "rq": [["rq.cli", "worker", "--job-class", f"{APP}.PayJob", "--url", "{broker}"]] * 2,
}
SEND: Final = "import sys, {app} as a\nfor n, user in enumerate(sys.argv[1:]): a.send(n, user)"


def hold(kind: str, tasks: int, folder: Path) -> None:
    """Send tasks, run them by two processes under a flipping weight, end these, and see that nobody is left."""
    for needed in {kind, "taskiq_redis" if kind == "taskiq" else kind}:
        if find_spec(needed) is None:
            skip_or_fail(f"no {needed} here: pip install {needed}")
    users = [units("checkout")[50 + number % 20] for number in range(tasks)]  # of buckets between the two weights
    with embedded.server() as server, graysplit.Control(server.url, confirm=True) as control:
        broker = server.url.removesuffix("/0") + "/1"
        control.create("checkout")
        control.set("checkout", 20)
        own = {**os.environ, "TASKS": kind, "BROKER": broker, "GRAYSPLIT_URL": server.url, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", SEND.format(app=APP), *users], env=own, cwd=folder, check=True)
        log = (folder / "worker.log").open("wb")
        crew = [
            subprocess.Popen(
                [sys.executable, "-m", *(word.format(broker=broker) for word in words)],
                env=own,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            for words in WORKERS[kind]
        ]
        flips, client = Flips(server.url), redis.Redis.from_url(broker)
        try:
            eventually(lambda: client.llen("answers") >= tasks, WITHIN_S)
            flips.end()
            for process in crew:
                process.terminate()
            for process in crew:
                process.wait(30)
            eventually(lambda: not control.fleet().processes, 10.0)
            answers = [LoadAnswer(*json.loads(text)) for text in client.lrange("answers", 0, -1)]
        except AssertionError as doubt:
            doubt.add_note((folder / "worker.log").read_text())
            raise
        finally:
            flips.end()
            client.close()
            for process in crew:
                with suppress(OSError):
                    process.kill()
                process.wait()
            log.close()
    assert sorted(answer.number for answer in answers) == list(range(tasks))
    assert {version for answer in answers for version in answer.versions} == {"old", "new"}
    assert not [answer for answer in answers if mixed(answer.versions) and not lowered(answer, flips.zeros)]
    assert "Traceback" not in (folder / "worker.log").read_text()


@pytest.mark.parametrize(("kind", "tasks"), [("dramatiq", 400), ("taskiq", 400), ("rq", 24)])
def test_no_task_is_told_two_versions(kind: str, tasks: int, tmp_path: Path) -> None:
    """Also the first of a fresh process; an ordinary end leaves nobody silent."""
    hold(kind, tasks, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "tasks"), [("dramatiq", 10_000), ("taskiq", 10_000), ("rq", 500)])
def test_no_task_of_many_is_told_two_versions(kind: str, tasks: int, tmp_path: Path) -> None:
    """The same at length; RQ forks a process for each job."""
    hold(kind, tasks, tmp_path)
