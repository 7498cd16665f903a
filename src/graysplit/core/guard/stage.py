"""The stage of a split: which candidates are watched, in which release, with which shares."""

from __future__ import annotations

from collections.abc import Collection

from graysplit.core.address import EVERYTHING, field_of
from graysplit.core.bucketing import BUCKETS
from graysplit.core.guard.batch import WatchedCandidate
from graysplit.core.guard.buffer import Terms
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import Stage
from graysplit.core.replica.adopted import Adopted
from graysplit.core.split_state import SplitState
from graysplit.core.waves import members
from graysplit.core.weights import share


def terms_of(
    split_state: SplitState, held: Adopted, guard: Guard, present: Collection[str] | None, only: bytes | None
) -> Terms:
    """Return what a buffer of this split belongs to; without candidates where none has a share, a release and a path.

    `present` are the versions registered in this process (None: whoever is asked by name only), `only` the instance
    whose failures all are, where instances cross over.
    """
    shares = _crossed(split_state) if only is not None else _drawn(split_state)
    split, revision = split_state.split, max(held.since.get(split_state.split, 0), held.since.get(EVERYTHING, 0))
    left = max(0, BUCKETS - sum(shares.values()))
    candidates: list[WatchedCandidate] = []
    for number, version in enumerate(split_state.definition.candidates, 1):
        field = field_of(split, version.name)
        release, part = held.begun.get(field), shares.get(version.name, 0)
        if release and part and (present is None or version.name in present):
            stage = Stage(part, left, revision)
            candidates.append(WatchedCandidate(number, field, release, held.releases.get(field, 0) // 1000, stage))
    names = (split_state.definition.baseline, *(version.name for version in split_state.definition.candidates))
    return Terms(split, names, tuple(candidates), guard, only, split_state.definition.seed)


def _drawn(split_state: SplitState) -> dict[str, int]:
    """Return the buckets in force by candidate: thousandths of a percent, as many as there are buckets."""
    shares: dict[str, int] = {}
    for run in split_state.runs():
        shares[run.version] = shares.get(run.version, 0) + run.end - run.start
    return shares


def _crossed(split_state: SplitState) -> dict[str, int]:
    """Return the shares of the waves in force, rounded up to what they can be at most.

    A wave is the first `ceil(w N)` of N instances, and N is not known here: k of them are less than `w k / (k - 1)`.
    Too large a share only excuses more errors; of a single instance nothing can be compared.
    """
    shares: dict[str, int] = {}
    for version in split_state.definition.candidates:
        weight = split_state.in_force(version.name)
        wave = split_state.waves.get(version.name)
        crossed = len(members(wave, weight)) if wave is not None else 0
        if share(weight):
            most = -(-share(weight) * crossed // (crossed - 1)) if crossed > 1 else BUCKETS
            shares[version.name] = min(BUCKETS, most)
    return shares
