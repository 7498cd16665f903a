"""A measured block around an ad-hoc choice: its errors pass through, and a rollback knows what still runs."""

from __future__ import annotations

from threading import Event, Thread
from typing import Final

import graysplit

STORE: Final = "memory://attempt"

gray = graysplit.Router(STORE)
banner = gray.split("banner", "old", "new")


def draw(user: str) -> str:
    """Draw a banner; the new way is broken for one user."""
    with banner.attempt(unit=user) as version:  # what raises in here counts against `version`
        if version == "new" and user == "user-7":
            raise LookupError("no banner in this size")
        return version


def main() -> None:
    """Meet the error, then roll back while a block is open."""
    with graysplit.Control(STORE) as control:
        control.create("banner")
        gray.wait_ready()
        control.wait_confirmed(control.set("banner", 100, confirm="banner"))
        print(f"user-1 sees the {draw('user-1')} banner")
        try:
            draw("user-7")
        except LookupError as error:
            print(f"user-7's error passes through untouched: {error}")

        inside, leave = Event(), Event()

        def linger() -> None:
            with banner.attempt(unit="user-2"):
                inside.set()
                leave.wait(10)

        slow = Thread(target=linger)
        slow.start()
        inside.wait(10)
        receipts = control.wait_confirmed(control.rollback("banner", why="a wrong size")).receipts
        print(f"rolled back: {receipts.confirmed}/{receipts.processes} confirmed, {receipts.running} still running")
        leave.set()
        slow.join()
        print(f"user-7 sees the {draw('user-7')} banner")


if __name__ == "__main__":
    main()
