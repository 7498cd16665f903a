"""One process that follows a server, and says when its own decisions change.

Spoken to line by line: `until VERSION` answers with the time at which a unit gets that version; `ends IN OUT` with the
time at which, half a second long, the unit IN has got `new` and OUT `old` (0 if never within 20 s); `rss` with the
bytes that it keeps, `lost` with how often it had no contact.
Times are of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import graysplit

LOOK_EVERY_S: Final = 0.001
PATIENCE_S: Final = 20.0
SETTLED_S: Final = 0.5


def when(true: Callable[[], bool]) -> float:
    """Return the time at which something has become true; 0 if it has not."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if true():
            return time.monotonic()
        time.sleep(LOOK_EVERY_S)
    return 0.0


def when_settled(true: Callable[[], bool]) -> float:
    """Return the time from which on something stays true."""
    deadline = time.monotonic() + PATIENCE_S
    since = 0.0
    while time.monotonic() < deadline:
        since = (since or time.monotonic()) if true() else 0.0
        if since and time.monotonic() - since > SETTLED_S:
            return since
        time.sleep(LOOK_EVERY_S)
    return 0.0


def main(url: str, split: str) -> None:
    """Serve until standard input ends."""
    with graysplit.Router(url) as router:
        router.wait_ready(20)
        losses = Losses(router)
        print("ready", flush=True)
        asked: dict[str, Callable[..., float]] = {"until": until, "ends": ends}
        for line in sys.stdin:
            word, *units = line.split()
            print("looking", flush=True)
            if word in asked:
                print(asked[word](router, split, *units), flush=True)
            else:
                print(losses.count if word == "lost" else rss(), flush=True)


class Losses:
    """Counts how often a router had no contact to its store, from now on."""

    def __init__(self, router: graysplit.Router) -> None:
        """Begin to look."""
        self.count = 0
        self._router = router
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        was = False
        while True:
            lost = self._router.status().mode == "lost"
            self.count += lost and not was
            was = lost
            time.sleep(0.1)


def rss() -> int:
    """Return the bytes that this process keeps."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def until(router: graysplit.Router, split: str, version: str) -> float:
    """Return the time at which a unit gets a version."""
    return when(lambda: router.choose(split, "user-1") == version)


def ends(router: graysplit.Router, split: str, inside: str, outside: str) -> float:
    """Return the time from which on one unit is let in and another kept out."""
    return when_settled(lambda: router.choose(split, inside) == "new" and router.choose(split, outside) == "old")


if __name__ == "__main__":
    main(*sys.argv[1:])
