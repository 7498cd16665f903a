"""A kill switch: no users, no shares, only on or off in every process at once. The unit is the process's own host."""

from __future__ import annotations

from typing import Final

import graysplit

STORE: Final = "memory://switch"

gray = graysplit.Router(STORE)
recommendations = gray.split("recommendations", "off", "on", unit=graysplit.INSTANCE)


def page() -> str:
    """Render a page, with what may be left out under load."""
    return "the product" + (" and what others bought" if recommendations.choose() == "on" else "")


def main() -> None:
    """Switch on, then off in a hurry."""
    with graysplit.Control(STORE) as control:
        control.create("recommendations", ["off", "on"], by="instance")
        gray.wait_ready()
        print(f"at first: {page()}")
        control.wait_confirmed(control.set("recommendations", 100, confirm="recommendations"))
        print(f"on: {page()}")
        done = control.wait_confirmed(control.rollback("recommendations", why="the database is slow")).receipts
        print(f"off in {done.confirmed} of {done.processes} processes: {page()}")
    gray.close()


if __name__ == "__main__":
    main()
