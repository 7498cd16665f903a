"""Who moves when weights change: exact counts of known units, by the buckets that decide for them.

A unit counts once, however often it is listed. What is pinned or denied is asked of the ladder; all others are kept as
counts per bucket, so that millions of units cost one hash each and a step of a plan costs none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from graysplit.core.allocation import owner
from graysplit.core.bucketing import BUCKETS, bucket_of
from graysplit.core.decision import DecisionInput, decide
from graysplit.core.definition import Definition
from graysplit.core.split_state import SplitState


class Cohort(NamedTuple):
    """Known units of one split."""

    below: tuple[int, ...]  # by bucket: how many units fall below it
    named: tuple[bytes, ...] = ()  # the pinned and the denied among them

    @property
    def size(self) -> int:
        """How many units there are."""
        return self.below[-1] + len(self.named)


def cohort(definition: Definition, units: Iterable[bytes]) -> Cohort:
    """Sort units into buckets; those that pins name stay by themselves."""
    pinned = {name.encode() for name in (*definition.pins, *definition.denied)}
    distinct = set(units) - {b""}
    counts = Counter(bucket_of(unit, definition.seed) for unit in distinct - pinned)
    below = [0]
    for bucket in range(BUCKETS):
        below.append(below[-1] + counts[bucket])
    return Cohort(tuple(below), tuple(sorted(distinct & pinned)))


def on_each(cohort: Cohort, split_state: SplitState) -> Mapping[str, int]:
    """Count the units on each version."""
    counts: Counter[str] = Counter(_decided(unit, split_state) for unit in cohort.named)
    runs = split_state.runs()
    for run in runs:
        counts[run.version] += cohort.below[run.end] - cohort.below[run.start]
    counts[split_state.definition.baseline] += cohort.size - counts.total()
    return {version: counts[version] for version in split_state.definition.names}


def moving(cohort: Cohort, before: SplitState, after: SplitState) -> int:
    """Count the units whose version differs between two states of a split."""
    moved = sum(_decided(unit, before) != _decided(unit, after) for unit in cohort.named)
    first, second = before.runs(), after.runs()
    edges = sorted({0, BUCKETS, *(edge for run in (*first, *second) for edge in (run.start, run.end))})
    for start, end in pairwise(edges):
        if owner(first, start) != owner(second, start):
            moved += cohort.below[end] - cohort.below[start]
    return moved


def _decided(unit: bytes, split_state: SplitState) -> str:
    return decide(DecisionInput(split_state, unit, {}, None)).version
