"""What a start costs: CPU of imports and declarations, round trips until it is live and their time far from the server.

A relay between a process and its server counts how often the process waits for an answer, and holds what passes as long
as a network of that round trip would; TCP's own handshake is one trip. Commands are programs of their own: their trips
up to the server's word that a change is written, and behind it each look at the receipts of the processes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Final, NamedTuple

import graysplit
from benchmarks.processes import ROOT, median_cpu_ms, python, surroundings
from benchmarks.report import Row, program, progress
from benchmarks.setting import PATIENCE_S, until
from graysplit import embedded
from tests.stores.trip_relay import TripRelay

TRIP_S: Final = 0.05
SPLIT: Final = "checkout"
CHANGES: Final = 60  # in the log, of which a start reads the newest
BEFORE: Final = {"start": 11, "list": 7, "set": 8, "rollback": 6}  # trips by the same relay, receipts included
GOALS: Final = {"start": 4, "list": 4, "set": 4, "rollback": 4}
BARE: Final = "pass"
PARTS: Final = {
    "import graysplit": "from graysplit import Router, context",
    "import redis": "import redis",
    "import pydantic": "import pydantic",
    "start() and close()": "import graysplit, sys; router = graysplit.Router(); router.start(); router.close()",
}
ROUTES: Final = 1_000
DECLARE: Final = """
import sys, time, tracemalloc
import graysplit
router, kept = graysplit.Router(), []
def declare(number):
    route = router.route(f"split-{number}", unit="user_id")(lambda user_id: 0)
    route.version("new")(lambda user_id: 1)
    kept.append(route)
for number in range(50):
    declare(number)
count, cpu_s = int(sys.argv[1]), time.process_time()
for number in range(50, 50 + count):
    declare(number)
cpu_s = time.process_time() - cpu_s
tracemalloc.start()
for number in range(50 + count, 50 + 2 * count):
    declare(number)
print(1000 * cpu_s / count, tracemalloc.get_traced_memory()[0] / 1000 / count)
"""
COMMANDS: Final = (("list",), ("set", SPLIT, "20"), ("rollback", SPLIT))


class Ran(NamedTuple):
    """One run of a command: its trips up to the word that counts, those behind it, and how long all took."""

    trips: int
    behind: int
    seconds: float


def measure(quick: bool = False) -> list[Row]:  # noqa: FBT001, FBT002 - a program's switch
    """Return what a start and three commands cost."""
    rounds = 1 if quick else 7
    with embedded.server() as server, _followed(server.url), TripRelay(server.port) as relay:
        url = relay.url(server.url)
        imports, declared = _imports(2 * rounds - 1, server.url), _declared(rounds)
        return [*imports, *declared, *_starts(relay, url, rounds), *_commands(relay, url, rounds)]


@contextmanager
def _followed(url: str) -> Iterator[None]:
    """Have one process follow a split with a history, on a server that has run each script once."""
    with graysplit.Control(url) as control, graysplit.Router(url) as router:
        control.create(SPLIT)
        for number in range(CHANGES):
            control.set(SPLIT, 1 + number % 2, allow_needless=True)
        control.rollback(SPLIT)
        router.choose(SPLIT, "u")
        if not router.wait_ready(PATIENCE_S):
            raise RuntimeError("the router has not loaded its split")
        yield


def _imports(rounds: int, url: str) -> list[Row]:
    progress("CPU of imports, in fresh processes")
    found = median_cpu_ms({"bare": BARE, **PARTS}, rounds, {"GRAYSPLIT_URL": url})
    return [Row(f"{name}, CPU over bare Python", found[name] - found["bare"], unit="ms") for name in PARTS]


def _declared(rounds: int) -> list[Row]:
    progress(f"{ROUTES:,} routes declared, in fresh processes")
    runs = [python(DECLARE, str(ROUTES)) for _ in range(rounds)]
    if failed := next((run for run in runs if run.code), None):
        raise RuntimeError(f"declaring routes ended with {failed.code}: {failed.said.strip()[-500:]}")
    cpu_ms, kb = zip(*(map(float, run.said.split()) for run in runs), strict=True)
    note = "a baseline and a candidate, before a start"
    return [
        Row("a route declared: CPU", median(cpu_ms), 0.3, "ms", note=note),
        Row("a route declared: memory", median(kb), 6, "kB"),
    ]


def _starts(relay: TripRelay, url: str, rounds: int) -> list[Row]:
    progress(f"starts at {TRIP_S * 1000:g} ms")
    trips, seconds = list[int](), list[float]()
    for _ in range(rounds):
        relay.trip_s = TRIP_S
        relay.trips.clear()
        with graysplit.Router(url) as router:
            began = time.monotonic()
            until(lambda router=router: router.status().phase == "live", "the router is live")
            seconds.append(time.monotonic() - began)
            trips.append(next(number for number, trip in enumerate(relay.trips, 1) if "HGETALL" in trip))
    live = Row(f"time to live at {TRIP_S * 1000:g} ms, the imports done", median(seconds) * 1000, unit="ms")
    return [_trips_row("start", "a start: round trips until it is live", max(trips)), live]


def _commands(relay: TripRelay, url: str, rounds: int) -> list[Row]:
    found = list[Row]()
    for command in COMMANDS:
        progress(f"graysplit {' '.join(command)} at {TRIP_S * 1000:g} ms")
        name, ran = command[0], list[Ran]()
        for _ in range(rounds):
            if name != "list":
                with graysplit.Control(url) as control:
                    control.set(SPLIT, 10, unstop=True)
            ran.append(_run(relay, url, command))
        behind = f"and {median(one.behind for one in ran):g} for receipts" if name != "list" else ""
        found += [
            _trips_row(name, f"graysplit {name}: round trips", max(one.trips for one in ran), behind),
            Row(f"graysplit {name}: all of it", median(one.seconds for one in ran) * 1000, unit="ms"),
        ]
    return found


def _run(relay: TripRelay, url: str, command: Sequence[str]) -> Ran:
    relay.trip_s = TRIP_S
    relay.trips.clear()
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "graysplit.cli", *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=surroundings({"GRAYSPLIT_URL": url}),
        check=False,
    )
    seconds = time.monotonic() - began
    if ended.returncode:
        raise RuntimeError(
            f"graysplit {' '.join(command)} ended with {ended.returncode}: {ended.stderr.strip()[-500:]}"
        )
    trips = list(relay.trips)
    written = max((number for number, trip in enumerate(trips, 1) if "EVAL" in trip), default=len(trips))
    return Ran(written, len(trips) - written, seconds)


def _trips_row(name: str, case: str, trips: int, note: str = "") -> Row:
    return Row(case, trips, GOALS[name], "", note=", ".join(filter(None, (f"{BEFORE[name]} before", note))))


if __name__ == "__main__":
    sys.exit(program("Start", measure, __doc__))
