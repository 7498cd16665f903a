"""Law 9: a bad value is refused for that split alone; the last good value stands; each key is judged alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import MAX_DEFINITION
from graysplit.core.replica.record import Key
from graysplit.core.weights import parse_weight
from graysplit.errors import BadWeightError
from tests.core.adopting import BETTER, GOOD, adopt, load

BAD = (
    b"not a number",
    b"101",
    b"-1",
    b"NaN",
    b"1e999",
    b"1_0",
    b" 20 ",
    "٢٠".encode(),
    b'{"weight": 20',
    b"\xff\xfe",
    b"20%",
    b"2e1",
    b"9" * 1_000_000,
)


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bad_weight_keeps_the_last_good_one_for_that_field_alone(bad: bytes) -> None:
    """The other fields of the same key are adopted, and the refusal names field and reason."""
    held = adopt(Adopted(), load(weights={"checkout/new": "20", "search/new": "5"}))
    after = adopt(held, load(weights={"checkout/new": bad, "search/new": "10"}))
    assert after.weights == {"checkout/new": 20_000, "search/new": 10_000}
    assert list(after.refused) == [("weights", "checkout/new")]
    reason = after.refused["weights", "checkout/new"]
    assert "invalid weight" in reason
    assert len(reason) < 300


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bad_weight_with_nothing_before_it_is_zero(bad: bytes) -> None:
    """A process that never saw a good value has nobody on the new path."""
    assert adopt(Adopted(), load(weights={"checkout/new": bad})).weights == {}


def test_a_refusal_lasts_as_long_as_the_bad_value() -> None:
    """It is still named by later readings, and forgotten when the field is good again or gone."""
    held = adopt(Adopted(), load(weights={"checkout/new": "20"}))
    bad = adopt(held, load(weights={"checkout/new": "x"}))
    later = adopt(bad, load(weights={"checkout/new": "x", "search/new": "1"}))
    assert later.refused == bad.refused
    assert later.weights == {"checkout/new": 20_000, "search/new": 1_000}
    assert adopt(later, load(weights={"checkout/new": "30"})).refused == {}
    assert adopt(later, load(weights={})).refused == {}


def test_a_bad_value_that_goes_away_is_zero_not_the_last_good_one() -> None:
    """HDEL of a bad value is a clear wish."""
    held = adopt(adopt(Adopted(), load(weights={"checkout/new": "20"})), load(weights={"checkout/new": "x"}))
    assert adopt(held, load(weights={})).weights == {}


@given(st.binary(max_size=40))
def test_any_bytes_are_a_weight_or_refused(raw: bytes) -> None:
    """No bytes raise, and what is taken is what the text says."""
    held = adopt(Adopted(), load(weights={"checkout/new": raw}))
    try:
        expected = {"checkout/new": parse_weight(raw.decode("ascii"))}
    except (BadWeightError, UnicodeDecodeError):
        expected = {}
    assert held.weights == expected
    assert bool(held.refused) is not bool(expected)


@given(st.binary(min_size=1, max_size=20))
def test_any_bytes_as_a_field_raise_nothing(raw: bytes) -> None:
    """A field's name that is no UTF-8 is escaped, and can be printed."""
    reading = load()
    weird = reading._replace(
        weights=Key({b"_": b"1", raw: b"5"}), stops=Key({b"_": b"1", raw: raw}), splits=Key({b"_": b"1", raw: raw})
    )
    held = adopt(Adopted(), weird)
    for name in (*held.weights, *held.stops, *held.stops.values(), *(field for _, field in held.refused)):
        name.encode()


@pytest.mark.parametrize("key", ["weights", "stops", "splits", "meta"])
def test_a_key_of_the_wrong_type_stops_no_other(key: str) -> None:
    """Each key is judged alone: the three others are adopted, the faulty one keeps its last content."""
    held = adopt(Adopted(), load({"checkout/new": "20"}, {"search": "then"}, {"checkout": GOOD}))
    reading = load({"checkout/new": "30"}, {"search": "now"}, {"checkout": BETTER})
    after = adopt(held, reading._replace(**{key: Key({}, "WRONGTYPE Operation against a key")}))
    assert after.lost == {key: "WRONGTYPE Operation against a key"}
    assert after.weights == {"checkout/new": 20_000 if key == "weights" else 30_000}
    assert after.stops == {"search": "then" if key == "stops" else "now"}
    assert after.definitions == {"checkout": GOOD if key == "splits" else BETTER}


@pytest.mark.parametrize("bad", [b"{", b"[]", b"", b"\xff", b"x" * (MAX_DEFINITION + 1)], ids=range(5))
def test_a_bad_definition_keeps_the_last_good_one_for_that_split_alone(bad: bytes) -> None:
    """The other definitions are adopted, and weights obey whatever the definitions say."""
    held = adopt(Adopted(), load({"checkout/new": "20"}, splits={"checkout": GOOD, "search": GOOD}))
    after = adopt(held, load({"checkout/new": "0"}, splits={"checkout": bad, "search": BETTER}))
    assert after.definitions == {"checkout": GOOD, "search": BETTER}
    assert list(after.refused) == [("splits", "checkout")]
    assert after.refused["splits", "checkout"].startswith("split 'checkout'")
    assert after.weights == {"checkout/new": 0}


def test_stops_count_by_presence_whatever_their_value() -> None:
    """A stop's value is for people: no bytes in it make it void."""
    held = adopt(Adopted(), load(stops={"checkout": b"\xff\x00", "search": "", "a": "0", "b": "false"}))
    assert set(held.stops) == {"checkout", "search", "a", "b"}
