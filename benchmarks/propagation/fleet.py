"""What a change costs a fleet of 1, 50, 500, 2,000 followers: time, the server's processor, bytes, pushes, connections.

1 and 50 are processes, each with one router. 500 and 2,000 are feeds (`benchmarks.propagation.feeds`): followers'
connections without the rest of a process, because one machine has not got the processors.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Self

import redis

from benchmarks.propagation.crowds import FIELD, SPLIT, Crowd, feeds, percentile, processes
from benchmarks.report import Row, progress
from benchmarks.setting import WEIGHTS_KEY, fill, plain
from graysplit import embedded
from graysplit.stores import store_from_url
from graysplit.stores.redis.keys import keys_of

PROCESSES_UP_TO: Final = 64
QUIET_S: Final = 3.0
SETTLE_S: Final = 0.3


class Usage(NamedTuple):
    """What a server has done so far."""

    at: float
    cpu_s: float
    out_bytes: float
    transactions: float
    scripts: float
    scripts_us: float
    connections: float

    def since(self, before: Usage) -> Usage:
        """Return what was done in between."""
        return Usage(*(now - then for now, then in zip(self, before, strict=True)))

    def without(self, idle: Usage) -> Usage:
        """Take away what is done anyway in so much time."""
        share = self.at / idle.at
        return Usage(self.at, *(found - usual * share for found, usual in zip(self[1:], idle[1:], strict=True)))


class Cost(NamedTuple):
    """What was measured of one fleet."""

    followers: int
    made: str
    times_ms: list[float]
    missed: int
    cpu_ms: float  # of the server, for each change
    out_kb: float  # from the server, for each change
    pushes: float  # to each follower, for each change
    loads: float  # by each follower, for each change
    receipt_us: float  # of the server, for each heartbeat
    idle_percent: float  # of a processor of the server, while nothing changes
    connections: int


def usage(client: Any) -> Usage:  # noqa: ANN401 - redis-py's answers are unions
    """Read the server's counters."""
    cpu, stats, commands = client.info("cpu"), client.info("stats"), client.info("commandstats")
    beats = [found for name, found in commands.items() if name in ("cmdstat_evalsha", "cmdstat_eval")]
    return Usage(
        time.monotonic(),
        cpu["used_cpu_user"] + cpu["used_cpu_sys"],
        stats["total_net_output_bytes"],
        commands.get("cmdstat_exec", {}).get("calls", 0),
        sum(beat["calls"] for beat in beats),
        sum(beat["usec"] for beat in beats),
        client.info("clients")["connected_clients"],
    )


def measure(followers: int, changes: int) -> Cost:
    """Return what changes cost one fleet."""
    progress(f"{followers:,} followers")
    make: Callable[[str, int], AbstractContextManager[Crowd]] = processes if followers <= PROCESSES_UP_TO else feeds
    with embedded.server(arguments=("--maxclients", "10000")) as server:
        store = store_from_url(server.url)
        fill(store, {SPLIT: plain(SPLIT, "0")})
        store.close()
        client: Any = redis.Redis.from_url(server.url)
        with make(server.url, followers) as crowd, Ear(server.port) as ear:
            _change(client, crowd, "new")
            _change(client, crowd, "old")
            time.sleep(1.0)  # what an edit by hand entails is over
            idle = _idle(client, min(QUIET_S, changes / 2))
            ear.pushes()
            before, found = usage(client), [_change(client, crowd, ("new", "old")[n % 2]) for n in range(changes)]
            spent = usage(client).since(before).without(idle)
            pushes = ear.pushes() / changes
            receipt_us = _receipt_us(client, crowd, idle, followers)
            connections = round(usage(client).connections) - 2  # the writer's and the ear's
        client.close()
    return Cost(
        followers=followers,
        made=crowd.made,
        times_ms=[took for times, _ in found for took in times],
        missed=sum(missed for _, missed in found),
        cpu_ms=spent.cpu_s * 1000 / changes,
        out_kb=spent.out_bytes / 1000 / changes,
        pushes=pushes,
        loads=(spent.transactions - changes) / changes / followers,  # the writer's own EXEC is none
        receipt_us=receipt_us,
        idle_percent=100 * idle.cpu_s / idle.at,
        connections=connections,
    )


