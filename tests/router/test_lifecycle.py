"""A router starts as a whole or not at all, and nothing that starts, ends or forks it waits for itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

import graysplit
from graysplit import Control, Router
from graysplit.errors import ConfigurationError
from graysplit.follower.follower import Follower
from graysplit.forks import Latch, ProcessLock
from graysplit.router import lifecycle, process_end, start
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Feed
from tests.faults.followers import ROOT
from tests.support import bare_environment, eventually

MakeRouter = Callable[..., Router]

BOOTSTRAP: Final = '{"splits": {"checkout": {"versions": ["old", "new"], "weights": {"new": 100}}}}'


@pytest.fixture
def full(store: MemoryStore) -> MemoryStore:
    """Return a store in which everybody gets `new`."""
    Control(store).set("checkout", 100, confirm=True)
    return store


class NoThreads:
    """A system that gives no thread, until told otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin to refuse followers' threads."""
        self.asked = 0
        self.full = True
        start = threading.Thread.start

        def refusing(thread: threading.Thread) -> None:
            if self.full and thread.name == "graysplit":
                self.asked += 1
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refusing)


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> NoThreads:
    """Return a system that refuses threads."""
    return NoThreads(monkeypatch)


@contextmanager
def forked(act: Callable[[], str]) -> Iterator[Callable[[], str]]:
    """Run something in a forked child; return what waits for its answer, ten seconds at most."""
    hear, tell = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        with suppress(BaseException):
            signal.alarm(10)
            os.write(tell, act().encode())
        os._exit(0)
    os.close(tell)

    def answer() -> str:
        with os.fdopen(hear) as heard:
            said = heard.read()
        os.waitpid(child, 0)
        return said

    yield answer


# --- half a start is no start ----------------------------------------------------------------------------------------


def test_a_refused_thread_leaves_all_asleep_and_is_tried_again_once_a_second(
    full: MemoryStore, make_router: MakeRouter, no_threads: NoThreads
) -> None:
    """Everybody gets the baseline, no status says live, and a later decision starts it after all."""
    router = make_router(full)
    began = time.monotonic()
    for _ in range(100):
        assert router.decide("checkout", "u")[1:3] == ("old", "not_ready")
    assert no_threads.asked <= 1 + int(time.monotonic() - began)
    assert router.status()[:2] == ("asleep", "starting")
    router.start()  # nothing is raised: a program does not end for it
    assert router.status().phase == "asleep"
    no_threads.full = False
    assert eventually(lambda: router.choose("checkout", "u") == "new")
    assert router.status().phase == "live"
    Control(full).rollback("checkout")
    assert eventually(lambda: router.choose("checkout", "u") == "old")


def test_wait_ready_tries_again_for_as_long_as_it_waits(
    full: MemoryStore, make_router: MakeRouter, no_threads: NoThreads
) -> None:
    """It gives False where no thread is given in time, and True where one is."""
    router = make_router(full)
    assert not router.wait_ready(0.01)
    no_threads.full = False
    assert router.wait_ready(5)


def test_a_child_that_gets_no_thread_never_says_live(
    full: MemoryStore, make_router: MakeRouter, no_threads: NoThreads
) -> None:
    """A forked child without a thread is at baseline, asleep, and follows once it gets one."""
    no_threads.full = False
    router = make_router(full)
    assert router.wait_ready(5)

    def child() -> str:
        no_threads.full = True
        first, status = router.choose("checkout", "u"), router.status()
        no_threads.full = False
        eventually(lambda: router.choose("checkout", "u") == "new")
        return f"{first} {status.phase} {status.mode} {router.status().phase}"

    with forked(child) as answer:
        assert answer() == "old asleep starting live"


def test_a_bad_bootstrap_file_is_read_again_once_it_is_mended(
    tmp_path: Path, full: MemoryStore, make_router: MakeRouter
) -> None:
    """A decision gets the baseline and leaves it asleep; `start` raises; a mended file is taken."""
    bad = tmp_path / "bootstrap.json"
    bad.write_text("{")
    router = make_router(full, bootstrap=str(bad))
    assert router.decide("checkout", "u")[1:3] == ("old", "not_ready")
    assert router.status().phase == "asleep"
    with pytest.raises(ConfigurationError, match="bootstrap"):
        router.start()
    assert router.status().phase == "asleep"
    bad.write_text(BOOTSTRAP)
    assert eventually(lambda: router.choose("checkout", "u") == "new")
    assert router.status().phase == "live"


