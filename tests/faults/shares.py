"""See a weight through decisions alone: of a hundred units, one in each percent, how many get `new`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import graysplit
from graysplit.core.bucketing import bucket_of, seed_of

PERCENT: Final = 1_000  # buckets
LOADED_WITHIN_S: Final = 20.0


@cache
def units(split: str) -> tuple[str, ...]:
    """Give a unit of each percent, in their order: at weight w exactly the first w of them get `new`."""
    seed = seed_of(split)
    found: dict[int, str] = {}
    number = 0
    while len(found) < 100:
        unit = f"user-{number}"
        found.setdefault(bucket_of(unit.encode(), seed) // PERCENT, unit)
        number += 1
    return tuple(found[percent] for percent in range(100))


def share(router: graysplit.Router, split: str = "checkout") -> int:
    """Give the percentage of units that get `new`."""
    return sum(router.choose(split, unit) == "new" for unit in units(split))


@contextmanager
def following(url: str, namespace: str, **settings: Any) -> Iterator[graysplit.Router]:  # Any: a router's settings
    """Give a router that has loaded, as one process of an application has it."""
    with graysplit.Router(url, namespace=namespace, **settings) as router:
        assert router.wait_ready(LOADED_WITHIN_S)
        yield router
