"""Law 7: never backwards.

While the store's log still holds the last change this process applied, the store's word counts, up and down. If not,
the lineage is broken: a raise counts only where an entry newer than the common ancestor explains it; otherwise each
weight is the lower of the two. (With real servers: `tests/faults/test_lineage.py`.)

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from graysplit.core.entry import Entry
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import adopt_brakes
from graysplit.core.replica.lineage import Past, crossed, fence, followed, forked, newer_than_ancestor
from graysplit.core.replica.record import Key, Load
from graysplit.core.weights import PREVIEW, Weight, format_weight, rises
from tests.core.adopting import adopt, parse

FIELDS = ("checkout/new", "search/b", "search/c")
WEIGHTS = st.one_of(st.integers(0, 100_000), st.just(PREVIEW))
SIDES = st.dictionaries(st.sampled_from(FIELDS), WEIGHTS)
STOPS = st.frozensets(st.sampled_from((*FIELDS, "checkout", "*")))
NAMED = st.frozensets(st.sampled_from([f"weights {field}" for field in FIELDS]))


def entry(change: str, *where: str) -> Entry:
    """Return a log entry that names fields."""
    return Entry(change, 0, "checkout", "set", "", "", 0, {}, dict.fromkeys(where, "1"))


def reading(weights: Mapping[str, Weight], stops: frozenset[str] = frozenset()) -> Load:
    """Return a sound reading."""
    marked = {b"_": b"1"}
    return Load(
        Key({**marked, **{field.encode(): format_weight(weight).encode() for field, weight in weights.items()}}),
        Key({**marked, **{field.encode(): b"why" for field in stops}}),
        Key(marked),
        Key(marked),
    )


@given(SIDES, SIDES, NAMED)
def test_behind_the_fence_each_weight_is_the_lower_of_the_two(
    known: dict[str, Weight], said: dict[str, Weight], explained: frozenset[str]
) -> None:
    """What nothing explains never rises, what is explained is as the store says, and what lowers is adopted."""
    held = adopt(Adopted(), reading(known))
    fenced = fence(held, reading(said), explained, parse)
    after, _ = adopt_brakes(held, fenced.load)
    for field in FIELDS:
        before, store, now = known.get(field, 0), said.get(field, 0), after.weights.get(field, 0)
        if f"weights {field}" in explained or not rises(before, store):
            assert now == store
        else:
            assert now == before
            assert fenced.back[f"weights {field}"] == format_weight(store)
    assert {where.partition(" ")[2] for where in fenced.back} <= set(said)


def in_force(held: Adopted, field: str) -> Weight:
    """Return the weight in force of a field, stops considered."""
    stopped = {field, field.partition("/")[0], "*"} & set(held.stops)
    return 0 if stopped else held.weights.get(field, 0)


@given(SIDES, STOPS, SIDES, STOPS)
def test_behind_the_fence_nothing_in_force_rises(
    known: dict[str, Weight], stops: frozenset[str], said: dict[str, Weight], said_stops: frozenset[str]
) -> None:
    """With nothing explained, neither a lost weight nor a lost stop lets anybody in; the store's own stops count."""
    held = adopt(Adopted(), reading(known, stops))
    after, _ = adopt_brakes(held, fence(held, reading(said, said_stops), frozenset(), parse).load)
    assert said_stops <= set(after.stops)
    for field in FIELDS:
        assert not rises(in_force(held, field), in_force(after, field))


@given(SIDES, SIDES)
def test_known_zeros_are_to_be_written_back(known: dict[str, Weight], said: dict[str, Weight]) -> None:
    """Exactly what this process knows at zero and the store does not is to become a stop."""
    held = adopt(Adopted(), reading(known))
    zeros = fence(held, reading(said), frozenset(), parse).zeros
    assert set(zeros) == {field for field in FIELDS if known.get(field, 0) == 0 and said.get(field, 0) != 0}


@settings(max_examples=60)
@given(st.integers(1, 8), st.integers(0, 8), st.integers(0, 8))
def test_only_what_came_after_the_common_ancestor_explains(shared: int, ours: int, theirs: int) -> None:
    """Two logs that share a beginning: the other's own entries count, and nothing older does."""
    common = [entry(f"c-{n}", f"weights old{n}/new") for n in range(shared)]
    past = Past(recent=tuple(one.id for one in common) + tuple(f"mine-{n}" for n in range(ours)), lineage="l")
    own = [entry(f"theirs-{n}", f"weights s{n}/new") for n in range(theirs)]
    load = reading({})._replace(entries=(*common, *own))
    assert list(newer_than_ancestor(past, load)) == own
    assert crossed(past, load).explained == {f"weights s{n}/new" for n in range(theirs)}


def test_numbers_prove_nothing() -> None:
    """Another change at the same place and with the same revision is another log (timeline 1)."""
    past = Past("5-0", ("a", "b"), "l")
    assert not forked(past, reading({})._replace(anchor="b"))
    assert forked(past, reading({})._replace(anchor="x"))
    assert forked(past, reading({}))
    assert not forked(Past(), reading({}))


def began(at_ms: int, *, revision: int = 1) -> Load:
    """Return a reading of another lineage, whose oldest entry in sight is this one."""
    first = entry("a-first", "weights checkout/new")._replace(revision=revision, at_ms=at_ms)
    second = entry("a-second", "weights search/b")._replace(revision=revision + 1, at_ms=at_ms + 1)
    return reading({})._replace(entries=(first, second), meta=Key({b"_": b"1", b"lineage": b"another"}))


def test_an_old_log_explains_nothing_and_a_new_namespace_everything() -> None:
    """A restored dump of long ago has no ancestor we know; a store sown anew since explains all that is in it."""
    old = reading({})._replace(entries=(entry("long-ago", "weights checkout/new"),))
    past = Past("9-0", ("a",), "l")
    assert not newer_than_ancestor(past, old)
    sown = began(10)
    assert list(newer_than_ancestor(past, sown)) == list(sown.entries)


def test_a_log_of_another_lineage_explains_nothing_that_was_done_before() -> None:
    """A store that lived beside ours, its entries younger than ours or not, or too many to see where it began."""
    past = Past("9-0", ("a",), "l")
    assert not newer_than_ancestor(past, began(8))
    assert not newer_than_ancestor(past._replace(read_ms=12), began(10)), "begun while ours was still read"
    assert not newer_than_ancestor(past, began(10, revision=2))
    assert not newer_than_ancestor(past, began(10)._replace(entries=()))
    assert newer_than_ancestor(past._replace(lineage=""), began(10, revision=2)), "no lineage known: no other one"


def test_a_fence_learns_from_each_later_entry() -> None:
    """A person's change after the break takes effect, field by field."""
    past = Past("9-0", ("a",), "l", frozenset())
    later = followed(past, reading({})._replace(entries=(entry("b", "weights checkout/new"),), position="10-0"))
    assert later.explained == {"weights checkout/new"}
    assert later.change == "b"
