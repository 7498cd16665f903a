"""Law 10: a decision costs no I/O, takes no lock, never waits, and is the same call in sync and async code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

import graysplit
from graysplit import Control, Router
from graysplit.stores.memory import MemoryStore

FORBIDDEN = frozenset(
    [
        "acquire",
        "wait",
        "sleep",
        "send",
        "sendall",
        "recv",
        "connect",
        "select",
        "poll",
        "open",
        "read",
        "write",
        "stat",
        "print",
        "urandom",
        "time",
    ]
)


@pytest.fixture
def router() -> Iterator[Router]:
    """Return a router that has loaded a split at 50 %, one with pins, and a stopped one."""
    store = MemoryStore()
    control = Control(store)
    for split in ("plain", "pinned", "stopped", "several"):
        control.create(split, versions=("old", "b", "c") if split == "several" else ("old", "new"))
    control.set("plain", 50)
    control.set("pinned", 50)
    control.pin("pinned", "u-1")
    control.set("several", weights={"b": 20, "c": 30})
    control.rollback("stopped")
    with Router(store) as router:
        assert router.wait_ready(5)
        yield router


def called_by(decide: Callable[[], object]) -> set[str]:
    """Return the names of all that a decision calls, in Python and in C."""
    names: set[str] = set()

    def see(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            names.add(frame.f_code.co_name)
        elif event == "c_call":
            names.add(getattr(argument, "__name__", ""))

    sys.setprofile(see)
    try:
        decide()
    finally:
        sys.setprofile(None)
    return names


@pytest.mark.parametrize("split", ["plain", "pinned", "stopped", "several", "unknown"])
@pytest.mark.parametrize("unit", ["u-1", "u-2", 7, None, "\ud800", b"bytes"])
def test_a_decision_takes_no_lock_and_does_no_io(router: Router, split: str, unit: object) -> None:
    """Whatever the split and the unit, nothing that locks, waits or talks is called."""
    router.choose(split, unit)  # the first refusal of a unit is logged; a log line is not the decision
    assert graysplit.context  # its module is loaded with its first use

    def decide() -> None:
        for _ in range(3):
            router.choose(split, unit)
            router.decide(split, unit=unit)
        with graysplit.context(unit=unit):
            router.choose(split)
            router.choose(split)

    called = called_by(decide)
    assert called, "the profile saw nothing"
    assert not called & FORBIDDEN


def test_the_same_call_in_async_code(router: Router) -> None:
    """A coroutine asks with the same call and gets the same answer, without awaiting anything."""

    async def ask() -> list[str]:
        with graysplit.context(unit="u-3"):
            return [router.choose("plain"), router.choose("plain", "u-4")]

    with graysplit.context(unit="u-3"):
        expected = [router.choose("plain"), router.choose("plain", "u-4")]
    assert asyncio.run(ask()) == expected
