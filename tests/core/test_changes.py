"""What each change writes, whom it raises, and which release it begins."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.changes import (
    Mistyped,
    WhichCandidateError,
    create,
    delete,
    effects,
    only_candidate,
    pin,
    set_weights,
    unpin,
    unstop,
)
from graysplit.core.definition import Definition
from graysplit.core.split_state import Change, Snapshot, SplitState, apply, stops_by_split
from graysplit.core.weights import FULL, PREVIEW, Weight, rises, total
from graysplit.errors import (
    BadNameError,
    BadValueError,
    RefusedError,
    UnknownSplitError,
    UnknownVersionError,
)
from tests.strategies import SPLIT, plain, split_states

WEIGHTS: Final[st.SearchStrategy[Weight]] = st.sampled_from([0, 1, 5_000, 20_000, 50_000, FULL, PREVIEW])


def holding(*split_states: SplitState, **stops: str) -> Snapshot:
    """Make a snapshot of split states, with the stops laid on."""
    found = {**{field: text for s in split_states for field, text in s.stops.items()}, **stops}
    touching = stops_by_split(found)
    laid = {s.split: s._replace(stops=touching(s.split)) for s in split_states}
    return Snapshot(laid, found, {}, 7)


def defined(change: Change) -> Definition:
    """Return the definition that a change writes."""
    assert isinstance(change.definition, Definition)
    return change.definition


@given(split_states(), st.data())
def test_a_set_puts_the_weight_in_force_or_refuses(split_state: SplitState, data: st.DataObject) -> None:
    """After a set the weight in force is the one asked for, whatever stop stood on it; or it is refused."""
    snapshot = holding(split_state)
    version = data.draw(st.sampled_from([v.name for v in split_state.definition.candidates]))
    weight: Weight = data.draw(WEIGHTS)
    try:
        change = set_weights(snapshot, SPLIT, {version: weight}, release="r", yes=True)
    except RefusedError:
        return
    after = apply(snapshot, change).splits[SPLIT]
    assert after.in_force(version) == weight
    assert total(after.weights.values()) <= FULL or weight == 0


@given(split_states(), st.data())
def test_a_set_raises_nobody_it_does_not_name(split_state: SplitState, data: st.DataObject) -> None:
    """No change of one candidate's weight raises another, although a stop may have covered both."""
    snapshot = holding(split_state)
    version = data.draw(st.sampled_from([v.name for v in split_state.definition.candidates]))
    try:
        change = set_weights(snapshot, SPLIT, {version: data.draw(WEIGHTS)}, release="r", yes=True)
    except RefusedError:
        return
    assert set(effects(snapshot, apply(snapshot, change)).risen) <= {f"{SPLIT}/{version}"}


@given(split_states(), st.data())
def test_a_release_begins_exactly_when_a_weight_leaves_zero(split_state: SplitState, data: st.DataObject) -> None:
    """A set from zero or from a stop begins a release; a step of a running one does not."""
    snapshot = holding(split_state)
    version = data.draw(st.sampled_from([v.name for v in split_state.definition.candidates]))
    try:
        change = set_weights(snapshot, SPLIT, {version: data.draw(WEIGHTS)}, release="r", yes=True)
    except RefusedError:
        return
    after = apply(snapshot, change).splits[SPLIT]
    began = split_state.in_force(version) == 0 and after.in_force(version) != 0
    assert (change.releases == {f"{SPLIT}/{version}": "r"}) is began


@given(split_states(most=2), st.data())
def test_with_two_candidates_nobody_moves_needlessly(split_state: SplitState, data: st.DataObject) -> None:
    """With one or two candidates a set moves exactly the difference, and never needs a yes (law 3)."""
    snapshot = holding(split_state)
    version = data.draw(st.sampled_from([v.name for v in split_state.definition.candidates]))
    places = {v.place for v in split_state.definition.candidates}
    weight = data.draw(WEIGHTS)
    try:
        change = set_weights(snapshot, SPLIT, {version: weight}, release="r", yes=True)
    except RefusedError:
        return
    if places <= {0, 1}:
        assert effects(snapshot, apply(snapshot, change)).needless == 0


