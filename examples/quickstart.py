"""The quick start: declare two paths, turn the percentage up, turn it back. One process, no server."""

from __future__ import annotations

import graysplit

gray = graysplit.Router("memory://quickstart")


@gray.route("checkout", unit="user_id")
def checkout(user_id: str) -> str:
    """Pay as ever."""
    return f"{user_id} pays the old way"


@checkout.version("new")
def checkout_new(user_id: str) -> str:
    """Pay anew."""
    return f"{user_id} pays the new way"


def main() -> None:
    """Be the application and the operator at once."""
    users = [f"user-{number}" for number in range(1_000)]

    def on_new() -> int:
        return sum(checkout(user).endswith("new way") for user in users)

    with graysplit.Control("memory://quickstart") as control:
        control.create("checkout")
        gray.wait_ready()
        print(f"at first: {on_new()} of {len(users)} users on the new path")
        control.wait_confirmed(control.set("checkout", 20, why="step 1"))
        print(f"at 20 %: {on_new()} of {len(users)} users on the new path")
        print(checkout(users[0]), checkout(users[1]), sep="\n")
        control.wait_confirmed(control.rollback("checkout", why="that was enough"))
        print(f"rolled back: {on_new()} of {len(users)} users on the new path")


if __name__ == "__main__":
    main()
