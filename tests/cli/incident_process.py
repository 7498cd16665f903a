"""One of the processes of the ten incidents: it says which version it gives. `python -m tests.cli.incident_process`."""

from __future__ import annotations

import sys

import graysplit

gray = graysplit.Router()


@gray.route("checkout", unit="user")
def checkout(user: str) -> str:
    """Answer by the path that was taken."""
    return f"old for {user}"


@checkout.version("new")
def checkout_new(user: str) -> str:
    """Answer by the path that was taken."""
    return f"new for {user}"


search = gray.split("search", "old", "new")
ranking = gray.split("ranking", "a", "b", "c")


def given(split: str, user: str) -> str:
    """Return the version that a user gets."""
    if split == "checkout":
        return checkout(user).partition(" ")[0]
    return (search if split == "search" else ranking).choose(unit=user)


def main() -> None:
    """Answer `SPLIT USER...` with the version of each, until standard input ends."""
    with gray:
        gray.wait_ready(30)
        print("ready", flush=True)  # noqa: T201 - what the test waits for
        for line in sys.stdin:
            split, *users = line.split()
            print(*(given(split, user) for user in users), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
