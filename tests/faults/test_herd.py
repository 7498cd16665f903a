"""A fleet comes back to its server spread out, reads once for each change, and never in step."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import accumulate

import pytest
import redis
from benchmarks.propagation import herd

import graysplit
from graysplit import embedded
from graysplit.follower.backoff import jittered, pause_s
from graysplit.follower.follower import FULL_READ_S
from tests.faults.shares import following, share
from tests.support import eventually

WEIGHTS = "graysplit:{default}:weights"
BOOKED = "graysplit:{default}:booked"
FIELD = "checkout/new"


def arrivals(crowd: int, down_s: float) -> tuple[list[float], int]:
    """Return when each of a fleet comes back to a server that was down for so long, and the most attempts of one."""
    found: list[float] = []
    most = 0
    for _ in range(crowd):
        pauses = [pause_s(attempt, crowd, silent=False) for attempt in range(1_000)]
        times = list(accumulate(pauses))
        first = next(number for number, at in enumerate(times) if at >= down_s)
        found.append(times[first] - down_s)
        most = max(most, first + 1)
    return found, most


def busiest(times: list[float]) -> float:
    """Return the share of the busiest second."""
    return max(sum(start <= at < start + 1 for at in times) for start in times) / len(times)


@pytest.mark.parametrize("down_s", [1.0, 30.0])
def test_five_hundred_do_not_come_back_at_once(down_s: float) -> None:
    """At most a fifth in any second (here a quarter: chance gets room), all within a minute, few attempts each."""
    times, attempts = arrivals(500, down_s)
    assert busiest(times) < 0.25
    assert max(times) < 20
    assert attempts <= 2 + down_s / 4


def test_a_small_fleet_is_back_within_a_second_and_a_half() -> None:
    """Sixty processes need no spreading: each attempt comes within 1.5 s, however long the server is away."""
    for attempt in range(200):
        for silent in (True, False):
            assert 0 < pause_s(attempt, 60, silent=silent) < 1.5


def test_a_server_that_was_silent_is_asked_soon_by_five_hundred() -> None:
    """A server that was held up, or a line, is no restart: what was missed is wanted within 1.5 s."""
    assert max(pause_s(attempt, 500, silent=True) for attempt in range(200)) < 1.5


def test_the_first_attempt_is_jittered_too() -> None:
    """A thousand connections cut at once do not come back in step; one alone is back soon."""
    pauses = [pause_s(0, 1_000, silent=False) for _ in range(200)]
    assert max(pauses) - min(pauses) > 0.5
    assert max(pause_s(0, 1, silent=False) for _ in range(200)) < 0.1


def test_no_fleet_waits_for_ever() -> None:
    """A hundred thousand processes, or a count that is wrong, cost half a minute at most."""
    assert max(pause_s(attempt, 10**9, silent=False) for attempt in range(200)) <= 30


def test_full_readings_are_spread() -> None:
    """The reading under it all differs by up to a quarter from process to process."""
    times = [jittered(FULL_READ_S) for _ in range(500)]
    assert max(times) - min(times) > FULL_READ_S * 0.4
    assert max(sum(start <= at < start + 0.2 for at in times) for start in times) < 50


def test_each_process_reads_once_for_a_change() -> None:
    """Ten changes cost three processes ten readings each, as the server counts them."""
    with embedded.server() as server, graysplit.Control(server.url) as control, ExitStack() as stack:
        control.create("checkout")
        routers = [stack.enter_context(following(server.url, "default")) for _ in range(3)]
        client = stack.enter_context(redis.Redis.from_url(server.url))
        # Each reading reads four hashes.
        loads: Callable[[], int] = lambda: client.info("commandstats")["cmdstat_hgetall"]["calls"] // 4  # noqa: E731
        before, began = loads(), time.monotonic()
        for weight in range(10, 20):
            # In the books too: what nobody has to book is one change, not two.
            pipe = client.pipeline()
            pipe.hset(WEIGHTS, FIELD, weight).hset(BOOKED, f"weights {FIELD}", weight).execute()
            eventually(lambda weight=weight: all(share(router) == weight for router in routers))  # type: ignore[misc]
        full = len(routers) * (1 + (time.monotonic() - began) // (FULL_READ_S * 0.75))
        assert 30 <= loads() - before <= 30 + full


def test_a_fleet_comes_back_spread_out_after_a_restart(record_property: Callable[[str, object], None]) -> None:
    """Forty routers on a real server, paced as a larger one: few attempts, all back, seconds apart."""
    found = herd.measure(40, 2, back_s=4.0)
    record_property("back after s", [round(at, 1) for at in sorted(found.back)])
    assert found.missed == 0
    assert found.connects <= 3 * found.followers
    assert max(found.back) < 60
    late = sorted(found.back)[2:-2]
    assert late[-1] - late[0] > 2


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_five_hundred_come_back_spread_out_after_a_restart(record_property: Callable[[str, object], None]) -> None:
    """Five hundred routers: at most a fifth of the connects in any second, with some room for chance."""
    found = herd.measure(500)
    record_property("busiest second", found.busiest)
    assert found.missed == 0
    assert found.busiest <= 0.25 * found.connects
    assert found.connects <= 3 * found.followers
    assert max(found.back) < 60