@given(split_states(), st.data())
def test_clearing_a_stop_begins_a_release_for_all_that_rise(split_state: SplitState, data: st.DataObject) -> None:
    """Unstop changes no weight asked for; whoever rises by it begins a new release."""
    snapshot = holding(split_state)
    if not snapshot.stops:
        return
    target = data.draw(st.sampled_from(sorted(snapshot.stops)))
    change = unstop(snapshot, target, "r")
    after = apply(snapshot, change)
    assert change.weights == {}
    assert set(change.releases) == set(effects(snapshot, after).risen)
    assert target not in after.stops


@given(split_states())
def test_effects_names_every_difference(split_state: SplitState) -> None:
    """Effects holds before and after of each candidate whose weight in force differs, and counts who moves."""
    done = effects(Snapshot(), holding(split_state))
    in_force: dict[str, Weight] = {v.name: split_state.in_force(v.name) for v in split_state.definition.candidates}
    assert done.weights == {f"{SPLIT}/{name}": (0, weight) for name, weight in in_force.items() if weight != 0}
    assert all(rises(before, after) for before, after in done.weights.values())
    assert done.moved == total(in_force.values())


def test_a_stop_over_other_weights_keeps_a_set_from_clearing_it() -> None:
    """A stop on the split that also holds another candidate down is not cleared by a set; unstop is named."""
    snapshot = holding(plain({"b": 0, "c": 10_000}), **{SPLIT: "by hand"})
    with pytest.raises(RefusedError, match=rf"'{SPLIT}' also holds {SPLIT}/c .* graysplit unstop '{SPLIT}'"):
        set_weights(snapshot, SPLIT, {"b": 5_000}, release="r")
    assert set_weights(snapshot, SPLIT, {"b": 5_000, "c": 0}, release="r").stops == {SPLIT: None}


def test_a_stop_on_everything_is_cleared_only_where_nobody_else_would_rise() -> None:
    """`*` goes with a set when no other split has a weight under it."""
    other = plain({"x": 30_000})._replace(split="other")
    with pytest.raises(RefusedError, match=r"other/x"):
        set_weights(holding(plain({"new": 0}), other, **{"*": ""}), SPLIT, {"new": 5_000}, release="r")
    idle = holding(plain({"new": 0}), other._replace(weights={}), **{"*": ""})
    assert set_weights(idle, SPLIT, {"new": 5_000}, release="r").stops == {"*": None}


def test_more_than_everybody_is_refused() -> None:
    """Weights of more than 100 % together are refused, and lowering to zero never is."""
    snapshot = holding(plain({"b": 60_000, "c": 30_000}))
    with pytest.raises(RefusedError, match=r"101 % \(b=60 c=41\)"):
        set_weights(snapshot, SPLIT, {"c": 41_000}, release="r")
    overfull = holding(plain({"b": 90_000, "c": 90_000, "d": 1_000}))
    assert set_weights(overfull, SPLIT, {"d": 0}, release="r", yes=True).weights == {f"{SPLIT}/d": 0}


def test_a_mistyped_brake_is_taken_away_by_a_start() -> None:
    """A field that holds the whole split at zero goes with a set above zero, unless others would rise with it."""
    snapshot = holding(plain({"b": 0, "c": 0}))
    brake = Mistyped([SPLIT], {"b": 20_000, "c": 0})
    change = set_weights(snapshot, SPLIT, {"b": 5_000}, release="r", mistyped=brake)
    assert change.weights == {f"{SPLIT}/b": 5_000, SPLIT: None}
    with pytest.raises(RefusedError, match=r"b=.*|b would rise"):
        set_weights(snapshot, SPLIT, {"c": 5_000}, release="r", mistyped=brake)
    assert set_weights(snapshot, SPLIT, {"b": 0}, release="r", mistyped=brake).weights == {f"{SPLIT}/b": 0}


def test_needless_moves_need_a_yes() -> None:
    """Where runs of buckets meet, a set says what it would cost and wants a yes."""
    snapshot = holding(plain({"b": 50_000, "c": 10_000, "d": 20_000}))
    with pytest.raises(RefusedError, match="--yes"):
        set_weights(snapshot, SPLIT, {"b": 60_000}, release="r")
    change = set_weights(snapshot, SPLIT, {"b": 60_000}, release="r", yes=True)
    assert effects(snapshot, apply(snapshot, change)).needless > 0


