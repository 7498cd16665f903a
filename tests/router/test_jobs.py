"""User code in a thread of its own: one job at a time, in order, and what it raises is said without its text."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator

import pytest

from graysplit import Router
from graysplit.events import Events
from graysplit.router.jobs import WAITING_AT_MOST, Jobs
from graysplit.stores.memory import MemoryStore
from tests.support import eventually

NAME = "graysplit jobs"


class Hang:
    """A job that hangs until it is let go; all of a test's are let go at its end."""

    def __init__(self) -> None:
        """Begin not yet running."""
        self.begun = threading.Event()
        self.over = threading.Event()

    def __call__(self) -> None:
        """Hang."""
        self.begun.set()
        self.over.wait(30)


@pytest.fixture
def hang() -> Iterator[Hang]:
    """Return a job that hangs."""
    job = Hang()
    yield job
    job.over.set()


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    """Return a runner that is closed at the end, and whose thread has ended then."""
    before = threads()
    jobs = Jobs(Events())
    yield jobs
    jobs.close()
    eventually(lambda: threads() <= before)


def threads() -> int:
    """Count the threads that run jobs."""
    return sum(thread.name == NAME for thread in threading.enumerate())


def failing(kind: type[BaseException]) -> Callable[[], None]:
    """Return a job that raises."""

    def fail() -> None:
        raise kind("user-17 is in this text")

    return fail


def test_jobs_run_in_their_order_and_the_thread_ends_with_the_last(jobs: Jobs) -> None:
    """A thousand jobs from four threads: each runs once, those of one thread in their order; then no thread is left."""
    done: list[tuple[int, int]] = []

    def submitting(number: int) -> None:
        for step in range(250):
            eventually(lambda step=step: jobs.submit("count", lambda: done.append((number, step))))  # type: ignore[misc]

    givers = [threading.Thread(target=submitting, args=(number,)) for number in range(4)]
    for giver in givers:
        giver.start()
    for giver in givers:
        giver.join()
    eventually(lambda: len(done) == 1_000)
    for number in range(4):
        assert [step for giver, step in done if giver == number] == list(range(250))
    eventually(lambda: threads() == 0)
    assert (jobs.running, jobs.waiting) == (None, 0)


def test_one_job_runs_at_a_time_in_a_daemon_thread_of_its_own(jobs: Jobs, hang: Hang) -> None:
    """While one hangs the others wait, and `submit` does not."""
    ran = threading.Event()
    assert jobs.submit("slow", hang)
    assert hang.begun.wait(5)
    assert jobs.submit("next", ran.set)
    assert (jobs.running, jobs.waiting, threads()) == ("slow", 1, 1)
    assert next(thread for thread in threading.enumerate() if thread.name == NAME).daemon
    assert not ran.is_set()
    hang.over.set()
    assert ran.wait(5)


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_a_job_raises_is_said_once_a_minute_without_its_text(
    jobs: Jobs, caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    """The next job has its turn; the line names job, type and place, never the text, which may hold a unit's id."""
    ran = threading.Event()
    with caplog.at_level(logging.INFO, "graysplit"):
        for _ in range(5):
            assert jobs.submit("warm checkout/new", failing(kind))
        assert jobs.submit("after", ran.set)
        assert ran.wait(5)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"'warm checkout/new' failed: {kind.__name__} in failing.<locals>.fail (")
    assert "test_jobs.py:" in line
    assert "user-17" not in caplog.text


