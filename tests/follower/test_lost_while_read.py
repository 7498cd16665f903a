"""Keys that go one by one, with a process reading in between: nothing is kept against a store that says nothing."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Final

import pytest

from graysplit import Control
from graysplit.core.replica.record import Load
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock
from tests.model.world import Process

KEYS: Final = ("log", "weights", "stops", "splits", "meta")
FIELD: Final = "checkout/new"


class Emptied:
    """A store at checkout 50, a process that follows it, and keys that go."""

    def __init__(self) -> None:
        """Begin with everything there and read."""
        self.clock = MovedClock()
        self.store = MemoryStore(clock=self.clock)
        self.control = Control(self.store, actor="ann", confirm=True)
        self.control.create("checkout")
        self.control.set("checkout", 50)
        self.process = Process(self.store, self.clock)
        self.process.read()

    def lose(self, name: str) -> None:
        """Take a key away."""
        if name == "log":
            self.store._space.log.clear()
        else:
            self.store._space.hashes.pop(name, None)

    def read(self, between: Sequence[str] = ()) -> None:
        """Read, with more keys going between the two readings of a fork."""

        def again() -> Load:
            for name in between:
                self.lose(name)
            return self.process.feed.load("", whole=True)

        self.clock.now += 1
        self.process.replica.apply(self.process.load(), again)
        self.process.replica.go_on(lambda: False)


@pytest.mark.parametrize("at_once", range(4))
def test_keys_that_go_in_any_order_are_lost_and_not_kept(at_once: int) -> None:
    """Whatever is read on the way, an emptied store is told as one that says nothing: `recover` asks what is held."""
    for order in permutations(KEYS):
        world, left = Emptied(), [*order]
        while left:
            world.lose(left.pop(0))
            between = [left.pop(0) for _ in range(min(at_once, len(left)))]
            world.read(between)
            for name in between:
                world.lose(name)
            back, lost = world.process.replica.distrusted, world.process.held.lost
            assert not {where.partition(" ")[0] for where in back} & lost.keys(), (order, back)
            assert world.process.held.weights == {FIELD: 50_000}
        world.read()
        assert not world.process.replica.in_force(10), order
        assert set(world.process.held.lost) == {"weights", "stops", "splits", "meta"}
