"""The failure matrix, in the ways of following that the other tests leave out; `make bench` has no say in it.

What `tests/stores/test_redis_modes.py` does to the feeds alone is done here to whole routers.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from benchmarks.propagation import matrix

FAULTS = {fault.name: fault for fault in matrix.FAULTS}
WAYS = {way.name: way for way in matrix.WAYS}
ROOM_S = 2.0  # for a busy machine

CASES = [
    ("raw HSET", "R2"),
    ("set and rollback", "RX"),
    ("kill -9, restart empty", "R2"),
    ("kill -9, restart empty", "RX"),
    ("kill -9, restart with AOF", "RX"),
    ("restart, 1 s of loading", "R2"),
    ("restart, 1 s of loading", "RX"),
    ("FLUSHALL, sown anew", "R2"),
    ("FLUSHALL, sown anew", "RX"),
    ("SWAPDB, another weight", "RX"),
]
REST = [(fault, way) for fault in FAULTS for way in WAYS if (fault, way) not in CASES]


def expect_kept(fault: str, way: str, record_property: Callable[[str, object], None]) -> None:
    """Do what a row says, and compare each figure with its promise."""
    row = FAULTS[fault]
    with matrix.scene_of(WAYS[way]) as scene:
        for what, value in row.act(scene).items():
            record_property(what, round(value, 3))
            promised = row.promised(what, WAYS[way])
            assert value <= (promised + ROOM_S if promised else 0), (fault, way, what)


@pytest.mark.parametrize(("fault", "way"), CASES)
def test_nothing_is_stale_for_longer_than_promised(
    fault: str, way: str, record_property: Callable[[str, object], None]
) -> None:
    """Each fault in each way: what is in force stays, the loss shows, and the last value is in force in time."""
    expect_kept(fault, way, record_property)


@pytest.mark.soak
@pytest.mark.parametrize(("fault", "way"), REST)
def test_nothing_else_is_stale_for_longer_than_promised(
    fault: str, way: str, record_property: Callable[[str, object], None]
) -> None:
    """The rest of the matrix."""
    expect_kept(fault, way, record_property)
