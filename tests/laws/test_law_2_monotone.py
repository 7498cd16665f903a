"""Law 2: raising a weight moves units only from the baseline to that candidate; lowering moves only back.

Rolling back and starting again reaches the same units first; a new salt, asked for aloud, reaches others.
"""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graysplit.core.allocation import PLACES, Claim, allocate
from graysplit.core.decision import DecisionInput, decide
from graysplit.core.split_state import Change, Snapshot, apply
from tests.strategies import meet, plain, segments, sizes, units

UNITS = [b"user-%d" % n for n in range(10_000)]


def reached(size: int, salt: str) -> set[bytes]:
    """Return the units whose bucket a single candidate of this weight owns."""
    split_state = plain({"new": size}, salt)
    return {unit for unit in UNITS if decide(DecisionInput(split_state, unit, {}, None)).version == "new"}


@given(units, sizes, sizes)
def test_a_raise_never_sends_a_unit_back(unit: bytes, one: int, other: int) -> None:
    """Who is on the new path at a weight is on it at every higher one."""
    low, high = sorted((one, other))
    if decide(DecisionInput(plain({"new": low}), unit, {}, None)).version == "new":
        assert decide(DecisionInput(plain({"new": high}), unit, {}, None)).version == "new"


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, PLACES - 1), min_size=1, max_size=5, unique=True),
    st.data(),
)
def test_a_raise_moves_only_from_the_baseline_to_that_candidate(places: list[int], data: st.DataObject) -> None:
    """With any candidates in any places, as long as no two runs meet, nobody but the baseline gives units up."""
    small = st.integers(0, 100_000 // len(places))
    before = [Claim(str(place), place, data.draw(small)) for place in places]
    raised = before[0]._replace(size=before[0].size + data.draw(st.integers(0, 20_000)))
    after = [raised, *before[1:]]
    assume(not meet(before))
    assume(not meet(after))
    for _, (was, now) in segments(allocate(before), allocate(after)):
        assert was == now or (was, now) == (None, raised.version)


@given(st.integers(0, PLACES - 1), sizes, sizes)
def test_one_candidate_is_monotone_in_every_place(place: int, one: int, other: int) -> None:
    """A single candidate keeps its units as it grows, also where it goes round the end of the scale."""
    low, high = sorted((one, other))
    for _, (was, now) in segments(allocate([Claim("new", place, low)]), allocate([Claim("new", place, high)])):
        assert was is None or now == "new"


def test_starting_again_reaches_the_same_units() -> None:
    """After a rollback and a new start at the same weight, the same units are on the new path."""
    started = Snapshot({"checkout": plain({"new": 20_000})})
    back = apply(started, Change("rollback", "checkout", {"checkout/new": 0}, {"checkout/new": "bad"}))
    again = apply(back, Change("set", "checkout", {"checkout/new": 20_000}, {"checkout/new": None}))

    def on_new(snapshot: Snapshot) -> set[bytes]:
        split_state = snapshot.splits["checkout"]
        return {unit for unit in UNITS if decide(DecisionInput(split_state, unit, {}, None)).version == "new"}

    assert on_new(back) == set()
    assert on_new(again) == on_new(started) != set()


def test_a_new_salt_reaches_others() -> None:
    """The cohorts of two salts overlap no more than chance: 20 % of 20 %."""
    one, other = reached(20_000, "checkout"), reached(20_000, "checkout-2")
    assert 1_800 < len(one) < 2_200
    assert 320 < len(one & other) < 480  # 400 expected, deviation 20
