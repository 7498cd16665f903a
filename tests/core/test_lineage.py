"""Beside law 7 itself (`tests/laws`): the fence and the stops where keys are lost as well."""

from __future__ import annotations

from graysplit.core.adoption import MAX_DEFINITION, Held, adopt_brakes
from graysplit.core.definition import Definition, define
from graysplit.core.lineage import Past, bare, crossed, fence, followed
from graysplit.core.record import Key, Load
from tests.core.adopting import BETTER, GOOD, TOMBSTONE, load, parse

STOPPED = Held(weights={"checkout/new": 20_000, "search/b": 5_000}, stops={"checkout": "by hand"})


def without(reading: Load, *keys: str) -> Load:
    """Lose keys of a reading."""
    return Load(**{**reading._asdict(), **dict.fromkeys(keys, Key())})


def test_what_a_lost_stop_held_is_written_back() -> None:
    """Where the key of the stops is lost, exactly what nothing else holds at zero is to become a stop again."""
    reading = load({"checkout/new": "20", "search/b": "5"})
    assert bare(STOPPED, without(reading, "stops")) == {"checkout/new": 0}
    assert bare(STOPPED, reading) == {}
    assert bare(STOPPED, without(load({"checkout/new": "0"}), "stops")) == {}
    assert bare(Held(weights=STOPPED.weights), without(reading, "stops")) == {}


def test_where_the_weights_are_lost_as_well_a_stopped_zero_is_written_back_too() -> None:
    """Who is born then may hold more of an older file, and the store says neither zero nor stop."""
    zero = STOPPED._replace(weights={"checkout/new": 0, "search/b": 0})
    assert bare(zero, without(load(), "stops", "weights")) == {"checkout/new": 0}
    assert bare(zero, without(load(), "stops")) == {}
    braked = without(load(), "weights")._replace(stops=Key({b"checkout/new": b"brake"}))
    assert bare(zero, braked) == {}


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


SHAPED = Held(definitions={"checkout": GOOD})


def turned(split: str, raw: bytes) -> Definition | None:
    """Parse with the sides changed in the second of the texts; a very long one would be a stall."""
    assert len(raw) <= MAX_DEFINITION
    if raw == b"deep":
        raise RecursionError
    return define(split, ("new", "old")) if raw == BETTER else parse(split, raw)


def test_another_baseline_or_a_deletion_is_held_back_whole() -> None:
    """Behind the fence a split whose shape differs keeps the held definition, unless a newer entry names it."""
    for raw in (BETTER, TOMBSTONE):
        reading = load({"checkout/new": "20"}, splits={"checkout": raw})
        fenced = fence(SHAPED, reading, frozenset(), turned)
        assert fenced.back.keys() == {"weights checkout/new", "splits checkout"}
        assert fenced.load.splits.fields[b"checkout"] == GOOD
        assert fenced.zeros == {}, "under another baseline a zero says something else"
        explained = fence(SHAPED, reading, frozenset({"splits checkout"}), turned)
        assert explained.load.splits.fields[b"checkout"] == raw
    assert not fence(SHAPED, load(splits={"checkout": BETTER}), frozenset(), parse).back, "the same shape"


def test_a_definition_that_cannot_be_read_is_no_other_shape() -> None:
    """It is passed on, to be refused by name like anywhere else; nothing is held, and a long one is not parsed."""
    for raw in (b"junk", b"deep", b"[" * (MAX_DEFINITION + 1)):
        reading = load({"checkout/new": "20"}, splits={"checkout": raw})
        fenced = fence(SHAPED, reading, frozenset(), turned)
        assert fenced.back.keys() == {"weights checkout/new"}
        assert fenced.load.splits.fields[b"checkout"] == raw
        assert fenced.zeros == {"checkout/new": 0}


def test_a_stop_that_says_no_time_is_as_old_as_the_last_entry_read_before() -> None:
    """A person's raise on the other side that is older than this does not outweigh it; one that is younger does."""
    past = crossed(Past("21-0", ("a",), "l"), load({"checkout/new": "20"}), STOPPED)
    assert followed(past, load()._replace(position="30-0")).fork_ms == 21
    reading = load({"checkout/new": "20"})
    assert fence(STOPPED, reading, frozenset(), parse, past.fork_ms).zeros == {"checkout/new": 21}
    told = STOPPED._replace(stops={"checkout": '{"at": 17}'})
    assert fence(told, reading, frozenset(), parse, past.fork_ms).zeros == {"checkout/new": 17}


def test_a_younger_release_is_not_stopped_at_a_later_reading_either() -> None:
    """Behind the fence a zero stays known for the release that ended with it, however often the store is read."""
    held = Held(weights={"checkout/new": 0}, releases={"checkout/new": 7})
    reading = load({"checkout/new": "20", "search/b": "5"})
    meta = {b"_": b"1", b"release:checkout/new": b"younger 9", b"release:search/b": b"other 8"}
    reading = reading._replace(meta=Key(meta))
    for _ in range(2):
        fenced = fence(held, reading, frozenset({"weights search/b"}), parse)
        assert fenced.zeros == {"checkout/new": 7}
        held, _ = adopt_brakes(held, fenced.load)
        assert held.releases == {"checkout/new": 7, "search/b": 8}
