"""Real workers of each queue while the weight flips 20 times a second: no task is told two versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
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
TASKS_A_SECOND: Final = 10  # of RQ, on a crowded machine
RQ_WORDS: Final = ("--job-class", f"{APP}.PayJob", "--url", "{broker}")
OWN_WORKER: Final = "graysplit.integrations.rq.GraysplitWorker"
CELERY_WORDS: Final = ("-A", APP, "worker", "-l", "WARNING", "--without-mingle", "--without-gossip")
# How each is started: two processes that take tasks.
WORKERS: Final = {
    "celery": [["celery", *CELERY_WORDS, "-P", "prefork", "-c", "2"]],
    "celery threads": [["celery", *CELERY_WORDS, "-P", "threads", "-c", "4"]],
    "dramatiq": [["dramatiq", APP, "--processes", "2", "--threads", "4"]],
    "taskiq": [["taskiq", "worker", f"{APP}:broker", "--workers", "2"]],
    "rq": [["rq.cli", "worker", *RQ_WORDS]] * 2,
    "rq graysplit": [["rq.cli", "worker", *RQ_WORDS, "--worker-class", OWN_WORKER]] * 2,
    "rq simple": [["rq.cli", "worker-pool", *RQ_WORDS, "-n", "2", "--worker-class", "rq.SimpleWorker"]],
    "rq spawn": [["rq.cli", "worker", *RQ_WORDS, "--worker-class", "rq.worker.SpawnWorker"]],
}
SEND: Final = "import sys, {app} as a\nfor n, user in enumerate(sys.argv[1:]): a.send(n, user)"


def hold(kind: str, tasks: int, folder: Path) -> None:
    """Run tasks under a flipping weight, and check what each was told."""
    answers, zeros = run_tasks(kind, tasks, folder, flipped=True)
    assert sorted(answer.number for answer in answers) == list(range(tasks))
    assert {version for answer in answers for version in answer.versions} == {"old", "new"}
    torn = [answer for answer in answers if mixed(answer.versions)]
    excused = [answer for answer in torn if lowered(answer, zeros)]
    without = sum(mixed(answer.bare) for answer in answers)
    told = f"{tasks} tasks, {len(torn) - len(excused)} mixed, {len(excused)} lowered to zero"
    print(f"{kind}: {told}; without a context {without}")  # noqa: T201 - for `make soak`
    assert [answer for answer in torn if answer not in excused] == []
    assert without >= tasks // 50, "no flip fell into a task: nothing was shown"


def run_tasks(kind: str, tasks: int, folder: Path, *, flipped: bool) -> tuple[list[LoadAnswer], list[float]]:
    """Send tasks, run them by the workers, end these, and see that nobody is left; return the answers, and each zero.

    The weight flips, or stands at 100.
    """
    library = kind.partition(" ")[0]
    for needed in {library, "taskiq_redis" if kind == "taskiq" else library}:
        if find_spec(needed) is None:
            skip_or_fail(f"no {needed} here: pip install {needed}")
    users = [units("checkout")[50 + number % 20] for number in range(tasks)]  # of buckets between the two weights
    with embedded.server() as server, graysplit.Control(server.url, confirm=True) as control:
        broker = server.url.removesuffix("/0") + "/1"
        control.create("checkout")
        control.set("checkout", 20 if flipped else 100)
        told = {"TASKS": library, "BROKER": broker, "GRAYSPLIT_URL": server.url, "C_FORCE_ROOT": "1"}
        own = {**os.environ, **told, "PYTHONPATH": str(ROOT)}
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
        flips, client = Flips(server.url) if flipped else None, redis.Redis.from_url(broker)
        try:
            eventually(lambda: client.llen("answers") >= tasks, WITHIN_S + tasks / TASKS_A_SECOND)
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
            if flips is not None:
                flips.end()
            client.close()
            for process in crew:
                with suppress(OSError):
                    process.kill()
                process.wait()
            log.close()
    assert "Traceback" not in (folder / "worker.log").read_text()
    return answers, flips.zeros if flips is not None else []


@pytest.mark.parametrize(("kind", "tasks"), [("celery", 100), ("dramatiq", 300), ("taskiq", 300), ("rq graysplit", 40)])
def test_no_task_is_told_two_versions(kind: str, tasks: int, tmp_path: Path) -> None:
    """Also the first of a fresh process; an ordinary end leaves nobody silent."""
    hold(kind, tasks, tmp_path)


@pytest.mark.parametrize("kind", ["celery threads", "rq graysplit", "rq simple", "rq spawn"])
def test_each_kind_of_worker_asks_the_store(kind: str, tmp_path: Path) -> None:
    """Before its first job and for each later one, be it forked, spawned, or in the worker's own process."""
    if kind == "rq spawn" and version("rq").startswith("2."):
        pytest.skip("RQ 2's SpawnWorker starts no job with today's redis-py")
    answers, _ = run_tasks(kind, 4, tmp_path, flipped=False)
    assert [answer.versions for answer in answers] == [["new"] * 3] * 4


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("kind", "tasks"),
    [
        *((kind, 10_000) for kind in ("celery", "celery threads", "dramatiq", "taskiq", "rq graysplit", "rq simple")),
        ("rq", 500),
    ],
)
def test_no_task_of_many_is_told_two_versions(kind: str, tasks: int, tmp_path: Path) -> None:
    """The same at length; RQ forks a process for each job."""
    hold(kind, tasks, tmp_path)
