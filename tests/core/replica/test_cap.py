"""Weights that may only fall: under a refused definition, and while they are over 100 % together."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit import Control
from graysplit.core.weights import Weight, rises
from tests.clocks import MovedClock
from tests.model.world import Process, Store, put_back

REASON = "the definition of 'checkout' is refused here, and until it is valid, its weights can only fall"


@pytest.fixture
def clock() -> MovedClock:
    """Return a clock that stands."""
    return MovedClock()


@pytest.fixture
def store(clock: MovedClock) -> Store:
    """Return a store with a split of one candidate at 20 %, and one of two at 50 % and 30 %."""
    store = Store(clock)
    control = Control(store, actor="ann", confirm=True)
    control.create("checkout")
    control.set("checkout", 20)
    control.create("ranking", ["a", "b", "c"])
    control.set("ranking", weights={"b": 50, "c": 30})
    return store


@pytest.fixture
def process(store: Store, clock: MovedClock) -> Process:
    """Return a process that has read all of it."""
    process = Process(store, clock)
    process.read()
    return process


def in_force(process: Process, split: str = "checkout") -> Mapping[str, Weight]:
    """Return the weights in force, as compiled."""
    state = process.states.state(split)
    return dict(zip(state.names[1:], state.weights[1:], strict=True))


def refuse(store: Store, algorithm: int = 9) -> str:
    """Write a definition of another algorithm; return the one before."""
    good = store._space.text("splits", "checkout")
    assert good is not None
    store.raw_set("splits", "checkout", json.dumps({**json.loads(good), "algorithm": algorithm}))
    return good


def test_a_raise_that_came_with_a_refused_definition_is_not_followed(
    store: Store, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, once, with what is said and why; what lowers is followed, and once it is mended the raise is, too."""
    good = refuse(store)
    store.raw_set("weights", "checkout/new", "50")
    for _ in range(3):
        process.read()
    assert in_force(process) == {"new": 20_000}
    assert process.held.refused["weights", "checkout/new"] == f"50 is not applied: {REASON}"
    assert sum("50 is not applied" in line for line in caplog.messages) == 1
    store.raw_set("weights", "checkout/new", "5")
    process.read()
    assert in_force(process) == {"new": 5_000}
    assert ("weights", "checkout/new") not in process.held.refused
    store.raw_set("weights", "checkout/new", "10")
    process.read()
    assert in_force(process) == {"new": 5_000}, "above what it has fallen to"
    store.raw_set("splits", "checkout", good)
    process.read()
    assert in_force(process) == {"new": 10_000}
    assert not process.held.refused


def test_a_raise_after_a_refused_definition_is_not_followed(store: Store, process: Process) -> None:
    """Whenever it comes, also where nothing but the stop is lifted, and where the definition is gone."""
    refuse(store)
    process.read()
    assert in_force(process) == {"new": 20_000}
    store.raw_set("weights", "checkout/new", "100")
    process.read()
    assert in_force(process) == {"new": 20_000}
    store.raw_set("stops", "checkout", "by hand")
    process.read()
    assert in_force(process) == {"new": 0}
    store.raw_delete("stops", "checkout")
    process.read()
    assert in_force(process) == {"new": 0}
    store.raw_delete("splits", "ranking")
    store.raw_set("weights", "ranking/b", "60")
    process.read()
    assert in_force(process, "ranking") == {"b": 50_000, "c": 30_000}


def test_what_may_only_fall_falls_with_a_lease_and_outlives_a_restart(store: Store, clock: MovedClock) -> None:
    """A lease that ends below lowers, one that ends above does not; a file remembers what stood, not what is said."""
    process = Process(store, clock)
    process.read()
    good = refuse(store)
    store.raw_set("weights", "checkout/new", "50")
    store.raw_set("meta", "lease:checkout/new", f"50 {int(clock.now * 1000) + 5_000} 30")
    process.read()
    born = Process(store, clock, process.file())
    born.read()
    assert in_force(process) == in_force(born) == {"new": 20_000}
    clock.now += 10
    process.turn()
    assert in_force(process) == {"new": 20_000}
    store.raw_set("meta", "lease:checkout/new", f"50 {int(clock.now * 1000) + 5_000} 10")
    process.read()
    clock.now += 10
    process.turn()
    assert in_force(process) == {"new": 10_000}
    store.raw_set("splits", "checkout", good)
    process.read()
    assert in_force(process) == {"new": 10_000}, "by the lease"


def test_of_more_than_100_percent_no_raise_is_followed(
    store: Store, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    """Lowerings are; it is told once; and when it is mended, by whichever weight, the raise is followed."""
    store.raw_set("weights", "ranking/c", "60")
    for _ in range(3):
        process.read()
    assert in_force(process, "ranking") == {"b": 50_000, "c": 30_000}
    assert sum("110 % together" in line for line in caplog.messages) == 1
    store.raw_set("weights", "ranking/b", "45")
    process.read()
    assert in_force(process, "ranking") == {"b": 45_000, "c": 30_000}
    store.raw_set("weights", "ranking/b", "40")
    process.read()
    assert in_force(process, "ranking") == {"b": 40_000, "c": 60_000}
    assert not process.held.refused


def test_who_is_born_over_100_percent_gives_the_baseline(store: Store, clock: MovedClock) -> None:
    """Nothing of it was ever in force here: each weight is a raise."""
    store.raw_set("weights", "ranking/c", "60")
    born = Process(store, clock)
    born.read()
    assert in_force(born, "ranking") == {"b": 0, "c": 0}
    assert in_force(born) == {"new": 20_000}
    store.raw_set("weights", "ranking/c", "50")
    born.read()
    assert in_force(born, "ranking") == {"b": 50_000, "c": 50_000}


@given(st.lists(st.tuples(st.sampled_from(("b", "c")), st.integers(0, 100)), max_size=8))
def test_the_weights_in_force_are_never_over_100_percent(edits: list[tuple[str, int]]) -> None:
    """Whatever a hand writes, one after the other: what is over is not followed, and what is not over is as it says."""
    clock = MovedClock()
    store = Store(clock)
    Control(store, actor="ann").create("ranking", ["a", "b", "c"])
    process = Process(store, clock)
    process.read()
    said = {"b": 0, "c": 0}
    for version, weight in edits:
        before = in_force(process, "ranking")
        store.raw_set("weights", f"ranking/{version}", str(weight))
        said[version] = weight * 1_000
        process.read()
        now = in_force(process, "ranking")
        if sum(said.values()) <= 100_000:
            assert now == said
        else:
            assert not any(rises(before[name], now[name]) or rises(said[name], now[name]) for name in now)


def test_a_fork_is_judged_by_what_the_store_said(store: Store, process: Process) -> None:
    """A raise that is not followed is no zero that was lost: no stop is written for all the others."""
    control = Control(store, actor="ann", confirm=True)
    control.set("checkout", 0)
    process.read()
    refuse(store)
    store.raw_set("weights", "checkout/new", "50")
    process.feed.record_raw_edits("outside")
    process.read()
    store.keep_copy()
    before = store.ago(0)
    control.set("ranking/b", 10)
    process.read()
    put_back(store, before)
    process.read()
    assert in_force(process) == {"new": 0}
    assert store._space.key("stops").fields == {b"_": b"1"}
