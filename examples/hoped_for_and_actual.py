"""Asked-for and actual shares over 100,000 users, for one candidate and for three at once."""

from __future__ import annotations

from collections import Counter
from typing import Final

import graysplit

USERS: Final = 100_000
STORE: Final = "memory://shares"

gray = graysplit.Router(STORE)


def measure(control: graysplit.Control, split: str, weights: dict[str, float]) -> None:
    """Set weights, ask for every user, and print what was asked for beside what came out."""
    control.wait_confirmed(control.set(split, weights=weights, confirm=split))
    found = Counter(gray.choose(split, f"user-{number}") for number in range(USERS))
    asked = {"old": 100 - sum(weights.values()), **weights}
    for version, percent in asked.items():
        actual = 100 * found[version] / USERS
        print(f"{split:<8} {version:<5} asked {percent:>5g} %  actual {actual:>7.3f} %  off by {actual - percent:+.3f}")


def main() -> None:
    """Go through some shares."""
    gray.split("search", "old", "new")
    gray.split("ranking", "old", "a", "b", "c")
    with graysplit.Control(STORE) as control:
        control.create("search")
        control.create("ranking", ("old", "a", "b", "c"))
        gray.wait_ready()
        for percent in (0, 0.1, 1, 5, 20, 50, 100):
            measure(control, "search", {"new": percent})
        measure(control, "ranking", {"a": 10, "b": 20, "c": 5})


if __name__ == "__main__":
    main()
