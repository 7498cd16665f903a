"""A process that follows a server and does nothing else, and says what it has used.

Spoken to line by line: each line is answered with its CPU seconds so far, and how often it has waited.
"""

from __future__ import annotations

import resource
import sys

import graysplit
from benchmarks.setting import PATIENCE_S, many, until


def main(url: str, splits: str) -> None:
    """Declare that many splits, follow, and rest until standard input ends."""
    names = list(many(int(splits)))
    with graysplit.Router(url) as router:
        for name in names:
            router.split(name, "old", "new").choose("u")
        router.wait_ready(PATIENCE_S)
        until(lambda: router.status().splits >= len(names), "all splits are loaded")
        print("ready", flush=True)
        for _ in sys.stdin:
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(used.ru_utime + used.ru_stime, used.ru_nvcsw, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
