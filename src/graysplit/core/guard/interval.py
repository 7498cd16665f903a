"""Always-valid intervals: how many units would fail on either version, whatever the moment at which one looks.

Everything here is one function, the beta-binomial mixture with k = 2 / min(w, 1-w):

    ln M(x, m; w) = lgamma(kw+x) + lgamma(k(1-w)+m-x) - lgamma(k+m) + lgamma(k) - lgamma(kw) - lgamma(k(1-w))
                    - x ln w - (m-x) ln(1-w)
    total(x, w, a) = [L, U] = all m >= x with ln M(x, m; w) < ln(1/a)

Of the units that would fail on new, in the order in which they would, each is on new with chance w; so M is a
martingale, and their number is in total(X, w, a) at all times with chance 1-a at least, whatever the units are like
(Robbins 1970; Ham et al., arXiv 2210.08639; Lindon & Kallus, arXiv 2603.25971). Likewise for old, from Y with 1-w.
Assumed: no unit's fate depends on others' sides, and w is constant: one interval per stage, nothing is pooled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import lgamma, log
from typing import Final, NamedTuple

EACH: Final = 0.025  # what may be missed on each version: 95 % together
SLACK: Final = 0.005  # `safe` allows twice old's failures, and half a point of the exposed units
ESTIMATE_FACTOR: Final = 0.97  # of a HyperLogLog's count: an under-count is safe
EXACT_BELOW: Final = 1_000
UNITS_AT_MOST: Final = 65_536  # of a stage's sets; they close after that
SRM_K: Final = 1_000.0
SRM_LIMIT: Final = 1_000
FARTHEST: Final = 1e12


class Interval(NamedTuple):
    """Two bounds, both included."""

    low: float
    high: float


class StageCounts(NamedTuple):
    """What one stage has seen."""

    x: float  # units with a first error since the stage began, on new; for goals, units that converted
    y: float  # and on old
    n: float  # units exposed, both sides
    w: float  # the chance of new


def ln_mixture(x: float, m: float, w: float, k: float | None = None) -> float:
    """Return ln M(x, m; w): how little chance explains that x of m are on new."""
    size = 2 / min(w, 1 - w) if k is None else k
    a, b = size * w, size * (1 - w)
    prior = lgamma(size) - lgamma(a) - lgamma(b)
    return lgamma(a + x) + lgamma(b + m - x) - lgamma(size + m) + prior - x * log(w) - (m - x) * log(1 - w)


@lru_cache(maxsize=4_096)  # a guard looks each second, and users rarely fail
def total(x: float, w: float, a: float = EACH) -> Interval:
    """Return the bounds of how many there are in all, when x of them were seen on a side of chance w.

    They may be units, or sums of values scaled to 0..1 per unit; the bounds are real numbers, not rounded.
    """
    ceiling = log(1 / a)

    def plausible(m: float) -> bool:
        return ln_mixture(x, m, w) < ceiling

    middle = x / w
    high = max(middle, 1.0) * 2
    while high < FARTHEST and plausible(high):
        high *= 2
    low = x if plausible(x) else _edge(middle, x, plausible)
    return Interval(low, _edge(middle, high, plausible))


def difference(counts: StageCounts, a: float = EACH) -> Interval:
    """Return the bounds of (share failing on new) - (share failing on old)."""
    new, old = _both(counts, a)
    n = max(counts.n, 1.0)
    return Interval((new.low - old.high) / n, (new.high - old.low) / n)


def ratio(counts: StageCounts, a: float = EACH) -> Interval:
    """Return the bounds of (share failing on new) / (share failing on old); infinite where old may have none."""
    new, old = _both(counts, a)
    return Interval(
        new.low / old.high if old.high else 0.0,
        new.high / old.low if old.low else float("inf"),
    )


def _both(counts: StageCounts, a: float) -> tuple[Interval, Interval]:
    return total(counts.x, counts.w, a), total(counts.y, 1 - counts.w, a)


def _edge(inside: float, outside: float, plausible: Callable[[float], bool]) -> float:
    """Find where plausible numbers end between one that is and one that is not."""
    enough = max(abs(inside), 1.0) * 1e-9
    while abs(outside - inside) > enough:
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if plausible(middle) else (inside, middle)
    return inside
