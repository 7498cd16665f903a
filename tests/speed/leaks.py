"""Ask in every way for a long time, and print by how much the process has grown.

python -m tests.speed.leaks CALLS
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import gc
import logging
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from graysplit import Router, context, native
from graysplit.codec import parse_definition
from graysplit.scope import MISSING
from tests.speed.fuzz import HOSTILE, attempted, say
from tests.speed.routes import ROUTES, route
from tests.speed.test_threads import SPLITS, published

WARM: Final = 0.2  # of the calls come first: caches and free lists fill
CALLS_OF_A_ROUND: Final = 2_500
SWAPS: Final = 50  # other states are published: what an allocator keeps of these is no leak of calls
UNITS: Final = ("u-1", "u-7", "é" * 10, 7, -(2**63), b"u-1", *HOSTILE)


def main(calls: int) -> None:
    """Ask, and print what decided, the growth in bytes, in blocks of memory, and in references to what all share."""
    logging.getLogger("graysplit").setLevel(logging.CRITICAL)
    router = Router()
    states = router._lifecycle.states
    ways: list[Callable[..., Any]] = []
    for handle in (router.split(split, *SPLITS[split]) for split in ("shop", "lane")):
        ways += [handle.choose, handle.decide, lambda unit, handle=handle: attempted(handle, unit)]
    ways += [lambda unit, split=split: router.choose(split, unit) for split in ("shop", "lane", "nowhere")]
    ways += [lambda unit: router.decide("lane", unit=unit, attributes={"a": 1})]
    ways += [route(router, f"route-{form}", SPLITS["lane"], form) for form in ROUTES]
    ways += [route(router, split, SPLITS[split], "four") for split in ("pay", "call")]
    states.enter("not_ready", parse=parse_definition)
    shared = (None, MISSING, True, "old", "new", router, *UNITS[:1])

    often = max(1, calls // CALLS_OF_A_ROUND // SWAPS)
    rounds = count()

    def ask(until: int) -> None:
        asked = 0
        while asked < until:
            number = next(rounds)
            if number % often == 0:
                published(states, 1 + number)
            for unit in UNITS:
                for way in ways:
                    quietly(way, unit)
                with context(unit):
                    for way in ways:
                        quietly(way, unit)
                        quietly(way, unit)
            asked += len(UNITS) * len(ways) * 3

    ask(int(calls * WARM))
    before = sizes(shared)
    ask(int(calls * (1 - WARM)))
    after = sizes(shared)
    say(native.words)
    for name, value in after.items():
        say(f"{name} {value - before[name]}")


def quietly(way: Callable[..., Any], unit: object) -> None:
    """Ask, and let a version's own failure be."""
    with suppress(Exception):
        way(unit)


def sizes(shared: tuple[object, ...]) -> dict[str, int]:
    """Return the memory in use, once all that is garbage is gone."""
    gc.collect()
    statm = Path("/proc/self/statm")
    resident = int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else 0
    references = sum(sys.getrefcount(one) for one in shared)
    return {"bytes": resident, "blocks": sys.getallocatedblocks(), "references": references}


if __name__ == "__main__":
    main(int(sys.argv[1]))
