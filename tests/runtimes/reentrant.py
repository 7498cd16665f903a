"""A program that decides from where nobody expects it, while threads decide and every change is followed.

Run by `test_reentrant.py` as `reentrant WHERE COUNT`; answers in one line of JSON. WHERE is `signal` (a handler), `del`
(a finalizer, the collector being at work all the time), `weakref` (a callback, likewise) or `log` (a handler of log
lines, graysplit's own among them). The very first decision, which starts the router, is made there too.
"""

from __future__ import annotations

import faulthandler
import gc
import itertools
import json
import logging
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Final, Self

import graysplit
from tests.faults.shares import share, units
from tests.support import eventually

UNITS: Final = units("checkout")
STUCK_AFTER_S: Final = 300.0  # then it says where, and ends
SOON_S: Final = 0.000_05
THREADS: Final = 2
WAYS: Final = 5

gray = graysplit.Router()
control = graysplit.Control(os.environ["GRAYSPLIT_URL"], confirm=True)
made = itertools.count()
wrong: list[object] = []
ending = threading.Event()
progress = [0]


@gray.route("checkout", unit="unit")
def checkout(unit: str) -> str:
    """Take the old path."""
    return "old"


@checkout.version("new")
def checkout_new(unit: str) -> str:
    """Take the new path."""
    return "new"


def decide(*_: object) -> None:
    """Decide in one of the ways there are, and look at the answer."""
    number = progress[0] = next(made)
    unit = UNITS[number % 100]
    kind = number % WAYS
    if kind == 0:
        found = gray.choose("checkout", unit)
    elif kind == 1:
        found = gray.decide("checkout", unit).version
    elif kind == 2:
        found = checkout(unit)
    elif kind == 3:
        with graysplit.context(unit=unit):
            found = gray.choose("checkout")
    else:  # off the hot path, with a line in the log now and then
        if number % 100 == 4:
            gray._lifecycle.events._said.pop("no_unit checkout", None)
        found = "wrong" if gray.choose("checkout", None) != "old" else "old"
    if found not in {"old", "new"}:
        wrong.append(found)


# --- from where ------------------------------------------------------------------------------------------------------


class Cycle:
    """Rubbish that only the collector finds."""

    def __init__(self) -> None:
        """Close the circle."""
        self.me: Self = self


class Last(Cycle):
    """The same, with a last word."""

    def __del__(self) -> None:
        """Decide."""
        decide()


class Handler(logging.Handler):
    """Decides for each line, as one that samples by a split does."""

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - the base class's
        """Decide."""
        decide()


kept: dict[int, weakref.ref[Cycle]] = {}  # by identity: what has gone cannot be hashed any more


def forget(gone: weakref.ref[Cycle]) -> None:
    """Decide when an object has gone."""
    kept.pop(id(gone), None)
    decide()


def interrupt(*_: object) -> None:
    """Decide in all ways at once: signals that come close together are one."""
    for _way in range(WAYS):
        decide()


def by_signal() -> None:
    """Decide until a signal has come in between; one at a time, or a busy machine would do nothing else."""
    before = progress[0]
    signal.setitimer(signal.ITIMER_REAL, SOON_S)
    while progress[0] == before:
        checkout(UNITS[0])


def by_weakref() -> None:
    """Let go of an object that is watched."""
    watched = weakref.ref(Cycle(), forget)
    kept[id(watched)] = watched


def by_log() -> None:
    """Log a line."""
    logging.getLogger("the program's own").info("a line")


def begin(where: str) -> Callable[[], object]:
    """Make ready, and return what the main thread does again and again."""
    if where == "signal":
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, SOON_S)
        return by_signal
    if where == "log":
        logging.getLogger().addHandler(Handler())
        logging.getLogger().setLevel(logging.DEBUG)
        return by_log
    gc.set_threshold(1)
    return Last if where == "del" else by_weakref


# --- beside it -------------------------------------------------------------------------------------------------------


def load() -> None:
    """Decide all the time."""
    for number in itertools.count():
        if ending.is_set():
            break
        checkout(UNITS[number % 100])
        gray.choose("search", UNITS[number % 100])


def operate() -> None:
    """Change the weight all the time."""
    for number in itertools.count():
        if ending.wait(0.002):
            break
        control.set("checkout", 1 + number % 50)


def main(where: str, count: int) -> None:
    """Decide there so many times, then see that all is well."""
    faulthandler.dump_traceback_later(STUCK_AFTER_S, exit=True)
    logging.getLogger("graysplit").addHandler(logging.NullHandler())  # or Python prints each warning
    control.create("checkout")
    act = begin(where)
    threads = [threading.Thread(target=each) for each in (operate, *[load] * THREADS)]
    if where != "signal":
        act()
    eventually(lambda: gray.status().phase != "asleep")  # by the first decision, made there
    gray.wait_ready(20)
    for thread in threads:
        thread.start()
    while progress[0] < count:
        act()
    ending.set()
    for thread in threads:
        thread.join()
    receipts = control.wait_confirmed(control.rollback("checkout")).receipts
    said = {"enough": progress[0] >= count, "wrong": wrong, "share": share(gray), "confirmed": receipts.confirmed}
    gc.set_threshold(700)
    gray.close()
    control.close()
    print(json.dumps(said))  # noqa: T201 - the answer


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
