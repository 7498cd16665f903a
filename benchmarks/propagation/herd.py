"""A server that is restarted under its fleet: how its processes come back, and how often each reads.

Whole routers, many to a process (`benchmarks.propagation.host`). Connects are what the server itself counts
(`INFO stats`), looked at every 50 ms; its counter begins at zero with the restart.
"""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import pairwise
from typing import Any, Final, NamedTuple

import redis

import graysplit
from benchmarks.propagation.crowds import FIELD, SPLIT, percentile, routers
from benchmarks.report import Row, progress
from benchmarks.setting import WEIGHTS_KEY, fill, plain
from graysplit import embedded
from graysplit.follower.backoff import JOINS_AFTER_REFUSAL_PER_S
from graysplit.stores import store_from_url

IN_PROCESSES: Final = 4
DOWN_S: Final = 1.0
LOOK_EVERY_S: Final = 0.05
BACK_WITHIN_S: Final = 60.0
BACK_S: Final = 500 / JOINS_AFTER_REFUSAL_PER_S
SHARE_PERCENT: Final = 20.0
LARGE: Final = 200  # below this, chance alone makes a second busier than that
ATTEMPTS: Final = 3.0


class Herd(NamedTuple):
    """How a fleet came back."""

    followers: int
    busiest: int  # connects in the busiest second
    connects: int
    back: list[float]  # seconds from the server's return to each router's first state from it
    missed: int


def measure(count: int, in_processes: int = IN_PROCESSES, back_s: float = BACK_S) -> Herd:
    """Restart a server under so many routers; a small fleet is paced to take as long as one of 500 does."""
    progress(f"a restart under {count} routers")
    with embedded.server(appendonly=True, arguments=("--maxclients", "10000")) as server:
        store = store_from_url(server.url)
        fill(store, {SPLIT: plain(SPLIT, "0")})
        store.close()
        with routers(server.url, count, in_processes, str(count / back_s)) as crowd:
            time.sleep(2.5)  # one heartbeat each: all know how many they are
            with graysplit.Control(server.url, actor="benchmarks") as control:
                control.show(SPLIT)
            crowd.watch("new")
            server.kill()
            time.sleep(DOWN_S)
            server.start()
            began = time.monotonic()
            client: Any = redis.Redis.from_url(server.url)  # Any: redis-py's answers are unions
            client.hset(WEIGHTS_KEY, FIELD, "100")
            looks = _looks(client, count, began)
            stamps = crowd.seen()
            client.close()
    return Herd(
        followers=count,
        busiest=_busiest(looks),
        connects=looks[-1][1],
        back=[stamp - began for stamp in stamps if stamp],
        missed=sum(not stamp for stamp in stamps),
    )


def _looks(client: Any, count: int, began: float) -> list[tuple[float, int]]:  # noqa: ANN401 - as above
    """Read the server's counter of connects until all are back, and a little longer."""
    found: list[tuple[float, int]] = [(0.0, 0)]
    all_back_at = None
    while (now := time.monotonic() - began) < BACK_WITHIN_S and (all_back_at is None or now < all_back_at + 1):
        with suppress(redis.RedisError):
            counted = client.info("stats")["total_connections_received"] - 2  # this client, and the look at the start
            found.append((time.monotonic() - began, max(0, counted)))
            if all_back_at is None and client.info("clients")["connected_clients"] > count:
                all_back_at = now
        time.sleep(LOOK_EVERY_S)
    return found


def _busiest(looks: list[tuple[float, int]]) -> int:
    """Return the most connects in any second."""
    most = 0
    for at, counted in looks:
        until = [later for when, later in looks if at <= when <= at + 1]
        most = max(most, until[-1] - counted)
    assert all(one <= two for (_, one), (_, two) in pairwise(looks))  # noqa: S101 - a counter
    return most


def rows(herd: Herd) -> list[Row]:
    """Return the figures with their goals."""
    share = 100 * herd.busiest / max(1, herd.connects)
    goal = SHARE_PERCENT if herd.followers >= LARGE else None
    spread = percentile(herd.back, 95) - percentile(herd.back, 5)
    return [
        Row(f"restart under {herd.followers}: connects in a second", share, goal, "%"),
        Row("  connects of each", herd.connects / herd.followers, ATTEMPTS, ""),
        Row(
            "  the last is back after", max(herd.back), BACK_WITHIN_S, "s", note=f"p50 {percentile(herd.back, 50):.1f}"
        ),
        Row("  nine in ten come within", spread, unit="s"),
        Row("  missed by", herd.missed, 0, ""),
    ]