def test_the_baseline_has_no_weight() -> None:
    """A weight for the baseline is wrong usage, one for an unknown version names the known ones."""
    snapshot = holding(plain({"new": 0}))
    with pytest.raises(BadValueError, match="gets what the candidates leave"):
        set_weights(snapshot, SPLIT, {"old": 50_000}, release="r")
    with pytest.raises(UnknownVersionError, match="known: old, new"):
        set_weights(snapshot, SPLIT, {"nwe": 50_000}, release="r")
    with pytest.raises(UnknownSplitError, match=f"Did you mean '{SPLIT}'"):
        set_weights(snapshot, "chekout", {"new": 1}, release="r")


def test_a_bare_weight_needs_one_candidate() -> None:
    """Where several could be meant, the error prints the form that names each."""
    definition = plain({"b": 0, "c": 0}).definition
    with pytest.raises(WhichCandidateError, match=rf"graysplit set {SPLIT} b=\.\. c=\.\."):
        only_candidate(SPLIT, definition)
    assert only_candidate(SPLIT, plain({"new": 0}).definition) == "new"


def test_create_begins_at_zero() -> None:
    """A new split has its first version as baseline, and every weight at zero."""
    change = create(Snapshot(), "ranking", ["a", "b", "c"])
    assert defined(change).baseline == "a"
    assert change.weights == {"ranking/b": 0, "ranking/c": 0}
    with pytest.raises(BadNameError):
        create(Snapshot(), "Ranking", ["a", "b"])
    with pytest.raises(RefusedError, match="exists already"):
        create(holding(plain({"new": 0})), SPLIT, ["old", "new"])


def test_two_splits_share_a_seed_only_on_purpose() -> None:
    """A salt that another split has is refused unless it was given by name."""
    snapshot = holding(plain({"new": 0}, salt="spring"))
    with pytest.raises(RefusedError, match="cohorts would be the same"):
        create(snapshot, "spring", ["old", "new"])
    assert defined(create(snapshot, "spring", ["old", "new"], "spring")).salt == "spring"


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_a_pin_and_its_removal_leave_no_trace(unit: str) -> None:
    """Pin, deny and unpin follow one another; the last word counts, and unpin gives back what was."""
    snapshot = holding(plain({"new": 0}))
    pinned = apply(snapshot, pin(snapshot, SPLIT, unit, "new"))
    assert pinned.splits[SPLIT].definition.pins == {unit: "new"}
    denied = apply(pinned, pin(pinned, SPLIT, unit, None))
    assert denied.splits[SPLIT].definition.pins == {}
    assert denied.splits[SPLIT].definition.denied == (unit,)
    bare = apply(denied, unpin(denied, SPLIT, unit))
    assert bare.splits[SPLIT].definition == snapshot.splits[SPLIT].definition


def test_pins_name_no_unit_in_their_errors() -> None:
    """What is refused about a unit does not repeat it."""
    snapshot = holding(plain({"new": 0}))
    with pytest.raises(RefusedError) as unknown:
        unpin(snapshot, SPLIT, "secret-unit")
    assert "secret-unit" not in str(unknown.value)
    with pytest.raises(BadValueError):
        pin(snapshot, SPLIT, "", "new")
    with pytest.raises(BadValueError):
        pin(snapshot, SPLIT, "\ud800", "new")
    with pytest.raises(UnknownVersionError):
        pin(snapshot, SPLIT, "u", "v9")


def test_delete_waits_for_zero() -> None:
    """A weight above zero, or a preview, keeps a split from being deleted."""
    with pytest.raises(RefusedError, match=r"checkout/new at 20.*graysplit rollback checkout"):
        delete(SPLIT, {"checkout/new": 20_000}, [])
    with pytest.raises(RefusedError, match="preview"):
        delete(SPLIT, {"checkout/new": PREVIEW}, [])
    gone = delete(SPLIT, {"checkout/new": 0}, ["checkout"])
    assert gone == Change("delete", SPLIT, {"checkout/new": None}, {"checkout": None}, definition=None)


def test_unstop_names_the_stops_there_are() -> None:
    """Clearing a stop that does not stand is refused, with those that do."""
    with pytest.raises(RefusedError, match="stops: search"):
        unstop(holding(plain({"new": 0}), search=""), SPLIT, "r")
