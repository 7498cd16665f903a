"""Beside the laws, which `tests/laws` holds it to: what adoption tells those who drive it."""

from __future__ import annotations

from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import (
    JudgedDefinition,
    adopt_brakes,
    changed_definitions,
    differing,
    judge_definition,
    lowered,
    unknown_fields,
)
from graysplit.core.replica.record import Key
from tests.core.adopting import BETTER, GOOD, TOMBSTONE, adopt, load, parse


def test_nothing_is_held_at_first() -> None:
    """Before the first reading nothing is loaded; after it something is, be the store as empty as it likes."""
    assert not Adopted().loaded
    assert adopt(Adopted(), load()).loaded


def test_an_equal_reading_touches_nothing() -> None:
    """The same bytes again give the same mappings, so that nothing is compiled anew."""
    reading = load({"checkout/new": "20"}, {"search": ""})
    held = adopt(Adopted(), reading)
    again, touched = adopt_brakes(held, reading)
    assert touched == frozenset()
    assert again.weights is held.weights
    assert again.stops is held.stops


def test_only_changed_definitions_are_looked_at() -> None:
    """Bytes seen before are not looked at again, good or bad; one that is gone is."""
    held = adopt(Adopted(), load(splits={"a": GOOD, "b": GOOD, "c": b"bad", "d": GOOD}))
    assert changed_definitions(held, load(splits={"a": GOOD, "b": BETTER, "c": b"bad"})) == {"b": BETTER, "d": None}
    assert changed_definitions(held, load(splits={"b": BETTER})._replace(whole=False)) == {"b": BETTER}
    assert changed_definitions(held, load(splits={"a": GOOD, "b": GOOD, "c": b"bad", "d": GOOD})) == {}


def test_a_definition_out_of_a_file_that_the_store_lacks_is_named() -> None:
    """Before the first reading what is held counts as seen: gone without a tombstone, it stands, and is told."""
    held = Adopted(definitions={"a": GOOD, "b": GOOD}, seen={"weights": {}, "stops": {}, "splits": {}})
    assert changed_definitions(held, load(splits={"a": BETTER})) == {"a": BETTER, "b": None}
    after = adopt(held, load(splits={"a": BETTER}))
    assert set(after.definitions) == {"a", "b"}
    assert set(after.refused) == {("splits", "b")}
    assert adopt(after, load(splits={"a": BETTER})).refused == after.refused


def test_each_definition_comes_to_one_of_three_ends() -> None:
    """Good with its bytes, deleted with neither, refused with a reason."""
    good = judge_definition("a", GOOD, parse)
    assert good.definition is not None
    assert good.raw == GOOD
    assert judge_definition("b", TOMBSTONE, parse) == JudgedDefinition("b")
    assert judge_definition("c", b"bad", parse) == JudgedDefinition("c", reason="split 'c', versions: cannot be read")
    assert judge_definition("d", None, parse).reason is not None


def test_a_parser_that_breaks_harms_that_split_alone() -> None:
    """Whatever an odd value does to a parser, it is a refusal."""

    def broken(_split: str, _raw: bytes) -> None:
        raise RecursionError

    assert judge_definition("a", GOOD, broken).reason == "split 'a': cannot be read (RecursionError)"


def test_the_revision_is_the_stores() -> None:
    """The number for people follows `meta`; what cannot be read leaves the last one."""
    held = adopt(Adopted(), load()._replace(meta=Key({b"_": b"1", b"revision": b"7"})))
    assert held.revision == 7
    assert adopt(held, load()._replace(meta=Key({b"_": b"1", b"revision": b"none"}))).revision == 7


def test_a_lost_meta_keeps_the_releases_known() -> None:
    """When a release began is read from a sound `meta`, and stands when it is lost."""
    meta = Key({b"_": b"1", b"release:checkout/new": b"r-1 1700000000000", b"release:search/new": b"broken"})
    held = adopt(Adopted(), load()._replace(meta=meta))
    assert held.releases == {"checkout/new": 1_700_000_000_000, "search/new": 0}
    assert adopt(held, load()._replace(meta=Key({}, "WRONGTYPE"))).releases == held.releases
    assert adopt(held, load()).releases == {}


def test_mistyped_fields_are_listed() -> None:
    """A field that names no split or candidate is most likely a mistake; `*` is none."""
    held = Adopted(
        weights={"checkout/new": 1, "checkout/nwe": 1, "chekout/new": 1},
        stops={"*": "", "checkout": "", "serach": ""},
    )
    assert unknown_fields(held, {"checkout": ("old", "new")}) == ["checkout/nwe", "chekout/new", "serach"]


def test_fields_that_differ() -> None:
    """Added, taken away and changed."""
    assert differing({"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 1, "d": 1}) == {"a", "b", "d"}


def test_a_look_beside_a_reading_lowers_and_raises_nothing() -> None:
    """Law 6: of some fields read on the side what lowers is adopted; what would raise waits for the reading."""
    held = adopt(Adopted(), load({"a/new": "20", "b/new": "20", "c/new": "5"}, {"c": "by hand"}, {"a": GOOD}))
    found, fields = lowered(held, {b"a/new": b"5", b"b/new": b"30", b"c/new": b"x"}, {b"b/new": b"fire"})
    assert fields == {"a/new", "b/new"}
    assert found.weights == {"a/new": 5_000, "b/new": 20_000, "c/new": 5_000}
    assert found.stops == {"c": "by hand", "b/new": "fire"}
    assert lowered(found, {b"a/new": b"5"}, {b"b/new": b"fire", b"c": b"another"}) == (found, frozenset())
    # The next reading is compared with it: what it says is adopted, up and down.
    after = adopt(found, load({"a/new": "20", "b/new": "20", "c/new": "5"}, {"c": "by hand"}, {"a": GOOD}))
    assert after.weights["a/new"] == 20_000
    assert after.stops == {"c": "by hand"}
