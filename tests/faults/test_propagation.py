"""Every change by any writer reaches every process, soon, and the last value of many is the one that stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import quantiles

import pytest
import redis

import graysplit
from graysplit import embedded
from tests.faults.followers import Followers, processes

# One group: the processes are started once, by whichever worker runs these tests.
pytestmark = pytest.mark.xdist_group("faults-propagation")

NAMESPACE = "propagation"
WEIGHTS = f"graysplit:{{{NAMESPACE}}}:weights"
STOPS = f"graysplit:{{{NAMESPACE}}}:stops"
FIELD = "checkout/new"
COUNT = 16
CHANGES = 200
RAPID = 10_000
# The goal is 100 ms on a quiet machine; what runs beside the tests is no fault of a change.
P99_S = 1.0
LAST_S = 5.0


@pytest.fixture(scope="module")
def own() -> Iterator[embedded.Server]:
    """Give a server of their own: timing is what these tests are about."""
    with embedded.server() as found:
        yield found


@pytest.fixture(scope="module")
def control(own: embedded.Server) -> Iterator[graysplit.Control]:
    """Give an operator of the processes' namespace."""
    with graysplit.Control(own.url, namespace=NAMESPACE) as found:
        found.create("checkout")
        yield found


@pytest.fixture(scope="module")
def client(own: embedded.Server) -> Iterator[redis.Redis]:
    """Give a client that knows nothing of graysplit."""
    with redis.Redis.from_url(own.url) as found:
        yield found


@pytest.fixture(scope="module")
def everybody(own: embedded.Server, control: graysplit.Control) -> Iterator[Followers]:
    """Give 16 processes on one server."""
    with processes(COUNT, own.url, NAMESPACE) as found:
        yield found


def test_a_set_is_confirmed_by_every_process(control: graysplit.Control, everybody: Followers) -> None:
    """`set` and `rollback` are confirmed 16/16, and every process does what it confirmed."""
    for act, share in ((lambda: control.set("checkout", 20), 20), (lambda: control.rollback("checkout"), 0)):
        receipts = control.wait_confirmed(act()).receipts
        assert receipts is not None
        assert (receipts.confirmed, receipts.processes) == (COUNT, COUNT), receipts
        everybody.wait_for(share)


def test_every_kind_of_change_reaches_the_last_process_soon(
    control: graysplit.Control, client: redis.Redis, everybody: Followers, record_property: Callable[[str, object], None]
) -> None:
    """Over 200 changes by command and by hand, the last of 16 processes decides by each within the bound."""
    cycle: list[tuple[str, Callable[[], object], int]] = [
        ("set", lambda: control.set("checkout", 40), 40),
        ("raw HSET", lambda: client.hset(WEIGHTS, FIELD, "60"), 60),
        ("raw HSET", lambda: client.hset(WEIGHTS, FIELD, "0"), 0),
        ("raw HSET", lambda: client.hset(WEIGHTS, FIELD, "30"), 30),
        ("raw HDEL", lambda: client.hdel(WEIGHTS, FIELD), 0),
        ("set", lambda: control.set("checkout", 70), 70),
        ("raw stop", lambda: client.hsetnx(STOPS, FIELD, "by-hand"), 0),
        ("raw unstop", lambda: client.hdel(STOPS, FIELD), 70),
        ("rollback", lambda: control.rollback("checkout"), 0),
    ]
    took: list[float] = []
    for number in range(CHANGES):
        _, write, share = cycle[number % len(cycle)]
        began = time.monotonic()
        write()
        took.append(everybody.wait_for(share) - began)
    p50, p99 = quantiles(took, n=100, method="inclusive")[49], quantiles(took, n=100, method="inclusive")[98]
    figures = f"p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, longest {max(took) * 1000:.1f} ms of {CHANGES}"
    record_property("write to the last of 16 processes", figures)
    print(f"\nwrite to the last of {COUNT} processes: {figures}")  # noqa: T201 - the figures are wanted
    assert p99 <= P99_S, figures
    assert max(took) <= LAST_S, figures


def test_ten_thousand_rapid_writes_end_on_the_last_value(
    client: redis.Redis, control: graysplit.Control, everybody: Followers
) -> None:
    """Between may be skipped, the end may not: every process decides by the last of 10,000 writes, and goes on to."""
    control.set("checkout", 50)
    everybody.wait_for(50)
    for start in range(0, RAPID, 100):
        pipe = client.pipeline(transaction=False)
        for number in range(start, start + 100):
            pipe.hset(WEIGHTS, FIELD, str(number % 101))
        pipe.execute()
    client.hset(WEIGHTS, FIELD, "63")
    ended = everybody.wait_for(63)
    for follower in everybody:
        follower.ask("ping")
    assert everybody.shares() == [63] * COUNT
    assert not any(follower.seen_since(ended + 0.001) for follower in everybody)
