"""One process that holds hundreds of connections as followers have them, and reads from each when it is signalled.

Real feeds (`Store.follow`): real subscription, real loads, one after the other in one thread. What is left out, for
want of processors, is what a process does with a load: judging, compiling, and the heartbeat of every two seconds.

Spoken to like `benchmarks.propagation.host`; `report` writes one heartbeat for each and answers how many were taken.
"""

from __future__ import annotations

import json
import select
import sys
import time
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Final

from graysplit.core.fleet import Effect, Receipt
from graysplit.stores.port import Report
from graysplit.stores.redis import RedisFeed, RedisStore

PATIENCE_S: Final = 60.0
AWAITED: Final = {"new": b"100", "old": b"0"}


class Feeds:
    """Many feeds in one thread."""

    def __init__(self, url: str, count: int, split: str) -> None:
        """Connect and load them, one after the other."""
        self._field = f"{split}/new".encode()
        self._waiting = DefaultSelector()
        self.feeds: list[RedisFeed] = []
        self._positions: list[str] = []
        self._values: list[bytes] = []
        self._seen: dict[int, float] = {}
        for number in range(count):
            feed = RedisStore(url).follow()
            self.feeds.append(feed)
            self._positions.append("")
            self._values.append(b"")
            self._load(number)
            self._waiting.register(_socket_of(feed), EVENT_READ, number)

    def serve(self, seconds: float) -> None:
        """Read from whichever is signalled, for some time."""
        for key, _ in self._waiting.select(seconds):
            if self.feeds[key.data].wait(0):
                self._load(key.data)

    def watch(self) -> None:
        """Begin to note."""
        self._seen = {}

    def seen(self, version: str) -> list[float]:
        """Read until all have a version's weight; return the time of each, 0 for one that has not."""
        deadline = time.monotonic() + PATIENCE_S
        while any(value != AWAITED[version] for value in self._values) and time.monotonic() < deadline:
            self.serve(0.1)
        return [
            self._seen.get(number, 0.0) if value == AWAITED[version] else 0.0
            for number, value in enumerate(self._values)
        ]

    def report(self) -> int:
        """Write a heartbeat for each; return how many were taken."""
        receipt = Receipt("0" * 24, 1, {"checkout/new": Effect("0")}, "tracking")
        taken = 0
        for number, feed in enumerate(self.feeds):
            taken += feed.report(Report(f"{number:016x}", "host-1", number, "1.0", {}, receipt), about=False) > 0
        return taken

    def _load(self, number: int) -> None:
        load = self.feeds[number].load(self._positions[number], whole=False)
        self._positions[number] = load.position
        value = load.weights.fields.get(self._field, b"0")
        if value != self._values[number]:
            self._values[number], self._seen[number] = value, time.monotonic()


def _socket_of(feed: RedisFeed) -> Any:  # noqa: ANN401 - a socket, which redis-py does not show
    return feed._line._connection._sock  # type: ignore[attr-defined] # noqa: SLF001 - to wait for hundreds at once


def main(url: str, count: str, split: str) -> None:
    """Serve until standard input ends."""
    crowd, awaited = Feeds(url, int(count), split), ""
    print("ready", flush=True)
    while True:
        crowd.serve(0.002)
        if not select.select([sys.stdin], [], [], 0)[0]:
            continue
        word, *rest = sys.stdin.readline().split() or [""]
        if word == "watch":
            awaited = rest[0]
            crowd.watch()
            print("watching", flush=True)
        elif word == "seen":
            print(json.dumps(crowd.seen(awaited)), flush=True)
        elif word == "report":
            print(crowd.report(), flush=True)
        else:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
