"""A release that goes back by itself: the new path begins to fail for some users, and nobody is there to see it."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import Final

import graysplit

STORE: Final = "memory://guarded"
WITHIN_S: Final = 30.0

gray = graysplit.Router(STORE)
out_of_stock = False


@gray.route("checkout", unit="user")
def checkout(user: str) -> str:
    """Pay as today."""
    return f"old for {user}"


@checkout.version("new")
def checkout_new(user: str) -> str:
    """Pay the new way, which breaks for every third cart once the stock runs out."""
    if out_of_stock and int(user) % 3 == 0:
        raise LookupError
    return f"new for {user}"


def main() -> None:
    """Raise to 50 %, break the new path, and watch."""
    global out_of_stock  # noqa: PLW0603 - the world outside
    users, answers = itertools.count(), Counter[str]()

    def serve(number: int) -> None:
        slot = Counter[str]()
        for user in itertools.islice(users, number):
            try:
                slot[checkout(str(user)).split()[0]] += 1
            except LookupError:
                slot["failed"] += 1
            time.sleep(0.0005)
        share = round(100 * (slot["new"] + slot["failed"]) / number)
        print(f"{'#' * (share // 5):.<20} {share:3} % on new" + f", {slot['failed']} failed" * bool(slot["failed"]))
        answers.update(slot)

    with gray, graysplit.Control(STORE) as control:
        gray.wait_ready()
        control.create("checkout")
        control.guard("checkout")
        control.wait_confirmed(control.set("checkout", 50, why="release 42"))
        for _ in range(2):
            serve(200)
        print(f"before: users get {' and '.join(sorted(answers))}; now the new path breaks")
        out_of_stock = True
        until = time.monotonic() + WITHIN_S
        while control.show("checkout").rows[0].effective != "0" and time.monotonic() < until:
            serve(200)
        trip = control.history("checkout")[0]
        print(f"{trip.cause} by {trip.actor}: {trip.why}")
        answers.clear()
        serve(200)
        print(f"after it users get {' and '.join(answers)}")


if __name__ == "__main__":
    main()
