"""Units counted by version, as asking for each would count them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.cohort import cohort, moving, on_each
from graysplit.core.decision import DecisionInput, decide
from graysplit.core.definition import define
from graysplit.core.split_state import SplitState
from graysplit.core.weights import FULL, Weight

weights: st.SearchStrategy[Weight] = st.integers(0, FULL // 2) | st.just("preview") | st.just(0)
UNITS = [f"u-{number}".encode() for number in range(300)]
DEFINITION = define("checkout", ("old", "a", "b"))._replace(
    pins={"u-1": "a", "u-2": "b", "u-3": "a"}, denied=("u-3", "u-4")
)
FOUND = cohort(DEFINITION, [*UNITS, *UNITS[:10], b""])


@given(st.tuples(weights, weights), st.tuples(weights, weights), st.booleans())
def test_counts_are_those_of_asking_for_each_unit(
    before: tuple[Weight, Weight], after: tuple[Weight, Weight], stopped: bool
) -> None:
    """Pinned, denied and hashed: each counts where the ladder puts it, and moves where the ladder moves it."""
    first = SplitState("checkout", DEFINITION, dict(zip("ab", before, strict=True)))
    second = SplitState(
        "checkout", DEFINITION, dict(zip("ab", after, strict=True)), {"checkout": ""} if stopped else {}
    )
    asked = [(decide(DecisionInput(one, unit, {}, None)).version) for unit in UNITS for one in (first, second)]
    assert FOUND.size == len(UNITS)
    assert on_each(FOUND, second) == {name: asked[1::2].count(name) for name in ("old", "a", "b")}
    assert moving(FOUND, first, second) == sum(one != other for one, other in zip(asked[::2], asked[1::2], strict=True))
