"""A handle names versions, counts exposures, and measures attempts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.bucketing import encode_unit
from graysplit.core.compiled import CompiledSplit
from graysplit.routes.handle import Split
from graysplit.scope_entry import context
from tests.routes.making import FakeChooser, a_state, in_threads, read
from tests.routes.test_routed import HOSTILE

FIVE = {"b": 10.0, "c": 25.0, "d": 5.001, "e": 30.0}


def a_handle(weights: dict[str, float], **wishes: Any) -> tuple[Split[str], CompiledSplit, FakeChooser]:
    """Make a handle with its state and chooser."""
    state, chooser = a_state(weights, **wishes), FakeChooser()
    return Split("checkout", ("old", *weights), state, chooser), state, chooser


def test_it_says_what_it_is() -> None:
    """Name, versions and baseline are its own, as the code declares them."""
    handle, _, _ = a_handle({"new": 20})
    assert (handle.name, handle.versions, handle.baseline) == ("checkout", ("old", "new"), "old")
    assert repr(handle) == "<graysplit split 'checkout': old, new>"


@given(st.lists(st.text() | st.integers() | st.binary(), max_size=60), st.sampled_from([0, 20, 100, None]))
def test_it_chooses_as_the_state_does(units: list[Any], weight: float | None) -> None:
    """Law 1: with one candidate and with several, straight line and ladder give one answer, counted once."""
    handle, state, _ = a_handle(FIVE if weight is None else {"new": weight})
    expected = [state.names[state.pick(encoded)[0]] if (encoded := encode_unit(unit)) else "old" for unit in units]
    assert [handle.choose(unit) for unit in units] == expected
    assert [handle.decide(unit).version for unit in units] == expected
    counted = sum(read(state)["started"]) + state.counts.other(0, "no_unit").read()
    assert counted == 2 * len(units)


@pytest.mark.parametrize("weight", [0, 20, 100])
@pytest.mark.parametrize("unit", HOSTILE, ids=lambda unit: type(unit).__name__)
@pytest.mark.parametrize("scoped", [False, True])
def test_hostile_units_get_the_documented_answer(weight: float, unit: Any, *, scoped: bool) -> None:
    """No unit crashes a question; what is no unit gets the baseline, also at 100 %."""
    handle, state, _ = a_handle({"new": weight})
    encoded = encode_unit(unit)
    expected = state.names[state.pick(encoded)[0]] if encoded else "old"
    if scoped:
        with context():
            assert [handle.choose(unit), handle.decide(unit).version, handle.choose(unit)] == [expected] * 3
    else:
        assert [handle.choose(unit=unit), handle.decide(unit=unit).version] == [expected] * 2


def test_a_decision_says_why() -> None:
    """Version and reason, without a second question."""
    handle, state, _ = a_handle({"new": 100}, pins={"u-2": "old"})
    assert handle.decide("u-1")[:3] == ("checkout", "new", "bucket")
    assert handle.decide("u-2")[:3] == ("checkout", "old", "pin")
    assert handle.decide(None).reason == "no_unit"
    with context():
        assert [handle.decide("u-1").reason for _ in range(2)] == ["bucket", "kept"]
    handle._swap(a_state({"new": 100}, counts=state.counts))
    assert handle.decide("u-1").reason == "bucket"
    assert handle.decide("u-1") is handle.decide("u-3")


def test_the_contexts_unit_is_kept() -> None:
    """In a context the first choice is the router's; the next ones are found where the hot path looks."""
    for weights in ({"new": 50.0}, FIVE):
        handle, state, chooser = a_handle(weights)
        for number in range(40):
            with context(unit=f"u-{number}"):
                answers = [handle.choose() for _ in range(3)]
            assert answers == [state.names[state.pick(b"u-%d" % number)[0]]] * 3
        assert len(chooser.asked) == 40
        assert sum(read(state)["started"]) == 120
        assert handle.choose() == "old"


def test_two_units_in_one_request_get_their_own_versions() -> None:
    """A choice is kept for its unit only (law 1)."""
    handle, state, _ = a_handle({"new": 50})
    with context():
        for number in [*range(20), *range(20)]:
            assert handle.choose(f"u-{number}") == state.names[state.pick(b"u-%d" % number)[0]]


