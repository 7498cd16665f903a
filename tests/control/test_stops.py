"""A stop is somebody's: who would clear it sees whose it is and says so; what becomes of stops is told as written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graysplit.control import Control
from graysplit.control.control import Question
from graysplit.control.steps import Step
from graysplit.control.stop_note import StopNote
from graysplit.errors import BadValueError, RefusedError
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock
from tests.control.processes import live

CLEARS: dict[str, Callable[..., object]] = {
    "set": lambda control, **more: control.set("checkout", 20, **more),
    "ramp": lambda control, **more: control.ramp("checkout", (Step(5, 600), Step(50)), **more),
    "switch": lambda control, **more: control.switch("checkout", to="new", **more),
    "switch in steps": lambda control, **more: control.switch("checkout", to="new", over=0.05, **more),
    "preview": lambda control, **more: control.preview("checkout", **more),
    "undo": lambda control, **more: control.undo("checkout", force=True, **more),
}


@pytest.fixture
def clock() -> MovedClock:
    """Time that stands until it is moved."""
    return MovedClock()


@pytest.fixture
def store(clock: MovedClock) -> MemoryStore:
    """Make a split at 20 %, whose code lives, and have ada roll it back."""
    store = MemoryStore(clock=clock)
    live(store)
    ada = Control(store, actor="ada")
    ada.create("checkout")
    ada.set("checkout", 20)
    ada.rollback("checkout", why="errors doubled")
    return store


@pytest.mark.parametrize("verb", CLEARS)
def test_a_colleagues_stop_is_not_cleared_without_a_word(store: MemoryStore, verb: str) -> None:
    """Whoever agrees to everything else has not agreed to that: it says who, when and why, and how to."""
    stops, entries = store.load().stops, store.history()
    with pytest.raises(RefusedError, match=r"by ada, 20\d\d-.*errors doubled.*unstop=True"):
        CLEARS[verb](Control(store, actor="bob", confirm=True))
    assert (store.load().stops, store.history()) == (stops, entries)


@pytest.mark.parametrize("verb", CLEARS)
def test_with_a_word_it_is_cleared_and_told(store: MemoryStore, verb: str) -> None:
    """`unstop=True` is that word; the result has what the stop said."""
    text = store.load().stops.fields[b"checkout"].decode()
    result = CLEARS[verb](Control(store, actor="bob", confirm=True), unstop=True)
    cleared: dict[str, StopNote] = getattr(result, "cleared")  # noqa: B009 - results of several verbs
    assert cleared == {"checkout": StopNote(text)}
    note = cleared["checkout"]
    assert (note.who, note.at_ms, note.why) == ("ada", 1_700_000_000_000, "errors doubled")
    assert getattr(result, "stops") == {"checkout": (StopNote(text), None)}  # noqa: B009
    assert b"checkout" not in store.load().stops.fields


@pytest.mark.parametrize("verb", CLEARS)
def test_a_function_that_confirms_is_shown_the_stop(store: MemoryStore, verb: str) -> None:
    """It hears whose it is, and may refuse; where `unstop` was said it hears of the rest alone."""
    text = store.load().stops.fields[b"checkout"].decode()
    heard: list[dict[str, str]] = []

    def refuse(question: Question) -> None:
        heard.append(dict(question.stops))
        raise RefusedError("no")

    with pytest.raises(RefusedError, match=r"^no$"):
        CLEARS[verb](Control(store, actor="bob", confirm=refuse))
    assert heard == [{"checkout": text}]
    assert b"checkout" in store.load().stops.fields
    heard.clear()
    CLEARS[verb](Control(store, actor="bob", confirm=lambda question: heard.append(dict(question.stops))), unstop=True)
    assert heard in ([], [{}])


def test_what_clears_no_stop_needs_no_word(store: MemoryStore) -> None:
    """A zero beneath it, another split, a dry run."""
    bob = Control(store, actor="bob")
    assert bob.set("checkout", 0).stops == {}
    assert bob.set("checkout", 20, dry_run=True).cleared.keys() == {"checkout"}
    bob.create("search")
    bob.set("search", 20)
    assert b"checkout" in store.load().stops.fields


def test_a_stop_over_others_above_zero_is_not_theirs_to_clear(store: MemoryStore) -> None:
    """`*` and a split's stop also hold others: they are named, with the verb for all of them; so it is for undo."""
    bob = Control(store, actor="bob", confirm=True)
    bob.create("ranking", ("a", "b", "c"))
    bob.set("ranking/b", 10)
    store.raw_set("stops", "*", "by hand")
    for act in (
        lambda: bob.set("checkout", 20, unstop=True),
        lambda: bob.preview("checkout", unstop=True),
        lambda: bob.ramp("checkout", (Step(5, 600), Step(50)), unstop=True),
        lambda: bob.switch("checkout", to="new", unstop=True),
    ):
        with pytest.raises(RefusedError, match=r"'\*' also holds ranking/b at zero.*graysplit unstop '\*'"):
            act()
    store.raw_delete("stops", "*")
    bob.rollback("ranking/b")
    bob.unstop("ranking/b")
    bob.set("ranking", weights={"b": 10})
    store.raw_delete("weights", "ranking/c")
    bob.rollback("ranking")
    store.raw_set("weights", "ranking/c", "30")
    with pytest.raises(RefusedError, match="'ranking' also keeps ranking/c at zero"):
        bob.undo("ranking", force=True, unstop=True)
    assert b"ranking" in store.load().stops.fields


