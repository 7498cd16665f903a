"""A program with a pool of processes, started in one of multiprocessing's three ways. Run by `test_pools.py`.

Answers in one line of JSON. The router has loaded before the pool is made, and no hook is called anywhere.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import graysplit
from tests.faults.shares import share, units

CHILDREN: Final = 4
SEEN_WITHIN_S: Final = 20.0
TASK_TAKES_S: Final = 0.02

gray = graysplit.Router()  # told by the environment; in each child the module's own, or its parent's copy


def look() -> tuple[int, int]:
    """Say who runs this task, and what it decides."""
    units("checkout")
    threading.Event().wait(TASK_TAKES_S)
    return os.getpid(), share(gray)


def looks(pool: ProcessPoolExecutor) -> dict[int, int]:
    """Return what each child decides now."""
    seen: dict[int, int] = {}
    while len(seen) < CHILDREN:
        seen |= dict(future.result() for future in [pool.submit(look) for _ in range(2 * CHILDREN)])
    return seen


def until(pool: ProcessPoolExecutor, expected: int) -> tuple[dict[int, int], float]:
    """Ask until all children decide so, or time is up; return what they decide, and the seconds it took."""
    began = time.monotonic()
    while True:
        seen = looks(pool)
        took = time.monotonic() - began
        if {*seen.values()} == {expected} or took > SEEN_WITHIN_S:
            return seen, took


def main(method: str, rounds: int) -> None:
    """Change the weight again and again, and see all children and this process follow."""
    with graysplit.Control(os.environ["GRAYSPLIT_URL"]) as control:
        control.create("checkout")
        control.set("checkout", 10)
        gray.wait_ready(SEEN_WITHIN_S)
        mine, wrong, slowest = [share(gray)], [], 0.0
        with ProcessPoolExecutor(CHILDREN, mp_context=multiprocessing.get_context(method)) as pool:
            until(pool, 10)
            for number in range(rounds):
                weight = 20 + number % 60 if number % 3 else 0
                result = control.set("checkout", weight, unstop=True) if weight else control.rollback("checkout")
                receipts = control.wait_confirmed(result).receipts
                wrong += [found for found in looks(pool).values() if found != weight]
                slowest = max(slowest, receipts.seconds)
                mine.append(share(gray))
            counted = receipts.processes
        left = [process.pid for process in control.fleet().processes]
        said = {"wrong": wrong, "mine": mine, "counted": counted, "left": left == [os.getpid()], "slowest": slowest}
        print(json.dumps(said))  # noqa: T201 - the answer
    gray.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
