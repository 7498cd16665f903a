"""Who owns which buckets: anchors and directions, so that bystanders stay where they are (law 3).

Each candidate has an anchor and a direction from a fixed sequence that does not depend on how many there are:
0 upwards, 100,000 downwards, 50,000 upwards, 50,000 downwards, 25,000 upwards, and so on, halving. In the order
of their places each takes free buckets from its anchor in its direction, passing over taken ones and going
round; the baseline owns the rest.

As long as no two runs meet, changing one candidate's weight moves exactly the difference, between it and the
baseline: always with one candidate, or with two in the first two places; up to 25 % each with four, 12.5 % each with
eight. From three candidates on, no rule without stored ranges can promise that for all weights. Shares are exact in
every case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from graysplit.core.bucketing import BUCKETS

# The two ends and five levels of halving; the anchors of a sixth would not be whole buckets.
PLACES: Final = 64


class Claim(NamedTuple):
    """What one candidate asks for: its place in the sequence, and how many buckets."""

    version: str
    place: int
    size: int


class Run(NamedTuple):
    """The buckets `start <= bucket < end`, all of one candidate."""

    start: int
    end: int
    version: str


def anchor(place: int) -> tuple[int, bool]:
    """Return where a place begins to take buckets, and whether upwards."""
    upwards = place % 2 == 0
    if place < 2:  # noqa: PLR2004 - the two ends, which halving does not reach
        return (0 if upwards else BUCKETS), upwards
    pair = place // 2
    level = pair.bit_length()
    odd = 2 * (pair - (1 << (level - 1))) + 1
    return odd * BUCKETS >> level, upwards


def allocate(claims: Iterable[Claim]) -> tuple[Run, ...]:
    """Return the runs of all candidates, in the order of buckets; what no run holds is the baseline's.

    Claims beyond 100 % together find nothing left: whoever builds claims refuses them before.
    """
    taken: list[Run] = []
    for claim in sorted(claims, key=lambda c: c.place):
        left = claim.size
        for start, end in _free_from(*anchor(claim.place), taken):
            if left <= 0:
                break
            size = min(left, end - start)
            upwards = claim.place % 2 == 0
            taken.append(Run(start, start + size, claim.version) if upwards else Run(end - size, end, claim.version))
            left -= size
    return _joined(taken)


def free_place(claims: Sequence[Claim], taken: Collection[int | None]) -> int | None:
    """Return the place that one more candidate gets, or None where all are taken.

    The first at which it moves nobody who is on another candidate, however far it grows into what the baseline has: a
    place that became free counts only then. Where there is none such, the first.
    """
    runs = allocate(claims)
    rest = max(0, BUCKETS - sum(claim.size for claim in claims))
    free = [place for place in range(PLACES) if place not in taken]
    for place in free:
        grown = allocate((*claims, Claim("", place, rest)))
        if tuple(run for run in grown if run.version) == runs:
            return place
    return free[0] if free else None


def owner(runs: Sequence[Run], bucket: int) -> str | None:
    """Return the candidate that owns a bucket, or None for the baseline."""
    return next((run.version for run in runs if run.start <= bucket < run.end), None)


def moved(before: Sequence[Run], after: Sequence[Run], rest: tuple[str, str] | None = None) -> int:
    """Count the buckets whose owner differs between two layouts; `rest` names both baselines where they differ."""
    edges = sorted({0, BUCKETS, *(edge for run in (*before, *after) for edge in (run.start, run.end))})
    old, new = rest or (None, None)
    return sum(
        end - start for start, end in pairwise(edges) if (owner(before, start) or old) != (owner(after, start) or new)
    )


def _free_from(origin: int, upwards: bool, taken: Iterable[Run]) -> list[tuple[int, int]]:  # noqa: FBT001 - anchor()'s pair
    """List the free stretches in the order in which a place meets them, the one at its anchor cut there."""
    stretches: list[tuple[int, int]] = []
    position = 0
    for run in sorted(taken):
        stretches.append((position, run.start))
        position = run.end
    stretches.append((position, BUCKETS))
    above = [(max(start, origin), end) for start, end in stretches if end > origin]
    below = [(start, min(end, origin)) for start, end in stretches if start < origin]
    ordered = above + below if upwards else below[::-1] + above[::-1]
    return [(start, end) for start, end in ordered if start < end]


def _joined(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Order runs and join neighbours of one owner."""
    joined: list[Run] = []
    for run in sorted(runs):
        if joined and joined[-1].end == run.start and joined[-1].version == run.version:
            joined[-1] = joined[-1]._replace(end=run.end)
        else:
            joined.append(run)
    return tuple(joined)
