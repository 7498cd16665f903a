"""A program whose own code does its worst wherever graysplit calls it, while an operator raises and rolls back.

Run by `test_hostile.py` as `hostile ROUNDS SEED`; answers in one line of JSON. Each round gives every place one act: to
raise (an error, SystemExit, KeyboardInterrupt), to hang until the round is over, to call graysplit, or to fork.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final

import redis

import graysplit
from graysplit.log_writer import WRITER
from tests.faults.shares import units

UNITS: Final = units("checkout")
IN_FORCE_WITHIN_S: Final = 30.0  # then it is called lost; how long it took is said
HANGS_S: Final = 5.0
STUCK_AFTER_S: Final = 500.0  # then it says where, and ends

gray = graysplit.Router(instance="here")
control = graysplit.Control(os.environ["GRAYSPLIT_URL"], confirm=True)
wrong: list[str] = []
acted: dict[str, int] = {}
over = threading.Event()
acts: dict[str, Callable[[], object]] = {}
inside = threading.local()
forked: list[int] = []


class Odd(Exception):  # noqa: N818 - its name is odd, too
    """An error that cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def fork() -> None:
    """Leave a child that decides once, and goes."""
    child = os.fork()
    if not child:
        acts.clear()
        with suppress(BaseException):
            gray.choose("checkout", UNITS[0])
        os._exit(0)
    forked.append(child)


def recurse() -> None:
    """Call graysplit from where it calls."""
    gray.choose("checkout", "somebody")
    checkout("somebody", "recursing")
    gray.status()
    gray.measures()
    gray.explain("checkout", "somebody")


def raises(fault: BaseException | type[BaseException]) -> Callable[[], object]:
    """Return what raises."""

    def act() -> None:
        raise fault

    return act


ERRORS: Final = (raises(RuntimeError("hostile")), raises(Odd), raises(RecursionError()))
ENDS: Final = (raises(SystemExit(3)), raises(KeyboardInterrupt()), raises(GeneratorExit()))
HANGS: Final = (lambda: over.wait(HANGS_S),)
OWN_THREAD: Final = (*ERRORS, *ENDS, *HANGS, recurse, fork)  # handlers, filters, warm-ups: graysplit's threads
IN_CALL: Final = (*ERRORS, recurse)  # what ends a program or hangs in its own call is the program's


def at(place: str) -> None:
    """Do what this round wants done here; what graysplit calls from within it does nothing."""
    act = acts.get(place)
    if act is None or getattr(inside, "deep", False):
        return
    inside.deep = True
    acted[place] = acted.get(place, 0) + 1
    try:
        act()
    finally:
        inside.deep = False


class Handler(logging.Handler):
    """A handler of log lines."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Do it at every line."""
        at("handler")
        return bool(record)


class Filter(logging.Filter):
    """A filter of log lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Do it at every line."""
        at("filter")
        return bool(record)


class Unit(str):
    """A unit whose text is made when it is asked for."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        """Do it, and be one."""
        at("encode")
        return bytes(str(self), "ascii")


def unit_of(user: str) -> str:
    """Do it, and return the unit."""
    at("unit")
    return user


def failed(result: object) -> bool:
    """Do it, and find nothing wrong."""
    at("failed")
    return False


class Attributes(Mapping[str, object]):
    """Attributes that are looked up late."""

    def __getitem__(self, key: str) -> object:
        at("attributes")
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        at("attributes")
        return iter(())

    def __len__(self) -> int:
        return 0


@gray.route("checkout", unit=unit_of, failed=failed)
def checkout(user: str, cart: str) -> str:
    """Take the old path."""
    return "old"


@checkout.version("new")
def checkout_new(user: str, cart: str) -> str:
    """Take the new path."""
    return "new"


@checkout.warm("new", every=0.05)
def warm() -> None:
    """Do it where a version is made ready."""
    at("warm")


PLACES: Final = {
    "handler": OWN_THREAD,
    "filter": OWN_THREAD,
    "warm": OWN_THREAD,
    "unit": IN_CALL,
    "encode": IN_CALL,
    "failed": IN_CALL,
    "attributes": IN_CALL,
}


def ask() -> None:
    """Decide in each way; nothing comes out but an answer."""
    while not ended.is_set():
        for number in range(20):
            try:
                answers = (
                    gray.choose("checkout", Unit(UNITS[number]), Attributes()),
                    checkout(UNITS[number], "cart"),
                    gray.decide("checkout", UNITS[number]).version,
                )
                with graysplit.context(UNITS[number], Attributes()):
                    answers += (gray.choose("checkout"),)
                if not {*answers} <= {"old", "new"}:
                    wrong.append(f"answers {answers}")
            except BaseException as fault:  # noqa: BLE001 - that is what must not be
                wrong.append(f"raised {type(fault).__name__}")
        time.sleep(0.001)  # noqa: TID251 - a program that is busy, not one that takes everything


def in_force(share: int) -> float:
    """Return after how many seconds a weight is in force here."""
    began = time.monotonic()
    while sum(gray.choose("checkout", one) == "new" for one in UNITS) != share:
        if time.monotonic() - began > IN_FORCE_WITHIN_S:
            wrong.append(f"{share} % never came: {gray.status()}")
            break
        time.sleep(0.001)  # noqa: TID251 - looks as often as it can
    return time.monotonic() - began


ended = threading.Event()


def main(rounds: int, chance: random.Random) -> None:
    """Play, and say how it went."""
    faulthandler.dump_traceback_later(STUCK_AFTER_S, exit=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    logger = logging.getLogger("graysplit")
    logger.addHandler(Handler())
    logger.addFilter(Filter())
    client = redis.Redis.from_url(os.environ["GRAYSPLIT_URL"])
    control.create("checkout")
    gray.wait_ready(20)
    asking = threading.Thread(target=ask)
    asking.start()
    took = list[float]()
    for number in range(rounds):
        over.clear()
        acts.update({place: chance.choice(acts_there) for place, acts_there in PLACES.items()})
        client.hset("graysplit:{default}:weights", "checkout/new", f"bad {number}")  # a line to log
        control.set("checkout", 50, unstop=True)
        in_force(50)
        control.rollback("checkout", why="hostile")
        took.append(in_force(0))
        over.set()
        status = gray.status()
        if (status.phase, status.stale) != ("live", False):
            wrong.append(f"status {status.phase} {status.mode} stale={status.stale}")
    acts.clear()
    ended.set()
    asking.join(20)
    lost = WRITER.lost
    gray.close()
    took.sort()
    said = {
        "wrong": wrong[:20],
        "acted": acted,
        "unlogged": lost,
        "forks": len(forked),
        "median_ms": round(1000 * took[len(took) // 2]),
        "longest_ms": round(1000 * took[-1]),
    }
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), random.Random(int(sys.argv[2])))