def test_a_weight_without_a_readable_definition_counts_too(store: MemoryStore) -> None:
    """Processes hold the last good definition: what stands under a stop would rise there."""
    bob = Control(store, actor="bob")
    bob.create("search")
    bob.set("search", 40)
    store.raw_set("splits", "search", "{broken")
    store.raw_set("stops", "*", "by hand")
    with pytest.raises(RefusedError, match=r"'\*' also keeps search/new at zero"):
        bob.set("checkout", 20, unstop=True, confirm=True)
    with pytest.raises(RefusedError, match="search/new"):
        bob.unstop("*")
    assert b"*" in store.load().stops.fields
    bob.unstop("*", confirm=True)
    release = store.load().meta.fields[b"release:search/new"].decode()
    assert release.startswith(store.history()[0].id)


def test_unstop_says_what_still_stops_it(store: MemoryStore) -> None:
    """One stop less is not always none."""
    ada = Control(store, actor="ada")
    ada.rollback("checkout/new", why="to be sure")
    result = ada.unstop("checkout")
    assert result.cleared.keys() == {"checkout"}
    assert [note for note in result.notes if note.startswith("still stopped by checkout/new: by ada")]


def test_a_stop_that_holds_nobody_stops_nothing(store: MemoryStore) -> None:
    """A mistyped rollback leaves a stop of a version that is not there; the raise is in force beside it."""
    ada = Control(store, actor="ada")
    ada.rollback("checkout/nwe", why="mistyped")
    assert ada.set("checkout", 20, unstop=True, confirm=True).notes == ()
    ada.rollback("checkout", why="again")
    ada.rollback("checkout/new", why="to be sure")
    (note,) = ada.set("checkout", 20, unstop=True, confirm=True).notes or ("",)
    assert "nwe" not in note


def test_undo_of_a_second_rollback_says_what_it_writes(store: MemoryStore) -> None:
    """The stop stays the first one's; one that an older graysplit replaced is put back."""
    first = store.load().stops.fields[b"checkout"].decode()
    bob = Control(store, actor="bob")
    again = bob.rollback("checkout", why="to be sure")
    assert again.stops == {"checkout": (StopNote(first), StopNote(first))}
    undone = bob.undo("checkout")
    assert (undone.cleared, undone.stops) == ({}, {"checkout": (StopNote(first), StopNote(first))})
    assert store.load().stops.fields[b"checkout"].decode() == first


def test_a_lease_ends_where_it_was_shown_to(store: MemoryStore, clock: MovedClock) -> None:
    """A person thinks for a while: what they were shown is what is written; thinking too long is an answer too."""
    said: list[str] = []

    def slowly(question: Question) -> None:
        said.append(question.ask or "")
        clock.now += 7

    control = Control(store, actor="ada", confirm=slowly)
    begun_ms = store.load().now_ms
    result = control.set("checkout", 100, for_=300, unstop=True)
    (lease,) = result.leases.values()
    assert (lease.until_ms, lease.then) == (begun_ms + 300_000, 0)
    assert store.load().meta.fields[b"lease:checkout/new"].decode() == str(lease)
    assert "for 5 min, until 20" in said[0]
    assert result.notes[0].startswith("checkout/new is at 100% for 5 min, until 20")
    assert result.notes[0].endswith("Z, then at 0%")
    control.set("checkout", 5)
    with pytest.raises(RefusedError, match="before the confirmation"):
        control.set("checkout", 100, for_=3)
    assert store.load().weights.fields[b"checkout/new"] == b"5"


@pytest.mark.parametrize("for_", [0, 0.0001, -5, float("nan"), float("inf")])
def test_a_time_that_is_none_is_wrong_usage(store: MemoryStore, for_: float) -> None:
    """Nothing is written for a moment."""
    entries = store.history()
    for verb in ("set", "freeze"):
        with pytest.raises(BadValueError):
            getattr(Control(store), verb)("checkout", *([20] if verb == "set" else []), for_=for_)
    assert store.history() == entries


@pytest.mark.parametrize("text", ["by hand", "", "[]", '{"who": 7, "at": "now"}', "{" * 5_000])
def test_a_note_may_say_anything(text: str) -> None:
    """What stands in the store by hand is kept as text, and nothing is raised."""
    note = StopNote(text)
    assert (note.text, note.at_ms, note.why) == (text, None, "")
    assert note.who in {"", "7"}
