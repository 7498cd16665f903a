"""Whether a decision ever waits: its slowest in a thousand with the server up, stopped and behind a black hole.

Each decision is timed by itself, the clock's own reading (some 50 ns) included: whatever else takes the processor away
then falls on one decision in thousands. The states take turns, so that a slow moment of this machine falls on all.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from statistics import median
from typing import Final, NamedTuple

import graysplit
from benchmarks.harness import quiet
from benchmarks.propagation.crowds import SPLIT, percentile
from benchmarks.report import Row, progress
from benchmarks.setting import until
from graysplit import embedded
from tests.faults.proxy import Proxy

UNITS: Final = 1_000
RATIO: Final = 1.5
TURNS: Final = 5


class Turn(NamedTuple):
    """What decisions cost in one turn: one in two less than this, and 999 of 1,000 less than that (ns)."""

    usual: float
    slow: float


class Place(NamedTuple):
    """A server, a proxy before it, and a router that follows over it."""

    server: embedded.Server
    proxy: Proxy
    router: graysplit.Router

    def lost(self) -> None:
        """Wait until the loss is noticed."""
        until(lambda: self.router.status().mode == "lost", "the loss is noticed")

    def heal(self) -> None:
        """Bring everything back, and wait until it is followed."""
        self.server.resume()
        self.proxy.heal()
        until(lambda: self.router.status().mode not in {"none", "lost"}, "the router follows")


def decide(router: graysplit.Router, decisions: int) -> Turn:
    """Decide for distinct units; return what the time of each comes to, in ns."""
    choose, clock = router.choose, time.perf_counter_ns
    units = [f"user-{number}" for number in range(UNITS)]
    found = array("q")  # no objects are kept, or each new page of memory would count as waiting
    with quiet():
        for _ in range(decisions // UNITS):
            for unit in units:
                began = clock()
                choose(SPLIT, unit)
                found.append(clock() - began)
    return Turn(percentile(found, 50), percentile(found, 99.9))


def measure(decisions: int, turns: int = TURNS) -> dict[str, list[Turn]]:
    """Decide so often in each state; return each turn by state."""
    progress(f"{decisions:,} decisions with the server up, stopped, behind a black hole")
    found: dict[str, list[Turn]] = {"up": [], "stopped": [], "behind a black hole": []}
    with embedded.server() as server, Proxy(server.port) as proxy, graysplit.Control(server.url) as control:
        control.create(SPLIT)
        control.set(SPLIT, 50)
        with graysplit.Router(proxy.url(server.url)) as router:
            router.wait_ready(20)
            place = Place(server, proxy, router)
            breaks: dict[str, Callable[[], None]] = {"stopped": server.pause, "behind a black hole": proxy.blackhole}
            decide(router, decisions // 10)
            for _ in range(turns):
                found["up"].append(decide(router, decisions // turns))
                for name, break_it in breaks.items():
                    break_it()
                    place.lost()
                    found[name].append(decide(router, decisions // turns))
                    place.heal()
    return found


def rows(found: dict[str, list[Turn]]) -> list[Row]:
    """Return p99.9 of each state, and how it compares with that of the server up in the same turn."""
    usual = found["up"]
    up = median(turn.slow for turn in usual)
    listed = [Row("a decision's p99.9, server up", up, unit="ns", note=f"p50 {median(t.usual for t in usual):.0f}")]
    for name in ("stopped", "behind a black hole"):
        ratio = median(turn.slow / beside.slow for turn, beside in zip(found[name], usual, strict=True))
        slow = median(turn.slow for turn in found[name])
        listed.append(Row(f"  server {name}, against that", ratio, RATIO, note=f"{slow:.0f} ns"))
    return listed
