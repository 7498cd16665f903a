"""Beside law 7 itself (`tests/laws`): the fence and the stops where keys are lost as well."""

from __future__ import annotations

from graysplit.core.adoption import Held
from graysplit.core.lineage import bare, fence
from graysplit.core.record import Key, Load
from tests.core.adopting import load, parse

STOPPED = Held(weights={"checkout/new": 20_000, "search/b": 5_000}, stops={"checkout": "by hand"})


def without(reading: Load, *keys: str) -> Load:
    """Lose keys of a reading."""
    return reading._replace(**dict.fromkeys(keys, Key()))


def test_what_a_lost_stop_held_is_written_back() -> None:
    """Where the key of the stops is lost, exactly what nothing else holds at zero is to become a stop again."""
    reading = load({"checkout/new": "20", "search/b": "5"})
    assert bare(STOPPED, without(reading, "stops")) == {"checkout/new": 0}
    assert bare(STOPPED, reading) == {}
    assert bare(STOPPED, without(load({"checkout/new": "0"}), "stops")) == {}
    assert bare(Held(weights=STOPPED.weights), without(reading, "stops")) == {}


def test_a_stop_written_back_is_not_written_again() -> None:
    """The lost key holds it now, be it without its field `_`."""
    reading = load({"checkout/new": "20"})._replace(stops=Key({b"checkout/new": b"brake"}))
    assert bare(STOPPED, reading) == {}


def test_a_lost_weights_key_lets_nobody_in_behind_the_fence() -> None:
    """A stop that the store has lost together with its weights holds what is held of them."""
    fenced = fence(STOPPED, without(load(), "weights"), frozenset(), parse)
    assert b"checkout/new" in fenced.load.stops.fields
    assert b"search/b" not in fenced.load.stops.fields
    assert fenced.zeros == {"checkout/new": 0}
