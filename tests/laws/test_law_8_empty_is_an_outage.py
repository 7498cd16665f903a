"""Law 8: an empty answer is an outage. A key without its field `_` is lost, and its last content stands.

With it, a missing weight is 0 and a missing stop is cleared. Deleting a split is a recorded change with a tombstone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import adopt_brakes, state_of
from graysplit.core.replica.record import Key, Load
from graysplit.core.weights import Weight, parse_weight, rises
from graysplit.errors import BadWeightError
from tests.core.adopting import GOOD, TOMBSTONE, adopt, load
from tests.strategies import plain

FIELDS = ("checkout/new", "checkout/b", "search/new")
TEXTS = ("0", "", "5", "20", "20.0", "100", "preview", "nonsense", "101", "1_0")


class Reading(NamedTuple):
    """What a store shows once."""

    weights: Mapping[str, str]
    stops: Mapping[str, str]
    sound: bool
    fault: bool = False


readings = st.builds(
    Reading,
    st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(TEXTS)),
    st.dictionaries(st.sampled_from(("checkout", "search/new", "*")), st.sampled_from(("", "by hand"))),
    st.sampled_from((True, True, False)),
    st.sampled_from((False, False, False, True)),
)


def key(fields: Mapping[str, str], reading: Reading) -> Key:
    """Return a hash as it is read."""
    if reading.fault:
        return Key({}, "WRONGTYPE")
    sentinel = {b"_": b"1"} if reading.sound else {}
    return Key({**sentinel, **{field.encode(): text.encode() for field, text in fields.items()}})


def modelled(weights: Mapping[str, Weight], reading: Reading) -> dict[str, Weight]:
    """Return the weights after a reading, by the law's words alone."""
    sound = reading.sound and not reading.fault
    found: dict[str, Weight] = {} if sound else dict(weights)
    for field, text in {} if reading.fault else reading.weights.items():
        try:
            weight = parse_weight(text)
        except BadWeightError:
            if field in weights:
                found[field] = weights[field]
            continue
        if sound or not rises(weights.get(field, 0), weight):
            found[field] = weight
    return found


@settings(max_examples=300)
@given(st.lists(readings, min_size=1, max_size=6))
def test_any_row_of_readings_gives_what_the_law_says(row: list[Reading]) -> None:
    """Sound, lost and faulty readings in any order leave exactly the weights and stops of a naive model."""
    held = Adopted()
    weights: dict[str, Weight] = {}
    stops: dict[str, str] = {}
    for reading in row:
        sound = reading.sound and not reading.fault
        before = held
        held, touched = adopt_brakes(
            held, Load(weights=key(reading.weights, reading), stops=key(reading.stops, reading))
        )
        weights = modelled(weights, reading)
        seen = {} if reading.fault else dict(reading.stops)
        stops = seen if sound else {**stops, **seen}
        assert {field: weight for field, weight in held.weights.items() if weight != 0} == {
            field: weight for field, weight in weights.items() if weight != 0
        }
        assert held.stops == stops
        assert set(held.lost) == (set() if sound else {"weights", "stops"}) | {"splits", "meta"}
        for split in ("checkout", "search"):
            definition = plain({"new": 0, "b": 0}).definition
            if state_of(before, split, definition) != state_of(held, split, definition):
                assert split in touched or "*" in touched


@pytest.mark.parametrize(
    "key", [Key(), Key({b"checkout/new": b"50"}), Key({}, "WRONGTYPE Operation against a key")], ids=range(3)
)
def test_a_lost_key_leaves_all_weights_as_they_are(key: Key) -> None:
    """Missing, without its sentinel, or of the wrong type: the last content stands, and `lost` says why."""
    held = adopt(Adopted(), load(weights={"checkout/new": "20"}))
    after = adopt(held, load()._replace(weights=key))
    assert after.weights == held.weights == {"checkout/new": 20_000}
    assert after.lost["weights"] == key.lost is not None


