"""`fallback=True`: where a candidate raises, the baseline answers; for what is safe to run twice."""

from __future__ import annotations

from typing import Final

import graysplit

STORE: Final = "memory://fallback"

gray = graysplit.Router(STORE)


@gray.route("recommend", unit="user_id", fallback=True)
def recommend(user_id: str) -> list[str]:
    """Recommend what sells."""
    return ["tea", "mug", f"for {user_id}"]


@recommend.version("new")
def recommend_new(user_id: str) -> list[str]:
    """Recommend by a model that does not know everybody."""
    if user_id == "user-7":
        raise LookupError("never seen")
    return ["pot", "tin", f"for {user_id}"]


@gray.route("order", unit="user_id")  # not safe to run twice: no fallback
def order(user_id: str) -> str:
    """Order as ever."""
    return f"ordered by {user_id}"


@order.version("new")
def order_new(user_id: str) -> str:
    """Order anew, badly."""
    raise ConnectionError(f"{user_id}'s order reached nobody")


def main() -> None:
    """Let both candidates fail."""
    with graysplit.Control(STORE) as control:
        for split in ("recommend", "order"):
            control.create(split)
            control.set(split, 100, confirm=split)
    gray.wait_ready()
    print(f"user-1 gets {recommend('user-1')} from the candidate")
    print(f"user-7 gets {recommend('user-7')} from the baseline, because the candidate raised")
    try:
        order("user-1")
    except ConnectionError as error:
        print(f"without fallback the candidate's error reaches the caller: {error}")


if __name__ == "__main__":
    main()
