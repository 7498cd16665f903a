"""What a context has answered stands for its life, a lowering to zero excepted; and it belongs to its view."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import graysplit
from graysplit import Control, Router
from graysplit.router.call_counts import UNKNOWN
from graysplit.scope import MISSING
from graysplit.stores.memory import MemoryStore
from tests.support import eventually

MakeRouter = Callable[..., Router]


@pytest.fixture
def full(store: MemoryStore) -> MemoryStore:
    """Return a store in which everybody gets `new`."""
    Control(store).set("checkout", 100, confirm=True)
    return store


def test_an_answer_before_the_first_loading_stands_for_the_request(full: MemoryStore, make_router: MakeRouter) -> None:
    """One request sees one version at a steady 100 %, by name, by handle and by route; the next request the other."""
    router = make_router(full)
    handle = router.split("checkout", "old", "new")
    with graysplit.context("u"):
        first = router.decide("checkout")  # it starts the router
        assert router.wait_ready(5)
        assert eventually(lambda: handle.choose("somebody else") == "new")
        again = [router.decide("checkout")[1:3], handle.decide()[1:3], router.choose("checkout"), handle.choose()]
        assert [first[1:3], *again] == [("old", "not_ready"), ("old", "kept"), ("old", "kept"), "old", "old"]
        with graysplit.context(attributes={"plan": "pro"}):
            assert router.choose("checkout") == "old"
        assert router.explain("checkout").version == "old"
        assert router.choose("checkout", "another") == "new"  # of whom nothing was answered
    with graysplit.context("u"):
        assert router.choose("checkout") == "new"


def test_an_answer_for_a_split_that_nobody_knew_stands_for_the_request(
    full: MemoryStore, make_router: MakeRouter
) -> None:
    """It is created and sent to 100 % meanwhile: this request stays, the next one does not."""
    router = make_router(full)
    assert router.wait_ready(5)
    with graysplit.context("u"):
        assert router.decide("search")[1:3] == ("old", "unknown_split")
        Control(full).create("search")
        Control(full).set("search", 100, confirm=True)
        assert eventually(lambda: any(router._lifecycle.states.state("search").weights))
        assert router.choose("search", "another") == "new"
        assert router.decide("search")[1:3] == ("old", "kept")
    assert router.choose("search", "u") == "new"


def test_an_answer_that_stands_is_no_exposure(full: MemoryStore, make_router: MakeRouter) -> None:
    """The hash has not drawn it: it is counted under its own reason."""
    router = make_router(full)
    with graysplit.context("u"):
        router.choose("checkout")
        assert router.wait_ready(5)
        router.choose("checkout")
    # The first was asked for before anybody knew the name.
    counted = {one.split: one.evaluations for one in router.measures() if one.version == "old"}
    assert {split: found["not_ready"] for split, found in counted.items()} == {UNKNOWN: 1, "checkout": 1}
    assert not any(one.evaluations["bucket"] for one in router.measures())


def test_a_choice_kept_by_a_late_compilation_is_not_found_after_the_rollback(
    full: MemoryStore, make_router: MakeRouter
) -> None:
    """Law 4, staged: a decision still compiles the view of before, while the rollback has been published."""
    router = make_router(full)
    handle = router.split("checkout", "old", "new")
    assert router.wait_ready(5)
    states = router._lifecycle.states
    before = states.view
    Control(full).rollback("checkout")
    assert eventually(lambda: handle.choose("u") == "old")
    late = states._in_force("checkout", before)
    with graysplit.context("u"):
        assert router._lifecycle.decisions.resolve(late, MISSING)[2].version == "new"
        assert router.decide("checkout")[1] == "old"
        assert handle.decide()[1] == "old"
