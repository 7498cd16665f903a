"""Every change by any writer reaches every process, soon, and the last value of many is the one that stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import quantiles
from typing import NamedTuple

import pytest
import redis
from benchmarks.propagation import rollback

import graysplit
from graysplit import embedded
from tests.faults.followers import Followers, processes

FIELD = "checkout/new"
WEIGHTS = "graysplit:{default}:weights"
STOPS = "graysplit:{default}:stops"
COUNT = 16
# How often it is changed, nine ways in turn, and how many rapid writes follow: in the suite, and in the soak.
AMOUNTS = [(54, 3_000), pytest.param((200, 10_000), marks=pytest.mark.soak)]
# The goal is 100 ms on a quiet machine; what runs beside the tests is no fault of a change.
P99_S = 1.0
LAST_S = 5.0


class Crowd(NamedTuple):
    """Many processes on one server, an operator, and a client that knows nothing of graysplit."""

    everybody: Followers
    control: graysplit.Control
    client: redis.Redis


@pytest.fixture
def crowd(request: pytest.FixtureRequest) -> Iterator[Crowd]:
    """Return as many processes as the parameter says, on a server of their own: these tests are about timing."""
    with (
        embedded.server() as own,
        graysplit.Control(own.url, confirm=True) as control,
        redis.Redis.from_url(own.url) as client,
    ):
        control.create("checkout")
        with processes(request.param, own.url, "default") as everybody:
            yield Crowd(everybody, control, client)


def confirm(crowd: Crowd) -> None:
    """Expect that `set` and `rollback` are confirmed by all, and that all do what they confirmed."""
    control, count = crowd.control, len(crowd.everybody)
    for act, share in (
        (lambda: control.set("checkout", 20, unstop=True), 20),
        (lambda: control.rollback("checkout"), 0),
    ):
        receipts = control.wait_confirmed(act()).receipts
        assert (receipts.confirmed, receipts.processes) == (count, count), receipts
        crowd.everybody.wait_for(share)


def change(crowd: Crowd, times: int) -> list[float]:
    """Change by command and by hand, and return the seconds from each write to the last process's decision."""
    control, client = crowd.control, crowd.client
    cycle: list[tuple[Callable[[], object], int]] = [
        (lambda: control.set("checkout", 40, unstop=True), 40),
        (lambda: client.hset(WEIGHTS, FIELD, "60"), 60),
        (lambda: client.hset(WEIGHTS, FIELD, "0"), 0),
        (lambda: client.hset(WEIGHTS, FIELD, "30"), 30),
        (lambda: client.hdel(WEIGHTS, FIELD), 0),
        (lambda: control.set("checkout", 70, unstop=True), 70),
        (lambda: client.hsetnx(STOPS, FIELD, "by-hand"), 0),
        (lambda: client.hdel(STOPS, FIELD), 70),
        (lambda: control.rollback("checkout"), 0),
    ]
    took: list[float] = []
    for number in range(times):
        write, share = cycle[number % len(cycle)]
        began = time.monotonic()
        write()
        took.append(crowd.everybody.wait_for(share) - began)
    return took


def write_rapidly(crowd: Crowd, times: int) -> None:
    """Write as fast as the server takes it, and expect that all end on the last value and stay there."""
    crowd.control.set("checkout", 50, unstop=True)
    crowd.everybody.wait_for(50)
    for start in range(0, times, 100):
        pipe = crowd.client.pipeline(transaction=False)
        for number in range(start, start + 100):
            pipe.hset(WEIGHTS, FIELD, str(number % 101))
        pipe.execute()
    crowd.client.hset(WEIGHTS, FIELD, "63")
    ended = crowd.everybody.wait_for(63)
    for follower in crowd.everybody:
        follower.ask("ping")
    assert crowd.everybody.shares() == [63] * len(crowd.everybody)
    assert not any(follower.seen_since(ended + 0.001) for follower in crowd.everybody)


def figures(took: list[float]) -> str:
    """Print what was measured."""
    parts = [part * 1000 for part in quantiles(took, n=100, method="inclusive")]
    return f"p50 {parts[49]:.1f} ms, p99 {parts[98]:.1f} ms, longest {max(took) * 1000:.1f} ms of {len(took)}"


def expect_soon(crowd: Crowd, times: int) -> None:
    """Change that often, print the figures, and hold them against the bound."""
    took = change(crowd, times)
    said = f"write to the last of {len(crowd.everybody)} processes: {figures(took)}"
    print(f"\n{said}")  # noqa: T201 - the figures are wanted
    assert quantiles(took, n=100, method="inclusive")[98] <= P99_S, said
    assert max(took) <= LAST_S, said


@pytest.mark.parametrize("amounts", AMOUNTS)
@pytest.mark.parametrize("crowd", [COUNT], indirect=True)
def test_every_change_by_any_writer_reaches_sixteen_processes(crowd: Crowd, amounts: tuple[int, int]) -> None:
    """Confirmed 16/16; each of many changes by command and by hand in time; and rapid writes end on the last one."""
    changes, writes = amounts
    confirm(crowd)
    expect_soon(crowd, changes)
    write_rapidly(crowd, writes)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("crowd", [64], indirect=True)
def test_every_change_by_any_writer_reaches_sixty_four_processes(crowd: Crowd) -> None:
    """The same with 64, with more changes."""
    confirm(crowd)
    expect_soon(crowd, 500)
    write_rapidly(crowd, 10_000)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_rollback_by_command_reaches_sixty_four_processes(record_property: Callable[[str, object], None]) -> None:
    """With the rights that `graysplit acl` gives: the last obeys in time, all are confirmed, the stopped are named."""
    for row in rollback.measure(64, 30, 2):
        record_property(row.case, round(row.value, 1))
        room = 4 if row.unit == "ms" else 1  # the goals are for a quiet machine
        assert row.goal is None or (row.value >= row.goal if row.at_least else row.value <= row.goal * room), row