def _change(client: Any, crowd: Crowd, version: str) -> tuple[list[float], int]:  # noqa: ANN401 - as above
    """Turn the decision over by hand, and in the books, so that nobody need book it; give times in ms, and misses."""
    crowd.watch(version)
    began, weight = time.monotonic(), "100" if version == "new" else "0"
    keys = keys_of("default")
    client.pipeline().hset(WEIGHTS_KEY, FIELD, weight).hset(keys.booked, f"weights {FIELD}", weight).execute()
    seen = crowd.seen()
    time.sleep(SETTLE_S)
    return [(stamp - began) * 1000 for stamp in seen if stamp], sum(not stamp for stamp in seen)


def _idle(client: Any, seconds: float) -> Usage:  # noqa: ANN401 - as above
    before = usage(client)
    time.sleep(seconds)
    return usage(client).since(before)


def _receipt_us(client: Any, crowd: Crowd, idle: Usage, followers: int) -> float:  # noqa: ANN401 - as above
    """Return the server's processor time for one heartbeat: of feeds in one go, of processes by its own count."""
    if crowd.made == "processes":
        return idle.scripts_us / max(1, idle.scripts)
    before = usage(client)
    crowd.report()
    return usage(client).since(before).cpu_s * 1e6 / followers


class Ear:
    """A connection that only listens: counts the pushes that every follower gets."""

    def __init__(self, port: int) -> None:
        """Subscribe as a follower does."""
        self._line = socket.create_connection(("127.0.0.1", port))
        prefixes = " ".join(f"PREFIX {key}" for key in keys_of("default").followed)
        self._line.sendall(f"HELLO 3\r\nCLIENT TRACKING ON BCAST {prefixes}\r\n".encode())

    def pushes(self) -> int:
        """Return how many came since asked last."""
        self._line.settimeout(0.2)
        heard = b""
        try:
            while piece := self._line.recv(65_536):
                heard += piece
        except TimeoutError:
            return heard.count(b"$10\r\ninvalidate\r\n")
        return heard.count(b"$10\r\ninvalidate\r\n")

    def __enter__(self) -> Self:
        """Listen."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._line.close()


def rows(costs: list[Cost]) -> list[Row]:
    """Return the figures with their goals."""
    found: list[Row] = []
    for cost in costs:
        name, times = f"{cost.followers:,} followers", cost.times_ms
        found += [
            Row(f"{name}, write to visible, p50", percentile(times, 50), unit="ms", note=cost.made),
            Row(f"{name}, p99", percentile(times, 99), unit="ms", note=f"longest {max(times):.1f}"),
            Row(f"{name}: missed by", cost.missed, 0, ""),
            Row(f"{name}: loads of each for a change", cost.loads, 1.1, ""),
            Row(f"{name}: server's CPU for a change", cost.cpu_ms, unit="ms", note=f"{cost.out_kb:,.1f} kB out"),
            Row(f"{name}: server's CPU for a receipt", cost.receipt_us, unit="us"),
            Row(f"{name}: connections", cost.connections, cost.followers, ""),
        ]
    return found


HEADER: Final = (
    "followers",
    "p50 ms",
    "p99 ms",
    "max ms",
    "CPU ms",
    "kB out",
    "pushes",
    "loads",
    "rcpt us",
    "idle %",
)


def grid(costs: list[Cost]) -> list[tuple[str, ...]]:
    """Return the figures as a table's lines."""
    return [
        (
            f"{cost.followers:,}",
            *(f"{percentile(cost.times_ms, at):.1f}" for at in (50, 99)),
            f"{max(cost.times_ms):.1f}",
            f"{cost.cpu_ms:.2f}",
            f"{cost.out_kb:,.1f}",
            f"{cost.pushes:.1f}",
            f"{cost.loads:.2f}",
            f"{cost.receipt_us:.0f}",
            f"{cost.idle_percent:.1f}",
        )
        for cost in costs
    ]
