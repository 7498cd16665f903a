"""Let testers in first: pins, `preview`, a denied user, and why zero still means nobody."""

from __future__ import annotations

from typing import Final

import graysplit

STORE: Final = "memory://preview"

gray = graysplit.Router(STORE)
search = gray.split("search", "old", "new")


def main() -> None:
    """Pin one tester, deny one customer, and go through the weights."""
    users = [f"user-{number}" for number in range(1_000)]

    def look(title: str) -> None:
        others = sum(search.choose(user) == "new" for user in users)
        tester, denied = search.decide("tester"), search.decide("big-customer")
        print(
            f"{title:<12} tester: {tester.version} ({tester.reason}), "
            f"big-customer: {denied.version} ({denied.reason}), others on new: {others}"
        )

    with graysplit.Control(STORE) as control:
        control.create("search")
        gray.wait_ready()
        control.pin("search", "tester", "new", why="tries it first")
        control.wait_confirmed(control.pin("search", "big-customer", deny=True, why="has asked to wait"))
        look("at zero:")
        control.wait_confirmed(control.preview("search", why="testers only"))
        look("preview:")
        control.wait_confirmed(control.set("search", 100, confirm="search", why="for everybody"))
        look("at 100:")
        control.wait_confirmed(control.rollback("search", why="zero means nobody"))
        look("rolled back:")


if __name__ == "__main__":
    main()
