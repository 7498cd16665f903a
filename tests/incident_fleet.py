"""Four processes of one application, and what each of them gives to each user; told over a pipe, not by a receipt."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from graysplit import embedded
from graysplit.control import Control
from graysplit.core.bucketing import bucket_of, encode_unit, hash32
from tests.support import eventually

USERS = tuple(f"u-{number}" for number in range(60))
SAFE_WITHIN_S = 60.0  # on a crowded machine
PROCESSES = 4
SPLITS = {"checkout": "new", "search": "new", "ranking": "b"}


class Worker:
    """One process of the fleet."""

    def __init__(self, environment: dict[str, str], off_file: Path) -> None:
        """Start it; `wait_ready` returns once it follows."""
        self.off_file = off_file
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.incident_process"],
            env={**environment, "GRAYSPLIT_OFF_FILE": str(off_file)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_ready(self) -> Worker:
        """Return it once it follows."""
        assert self._line() == "ready"
        return self

    @property
    def pid(self) -> int:
        """Its id, as receipts name it."""
        return self._process.pid

    @property
    def label(self) -> str:
        """Its name, as receipts have it."""
        return f"{socket.gethostname()}/{self.pid}"

    @property
    def lives(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def given(self, split: str = "checkout", users: Sequence[str] = USERS) -> list[str]:
        """Return the version that it gives to each user, now."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{split} {' '.join(users)}\n")
        self._process.stdin.flush()
        return self._line().split()

    def signal(self, number: int) -> None:
        """Stop it, or let it go on, or end it."""
        self._process.send_signal(number)

    def end(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class IncidentFleet:
    """A server, four processes, and a colleague who changes weights."""

    def __init__(self, server: embedded.Server, folder: Path) -> None:
        """Start the processes."""
        self.server, self._folder = server, folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GRAYSPLIT_")}
        self.environment = {**kept, "GRAYSPLIT_URL": server.url, "GRAYSPLIT_ACTOR": "ada@lab"}
        started = [self._started() for _ in range(PROCESSES)]
        self.workers = [worker.wait_ready() for worker in started]
        self.control = Control(server.url, actor="bob@lab", confirm=True)

    def start(self) -> Worker:
        """Start one process more."""
        return self._started().wait_ready()

    def weigh(self, weight: int = 50, *splits: str) -> None:
        """Set these splits to a weight, whatever stood before, and wait until all four are there."""
        for split in splits or ("checkout",):
            self.control.set(f"{split}/{SPLITS[split]}", weight, why="step 1", unstop=True)
            eventually(lambda split=split: all(self._agrees(w, split, weight) for w in self.workers), SAFE_WITHIN_S)  # type: ignore[misc] # the loop's value

    def gives(self, version: str, split: str = "checkout") -> bool:
        """Return whether every process that lives gives one version to everybody."""
        return all({*worker.given(split)} == {version} for worker in self.workers if worker.lives)

    def stands_at(self, weight: int, split: str = "checkout") -> bool:
        """Return whether every process gives the candidate to exactly the users whose buckets it owns."""
        return all(self._agrees(worker, split, weight) for worker in self.workers)

    def forget(self, worker: Worker) -> None:
        """Wait until a process that was killed, and has a successor, leaves the count: it concerns no incident more."""
        eventually(lambda: worker.pid not in {found.pid for found in self.control.fleet().processes}, 60.0)

    def mend(self) -> None:
        """Make good what an incident may have left: break-glass, a process that was killed, a store that is empty."""
        for worker in self.workers:
            worker.off_file.unlink(missing_ok=True)
        self.workers = [worker for worker in self.workers if worker.lives]
        self.workers += [self.start() for _ in range(PROCESSES - len(self.workers))]
        for process in self.control.fleet().silent:
            self.control.forget(process.label)
        if self.control.overview().loss is not None:
            self.control.recover(source="fleet")

    def close(self) -> None:
        """End everything that was started."""
        self.control.close()
        for worker in self.workers:
            worker.end()

    def _started(self) -> Worker:
        return Worker(self.environment, self._folder / f"off-{time.monotonic_ns()}")

    @staticmethod
    def _agrees(worker: Worker, split: str, weight: int) -> bool:
        baseline = "a" if split == "ranking" else "old"
        seed = hash32(split.encode(), 0)
        inside = [bucket_of(encode_unit(user) or b"", seed) < weight * 1000 for user in USERS]
        return worker.given(split) == [SPLITS[split] if yes else baseline for yes in inside]
