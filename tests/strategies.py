"""What the properties draw from: definitions, split states, units, layouts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from hypothesis import strategies as st

from graysplit.core.allocation import PLACES, Claim, Run, anchor, owner
from graysplit.core.bucketing import ALGORITHM, BUCKETS, seed_of
from graysplit.core.definition import Definition, Version
from graysplit.core.split_state import SplitState
from graysplit.core.weights import PREVIEW, Weight

SPLIT: Final = "checkout"
BASELINE: Final = "old"
CANDIDATES: Final = ("new", "b", "c", "d")
# A small pool, so that pins and units meet.
POOL: Final = ("user-1", "user-2", "Zoë", "nul\x00", "7")

texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
units = st.one_of(st.sampled_from(POOL), texts).map(str.encode) | st.binary(min_size=1, max_size=20)
sizes = st.one_of(st.sampled_from((0, 1, 20_000, 50_000, 99_999, BUCKETS)), st.integers(0, BUCKETS))


@st.composite
def definitions(draw: st.DrawFn, most: int = len(CANDIDATES)) -> Definition:
    """Draw a definition that holds together, with pins from the pool."""
    names = draw(st.permutations(CANDIDATES).map(lambda order: order[:most]))
    names = names[: draw(st.integers(1, most))]
    places = draw(st.lists(st.integers(0, PLACES - 1), min_size=len(names), max_size=len(names), unique=True))
    versions = [Version(BASELINE), *(Version(name, place) for name, place in zip(names, places, strict=True))]
    salt = draw(texts)
    return Definition(
        versions=tuple(draw(st.permutations(versions))),
        baseline=BASELINE,
        salt=salt,
        seed=seed_of(salt),
        algorithm=ALGORITHM,
        pins=draw(st.dictionaries(st.sampled_from(POOL), st.sampled_from((BASELINE, *names)), max_size=4)),
        denied=tuple(draw(st.sets(st.sampled_from(POOL), max_size=2))),
    )


@st.composite
def weights_for(draw: st.DrawFn, names: Sequence[str]) -> dict[str, Weight]:
    """Draw weights of at most 100 % together; some missing, some `preview`."""
    left = BUCKETS
    found: dict[str, Weight] = {}
    for name in names:
        kind = draw(st.sampled_from(("share", "share", "share", "zero", "preview", "missing")))
        if kind == "share":
            found[name] = min(left, draw(sizes))
            left -= found[name]
        elif kind != "missing":
            found[name] = PREVIEW if kind == "preview" else 0
    return found


@st.composite
def split_states(draw: st.DrawFn, most: int = len(CANDIDATES)) -> SplitState:
    """Draw a split's state with any stops upon it."""
    definition = draw(definitions(most))
    names = [version.name for version in definition.candidates]
    fields = [*(f"{SPLIT}/{name}" for name in names), SPLIT, "*"]
    stopped = draw(st.sets(st.sampled_from(fields), max_size=2)) if draw(st.booleans()) else set()
    return SplitState(SPLIT, definition, draw(weights_for(names)), dict.fromkeys(stopped, "by hand"))


@st.composite
def units_near(draw: st.DrawFn, split_state: SplitState) -> bytes:
    """Draw a unit, often one that is pinned or denied."""
    named = [*split_state.definition.pins, *split_state.definition.denied]
    if named and draw(st.booleans()):
        return draw(st.sampled_from(named)).encode()
    return draw(units)


def plain(sizes_by_name: dict[str, int], salt: str = SPLIT) -> SplitState:
    """Make a split's state without pins or stops, the candidates in places 0, 1, 2, ..."""
    versions = (Version(BASELINE), *(Version(name, place) for place, name in enumerate(sizes_by_name)))
    definition = Definition(versions, BASELINE, salt, seed_of(salt), ALGORITHM)
    return SplitState(SPLIT, definition, dict(sizes_by_name))


def meet(claims: Iterable[Claim]) -> bool:
    """Say whether, each taken alone from its anchor, two claims overlap or one leaves the scale."""
    position = 0
    for start, end in sorted(_alone(claim) for claim in claims if claim.size):
        if start < position or end > BUCKETS:
            return True
        position = end
    return False


def segments(*layouts: Sequence[Run]) -> list[tuple[int, tuple[str | None, ...]]]:
    """Cut the scale where any layout changes hands: each piece's size, and its owner in every layout."""
    edges = sorted({0, BUCKETS, *(edge for runs in layouts for run in runs for edge in (run.start, run.end))})
    return [(end - start, tuple(owner(runs, start) for runs in layouts)) for start, end in pairwise(edges)]


def _alone(claim: Claim) -> tuple[int, int]:
    origin, upwards = anchor(claim.place)
    return (origin, origin + claim.size) if upwards else (origin - claim.size, origin)
