"""Run user code (warm-up, hooks) beside the follower: one job at a time, in a thread that ends with the last of them.

A job may be slow, may hang, may raise: it delays other jobs and nothing else. What waits is bounded, what fails is
said, and a process that ends waits for none of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock, Thread
from typing import Final, NamedTuple

from graysplit.events import Events

WAITING_AT_MOST: Final = 100


class Job(NamedTuple):
    """Something to do, and what it is called in a log line."""

    name: str
    run: Callable[[], object]


class Jobs:
    """The jobs of one router. Inert until the first; `submit` never waits for another job and never raises.

    Whoever owns `_turn` runs, and looks once more after giving it up: what was submitted in between finds an owner.
    """

    def __init__(self, events: Events) -> None:
        """Begin with nothing to do; no thread runs."""
        self._events = events
        self._waiting: deque[Job] = deque()
        self._turn = Lock()
        self._running: Job | None = None
        self._closed = False
        self._beside: list[Jobs] = []

    def beside(self) -> Jobs:
        """Return jobs with a thread of their own, closed with these: what hangs there keeps nobody here."""
        self._beside.append(Jobs(self._events))
        return self._beside[-1]

    @property
    def running(self) -> str | None:
        """The name of the job that runs now."""
        running = self._running
        return running.name if running is not None else None

    @property
    def waiting(self) -> int:
        """How many jobs wait for their turn."""
        return len(self._waiting)

    def submit(self, name: str, run: Callable[[], object]) -> bool:
        """Have a job run in its turn; False where it is dropped, as there are too many or the router is closed."""
        if self._closed:
            return False
        if len(self._waiting) >= WAITING_AT_MOST:
            self._drop(name, f"{WAITING_AT_MOST} jobs wait, and '{self.running}' still runs")
            return False
        self._waiting.append(Job(name, run))
        return self._begin()

    def close(self) -> None:
        """Drop what waits and start nothing more. What runs is not waited for: its thread ends no later than we do."""
        self._closed = True
        self._waiting.clear()
        for jobs in self._beside:
            jobs.close()

    def reopen(self) -> None:
        """Take jobs again after `close`."""
        self._closed, self._beside = False, []

    def after_fork(self) -> None:
        """Forget, in a child, what its parent's thread had to do: no lock is taken, nothing is started."""
        self._waiting.clear()
        self._beside = []
        self._turn = Lock()
        self._running = None

    def _begin(self) -> bool:
        """Start the thread, unless it runs; where the system gives none, what waits is dropped and said."""
        if not self._turn.acquire(blocking=False):
            return True
        try:
            Thread(target=self._work, args=(self._turn,), name="graysplit jobs", daemon=True).start()
        except RuntimeError as fault:  # too many threads, or the interpreter is about to end
            dropped = [job.name for job in self._waiting]
            self._waiting.clear()
            self._turn.release()
            self._drop(", ".join(dropped), str(fault))
            return False
        return True

    def _work(self, turn: Lock) -> None:
        """Run what waits until nothing does; the lock is handed in, as a job that forks gives its child another."""
        while True:
            while self._waiting and not self._closed:
                self._run(self._waiting.popleft())
            turn.release()
            if not self._waiting or self._closed or not turn.acquire(blocking=False):
                return

    def _run(self, job: Job) -> None:
        self._running = job
        try:
            job.run()
        except BaseException as fault:  # noqa: BLE001 - also SystemExit: the next job has its turn whatever this one does
            self._events.trouble(f"job_failed {job.name}", f"'{job.name}' failed: {_told(fault)}")
        else:
            self._events.over(f"job_failed {job.name}", f"'{job.name}' works again")
        finally:
            self._running = None

    def _drop(self, name: str, why: str) -> None:
        self._events.warning("job_not_run", f"'{name}' is not run: {why}")


def _told(fault: BaseException) -> str:
    """Return what was raised and where, without its text: that is the user's, and may name a unit."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(fault).__name__
    code = trace.tb_frame.f_code
    return f"{type(fault).__name__} in {code.co_qualname} ({code.co_filename}:{trace.tb_lineno})"
