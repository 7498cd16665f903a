"""The program's logging may raise, hang or call graysplit again: nobody who has something to say notices."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from graysplit import log_writer
from graysplit.log_writer import LogWriter
from tests.support import NewThreads, bare_environment, eventually


class Handler(logging.Handler):
    """A handler that does what a test wants, and keeps what it was given."""

    def __init__(self, act: Callable[[], object]) -> None:
        """Take what each line does."""
        super().__init__()
        self.act = act
        self.seen: list[str] = []

    def handle(self, record: logging.LogRecord) -> bool:
        """Keep the line, then do what was wanted: `emit` would be guarded by the handler's own lock."""
        self.seen.append(record.getMessage())
        self.act()
        return True


@contextmanager
def handling(act: Callable[[], object]) -> Iterator[Handler]:
    """Have graysplit's logger use a handler for a while."""
    handler, logger = Handler(act), logging.getLogger("graysplit")
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)


def fails(fault: BaseException) -> Callable[[], object]:
    """Return what raises."""

    def act() -> None:
        raise fault

    return act


class SecondToLock:
    """A lock that another thread has had, start and all, just before it is taken."""

    def __init__(self, writer: LogWriter) -> None:
        """Stand in a writer's place."""
        self._writer = writer
        self._real = threading.Lock()

    def acquire(self, *, blocking: bool) -> bool:
        """Have another thread start first."""
        self._writer._starting = self._real
        other = threading.Thread(target=self._writer.start)
        other.start()
        other.join()
        return self._real.acquire(blocking=blocking)

    def release(self) -> None:
        """Give it back."""
        self._real.release()


def test_two_threads_that_start_it_at_once_start_one() -> None:
    """Two would write lines out of their order, and one would say that all is written while the other still writes."""
    writer = LogWriter()
    lock = SecondToLock(writer)
    writer._starting = lock  # type: ignore[assignment] # what it does of one
    threads = NewThreads()
    writer.start()
    assert len(threads.named("graysplit log")) == 1
    assert not lock._real.locked()
    assert writer.flush(5)


@pytest.mark.parametrize("fault", [OSError("collector"), RuntimeError(), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_what_a_handler_raises_is_counted_and_the_next_line_is_written(fault: BaseException) -> None:
    """Neither the caller nor the thread notices."""
    writer = LogWriter()
    with handling(fails(fault)) as handler:
        writer.put("warning", "one")
        writer.put("warning", "two")
        assert writer.flush(10)
    assert (handler.seen, writer.lost) == (["one", "two"], 2)


def test_a_handler_that_hangs_holds_nobody_up_and_what_does_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines wait, up to a bound; when it goes on, those that waited are written in their order."""
    monkeypatch.setattr(log_writer, "WAITING_AT_MOST", 3)
    writer, go_on, hangs = LogWriter(), threading.Event(), threading.Event()

    def act() -> None:
        hangs.set()
        assert go_on.wait(30)

    with handling(act) as handler:
        writer.put("warning", "first")
        assert hangs.wait(10)
        for number in range(5):
            writer.put("warning", str(number))
        assert (writer.lost, writer.flush(0.01)) == (2, False)
        go_on.set()
        assert writer.flush(10)
    assert handler.seen == ["first", "0", "1", "2"]


def test_a_handler_may_have_something_said_itself() -> None:
    """A line from within a handler waits its turn."""
    writer, more = LogWriter(), ["again"]
    with handling(lambda: more and writer.put("info", more.pop())) as handler:
        logging.getLogger("graysplit").setLevel(logging.INFO)
        writer.put("warning", "once")
        eventually(lambda: handler.seen == ["once", "again"])
    logging.getLogger("graysplit").setLevel(logging.NOTSET)


def test_a_refused_thread_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no thread, the line waits for the next one."""
    writer = LogWriter()
    with monkeypatch.context() as patch:
        patch.setattr(log_writer.Thread, "start", lambda _: fails(RuntimeError("no thread"))())
        writer.put("warning", "waits")
    with handling(lambda: None) as handler:
        writer.put("warning", "starts it")
        assert writer.flush(10)
    assert (handler.seen, writer.lost) == (["waits", "starts it"], 0)


def test_a_forked_child_writes_its_own_lines_and_not_its_parents() -> None:
    """The parent's thread hangs with lines behind it; the child has none of that."""
    writer, go_on, hangs = LogWriter(), threading.Event(), threading.Event()
    parent = os.getpid()

    def act() -> None:
        if os.getpid() == parent:
            hangs.set()
            assert go_on.wait(30)

    with handling(act) as handler:
        writer.put("warning", "parent's")
        assert hangs.wait(10)
        writer.put("warning", "parent's second")
        child = os.fork()
        if not child:
            handler.seen.clear()
            writer.put("warning", "child's")
            os._exit(0 if writer.flush(10) and handler.seen == ["child's"] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        go_on.set()
        assert writer.flush(10)
    assert handler.seen == ["parent's", "parent's second"]


SAYS: dict[str, tuple[dict[str, str], str]] = {
    "no store": ({}, "no store"),
    "mistyped": ({"GRAYSPLIT_URL": "rediss:/nowhere"}, "has no scheme"),
    "unreachable": ({"GRAYSPLIT_URL": "redis://127.0.0.1:1/0"}, "lost contact"),
}
PROGRAM = """
import graysplit
gray = graysplit.Router()
@gray.route("checkout", unit="user")
def handle(user): return "old"
@handle.version("new")
def handle_new(user): return "new"
for number in range(3):
    assert handle("u") == "old"
gray.wait_ready(2)
gray.close()
"""


@pytest.mark.parametrize("case", SAYS)
def test_a_program_that_configures_no_logging_sees_warnings(case: str) -> None:
    """Python's last resort prints them, as no handler of ours hides them."""
    environment, said = SAYS[case]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=False,
        env={**bare_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if said in line], done.stderr


@pytest.mark.parametrize(
    "module",
    [None, SimpleNamespace(), SimpleNamespace(worker_id=lambda: 1 / 0)],
    ids=["none", "without its functions", "raises"],
)
def test_a_module_of_another_kind_by_uwsgis_name_stops_no_line(monkeypatch: pytest.MonkeyPatch, module: object) -> None:
    """A program's own `uwsgi`, or a mark that there is none: nobody who has something to say notices."""
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    with handling(list) as handler:
        LogWriter().put("warning", "said")
        eventually(lambda: handler.seen == ["said"])


def test_no_thread_writes_in_a_uwsgi_master_and_its_workers_write_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that has the interpreter while uWSGI forks would have it in the worker too, which then never runs."""
    master = SimpleNamespace(worker=0, worker_id=lambda: master.worker, mule_id=int, i_am_the_spooler=bool)
    monkeypatch.setitem(sys.modules, "uwsgi", master)
    writer = LogWriter()
    threads = NewThreads()
    with handling(list) as handler:
        writer.put("warning", "said at import")
        assert (threads.ours(), handler.seen) == ([], [])
        master.worker = 1
        writer.put("warning", "said at work")
        eventually(lambda: handler.seen == ["said at import", "said at work"])
