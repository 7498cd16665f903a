"""`in_flight: finish`: choices kept in open requests outlive a planned switch, never a stop."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Final

import pytest

from graysplit import Control, Router, context
from graysplit.codec import dump_definition, parse_definition
from graysplit.core.decision import DecisionInput, answer, climb
from graysplit.core.definition import define
from graysplit.core.split_state import SplitState
from graysplit.stores.memory import MemoryStore
from tests.support import eventually

PLAIN: Final[dict[str, Callable[[MemoryStore, Control], object]]] = {
    "switch": lambda _, control: control.switch("checkout", to="old"),
    "set": lambda _, control: control.set("checkout", 0),
    "HSET": lambda store, _: store.raw_set("weights", "checkout/new", "0"),
}
STOPS: Final[dict[str, Callable[[MemoryStore, Control], object]]] = {
    "rollback": lambda _, control: control.rollback("checkout"),
    "a stop by hand": lambda store, _: store.raw_set("stops", "checkout/new", "by hand"),
    "a stop on everything": lambda store, _: store.raw_set("stops", "*", "by hand"),
}


@pytest.fixture
def store() -> MemoryStore:
    """Return a store that holds `checkout` at 100 %, where what has begun may finish."""
    store = MemoryStore()
    control = Control(store, confirm=True)
    control.create("checkout", in_flight="finish")
    control.set("checkout", 100)
    return store


@pytest.fixture
def control(store: MemoryStore) -> Control:
    """Return an operator's hand."""
    return Control(store, confirm=True)


def settled(control: Control, router: Router) -> None:
    """Wait until the router has taken the last change in."""
    revision = control.history(None, 1)[0].revision
    eventually(lambda: router.status().revision == revision)


def elsewhere(ask: Callable[[], str]) -> str:
    """Ask as another request would, which has no choices kept."""
    return contextvars.Context().run(ask)


@pytest.mark.parametrize("how", PLAIN)
def test_what_has_begun_finishes_across_a_plain_zero(
    store: MemoryStore, control: Control, router: Router, how: str
) -> None:
    """An open request goes on with its choice by name, by handle and by route; whoever comes now gets the baseline."""
    handle = router.split("checkout")
    with context(unit="u-1"):
        assert (router.choose("checkout"), handle.choose()) == ("new", "new")
        PLAIN[how](store, control)
        eventually(lambda: elsewhere(lambda: handle.choose("u-1")) == "old")
        assert (router.choose("checkout"), handle.choose(), router.choose("checkout", "u-1")) == ("new", "new", "new")
        assert router.decide("checkout").reason == "kept"
        with context():
            assert router.choose("checkout") == "new", "the same request"
        found = router.explain("checkout")
        assert (found.version, found.reason) == ("new", "kept")
    with context(unit="u-1"):
        assert router.choose("checkout") == "old"
    assert router.choose("checkout", "u-1") == "old"


@pytest.mark.parametrize("how", PLAIN)
def test_a_zero_that_nobody_asked_about_ends_nothing(
    store: MemoryStore, control: Control, router: Router, how: str
) -> None:
    """What has begun finishes also where the split rises again before anybody asks."""
    with context(unit="u-1"):
        assert router.choose("checkout") == "new"
        PLAIN[how](store, control)
        settled(control, router)
        control.set("checkout", 0.001)
        settled(control, router)
        assert router.choose("checkout") == "new"
    assert router.choose("checkout", "u-1") == "old"


@pytest.mark.parametrize("how", STOPS)
@pytest.mark.parametrize("first", [None, "set"])
def test_a_stop_that_nobody_asked_about_ends_it(
    store: MemoryStore, control: Control, router: Router, how: str, first: str | None
) -> None:
    """Also where it is cleared again before anybody asks, and after a plain zero that nobody asked about either."""
    with context(unit="u-1"):
        assert router.choose("checkout") == "new"
        if first is not None:
            PLAIN[first](store, control)
            settled(control, router)
        STOPS[how](store, control)
        eventually(lambda: control.history(None, 1)[0].cause in {"rollback", "edited outside"})
        settled(control, router)
        for stop in [stop.decode() for stop in store.load().stops.fields if stop != b"_"]:
            control.unstop(stop)
        control.set("checkout", 0.001, unstop=True)
        settled(control, router)
        assert router.choose("checkout") == "old"


def test_a_routed_call_finishes_too(control: Control, router: Router) -> None:
    """The kept side is called by a route as it is named by a handle."""

    @router.route("checkout", unit="user")
    def checkout(user: str) -> str:
        return "old"

    @checkout.version("new")
    def checkout_new(user: str) -> str:
        return "new"

    with context():
        assert checkout("u-1") == "new"
        control.switch("checkout", to="old")
        eventually(lambda: elsewhere(lambda: checkout("u-1")) == "old")
        assert [checkout("u-1") for _ in range(3)] == ["new"] * 3
        assert router.decide("checkout", "u-1").version == "new"
    assert checkout("u-1") == "old"


