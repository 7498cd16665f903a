"""How to test a program that uses graysplit: force a version, one context at a time, without any store."""

# ruff: noqa: S101, PLR2004 - these are tests: asserts and numbers are the point
from __future__ import annotations

import asyncio

import graysplit
from graysplit.testing import forced

gray = graysplit.Router()  # never configured in tests: every answer is the baseline


@gray.route("checkout", unit="user_id")
def checkout(user_id: str, cents: int) -> int:  # noqa: ARG001 - the unit
    """Charge what it costs."""
    return cents


@checkout.version("new")
def checkout_new(user_id: str, cents: int) -> int:  # noqa: ARG001 - the unit
    """Charge with the new discount."""
    return cents * 9 // 10


def test_baseline() -> None:
    """Without a store the old path answers."""
    assert checkout("user-1", 1000) == 1000


@forced(checkout="new")
def test_candidate() -> None:
    """Forced by a decorator, the new path answers whoever asks."""
    assert checkout("user-1", 1000) == 900


def test_both_directly() -> None:
    """Each path can be called by itself: no decision, not counted."""
    assert {name: path("user-1", 1000) for name, path in checkout.versions.items()} == {"old": 1000, "new": 900}


async def test_only_here() -> None:
    """A task forces its own context only; its neighbour notices nothing."""

    async def forced_task() -> int:
        with forced(checkout="new"):
            await asyncio.sleep(0)
            return checkout("user-1", 1000)

    async def plain_task() -> int:
        await asyncio.sleep(0)
        return checkout("user-1", 1000)

    assert list(await asyncio.gather(forced_task(), plain_task())) == [900, 1000]


def main() -> None:
    """Run them as pytest would."""
    for test in (test_baseline, test_candidate, test_both_directly):
        test()
        print(f"{test.__name__}: passed")
    asyncio.run(test_only_here())
    print("test_only_here: passed")


if __name__ == "__main__":
    main()
