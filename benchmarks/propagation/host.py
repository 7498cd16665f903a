"""One process that holds many followers, so that a fleet fits on one machine: whole routers, each with its own thread.

Nothing of a router is left out or shared: connection, heartbeats, receipts, states. What differs from a fleet of
processes is that the routers of one process wait for one interpreter, which makes figures worse, never better.

Spoken to line by line. `watch VERSION` begins to note when each router decides so, and answers `watching`;
`seen` waits for all and answers the times as JSON, 0 for one that did not; `modes` answers how each follows now.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Collection
from typing import Final

import graysplit
from graysplit.follower import backoff

UNIT: Final = "user-1"
PATIENCE_S: Final = 60.0
# A fleet does not start in one instant either, and the listening queue of a server is short.
STARTING_AT_ONCE: Final = 25


class Crowd:
    """Routers, and when each came to decide what is awaited."""

    def __init__(self, url: str, count: int, split: str) -> None:
        """Start them, a few at a time."""
        self._split = split
        self._awaited = ""
        self._seen: dict[int, float] = {}
        self._all = threading.Event()
        self._noting = threading.Lock()
        self.routers: list[graysplit.Router] = []
        for number in range(count):
            self.routers.append(self._start(url, number))
            if number >= STARTING_AT_ONCE:
                self._await_loaded(self.routers[number - STARTING_AT_ONCE])
        for router in self.routers:
            self._await_loaded(router)

    def watch(self, version: str) -> None:
        """Begin to note."""
        with self._noting:
            self._awaited, self._seen = version, {}
            self._all.clear()
        for number in range(len(self.routers)):
            self._note(number)

    def seen(self) -> list[float]:
        """Wait for all; return the time of each, 0 for one that does not decide so."""
        self._all.wait(PATIENCE_S)
        return [self._seen.get(number, 0.0) for number in range(len(self.routers))]

    def close(self) -> None:
        """Let all go at once."""
        closing = [threading.Thread(target=router.close) for router in self.routers]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()

    def _start(self, url: str, number: int) -> graysplit.Router:
        router = graysplit.Router(url)
        states = router._lifecycle.states  # noqa: SLF001 - asked at the moment of publication: looking all the time costs more
        publish = states.publish

        def noted(held: object, splits: Collection[str]) -> None:
            publish(held, splits)  # type: ignore[arg-type] # passed on as given
            self._note(number)

        states.publish = noted  # type: ignore[method-assign] # on purpose
        router.start()
        return router

    def _note(self, number: int) -> None:
        if number >= len(self.routers) or self.routers[number].choose(self._split, UNIT) != self._awaited:
            return
        now = time.monotonic()
        with self._noting:
            self._seen.setdefault(number, now)
            if len(self._seen) == len(self.routers):
                self._all.set()

    @staticmethod
    def _await_loaded(router: graysplit.Router) -> None:
        if not router.wait_ready(PATIENCE_S):
            raise TimeoutError(f"a router has not loaded: {router.status().reason}")


def main(url: str, count: str, split: str, joins_per_s: str = "") -> None:
    """Serve until standard input ends."""
    sys.setswitchinterval(0.001)  # hundreds of threads: the turn of the last comes sooner
    threading.stack_size(256 * 1024)
    if joins_per_s:
        backoff.JOINS_AFTER_REFUSAL_PER_S = float(joins_per_s)  # type: ignore[misc, assignment] # a small fleet plays a large one
    crowd = Crowd(url, int(count), split)
    print("ready", flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "watch":
            crowd.watch(rest[0])
            print("watching", flush=True)
        elif word == "seen":
            print(json.dumps(crowd.seen()), flush=True)
        else:
            print(json.dumps([router.status().mode for router in crowd.routers]), flush=True)
    crowd.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
