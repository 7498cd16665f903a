"""Forked workers, as under `gunicorn --preload`: the parent has started already, and no child needs a call."""

from __future__ import annotations

import os
import signal
import time
import warnings
from typing import Final, NamedTuple

import graysplit
from graysplit import embedded

WORKERS: Final = 3

gray = graysplit.Router()


class Child(NamedTuple):
    """A worker, and the pipe on which it tells."""

    pid: int
    pipe: int


def work(tell: int, parent: int) -> None:
    """Be a worker for as long as there is a parent: say so whenever the answer changes."""
    said = "old"
    while os.getppid() == parent:
        version = gray.choose("pricing", "user-1")
        if version != said:
            os.write(tell, version.encode())
        said = version
        time.sleep(0.002)


def fork() -> Child:
    """Start a worker."""
    (hear, tell), parent = os.pipe(), os.getpid()
    with warnings.catch_warnings():
        # Python 3.12 warns where threads run: graysplit's holds no lock that a child would miss.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            work(tell, parent)
        finally:
            os._exit(0)  # what the parent has opened is the parent's to close
    os.close(tell)
    return Child(pid, hear)


def main() -> None:
    """Start, fork, turn up and back, and see every child follow."""
    with embedded.server() as server, graysplit.Control(server.url) as control:
        control.create("pricing")
        gray.configure(server.url)
        gray.wait_ready()
        print(f"the parent is {gray.status().phase} before it forks: {gray.choose('pricing', 'user-1')}")
        children = [fork() for _ in range(WORKERS)]
        for cause in ("set", "rollback"):
            result = control.set("pricing", 100, confirm="pricing") if cause == "set" else control.rollback("pricing")
            said = [os.read(child.pipe, 3).decode() for child in children]
            receipts = control.wait_confirmed(result).receipts
            print(f"{cause}: {receipts.confirmed}/{receipts.processes} confirmed; children: {', '.join(said)}")
        for child in children:
            os.kill(child.pid, signal.SIGTERM)
            os.waitpid(child.pid, 0)
        gray.close()


if __name__ == "__main__":
    main()
