"""Nothing grows with the number of units, and ten thousand splits are no special case."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import gc
import resource
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

import graysplit
from graysplit import Control, Router
from graysplit.codec import dump_definition
from graysplit.core.definition import define
from graysplit.stores.memory import MemoryStore
from tests.support import eventually

MEGABYTE: Final = 1 << 20
GROWTH: Final = 8 * MEGABYTE
PAGE: Final = resource.getpagesize()
STATM: Final = Path("/proc/self/statm")
SPLITS: Final = 10_000


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    gc.collect()
    return int(STATM.read_text().split()[1]) * PAGE


@contextmanager
def growing_by_at_most(size: int) -> Generator[None]:
    """Fail if the process is larger afterwards by more than this."""
    before = resident()
    yield
    grown = resident() - before
    assert grown <= size, f"grown by {grown / MEGABYTE:.1f} MB"


def decide_for(
    router: Router, handle: graysplit.Split[str], checkout: Callable[[str], str], first: int, count: int
) -> None:
    """Decide for so many units nobody has asked for before, in four ways."""
    for number in range(first, first + count, 4):
        router.choose("checkout", f"user-{number}")
        router.decide("pinned", f"user-{number + 1}")
        handle.choose(f"user-{number + 2}")
        checkout(f"user-{number + 3}")


def decisions(make_router: Callable[..., Router], count: int) -> None:
    """Decide for so many distinct units, after a warm-up."""
    store = MemoryStore()
    control = Control(store, confirm=True)
    for split in ("checkout", "banner", "pinned", "route"):
        control.create(split)
        control.set(split, 50)
    control.pin("pinned", "somebody")
    router = make_router(store)
    handle = router.split("banner", "old", "new")

    @router.route("route", unit="user")
    def route(user: str) -> str:
        return user

    @route.version("new")
    def route_new(user: str) -> str:
        return user

    assert router.wait_ready(5)
    decide_for(router, handle, route, 0, 20_000)
    with growing_by_at_most(GROWTH):
        decide_for(router, handle, route, 20_000, count)
        with graysplit.context():  # one scope that never ends keeps a bounded number of choices
            decide_for(router, handle, route, 20_000 + count, count // 10)


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_distinct_units_leave_nothing_behind(make_router: Callable[..., Router]) -> None:
    """A million units cost no memory that stays."""
    decisions(make_router, 1_000_000)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_ten_million_distinct_units_leave_nothing_behind(make_router: Callable[..., Router]) -> None:
    """Ten million grow a process by at most 8 MB."""
    decisions(make_router, 10_000_000)


def test_ten_thousand_splits_load_follow_and_decide(make_router: Callable[..., Router]) -> None:
    """All are read, all answer, all follow a change of everything, and a rollback among them comes through."""
    store = MemoryStore()
    Control(store, confirm=True).create("split-0")
    names = [f"split-{number}" for number in range(SPLITS)]
    fill(store, names, b"100")
    router = make_router(store)
    assert router.wait_ready(10)
    eventually(lambda: all(router.choose(name, "u-1") == "new" for name in names), within=30)
    fill(store, names, b"0", definitions=False)
    eventually(lambda: all(router.choose(name, "u-1") == "old" for name in names), within=30)
    fill(store, names, b"100", definitions=False)
    eventually(lambda: router.choose(names[-1], "u-1") == "new", within=30)
    written = Control(store, confirm=True).rollback(names[5_000])
    # The raw edits may be recorded after the rollback: then a process tells of that later entry.
    eventually(lambda: {one.receipt.revision >= written.revision for one in store.fleet().live} == {True}, within=30)
    assert [name for name in names if router.choose(name, "u-1") == "old"] == [names[5_000]]
    assert router.status().splits == SPLITS
    assert not router.status().refused


def fill(store: MemoryStore, names: list[str], weight: bytes, *, definitions: bool = True) -> None:
    """Write all weights at once, and the definitions, as one MULTI would."""
    space = store._space
    with space.locked:
        if definitions:
            texts = {name.encode(): dump_definition(define(name, ("old", "new"))).encode() for name in names}
            space.hashes["splits"] |= texts
        space.hashes["weights"] |= {f"{name}/new".encode(): weight for name in names}
        space.signal("weights")
