"""Beside law 7 itself (`tests/laws`): the fence and the stops where keys are lost as well."""

from __future__ import annotations

from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import given

from graysplit.core.address import split_of
from graysplit.core.definition import Definition, define
from graysplit.core.entry import Entry
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import MAX_DEFINITION, adopt_brakes
from graysplit.core.replica.lineage import Past, bare, crossed, fence, followed
from graysplit.core.replica.record import Key, Load
from graysplit.core.weights import format_weight
from tests.core.adopting import BETTER, GOOD, TOMBSTONE, adopt, load, parse

STOPPED = Adopted(weights={"checkout/new": 20_000, "search/b": 5_000}, stops={"checkout": "by hand"})


def without(reading: Load, *keys: str) -> Load:
    """Lose keys of a reading."""
    return Load(**{**reading._asdict(), **dict.fromkeys(keys, Key())})


def test_what_a_lost_stop_held_is_written_back() -> None:
    """Where the key of the stops is lost, exactly what nothing else holds at zero is to become a stop again."""
    reading = load({"checkout/new": "20", "search/b": "5"})
    assert bare(STOPPED, without(reading, "stops")) == {"checkout/new": 0}
    assert bare(STOPPED, reading) == {}
    assert bare(STOPPED, without(load({"checkout/new": "0"}), "stops")) == {}
    assert bare(Adopted(weights=STOPPED.weights), without(reading, "stops")) == {}


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


SHAPED = Adopted(definitions={"checkout": GOOD})


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
    held = Adopted(weights={"checkout/new": 0}, releases={"checkout/new": 7})
    reading = load({"checkout/new": "20", "search/b": "5"})
    meta = {b"_": b"1", b"release:checkout/new": b"younger 9", b"release:search/b": b"other 8"}
    reading = reading._replace(meta=Key(meta))
    for _ in range(2):
        fenced = fence(held, reading, frozenset({"weights search/b"}), parse)
        assert fenced.zeros == {"checkout/new": 7}
        held, _ = adopt_brakes(held, fenced.load)
        assert held.releases == {"checkout/new": 7, "search/b": 8}


# --- another lineage: what is absent is untold ---

KNOWN = Past("5-1", ("a", "b"), "first", read_ms=5)
FINISHED = Adopted(
    weights={"checkout/new": 50_000, "search/new": 100_000, "gone/new": 20_000},
    stops={"gone": "failed"},
    definitions={"checkout": GOOD, "search": GOOD, "gone": GOOD},
    begun={"search/new": "r-1"},
    releases={"search/new": 3},
    revision=9,
    seen={"weights": {}, "splits": {}},
)


def entry(id_: str, revision: int, after: Mapping[str, str | None]) -> Entry:
    """Return an entry of a log."""
    return Entry(id_, revision, "", "set", "ada", "", 10, {}, after)


def of_lineage(reading: Load, lineage: str, revision: int, *entries: Entry) -> Load:
    """Return a reading a lineage, a revision and the log's newest entries."""
    meta = {**reading.meta.fields, b"lineage": lineage.encode(), b"revision": str(revision).encode()}
    return reading._replace(meta=Key(meta), entries=entries, position="10-1", now_ms=20)


def believed(past: Past, reading: Load) -> tuple[Past, Adopted, Mapping[str, str]]:
    """Cross over to a log, and adopt what may be believed of its reading."""
    after = crossed(past, reading, FINISHED)
    fenced = fence(FINISHED, reading, after.explained or frozenset(), parse, after.fork_ms, after.untold)
    return after, adopt(FINISHED, fenced.load), fenced.back