@pytest.mark.parametrize("how", STOPS)
@pytest.mark.parametrize("first", [None, *PLAIN])
def test_nothing_finishes_across_a_stop(
    store: MemoryStore, control: Control, router: Router, how: str, first: str | None
) -> None:
    """Be it placed at once or after a plain zero, and be it cleared again afterwards."""
    with context(unit="u-1"):
        assert router.choose("checkout") == "new"
        if first is not None:
            PLAIN[first](store, control)
            eventually(lambda: elsewhere(lambda: router.choose("checkout", "u-1")) == "old")
        STOPS[how](store, control)
        eventually(lambda: router.choose("checkout") == "old")
        for stop in [stop.decode() for stop in store.load().stops.fields if stop != b"_"]:
            control.unstop(stop)
        control.set("checkout", 0.001)
        settled(control, router)
        assert router.choose("checkout") == "old"


@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize("unit", ["user", None])
@pytest.mark.parametrize("armed", [False, True])
def test_a_third_version_finishes_where_one_threshold_is_left(
    store: MemoryStore, control: Control, router: Router, unit: str | None, fallback: bool, armed: bool
) -> None:
    """A routed call of an open request goes on with it as well, while others are split between the first two."""
    definition = define("ranking", ("old", "b", "c"), in_flight="finish")
    if armed:
        definition = definition._replace(guard={"action": "warn", "every_call": True, "at": 1})
    store.raw_set("splits", "ranking", dump_definition(definition))
    control.set("ranking/c", 100)

    @router.route("ranking", unit=unit, fallback=fallback)
    def rank(user: str) -> str:
        return "old"

    @rank.version("b")
    def rank_b(user: str) -> str:
        return "b"

    @rank.version("c")
    def rank_c(user: str) -> str:
        return "c"

    def asked() -> str:
        with context(unit="u-1"):
            return rank("u-1")

    eventually(lambda: asked() == "c")
    with context(unit="u-1"):
        assert rank("u-1") == "c"
        control.set("ranking/c", 0)
        control.set("ranking/b", 1)
        settled(control, router)
        eventually(lambda: elsewhere(asked) != "c")
        assert (router.choose("ranking"), rank("u-1")) == ("c", "c")


def test_what_a_definition_no_longer_says_ends_it(store: MemoryStore, control: Control, router: Router) -> None:
    """Taken out of the record while the split stands at zero, it saves no choice any more."""
    with context(unit="u-1"):
        assert router.choose("checkout") == "new"
        control.set("checkout", 0)
        eventually(lambda: elsewhere(lambda: router.choose("checkout", "u-1")) == "old")
        store.raw_set("splits", "checkout", dump_definition(define("checkout", ("old", "new"))))
        eventually(lambda: router.choose("checkout") == "old")


def test_another_candidate_s_stop_ends_nothing() -> None:
    """The ladder says the same as the compiled state: only the version's own stop counts, or one over all of it."""
    definition = define("ranking", ("a", "b", "c"), in_flight="finish")
    split_state = SplitState("ranking", definition, {"b": 20_000}, {"ranking/b": "by hand"})
    case = DecisionInput(split_state, b"u-1", {}, None, kept="c")
    assert answer(climb(case)) == ("c", "kept")
    assert answer(climb(case._replace(kept="b"))) == ("a", "stopped")
    assert answer(climb(case._replace(split_state=split_state._replace(stops={"ranking": "by hand"})))) == (
        "a",
        "stopped",
    )
    unsaid = split_state._replace(definition=define("ranking", ("a", "b", "c")))
    assert answer(climb(case._replace(split_state=unsaid))) == ("a", "stopped")


def test_a_rollback_of_everything_ends_choices_of_what_runs(control: Control, router: Router) -> None:
    """`rollback --all` takes every unfinished release with all that has begun on it."""
    with context(unit="u-1"):
        assert router.choose("checkout") == "new"
        control.rollback("*")
        eventually(lambda: router.choose("checkout") == "old")


def test_without_it_a_plain_zero_ends_every_choice(control: Control, router: Router) -> None:
    """The default: zero means nobody, a choice kept in a request too."""
    control.create("search")
    control.set("search", 100)
    with context(unit="u-1"):
        eventually(lambda: elsewhere(lambda: router.choose("search", "u-1")) == "new")
        assert router.choose("search") == "new"
        control.switch("search", to="old")
        eventually(lambda: router.choose("search") == "old")


def test_a_preview_ends_every_choice(control: Control, router: Router) -> None:
    """Whoever is named by no pin may not be there any more."""
    with context(unit="u-1"):
        assert router.choose("checkout") == "new"
        control.preview("checkout")
        eventually(lambda: router.choose("checkout") == "old")


def test_a_deleted_split_is_finished_with(control: Control, router: Router) -> None:
    """A record of the same name begins anew."""
    with context(unit="u-1"):
        assert router.choose("checkout") == "new"
        control.switch("checkout", to="old")
        eventually(lambda: elsewhere(lambda: router.choose("checkout", "u-1")) == "old")
        control.delete("checkout")
        eventually(lambda: router.decide("checkout").reason == "unknown_split")
        control.create("checkout", in_flight="finish")
        eventually(lambda: router.decide("checkout").reason != "unknown_split")
        assert router.choose("checkout") == "old"


def test_what_it_says_stands_in_the_definition() -> None:
    """Left out where it is not said, so that older libraries read the record."""
    plain, finishing = define("checkout", ("old", "new")), define("checkout", ("old", "new"), in_flight="finish")
    assert "in_flight" not in dump_definition(plain)
    assert parse_definition("checkout", dump_definition(finishing).encode()) == finishing
