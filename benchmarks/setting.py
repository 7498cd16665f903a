"""What the benchmarks measure on: stores filled with splits, and routers that follow them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

import graysplit
from graysplit.codec import dump_definition
from graysplit.core.definition import Definition, define
from graysplit.core.replica.record import Load
from graysplit.stores import store_from_url
from graysplit.stores.port import Expect, Store, Submission, Write

PATIENCE_S: Final = 30.0
SPLITS_KEY: Final = "graysplit:{default}:splits"
WEIGHTS_KEY: Final = "graysplit:{default}:weights"
BOOKED_KEY: Final = "graysplit:{default}:booked"
STOPS_KEY: Final = "graysplit:{default}:stops"


class Planned(NamedTuple):
    """A split to be written: its record and the weights of its candidates."""

    definition: Definition
    weights: Mapping[str, str]


def plain(name: str, weight: str = "20") -> Planned:
    """Return a split of two versions."""
    return Planned(define(name, ("old", "new")), {"new": weight})


def several(name: str, candidates: int, weight: str) -> Planned:
    """Return a split of that many candidates, each with the same weight."""
    names = [f"v{number}" for number in range(1, candidates + 1)]
    return Planned(define(name, ("old", *names)), dict.fromkeys(names, weight))


def pinned(name: str, pins: int) -> Planned:
    """Return a split of two versions with pins that none of the measured units has."""
    found = plain(name)
    return found._replace(definition=found.definition._replace(pins={f"pinned-{n}": "new" for n in range(pins)}))


def armed(name: str, guard: Mapping[str, object]) -> Planned:
    """Return a split of two versions with a guard."""
    found = plain(name)
    return found._replace(definition=found.definition._replace(guard=guard))


def many(count: int) -> dict[str, Planned]:
    """Return that many plain splits."""
    return {name: plain(name) for name in (f"split-{number:05d}" for number in range(count))}


def fill(store: Store, splits: Mapping[str, Planned]) -> None:
    """Write splits in one change."""
    load: Load = store.load()
    writes: list[Write] = []
    for name, (definition, weights) in splits.items():
        writes.append(Write("splits", name, dump_definition(definition)))
        writes += [Write("weights", f"{name}/{version}", weight) for version, weight in weights.items()]
    expect = tuple(Expect(write.key, write.field, None) for write in writes)
    first = next(iter(splits))
    store.submit(
        Submission(
            id=os.urandom(8).hex(),
            split=first,
            cause="create",
            actor="benchmarks",
            why="",
            expect=expect,
            writes=tuple(writes),
            read_at_ms=load.now_ms,
        )
    )


@contextmanager
def memory_router(splits: Mapping[str, Planned]) -> Iterator[tuple[graysplit.Router, Store]]:
    """Return a started router that has loaded these splits from a memory store."""
    store = store_from_url("memory://")
    fill(store, splits)
    router = graysplit.Router(store)
    if not router.wait_ready(PATIENCE_S):
        raise RuntimeError("the router has not loaded its splits")
    until(lambda: router.status().splits >= len(splits), "all splits are loaded")
    try:
        yield router, store
    finally:
        router.close()


def until(true: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:g} s: {what}")
        time.sleep(0.005)
