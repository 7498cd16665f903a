"""The parts of a scene: a server, an operator, workers by name, jobs at a steady rate, and what was done."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import redis

import graysplit
from benchmarks.processes import ROOT, surroundings
from benchmarks.setting import until
from graysplit import embedded

JOBS, DONE, HELD = "lab:jobs", "lab:done", "lab:held:"
USERS: Final = 500
DRAINED_WITHIN_S: Final = 20.0


class Done(NamedTuple):
    """One job that was done: for whom, by which version and worker, when (Unix time), and whether it failed."""

    user: str
    version: str
    by: str
    at: float
    failed: bool


class Stage:
    """A scene's parts."""

    def __init__(self, url: str) -> None:
        """Begin with no workers and no load."""
        self.url = url
        self.control = graysplit.Control(url, actor="lab", confirm=True)
        self.queue = redis.Redis.from_url(url, decode_responses=True)
        self.put = 0
        self._workers: dict[str, subprocess.Popen[str]] = {}
        self._feeding = threading.Event()
        self._feeder: threading.Thread | None = None

    def start(self, kind: str, *names: str) -> None:
        """Start workers, and wait until all have read the store."""
        command = [sys.executable, "-m", "benchmarks.policies.worker", kind]
        begun = {
            name: subprocess.Popen(
                [*command, name],
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env=surroundings({"GRAYSPLIT_URL": self.url}),
            )
            for name in names
        }
        self._workers |= begun
        for worker in begun.values():
            assert worker.stdout is not None  # noqa: S101 - asked for above
            if worker.stdout.readline() != "ready\n":
                raise RuntimeError("a worker did not start")

    def end(self, name: str, *, kill: bool = False) -> None:
        """End a worker, by SIGTERM or as a crash; what it had in hand is done by another."""
        worker = self._workers.pop(name)
        worker.kill() if kill else worker.terminate()
        worker.wait()
        if worker.stdout is not None:
            worker.stdout.close()
        while self.queue.lmove(HELD + name, JOBS):
            pass

    def feed(self, per_second: float) -> None:
        """Put jobs of many users in, from now until `drain`."""

        def put() -> None:
            due = time.monotonic()
            while not self._feeding.is_set():
                self.queue.rpush(JOBS, json.dumps({"user": f"user-{self.put % USERS}", "job": self.put}))
                self.put += 1
                due += 1 / per_second
                self._feeding.wait(max(0.0, due - time.monotonic()))

        self._feeder = threading.Thread(target=put)
        self._feeder.start()

    def drain(self) -> list[Done]:
        """Stop putting jobs in, wait until all are done, and return them in their order."""
        self._feeding.set()
        if self._feeder is not None:
            self._feeder.join()
        until(lambda: int(self.queue.llen(DONE)) >= self.put, "every job is done", DRAINED_WITHIN_S)  # type: ignore[arg-type] # redis-py's types
        return sorted(self.done(), key=lambda one: one.at)

    def done(self) -> list[Done]:
        """Return what has been done so far."""
        texts: list[Any] = self.queue.lrange(DONE, 0, -1)  # type: ignore[assignment] # redis-py's types; Any: JSON
        return [
            Done(found["user"], found["version"], found["by"], found["at"], found["failed"])
            for found in map(json.loads, texts)
        ]

    def close(self) -> None:
        """End everything."""
        self._feeding.set()
        for name in [*self._workers]:
            self.end(name, kill=True)
        self.control.close()
        self.queue.close()


@contextmanager
def stage() -> Iterator[Stage]:
    """Set a stage on a server of its own, and clear it away."""
    with embedded.server() as server:
        found = Stage(server.url)
        try:
            yield found
        finally:
            found.close()
