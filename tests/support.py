"""What all tests share: waiting for a condition instead of sleeping, and children that are not measured."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

T = TypeVar("T")

MEASURED: Final = ("COV_CORE_", "COVERAGE_")  # what coverage tells children by begins so

_FIRST_PAUSE_S: Final = 0.001
_LONGEST_PAUSE_S: Final = 0.05


class NewThreads:
    """The threads that have begun since this was made; those of other tests may end, or begin to, meanwhile."""

    def __init__(self) -> None:
        """Take note of those there are."""
        self._before = set(threading.enumerate())

    def named(self, name: str) -> list[threading.Thread]:
        """Return the living ones of this name."""
        return [thread for thread in self._living() if thread.name == name]

    def ours(self) -> list[threading.Thread]:
        """Return the living ones of graysplit, whatever they do."""
        return [thread for thread in self._living() if thread.name.startswith("graysplit")]

    def _living(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in self._before]


def eventually(predicate: Callable[[], T], within: float = 5.0, *, message: str = "") -> T:
    """Ask until the answer is true and give it; fail with the last answer once `within` seconds are over.

    An assertion that the predicate raises counts as "not yet", so that it may be a block of plain asserts that
    ends with something true; the last one is the cause of the failure. Other exceptions pass through at once.
    """
    deadline = time.monotonic() + within
    pause = _FIRST_PAUSE_S
    while True:
        answer, doubt = _ask(predicate)
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(_report(predicate, within, message, answer, doubt)) from doubt
        time.sleep(pause)  # noqa: TID251 - the one place that waits for all others
        pause = min(pause * 2, _LONGEST_PAUSE_S)


def bare_environment() -> dict[str, str]:
    """Return the environment for a child that shows what it loads: coverage would load modules of its own into it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(MEASURED)}


def hear_interrupts() -> None:
    """Let this process, and so each that a test starts, hear Ctrl-C, SIGQUIT and SIGHUP as at a terminal.

    A shell without job control starts what it puts into its background with the first two ignored, `nohup` with the
    last; that is inherited, over `exec` too. What is caught here is at its default in a child again. Asked of the main
    thread only.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for ignored in (signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(ignored) == signal.SIG_IGN:
            signal.signal(ignored, signal.SIG_DFL)


def skip_or_fail(reason: str) -> NoReturn:
    """Skip a test whose server is missing; in CI with root, which could have installed it, fail."""
    import pytest  # not at the top: programs that tests start import this module, and have no use for it

    if os.environ.get("CI") and os.geteuid() == 0:
        pytest.fail(reason)
    pytest.skip(reason)


def _ask(predicate: Callable[[], T]) -> tuple[T | None, AssertionError | None]:
    try:
        return predicate(), None
    except AssertionError as doubt:
        return None, doubt


def _report(
    predicate: Callable[[], object], within: float, message: str, answer: object, doubt: AssertionError | None
) -> str:
    code = getattr(predicate, "__code__", None)
    where = f"{code.co_filename}:{code.co_firstlineno}" if code else repr(predicate)
    last = f"it raised {doubt}" if doubt is not None else f"its last answer was {answer!r}"
    return f"{message or 'the condition'} did not hold within {within:g} s ({where}); {last}"