def test_what_another_lineage_does_not_name_stands() -> None:
    """Weights, the stops over them, definitions and releases stay as they were, and are told."""
    reading = of_lineage(load(splits={"banner": GOOD}), "x", 1, entry("x", 1, {"splits banner": "..."}))
    _, held, back = believed(KNOWN, reading)
    assert held.weights == FINISHED.weights
    assert held.stops == {"gone/new": "failed"}
    assert held.definitions == {**FINISHED.definitions, "banner": GOOD}
    assert (held.begun, held.releases) == (FINISHED.begun, FINISHED.releases)
    assert back.keys() == {
        *(f"weights {field}" for field in FINISHED.weights),
        *(f"splits {split}" for split in FINISHED.definitions),
        "stops gone/new",
    }


@pytest.mark.parametrize(
    ("lineage", "revision", "number", "stands"),
    [
        ("first", 9, 0, False),  # the log was cut, and is this one
        ("first", 900, 700, False),  # as above: this process was away for long
        ("first", 7, 7, True),  # a backup from before
        ("first", 12, 7, True),  # as above, with changes since
        ("x", 900, 700, True),
    ],
)
def test_within_a_lineage_numbers_order(lineage: str, revision: int, number: int, *, stands: bool) -> None:
    """A log that only lost its older entries goes on, and absent is zero; an older one says nothing of newer fields."""
    entries = [entry("z", number, {"weights other/new": "5"})] if number else []
    past, held, _ = believed(KNOWN, of_lineage(load(), lineage, revision, *entries))
    assert (held.weights.get("search/new", 0) == 100_000) == stands
    assert bool(past.untold) == stands


def test_untold_ends_with_a_word_and_with_the_log_that_was_known() -> None:
    """A weight named or written, a definition's end, the old log: each ends what it concerns."""
    past, _, _ = believed(KNOWN, of_lineage(load(), "x", 1, entry("x", 1, {"splits banner": "..."})))
    set_ = of_lineage(load(), "x", 2, entry("y", 2, {"weights search/new": None}))
    assert {place for place in past.untold if "search" in place} == {"weights search/new", "splits search"}
    assert "weights search/new" not in followed(past, set_).untold
    by_hand = of_lineage(load({"search/new": "0"}), "x", 2)
    assert "weights search/new" not in followed(past, by_hand).untold
    stopped = of_lineage(load(stops={"gone": "again"}), "x", 2)
    assert "stops gone/new" not in followed(past, stopped).untold
    over = of_lineage(load(), "x", 2, entry("y", 2, {"splits gone": None}))
    assert not any("gone" in place for place in followed(past, over).untold)
    again = of_lineage(load(), "x", 2, entry("x", 1, {}), entry("w", 2, {}))
    assert crossed(past, again, FINISHED).untold == past.untold, "forked after it was crossed to: untold all the same"
    back = of_lineage(load(), "first", 9, entry("a", 8, {}), entry("b", 9, {}))
    assert crossed(past, back, FINISHED).untold == frozenset()


FIELDS = ("checkout/new", "search/new", "gone/new", "banner/new")


@given(
    st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 100_000), max_size=4),
    st.sets(st.sampled_from(FIELDS)),
    st.booleans(),
)
def test_no_absent_field_moves_but_by_a_name(store: dict[str, int], named: set[str], begun_before: bool) -> None:
    """Of a log that shares no entry: what is there counts by law 7, what is named counts, all else stands."""
    after = {f"weights {field}": format_weight(store[field]) if field in store else None for field in sorted(named)}
    at_ms = 1 if begun_before else 10
    first = entry("x", 1, after)._replace(at_ms=at_ms)
    texts = {field: format_weight(weight) for field, weight in store.items()}
    _, held, back = believed(KNOWN, of_lineage(load(texts), "x", 1, first))
    for field in FIELDS:
        known, found = FINISHED.weights.get(field, 0), held.weights.get(field, 0)
        if field in store:
            assert found == (store[field] if field in named and not begun_before else min(known, store[field])) or (
                split_of(field) == "gone"
            )
        elif field in named:
            assert found == 0
        else:
            assert found == known
            assert not known or f"weights {field}" in back
