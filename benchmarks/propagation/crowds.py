"""Fleets to be measured: so many processes, or so many feeds, told and heard together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import quantiles
from typing import Any, Final

from benchmarks.processes import companion, dismiss, hear, tell

SPLIT: Final = "checkout"
FIELD: Final = f"{SPLIT}/new"
STARTING_AT_ONCE: Final = 8  # interpreters that start beside each other
FEEDS_EACH: Final = 500


class Crowd:
    """Companions of one kind, and what they see."""

    def __init__(self, companions: Sequence[Any], made: str) -> None:  # Any: Popen
        """Take them as they run; `made` says what they are."""
        self.companions = companions
        self.made = made

    def watch(self, version: str) -> None:
        """Have all note when they decide so."""
        for each in self.companions:
            tell(each, f"watch {version}")
        for each in self.companions:
            hear(each)

    def seen(self) -> list[float]:
        """Wait for all and return the time of each, 0 for one that did not see it."""
        for each in self.companions:
            tell(each, "seen")
        return [stamp for each in self.companions for stamp in json.loads(hear(each))]

    def report(self) -> int:
        """Have each feed write one heartbeat."""
        for each in self.companions:
            tell(each, "report")
        return sum(int(hear(each)) for each in self.companions)


@contextmanager
def processes(url: str, count: int) -> Iterator[Crowd]:
    """Return as many processes, each with one router."""
    with _companions("benchmarks.propagation.host", [[url, "1", SPLIT]] * count) as found:
        yield Crowd(found, "processes")


@contextmanager
def routers(url: str, count: int, in_processes: int, *more: str) -> Iterator[Crowd]:
    """Return as many routers, shared out among processes."""
    shares = [str(count // in_processes + (n < count % in_processes)) for n in range(in_processes)]
    with _companions("benchmarks.propagation.host", [[url, share, SPLIT, *more] for share in shares]) as found:
        yield Crowd(found, f"routers in {in_processes} processes")


@contextmanager
def feeds(url: str, count: int) -> Iterator[Crowd]:
    """Return as many feeds, shared out among processes."""
    in_processes = max(2, count // FEEDS_EACH)
    each = str(count // in_processes)
    with _companions("benchmarks.propagation.feeds", [[url, each, SPLIT]] * in_processes) as found:
        yield Crowd(found, f"feeds in {in_processes} processes")


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile; of one value, that value."""
    return quantiles(values, n=1000, method="inclusive")[round(percent * 10) - 1] if len(values) > 1 else values[0]


@contextmanager
def _companions(module: str, arguments: Sequence[Sequence[str]]) -> Iterator[Sequence[Any]]:  # Any: Popen
    started: list[Any] = []
    try:
        for each in arguments:
            if len(started) >= STARTING_AT_ONCE:
                hear(started[len(started) - STARTING_AT_ONCE])
            started.append(companion(module, *each))
        for each in started[max(0, len(started) - STARTING_AT_ONCE) :]:
            hear(each)
        yield started
    finally:
        dismiss(started)