def test_hdel_of_the_last_weight_is_zero() -> None:
    """A weights key with nothing but its sentinel is an answer: everything is at zero."""
    held = adopt(Adopted(), load(weights={"checkout/new": "20"}))
    assert adopt(held, load(weights={})).weights == {}


def test_hdel_of_the_last_stop_clears_it() -> None:
    """A stops key with nothing but its sentinel holds nothing at zero."""
    held = adopt(Adopted(), load(stops={"checkout": "by hand"}))
    assert held.stops == {"checkout": "by hand"}
    assert adopt(held, load(stops={})).stops == {}


def test_a_raise_seen_while_the_key_was_lost_counts_once_it_is_sound() -> None:
    """The same bytes that a lost key could not raise with are obeyed when the sentinel is there again."""
    held = adopt(Adopted(), load(weights={"checkout/new": "20"}))
    lost = adopt(held, load()._replace(weights=Key({b"checkout/new": b"50"})))
    assert lost.weights == {"checkout/new": 20_000}
    assert adopt(lost, load(weights={"checkout/new": "50"})).weights == {"checkout/new": 50_000}


def test_a_weight_gone_while_the_key_was_lost_is_zero_once_it_is_sound() -> None:
    """What the sound key does not have is at zero, also beside a field that cannot be read."""
    held = adopt(Adopted(), load(weights={"checkout/new": "20"}))
    lost = adopt(held, load()._replace(weights=Key({}, "WRONGTYPE")))
    after = adopt(lost, load(weights={"search/new": "nonsense"}))
    assert after.weights.get("checkout/new", 0) == 0
    assert set(after.refused) == {("weights", "search/new")}


def test_a_definition_gone_without_a_tombstone_stands() -> None:
    """An HDEL of a definition deletes nothing: it is named, and the last one stands."""
    held = adopt(Adopted(), load(splits={"checkout": GOOD, "search": GOOD}))
    after = adopt(held, load(splits={"search": GOOD}))
    assert after.definitions == held.definitions
    assert "deleted without a record" in after.refused["splits", "checkout"]


def test_a_definition_gone_once_is_taken_up_when_it_comes_back() -> None:
    """The same bytes again end the complaint."""
    held = adopt(Adopted(), load(splits={"checkout": GOOD}))
    gone = adopt(held, load(splits={}))
    assert gone.refused
    back = adopt(gone, load(splits={"checkout": GOOD}))
    assert back.refused == {}
    assert back.definitions == {"checkout": GOOD}


def test_a_tombstone_deletes() -> None:
    """A recorded deletion takes the definition away, and nothing is refused."""
    held = adopt(Adopted(), load(splits={"checkout": GOOD}))
    after = adopt(held, load(splits={"checkout": TOMBSTONE}))
    assert after.definitions == {}
    assert after.refused == {}


@pytest.mark.parametrize("key", [Key(), Key({b"checkout": TOMBSTONE}), Key({}, "WRONGTYPE")], ids=range(3))
def test_a_lost_splits_key_deletes_nothing(key: Key) -> None:
    """Without the sentinel not even a tombstone counts, for it does not lower."""
    held = adopt(Adopted(), load(splits={"checkout": GOOD}))
    after = adopt(held, load()._replace(splits=key))
    assert after.definitions == {"checkout": GOOD}
    assert after.lost["splits"] == key.lost


def test_a_partial_reading_deletes_nothing() -> None:
    """A reading that leaves unchanged definitions out says nothing about them."""
    held = adopt(Adopted(), load(splits={"checkout": GOOD, "search": GOOD}))
    partial = adopt(held, load(splits={"search": TOMBSTONE})._replace(whole=False))
    assert partial.definitions == {"checkout": GOOD}
    assert partial.refused == {}
    assert adopt(partial, load(splits={"checkout": GOOD, "search": TOMBSTONE})).refused == {}
