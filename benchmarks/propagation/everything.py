"""`rollback --all` over many splits: how long the server answers nobody else, and how long all of it takes.

    python -m benchmarks.propagation.everything [SPLITS]

A second connection asks PING without pause; the server's own log of slow commands times each portion.
"""

from __future__ import annotations

import sys
import threading
import time
from statistics import median
from typing import Final

import redis

from benchmarks.report import Row, table
from graysplit import embedded
from graysplit.stores import store_from_url
from graysplit.stores.port import Rollback
from graysplit.stores.redis.keys import keys_of
from graysplit.stores.text.records import new_id

SPLITS: Final = 10_000
BLOCKED_MS: Final = 50.0


def measure(splits: int) -> list[Row]:
    """Roll back so many splits that all run."""
    with embedded.server() as server, redis.Redis.from_url(server.url) as client:
        _fill(client, splits)
        store = store_from_url(server.url)
        client.config_set("slowlog-log-slower-than", 0)
        client.config_set("slowlog-max-len", 100_000)
        ended, longest = threading.Event(), [0.0]
        pinging = threading.Thread(target=_ping, args=(server.url, ended, longest))
        pinging.start()
        began = time.monotonic()
        written = store.roll_back(Rollback(new_id(), "*", "benchmarks", ""))
        took_s = time.monotonic() - began
        ended.set()
        pinging.join()
        store.close()
        told = client.slowlog_get(100_000)
    portions = [entry["duration"] / 1000 for entry in told if entry["command"].startswith(b"EVAL")]
    return [
        Row(f"rollback --all of {splits} splits", took_s * 1000, unit="ms", note=f"{len(written.parts)} portions"),
        Row("  longest command of the server", max(entry["duration"] for entry in told) / 1000, BLOCKED_MS, "ms"),
        Row("  a portion, median", median(portions), unit="ms"),
        Row("  longest PING of another client", longest[0] * 1000, unit="ms"),
    ]


def _fill(client: redis.Redis, splits: int) -> None:
    keys = keys_of("default")
    weights = {f"split-{number:05}/new": str(number % 100 + 1) for number in range(splits)}
    client.hset(keys.weights, mapping={"_": 1} | weights)
    client.hset(keys.booked, mapping={"_": 1} | {f"weights {field}": text for field, text in weights.items()})
    client.hset(keys.stops, "_", 1)
    client.hset(keys.meta, mapping={"_": 1, "revision": 1, "lineage": "a", "schema": 1})


def _ping(url: str, ended: threading.Event, longest: list[float]) -> None:
    with redis.Redis.from_url(url) as client:
        while not ended.is_set():
            began = time.monotonic()
            client.ping()
            longest[0] = max(longest[0], time.monotonic() - began)


if __name__ == "__main__":
    sys.stdout.write(table("Everything back", measure(int(sys.argv[1]) if len(sys.argv) > 1 else SPLITS)) + "\n")
