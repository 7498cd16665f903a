"""What is known of releases is read from the bytes that brought them, and held once."""

from __future__ import annotations

import pytest

from graysplit.core.entry import Entry
from graysplit.core.releases import ReleaseIds, ReleaseTimes, differing_releases
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import adopt_brakes
from graysplit.core.replica.record import Key, Load
from tests.core.adopting import adopt, load

META = {
    b"_": b"1",
    b"revision": b"7",
    b"release:checkout/new": b"r-1 1700000000000",
    b"release:search/b": b"r-2",
    b"release:odd/b": b"r-3 never",
    "release:caf\u00e9/b".encode(): b"r-4 5",
    b"release:line\nfeed": b"r-5 5",
}


def test_releases_are_read_as_their_bytes_say() -> None:
    """An id and a time by field; a time that is none is 0, and a name that graysplit takes for none is left out."""
    ids, times = ReleaseIds(META), ReleaseTimes(META)
    assert dict(ids) == {"checkout/new": "r-1", "search/b": "", "odd/b": "r-3"}
    assert dict(times) == {"checkout/new": 1_700_000_000_000, "search/b": 0, "odd/b": 0}
    assert (len(ids), ids.get("revision"), ids.get("caf\u00e9/b"), ids.get("line\nfeed"), ids.get("\ud800")) == (
        3,
        *[None] * 4,
    )
    with pytest.raises(KeyError):
        ids["nobody/new"]


def test_differing_releases_are_named_whoever_told_them() -> None:
    """A begun one, another one, and one that is gone; ids out of a file are compared with those of a reading."""
    before = ReleaseIds(META)
    after = ReleaseIds({b"release:checkout/new": b"r-9 1", b"release:odd/b": b"r-3 never", b"release:more/b": b"r-8 1"})
    differing = {"checkout/new", "search/b", "more/b"}
    assert differing <= differing_releases(before, after)
    assert "odd/b" not in differing_releases(before, after)
    assert differing_releases(dict(before), after) == differing
    assert differing_releases(before, before) == differing_releases(dict(before), before) == set()


def test_a_reading_with_the_same_releases_is_known_to_have_them() -> None:
    """Only then they need not be compared; and the reading before is let go of."""
    first = adopt(Adopted(), _reading(META))
    second, _ = adopt_brakes(first, _reading({**META, b"revision": b"8"}))
    third, _ = adopt_brakes(second, _reading({**META, b"release:search/b": b"r-6 1"}))
    ids = [held.begun for held in (first, second, third)]
    assert all(isinstance(each, ReleaseIds) for each in ids)
    marks = [each.mark for each in ids if isinstance(each, ReleaseIds)]
    assert marks[0] is marks[1] is not marks[2]
    assert second.begun._meta is second.releases._meta is second.seen["meta"]  # type: ignore[attr-defined] # what is held
    assert differing_releases(second.begun, third.begun) == {"search/b"}


def test_what_stands_nowhere_is_not_remembered_by_split() -> None:
    """Given 500 weights of no split, then with which change they came is not kept, there or gone; of a split it is."""
    raw = {f"raw-{number}/new": "5" for number in range(500)}
    good = {"checkout": b'{"good": 1}'}
    held = adopt(Adopted(), load({**raw, "checkout/new": "5"}, splits=good)._replace(meta=Key(META)))
    assert held.since == {"checkout": 7}
    held = adopt(
        held, load({"checkout/new": "5"}, {"*": ""}, splits=good)._replace(meta=Key({**META, b"revision": b"8"}))
    )
    assert held.since == {"checkout": 7, "*": 8}


def test_a_change_of_many_splits_is_remembered_for_those_that_it_wrote() -> None:
    """Given a change of some splits, and then one of the stop on everything, then only the latter concerns all."""
    splits = dict.fromkeys(("checkout", "search", "shop"), b'{"good": 1}')
    many = Entry("b-1", 8, "*", "batch", "ada", "", 1, {}, {"weights checkout/new": "5", "weights search/new": "5"})
    read = load({"shop/new": "5"}, splits=splits)._replace(meta=Key(META))
    held = adopt(adopt(Adopted(), read), read._replace(entries=(many,)))
    assert held.since == {"shop": 7, "checkout": 8, "search": 8}
    stopped = Entry("b-2", 9, "*", "edited outside", "eve", "", 2, {}, {"stops *": "by hand"})
    held = adopt(held, read._replace(entries=(stopped,)))
    assert held.since["*"] == 9


def _reading(meta: dict[bytes, bytes]) -> Load:
    return load()._replace(meta=Key(meta))
