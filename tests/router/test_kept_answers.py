"""What a context has answered stands for its life, a lowering to zero excepted; and it belongs to its view."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from contextlib import ExitStack
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graysplit
from graysplit import Control, Router
from graysplit.router.call_counts import UNKNOWN
from graysplit.scope import MISSING, Scope
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


UUID_TEXT = "12345678-1234-5678-1234-567812345678"
FORMS: dict[str, list[object]] = {"7": [MISSING, "7", 7, b"7"], "8": ["8", 8], UUID_TEXT: [UUID_TEXT, UUID(UUID_TEXT)]}
STEP = st.one_of(
    st.sampled_from([(unit, form) for unit, forms in FORMS.items() for form in forms]),
    st.sampled_from([0.001, 30.0, 50.0, 70.0, 100.0]),
    st.just("nest"),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    steps=st.lists(STEP, min_size=2, max_size=12),
    ways=st.lists(st.sampled_from(("name", "handle", "decide")), min_size=1),
)
def test_one_unit_has_one_answer_however_it_is_asked_for(
    store: MemoryStore, router: Router, steps: list[object], ways: list[str]
) -> None:
    """The straight line of a first question and the ladder keep the same, whatever is raised in between."""
    handle = router.split("checkout", "old", "new")
    ask: dict[str, Callable[..., str]] = {
        "name": lambda unit: router.choose("checkout", unit),
        "handle": handle.choose,
        "decide": lambda unit: router.decide("checkout", unit).version,
    }
    counts = router._lifecycle.states.state("checkout").counts
    before, asked, known = sum(meter.read() for meter in counts.started), 0, dict[str, str]()
    with ExitStack() as stack:
        stack.enter_context(graysplit.context("7"))
        for number, step in enumerate(steps):
            if step == "nest":
                stack.enter_context(graysplit.context(attributes={"plan": "pro"}))
            elif isinstance(step, float):
                Control(store).set("checkout", step, confirm=True, allow_needless=True)
                assert eventually(
                    lambda step=step: router._lifecycle.states.state("checkout").weights[1] == step * 1000
                )
            elif isinstance(step, tuple):
                unit, form = step
                version = ask[ways[number % len(ways)]](form)
                state = router._lifecycle.states.state("checkout")
                assert version == known.setdefault(unit, state.names[state.pick(unit.encode())[0]])
                asked += 1
    assert sum(meter.read() for meter in counts.started) - before == asked


def test_threads_of_one_request_have_one_answer_while_weights_are_raised(store: MemoryStore, router: Router) -> None:
    """Whoever keeps a choice first keeps it for all, also where the others know the unit by another form."""
    forms = [MISSING, "7", 7, b"7", "8"]  # the last is another unit, with `new` at both weights
    stop = threading.Event()

    def flip() -> None:
        weights = [30.0, 70.0]
        while not stop.is_set():
            for weight in weights:
                Control(store).set("checkout", weight, allow_needless=True)

    flipper = threading.Thread(target=flip)
    flipper.start()
    try:
        met = set[str]()
        for _ in range(150):
            with graysplit.context("7"):
                gate, answers = threading.Barrier(len(forms)), dict[object, str]()

                def ask(form: object, gate: threading.Barrier = gate, answers: dict[object, str] = answers) -> None:
                    gate.wait(5)
                    answers[form] = router.choose("checkout", form)  # type: ignore[arg-type] # units of all kinds

                threads = [threading.Thread(target=contextvars.copy_context().run, args=(ask, form)) for form in forms]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            assert len(answers) == len(forms)
            assert answers.pop("8") == "new"
            assert len(set(answers.values())) == 1
            met |= set(answers.values())
    finally:
        stop.set()
        flipper.join()
    assert met == {"old", "new"}


def test_a_thread_that_comes_second_with_another_unit_gets_that_units_answer(router: Router) -> None:
    """Both find no entry: one has kept its unit where the hot path looks before the other does."""
    state, decisions = router._lifecycle.states.state("checkout"), router._lifecycle.decisions
    scope = Scope("7")
    assert decisions.draw(scope, state, MISSING) == 0
    assert decisions.draw(scope, state, "8") == 1
    assert decisions.draw(scope, state, "7") == decisions.draw(scope, state, 7) == 0
    assert (scope.kept(state.key, b"7"), scope.kept(state.key, b"8")) == (0, 1)
