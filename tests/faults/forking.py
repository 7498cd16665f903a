"""A program that forks under load, as servers with workers do. Run by `test_forks.py`; answers in one line of JSON.

Eight threads decide all the time while the main thread forks. Each child decides at once, then until it sees the
weight 0, and ends; the operator turns 50 % down to 0 once all children have decided.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
import warnings
from typing import Final

import graysplit
from tests.faults.shares import share

THREADS: Final = 8
FIRST_WITHIN_S: Final = 1.0
FOLLOWS_WITHIN_S: Final = 20.0


def child(gray: graysplit.Router, tell: int) -> None:
    """Decide at once, and go on until the weight is zero."""
    began = time.monotonic()
    first = share(gray)
    os.write(tell, b"slow\n" if time.monotonic() - began > FIRST_WITHIN_S else b"first %d\n" % first)
    while time.monotonic() - began < FOLLOWS_WITHIN_S:
        if share(gray) == 0:
            os.write(tell, b"follows\n")
            return
        select.select([], [], [], 0.02)  # all children together leave the parent, and who turns it down, some time
    os.write(tell, b"deaf\n")


def fork(gray: graysplit.Router, tell: int) -> int:
    """Start a child, and return its id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later: threads run, and that is the point
        pid = os.fork()
    if not pid:
        signal.alarm(60)  # whatever happens, no child stays behind
        child(gray, tell)
        os._exit(0)
    return pid


def roll_back(control: graysplit.Control) -> None:
    """Do as an operator does who gets no answer in time, beside eight busy threads and all the children: ask again."""
    until = time.monotonic() + FOLLOWS_WITHIN_S / 2
    while True:
        try:
            control.rollback("checkout")
        except graysplit.StoreUnreachableError:
            if time.monotonic() > until:
                raise
        else:
            return


def main(url: str, count: int) -> None:
    """Fork that many children, turn the weight to zero, and say what they said."""
    control = graysplit.Control(url)
    control.create("checkout")
    control.set("checkout", 50)
    gray = graysplit.Router(url)
    gray.wait_ready(20)
    ending = threading.Event()

    def load() -> None:
        number = 0
        while not ending.is_set():
            gray.choose("checkout", number)
            number += 1

    threads = [threading.Thread(target=load, daemon=True) for _ in range(THREADS)]  # what fails here ends the program
    for thread in threads:
        thread.start()
    hear, tell = os.pipe()
    said: list[str] = []
    with os.fdopen(hear) as heard:
        pids = [fork(gray, tell) for _ in range(count)]
        said += [heard.readline().strip() for _ in range(count)]
        roll_back(control)
        said += [heard.readline().strip() for _ in range(count)]
    began = time.monotonic()
    while share(gray) != 0 and time.monotonic() - began < FOLLOWS_WITHIN_S:
        select.select([], [], [], 0.002)
    ending.set()
    for thread in threads:
        thread.join()
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    answer = {word: said.count(word) for word in sorted({*said})}
    print(json.dumps({**answer, "crashed": sum(code != 0 for code in codes), "parent": share(gray)}))  # noqa: T201
    gray.close()
    control.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
