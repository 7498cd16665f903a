"""Decide with the compiled core and in pure Python, each in a process of its own, and end with 1 where they differ.

    python tools/alike.py

Needs graysplit and graysplit-speed and nothing else: a release runs it on each platform, in the wheel's environment.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from typing import Final

import graysplit

USERS: Final = 20_000
OTHERS: Final = ("", "\xe9\u4e2d", "\ud800", b"user-1", 7, 2**80, None, 1.5)
SPLITS: Final = {"two": ("old", "new"), "five": ("old", "a", "b", "c", "d"), "routed": ("old", "new")}
WEIGHTS: Final = {"two/new": 20, "five/a": 10, "five/b": 20, "five/c": 0.5, "routed/new": 50}


def main() -> int:
    """Ask both; return the exit code."""
    compiled, pure = (_answers(off) for off in ("0", "1"))
    if not compiled[0].startswith("compiled ") or not pure[0].startswith("pure Python: ") or compiled[1] != pure[1]:
        print(f"alike: {compiled} and {pure} differ, or are not the two", file=sys.stderr)
        return 1
    print(f"{compiled[0]}, decides as pure Python does")
    return 0


def _answers(off: str) -> tuple[str, str]:
    """Return what a process says of its core, and a digest of its decisions."""
    command = [sys.executable, *(f"-W{option}" for option in sys.warnoptions), __file__, "--answer"]
    environment = {**os.environ, "GRAYSPLIT_PURE": off}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    words, _, digest = done.stdout.strip().rpartition(" ")
    return words, digest


def answer() -> None:
    """Decide for many units by each way of asking, and print what decided and a digest of the answers."""
    logging.getLogger("graysplit").setLevel(logging.ERROR)  # some of the units are none, which it would say
    taken = hashlib.sha256()
    store = "memory://alike"
    with graysplit.Router(store) as gray, graysplit.Control(store, confirm=True) as control:
        two, five = (gray.split(name, *SPLITS[name]) for name in ("two", "five"))
        routed = gray.route("routed", unit="user")(lambda user: "old")  # noqa: ARG005 - the parameter is the unit
        routed.version("new")(lambda user: "new")  # noqa: ARG005 - the same
        for name, versions in SPLITS.items():
            control.create(name, versions)
        gray.wait_ready(10)
        for address, weight in WEIGHTS.items():
            control.wait_confirmed(control.set(address, weight))
        control.wait_confirmed(control.pin("two", "user-7", "new"))
        for unit in (*(f"user-{number}" for number in range(USERS)), *OTHERS):
            answers = (two.choose(unit), five.choose(unit), routed(unit), *gray.decide("two", unit=unit)[:3])
            taken.update(repr(answers).encode())
        print(gray.status().core, taken.hexdigest())


if __name__ == "__main__":
    sys.exit(answer() if "--answer" in sys.argv else main())