def test_success_ends_the_silence_about_a_job(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    """What fails, works and fails again is said each time, the way it is at the end last."""
    ran = threading.Event()
    with caplog.at_level(logging.INFO, "graysplit"):
        for job in (failing(ValueError), int, failing(ValueError), ran.set):
            assert jobs.submit("warm", job)
        assert ran.wait(5)
        eventually(lambda: len(caplog.records) == 4)
    assert ["works again" in record.getMessage() for record in caplog.records] == [False, True, False, True]


def test_what_waits_is_bounded(jobs: Jobs, hang: Hang, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the bound jobs are dropped, and that is said, with the job that is in the way."""
    jobs.submit("slow", hang)
    assert hang.begun.wait(5)
    ran: list[int] = []
    with caplog.at_level(logging.INFO, "graysplit"):
        taken = [jobs.submit("next", lambda: ran.append(1)) for _ in range(WAITING_AT_MOST + 50)]
    assert (taken.count(True), jobs.waiting) == (WAITING_AT_MOST, WAITING_AT_MOST)
    assert [record.getMessage() for record in caplog.records] == [
        f"'next' is not run: {WAITING_AT_MOST} jobs wait, and 'slow' still runs"
    ]
    hang.over.set()
    eventually(lambda: len(ran) == WAITING_AT_MOST)


def test_a_system_that_gives_no_thread_costs_the_jobs_only(
    jobs: Jobs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is dropped and said; the next one finds a thread again."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ran = threading.Event()
    with caplog.at_level(logging.INFO, "graysplit"), monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not jobs.submit("warm", ran.set)
    assert [record.getMessage() for record in caplog.records] == ["'warm' is not run: can't start new thread"]
    assert jobs.submit("again", ran.set)
    assert ran.wait(5)


def test_closing_drops_what_waits_and_waits_for_nothing(jobs: Jobs, hang: Hang) -> None:
    """The job that runs goes on, those behind it never begin, and nothing is taken any more."""
    ran = threading.Event()
    jobs.submit("slow", hang)
    assert hang.begun.wait(5)
    jobs.submit("next", ran.set)
    jobs.close()
    assert not jobs.submit("late", ran.set)
    hang.over.set()
    eventually(lambda: threads() == 0)
    assert not ran.is_set()


@pytest.mark.parametrize("inside", [False, True], ids=["beside a job", "inside a job"])
def test_a_child_forgets_its_parents_jobs_and_runs_its_own(jobs: Jobs, inside: bool) -> None:
    """Forked while a job runs, or by the job itself: nothing is inherited, and a thread of its own is found."""
    gone, go = threading.Event(), threading.Event()
    hear, tell = os.pipe()

    def child() -> None:
        jobs.after_fork()
        own = threading.Event()
        fine = jobs.waiting == 0 and jobs.running is None and jobs.submit("own", own.set) and own.wait(5)
        os.write(tell, b"fine" if fine else b"wrong")
        os._exit(0)

    def fork() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later: threads run, and that is the point
            pid = os.fork()
        if not pid:
            child()
        os.waitpid(pid, 0)

    def job() -> None:
        gone.set()
        go.wait(30)
        if inside:
            fork()

    ran = threading.Event()
    jobs.submit("parent's", job)
    assert gone.wait(5)
    jobs.submit("parent's next", lambda: (os.write(tell, b"parent's "), ran.set()))
    if not inside:
        fork()
    go.set()
    assert ran.wait(20)
    os.close(tell)
    with os.fdopen(hear) as heard:
        assert heard.read() == "fineparent's "


def test_a_router_starts_no_thread_for_jobs_that_nobody_has(router: Router) -> None:
    """Jobs are inert until the first."""
    assert threads() == 0


def test_a_closed_router_takes_no_jobs(store: MemoryStore) -> None:
    """They end with it."""
    router = Router(store)
    router.wait_ready(5)
    router.close()
    assert not router._lifecycle.jobs.submit("late", int)


def test_a_forked_router_has_forgotten_its_parents_jobs(router: Router, hang: Hang) -> None:
    """The lifecycle tells its jobs of a fork."""
    jobs = router._lifecycle.jobs
    jobs.submit("slow", hang)
    assert hang.begun.wait(5)
    jobs.submit("next", int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as above
        pid = os.fork()
    if not pid:
        os._exit(0 if (jobs.waiting, jobs.running) == (0, None) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert jobs.waiting == 1


def test_a_program_ends_while_a_job_hangs_and_begins_none() -> None:
    """Exit waits for no job, and says nothing."""
    program = """
import atexit, threading, graysplit
from graysplit.stores.memory import MemoryStore
atexit.register(lambda: print(router._lifecycle.jobs.submit("late", int)))
router = graysplit.Router(MemoryStore())
router.wait_ready(5)
begun = threading.Event()
router._lifecycle.jobs.submit("slow", lambda: (begun.set(), threading.Event().wait(600)))
router._lifecycle.jobs.submit("next", lambda: print("never"))
assert begun.wait(5)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")
