"""See a weight through decisions alone: of a hundred units, one in each percent, how many get `new`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import graysplit
from graysplit.core.bucketing import bucket_of, seed_of
from tests.support import eventually

PERCENT: Final = 1_000  # buckets
LOADED_WITHIN_S: Final = 20.0
LOOK_EVERY_S: Final = 0.002


@cache
def units(split: str) -> tuple[str, ...]:
    """Return a unit of each percent, in their order: at weight w exactly the first w of them get `new`."""
    seed = seed_of(split)
    found: dict[int, str] = {}
    number = 0
    while len(found) < 100:
        unit = f"user-{number}"
        found.setdefault(bucket_of(unit.encode(), seed) // PERCENT, unit)
        number += 1
    return tuple(found[percent] for percent in range(100))


def share(router: graysplit.Router, split: str = "checkout") -> int:
    """Return the percentage of units that get `new`."""
    return sum(router.choose(split, unit) == "new" for unit in units(split))


@contextmanager
def following(
    url: str, namespace: str, *, declares: bool = False, **settings: Any
) -> Iterator[graysplit.Router]:  # Any: a router's settings
    """Return a router that has loaded, as one process of an application has it; `declares` the split `checkout`."""
    with graysplit.Router(url, namespace=namespace, **settings) as router:
        if declares:
            router.split("checkout", "old", "new")
        assert router.wait_ready(LOADED_WITHIN_S)
        yield router


class Watch:
    """Looks at a router's decisions all the time, so that nothing passes unseen between two states."""

    def __init__(self, router: graysplit.Router, split: str) -> None:
        """Begin to look."""
        self.seen: list[tuple[float, int]] = []  # monotonic time, and the share from then on
        self._router = router
        self._split = split
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @property
    def shares(self) -> list[int]:
        """Return every share there ever was, in order."""
        return [found for _, found in self.seen]

    def when(self, found: int, within: float = 10.0) -> float:
        """Wait until the share is this, and return the time since when."""
        eventually(lambda: bool(self.seen) and self.seen[-1][1] == found, within, message=f"{self._split} at {found} %")
        return self.seen[-1][0]

    def end(self) -> None:
        """Stop looking."""
        self._ending.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ending.wait(LOOK_EVERY_S):
            now = share(self._router, self._split)
            if not self.seen or self.seen[-1][1] != now:
                self.seen.append((time.monotonic(), now))


@contextmanager
def watching(router: graysplit.Router, split: str = "checkout") -> Iterator[Watch]:
    """Return a watch on a router's decisions."""
    watch = Watch(router, split)
    try:
        yield watch
    finally:
        watch.end()
