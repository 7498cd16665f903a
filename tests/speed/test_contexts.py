"""What a context keeps and notes is the same whether Python or the compiled core draws, whoever comes in between."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from graysplit import Router, Split, context
from graysplit.codec import dump_definition, parse_definition
from graysplit.core.definition import define
from graysplit.core.guard.second_buffer import SecondBuffer
from graysplit.core.guard.thinned import ThinnedRecords, Thinning
from graysplit.core.replica.adopted import Adopted
from graysplit.scope import Scope, Taken, scope_get, scope_reset, scope_set
from tests.routes.arming import NOW, armed


class Clock:
    """A clock that lets somebody else have a turn each time it is read."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.turn: Callable[[], object] = int

    def monotonic(self) -> float:
        """Return always the same."""
        self.turn()
        return 1.0

    def time(self) -> float:
        """Return always the same."""
        return float(NOW)


def a_router(clock: Any, weight: int = 100_000, *splits: str) -> tuple[Router, list[Split[str]]]:
    """Return a router that has one weight for these splits, and their handles."""
    router = Router(clock=clock)
    splits = splits or ("shop",)
    handles: list[Any] = [router.split(split, "old", "new") for split in splits]
    states = router._lifecycle.states
    states.enter("not_ready", parse=parse_definition)
    held = Adopted(
        {f"{split}/new": weight for split in splits},
        definitions={split: dump_definition(define(split, ("old", "new"))).encode() for split in splits},
        revision=1,
        since=dict.fromkeys(splits, 1),
        seen={"weights": {b"_": b""}},
    )
    states.publish(held, set(splits))
    states.due = 100.0
    return router, handles


def test_what_others_take_meanwhile_is_not_noted_as_the_requests_own() -> None:
    """A context inside has met another unit since: what is asked outside again is of one more."""
    _, (shop, lane) = a_router(Clock(), 100_000, "shop", "lane")
    request = Scope("visitor")
    request.note_in(Taken("visitor"))
    token = scope_set(request)
    with context("visitor"):
        inner = scope_get()
        assert inner is not None
        inner.meet("user-7", None)
        assert shop.choose() == "new"
    assert request.taken is not None
    assert not request.taken.others
    assert lane.choose() == "new"
    scope_reset(token)
    assert request.taken == {"shop": "new", "lane": "new"}
    assert request.taken.others


@pytest.mark.parametrize("unit", [(), ("user-7",)], ids=["the context's unit", "a unit named"])
def test_what_another_thread_keeps_meanwhile_stays(unit: tuple[str, ...]) -> None:
    """It had its turn between the look and the answer; both units keep what they were told."""
    clock = Clock()
    router, (shop,) = a_router(clock)
    state = router._lifecycle.states.state("shop")
    with context("user-1"):
        scope = scope_get()
        assert scope is not None

        def other() -> None:
            clock.turn = int
            scope.keep(state.key, "user-9", b"user-9", 0)

        clock.turn = other
        assert shop.choose(*unit) == "new"
        assert shop.choose(*unit) == "new"
        assert scope.kept(state.key, b"user-9") == 0
        assert shop.choose("user-9") == "old"


def test_an_interrupt_while_a_call_is_written_down_passes_through() -> None:
    """Whoever presses Ctrl-C is heard, wherever Python is at that moment."""

    class Interrupted(ThinnedRecords):
        def append(self, _record: object, /) -> None:
            raise KeyboardInterrupt

    call, _, buffer, _ = armed(lambda unit: unit)
    thinning = Thinning(0, 7, int)
    buffer.current = SecondBuffer(2, NOW, timed=True, thinning=thinning)
    buffer.current.sampled = Interrupted(thinning)
    with pytest.raises(KeyboardInterrupt):
        call("u1")