@pytest.mark.parametrize("where", ["make_notices", "make", "_parse_definition"])
def test_ctrl_c_in_the_middle_of_a_start_leaves_all_asleep(
    monkeypatch: pytest.MonkeyPatch, full: MemoryStore, make_router: MakeRouter, where: str
) -> None:
    """Whatever ends a start on its way, no state is left that nobody follows, and the next start works."""
    router = make_router(full)
    with monkeypatch.context() as patched:

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr(start, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            router.start()
        assert router.status().phase == "asleep"
    assert router.wait_ready(5)
    assert router.choose("checkout", "u") == "new"


# --- a thread that has died ------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_died_is_seen_and_started_again(full: MemoryStore, make_router: MakeRouter) -> None:
    """Its status never says live, and the next decision starts another, which obeys a rollback."""
    router = make_router(full)
    assert router.wait_ready(5)
    before = router._lifecycle._follower
    assert before is not None
    before._live = dying  # type: ignore[method-assign] # as if the interpreter had ended the thread
    before._events = before._books._events = None  # type: ignore[assignment] # not even that can be said
    full.raw_set("weights", "checkout/new", "99")  # a signal, so that it turns
    assert eventually(lambda: router.status().boot != before.boot or router.status().phase == "asleep")
    assert eventually(lambda: router.choose("checkout", "u") == "new")
    assert router.status().phase == "live"
    assert router._lifecycle._follower is not before
    Control(full).rollback("checkout")
    assert eventually(lambda: router.choose("checkout", "u") == "old")


def dying(*_: object, **__: object) -> int:
    """End the thread."""
    raise SystemExit


def test_a_thread_that_ended_without_a_word_is_seen_by_status_and_the_slow_path(
    full: MemoryStore, make_router: MakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing told of its end: `status` looks itself, and so does a decision on the slow path."""
    router = make_router(full)
    assert router.wait_ready(5)
    before = router._lifecycle._follower
    assert before is not None
    monkeypatch.setattr(Follower, "dead", property(lambda self: self is before))
    assert router.status()[:2] == ("asleep", "lost")
    router._lifecycle.states.due = 0.0  # it has not turned for a second
    with graysplit.context("u"):
        router.choose("checkout")
    assert eventually(lambda: router.choose("checkout", "u") == "new" and router._lifecycle._follower is not before)
    assert router.status().phase == "live"
    before.stop()


def test_an_end_that_comes_amid_a_goodbye_waits_for_it(
    full: MemoryStore, make_router: MakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SIGTERM does where a server sends it a second time: the process would end before the store has heard."""
    router = make_router(full)
    assert router.wait_ready(5)
    follower = router._lifecycle._follower
    assert follower is not None
    begun, may_end = threading.Event(), threading.Event()
    leave = follower._leave

    def slow(feed: Feed) -> None:
        begun.set()
        assert may_end.wait(5)
        leave(feed)

    monkeypatch.setattr(follower, "_leave", slow)
    monkeypatch.setattr(process_end, "_ending", {})
    monkeypatch.setattr(lifecycle, "GOODBYE_S", 5.0)
    closing = threading.Thread(target=router.close)
    closing.start()
    assert begun.wait(5)
    threading.Timer(0.05, may_end.set).start()
    router._lifecycle._say_goodbye()
    assert may_end.is_set()
    closing.join(5)
    assert not Control(full).fleet().processes


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_the_thread_outlives_whatever_is_raised_in_it(
    full: MemoryStore, make_router: MakeRouter, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Also what is no `Exception`: following goes on, and a rollback arrives."""
    router = make_router(full)
    assert router.wait_ready(5)
    follower = router._lifecycle._follower
    assert follower is not None
    raised = threading.Event()
    turn = follower._turn

    def raising(*, alone: bool = False) -> None:
        if not raised.is_set():
            raised.set()
            raise error
        turn(alone=alone)

    monkeypatch.setattr(follower, "_turn", raising)
    assert raised.wait(5)
    Control(full).rollback("checkout")
    assert eventually(lambda: router.choose("checkout", "u") == "old")
    assert router._lifecycle._follower is follower
    assert router.status().phase == "live"


# --- signals and forks -----------------------------------------------------------------------------------------------


def test_a_fork_during_another_threads_first_start_leaves_a_child_that_follows(
    monkeypatch: pytest.MonkeyPatch, full: MemoryStore, make_router: MakeRouter
) -> None:
    """At each place where the start may be: `wait_ready` answers there, and decisions follow."""
    for where in ("_parse_definition", "make", "make_notices"):
        router = make_router(full)
        there, go_on = threading.Event(), threading.Event()
        with monkeypatch.context() as patched:
            patched.setattr(start, where, _stopping_at(there, go_on, getattr(start, where)))
            starter = threading.Thread(target=router.start, daemon=True)
            starter.start()
            assert there.wait(5)
            with forked(lambda router=router: f"{router.wait_ready(5)} {router.choose('checkout', 'u')}") as answer:
                assert answer() == "True new", where
            go_on.set()
            starter.join(5)
        assert router.wait_ready(5)


def _stopping_at(there: threading.Event, go_on: threading.Event, once: Callable[..., object]) -> Callable[..., object]:
    """Return a function that stands still in any thread but the main one."""

    def stopping(*given: object) -> object:
        if threading.current_thread() is not threading.main_thread():
            there.set()
            go_on.wait(10)
        return once(*given)

    return stopping


def test_a_child_forked_while_a_thread_publishes_takes_no_lock_of_it() -> None:
    """The lock of the published states belongs to one process; nothing has to be registered for that."""
    lock, held, free = ProcessLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            free.wait(10)

    threading.Thread(target=hold, daemon=True).start()
    assert held.wait(5)
    assert not lock.acquire(0)

    def child() -> str:
        with lock, lock:
            return "free"

    with forked(child) as answer:
        assert answer() == "free"
    free.set()
    assert lock.acquire(5)
    lock.release()


def test_a_latch_is_set_once_for_all() -> None:
    """Who waits goes on, any number of them, and so does whoever waits later."""
    latch, passed = Latch(), []
    assert not latch.wait(0)
    assert not latch.is_set()
    threads = [threading.Thread(target=lambda: passed.append(latch.wait(10)), daemon=True) for _ in range(5)]
    for thread in threads:
        thread.start()
    latch.set()
    latch.set()
    for thread in threads:
        thread.join(5)
    assert passed == [True] * 5
    assert latch.wait(0)


# Run in a process of its own: the handler runs at each line of ours in turn, and a deadlock is seen by its silence.
CLOSED_AT_EVERY_LINE: Final = """
import faulthandler, signal, sys, graysplit
from graysplit import Control
from graysplit.stores.memory import MemoryStore
faulthandler.dump_traceback_later(50, exit=True)
store = MemoryStore()
Control(store).create("checkout")
Control(store).set("checkout", 100, confirm=True)

def once(act, at):
    gray = graysplit.Router(store)
    lines = [0]
    def handler(*_):
        sys.settrace(None)
        gray.close()
    signal.signal(signal.SIGTERM, handler)
    def trace(frame, event, arg):
        if "graysplit" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines[0] += 1
            if lines[0] == at:
                signal.raise_signal(signal.SIGTERM)
        return trace
    sys.settrace(trace)
    try:
        act(gray)
    finally:
        sys.settrace(None)
    if lines[0] >= at:
        status = gray.status()
        assert status.phase == "closed", (at, status)
        assert gray.choose("checkout", "u") == "old", at
        follower = gray._lifecycle._follower
        assert follower is None or follower._stopping.is_set(), at
    gray.close()
    return lines[0] >= at

def closing(gray):
    gray.start()
    gray.close()

for name, act in {
    "start": lambda gray: gray.start(),
    "decide": lambda gray: gray.choose("checkout", "u"),
    "close": closing,
}.items():
    at = 1
    while once(act, at):
        at += 7
    print(name, "done" if at > 100 else at)
"""


def test_a_handler_of_sigterm_may_close_at_any_line() -> None:
    """During `start`, during the first decision, and during another `close`: none waits for itself."""
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_AT_EVERY_LINE],
        cwd=ROOT,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.splitlines(), done.returncode) == (["start done", "decide done", "close done"], 0), done.stderr
