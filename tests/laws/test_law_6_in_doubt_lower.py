"""Law 6: anything may lower; a lowering is adopted from any source, always; every fence holds back raises only."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from graysplit.core.decision import DecisionInput, decide
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import adopt_brakes, state_of
from graysplit.core.replica.record import Key, Load
from graysplit.core.split_state import SplitState, raises
from graysplit.core.weights import PREVIEW, Weight, format_weight, rises, share
from tests.strategies import BASELINE, SPLIT, plain, segments, sizes, split_states, units_near

weights = st.one_of(st.just(PREVIEW), sizes)
SOUND = Key({b"_": b"1"})


@given(weights, weights)
def test_what_is_no_raise_lets_nobody_in(before: Weight, after: Weight) -> None:
    """Where `rises` says no, neither the hash nor a pin reaches anybody whom it did not reach before."""
    if not rises(before, after):
        assert share(after) <= share(before)
        assert before != 0 or after == 0


@given(weights, weights)
def test_a_change_and_its_inverse_are_never_both_lowerings(before: Weight, after: Weight) -> None:
    """Only equal weights, or a preview beside a share, can be exchanged without a fence in one direction each."""
    if before != after:
        assert rises(before, after) or rises(after, before)


@settings(max_examples=200)
@given(split_states(most=2), split_states(most=2), st.data())
def test_a_change_that_is_no_raise_sends_nobody_to_a_candidate_who_was_not_let_in(
    before: SplitState, other: SplitState, data: st.DataObject
) -> None:
    """With other weights and stops on the same record, no raise means no unit that a candidate newly reaches."""
    placed = plain({"new": 0, "b": 0}).definition
    definition = placed._replace(pins={"user-1": "new", "user-2": "b"}, denied=("user-7",))
    before = before._replace(definition=definition)
    after = other._replace(definition=definition)
    if before.overfull() or after.overfull() or raises(before, after):
        return
    for _, (was, now) in segments(before.runs(), after.runs()):
        assert now is None or was == now
    unit = data.draw(units_near(after))
    reached = decide(DecisionInput(after, unit, {}, None)).version
    if after.in_force(definition.pins.get(unit.decode(errors="replace"), BASELINE)) == 0:
        # A pin whose version went to zero is passed over: its unit is one like all others.
        before = before._replace(definition=definition._replace(pins={}))
    assert reached in (BASELINE, decide(DecisionInput(before, unit, {}, None)).version)


@given(sizes, weights)
def test_a_lost_key_still_lowers(held_weight: int, found: Weight) -> None:
    """In a weights key without its sentinel a lower value is obeyed, and a higher one is not."""
    held = Adopted(weights={"checkout/new": held_weight}, seen={"weights": {b"_": b"1"}})
    lost = Key({b"checkout/new": format_weight(found).encode()})
    adopted, touched = adopt_brakes(held, Load(weights=lost, stops=SOUND))
    expected = held_weight if rises(held_weight, found) else found
    assert adopted.weights["checkout/new"] == expected
    assert touched == (frozenset() if expected == held_weight else {SPLIT})


def test_a_lost_key_still_stops() -> None:
    """A stop in a stops key without its sentinel is obeyed, and those known before stand."""
    held = Adopted(stops={"search": "by hand"}, seen={"stops": {b"_": b"1", b"search": b"by hand"}})
    adopted, touched = adopt_brakes(held, Load(weights=SOUND, stops=Key({b"checkout": b""})))
    assert adopted.stops == {"search": "by hand", "checkout": ""}
    assert touched == {SPLIT}


def test_a_stop_on_everything_touches_every_split() -> None:
    """The field `*` changes the state of all splits that are held."""
    held = Adopted(definitions={"checkout": b"{}", "search": b"{}"})
    adopted, touched = adopt_brakes(held, Load(weights=SOUND, stops=Key({b"_": b"1", b"*": b"fire"})))
    assert adopted.stops == {"*": "fire"}
    assert {"checkout", "search"} <= touched


def test_clear_wishes_that_lower_are_obeyed_mistyped() -> None:
    """`checkout` at 0 and the baseline at 100 in the weights mean zero for all candidates."""
    definition = plain({"new": 0}).definition
    for field, weight in ((SPLIT, 0), (f"{SPLIT}/{BASELINE}", 100_000)):
        held = Adopted(weights={"checkout/new": 20_000, field: weight})
        assert state_of(held, SPLIT, definition).in_force("new") == 0


def test_wishes_that_would_raise_are_not_obeyed_mistyped() -> None:
    """`checkout` at 20, or the baseline at 0 or 50, changes nothing."""
    definition = plain({"new": 0}).definition
    wishes: tuple[tuple[str, Weight], ...] = ((SPLIT, 20_000), (f"{SPLIT}/old", 0), (f"{SPLIT}/old", 50_000))
    for field, weight in wishes:
        held = Adopted(weights={"checkout/new": 20_000, field: weight})
        assert state_of(held, SPLIT, definition).in_force("new") == 20_000
