"""A program that uses graysplit and ends: told by its arguments how. Run by `test_exits.py`."""

from __future__ import annotations

import os
import sys
import threading
import time

import graysplit
from tests.faults.shares import share


def main(url: str, how: str) -> None:
    """Follow, decide, and end; `without` shows what an end costs where no router has started."""
    gray = graysplit.Router(url)
    if how != "without":
        gray.wait_ready(0.5)
        share(gray)
    if how == "busy thread":
        threading.Thread(
            target=lambda: [gray.choose("checkout", number) for number in range(10**9)], daemon=True
        ).start()
    if how == "closed":
        gray.close()
    if how == "never waited":
        graysplit.Router(url).choose("checkout", "user-1")
    print(time.monotonic(), flush=True)  # noqa: T201 - from here on it ends
    if how == "exception":
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - its traceback is not looked at
        raise RuntimeError("the program's own")
    sys.exit(7)


if __name__ == "__main__":
    main(*sys.argv[1:])