def test_an_absent_version_is_counted_apart() -> None:
    """What stands in for a version that this process lacks is no exposure of the baseline's."""
    handle, state, _ = a_handle({"b": 50.0, "c": 50.0}, calls={"old": print, "b": print})
    answers = [handle.choose(f"u-{number}") for number in range(100)]
    assert answers.count("old") == state.counts.other(0, "version_absent").read() > 0
    assert read(state)["started"] == [0, answers.count("b"), 0]


# Attempts


def _attempts(state: CompiledSplit) -> dict[str, list[int]]:
    counts = state.counts
    return {**read(state), "entered": [meter.read() for meter in counts.entered]}


def test_an_attempt_is_measured() -> None:
    """The version is yielded; a block that ends well is begun and finished."""
    handle, state, _ = a_handle({"new": 100})
    with handle.attempt(unit="u-1") as version:
        assert version == "new"
        assert _attempts(state) == {"started": [0, 1], "entered": [0, 1], "finished": [0, 0], "failed": [0, 0]}
    assert _attempts(state) == {"started": [0, 1], "entered": [0, 1], "finished": [0, 1], "failed": [0, 0]}


def test_choosing_is_no_measured_call() -> None:
    """`choose` counts an exposure only: nothing runs that could be waited for."""
    handle, state, _ = a_handle({"new": 100})
    handle.choose("u-1")
    assert _attempts(state) == {"started": [0, 1], "entered": [0, 0], "finished": [0, 0], "failed": [0, 0]}


@pytest.mark.parametrize(
    ("kind", "failures"), [(ValueError, 1), (KeyboardInterrupt, 0), (asyncio.CancelledError, 0), (GeneratorExit, 0)]
)
def test_what_an_attempt_raises_is_its_versions_failure(kind: type[BaseException], failures: int) -> None:
    """The error passes through untouched; being cut short is no failure."""
    for weight, side in ((0, 0), (100, 1)):
        handle, state, _ = a_handle({"new": weight})
        error = kind()
        with pytest.raises(kind) as caught, handle.attempt(unit="u-1"):
            raise error
        assert caught.value is error
        assert error.__context__ is None
        assert read(state)["failed"][side] == failures
        assert read(state)["finished"] == [0, side]


def test_attempts_may_be_nested_and_used_again() -> None:
    """One attempt may be entered within itself and many times; each entry is measured for its own version."""
    handle, state, _ = a_handle({"new": 100})
    attempt = handle.attempt(unit="u-1")
    with attempt as outer:
        handle._swap(a_state({"new": 0}, counts=state.counts))
        with pytest.raises(ValueError, match="inner"), attempt as inner:
            raise ValueError("inner")
        assert (outer, inner) == ("new", "old")
    with attempt as again:
        assert again == "old"
    assert read(state) == {"started": [2, 1], "finished": [0, 1], "failed": [1, 0]}


def test_a_plain_with_serves_coroutines() -> None:
    """Deciding never waits, so that async code measures with the same block."""
    handle, state, _ = a_handle({"new": 100})

    async def many() -> None:
        async def one(number: int) -> None:
            with handle.attempt(unit=f"u-{number}"):
                await asyncio.sleep(0)
                if number % 4 == 0:
                    raise LookupError

        await asyncio.gather(*(one(number) for number in range(20)), return_exceptions=True)

    asyncio.run(many())
    assert read(state) == {"started": [0, 20], "finished": [0, 20], "failed": [0, 5]}


def test_pinned_attempts_are_never_evidence() -> None:
    """A pinned unit's block is not counted among those drawn by the hash."""
    handle, state, _ = a_handle({"new": 1}, pins={"u-1": "new"})
    with pytest.raises(ValueError, match="pinned"), handle.attempt(unit="u-1") as version:
        raise ValueError("pinned")
    assert version == "new"
    assert _attempts(state) == {"started": [0, 0], "entered": [0, 0], "finished": [0, 0], "failed": [0, 0]}


def test_no_exposure_is_lost() -> None:
    """Eight threads ask while states are swapped: each question is counted once."""
    handle, state, _ = a_handle({"new": 20})
    states = [a_state({"new": weight}, counts=state.counts) for weight in (0, 50, 100)]
    calls, threads = 20_000, 8

    def work(place: int) -> None:
        for number in range(calls):
            handle.choose(f"u-{place}-{number}")

    in_threads(work, threads, meanwhile=lambda: [handle._swap(state) for state in states])
    assert sum(read(state)["started"]) == calls * threads
