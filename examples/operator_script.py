"""An operator's script: raise one step if all processes confirm, else go back; its exit code says which."""

from __future__ import annotations

import sys
from typing import Final

import graysplit

STORE: Final = "memory://operator"


def raise_to(control: graysplit.Control, split: str, percent: float) -> bool:
    """Raise, wait for every process, and go back where one does not follow."""
    receipts = control.wait_confirmed(control.set(split, percent, why="the nightly step")).receipts
    print(f"{percent} %: {receipts.confirmed} of {receipts.processes} processes follow")
    if receipts.confirmed == receipts.processes:
        return True
    control.rollback(split, why="not everybody follows")
    return False


def main() -> int:
    """Raise in two steps, meet somebody's freeze, and read what was done."""
    with graysplit.Router(STORE) as gray, graysplit.Control(STORE, actor="nightly") as control:
        gray.split("search", "old", "new")
        gray.wait_ready()
        control.create("search")
        done = raise_to(control, "search", 5) and raise_to(control, "search", 20)
        control.freeze("search", why="audit")
        try:
            raise_to(control, "search", 50)
        except graysplit.RefusedError as refused:
            print(f"refused: {str(refused).splitlines()[0]}")
        for change in control.history("search", 3):
            print(f"revision {change.revision}: {change.cause} by {change.actor}")
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
