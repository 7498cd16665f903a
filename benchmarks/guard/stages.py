"""What a stage shows: units needed for `safe`, false `safe`, intervals that miss, and the sample ratio.

The formulas: docs/design/guard.md#safe-intervals-sample-ratio.

Units come one after the other, each on new with chance w; A and B are how many of them would fail on new and on old.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from random import Random
from typing import Final, NamedTuple

from benchmarks.guard.chance import binomial
from graysplit.core.guard.interval import ESTIMATE_FACTOR, EXACT_BELOW, SLACK, Interval, StageCounts, difference, total
from graysplit.core.guard.verdict_rules import SeenUnits, is_safe, ratio_is_off

LOOKS: Final = 40


class Looked(NamedTuple):
    """The truth and the counts at one look."""

    a: int
    b: int
    counts: StageCounts


def units_until_safe(rng: Random, w: float, base: float, most: int = 200_000) -> float:
    """Return the units on new when equal versions are first `safe`; infinite where they are not."""
    n = on_new = x = y = 0
    while n < most:
        more = max(20, n // 60)
        to_new = binomial(rng, more, w)
        n, on_new = n + more, on_new + to_new
        x, y = x + binomial(rng, to_new, base), y + binomial(rng, more - to_new, base)
        estimate = n if n < EXACT_BELOW else n * ESTIMATE_FACTOR
        if is_safe([StageCounts(x, y, estimate, w)]):
            return on_new
    return float("inf")


class Shares(NamedTuple):
    """What share of the units would fail on either version; nested: all that would on old would on new too."""

    new: float
    old: float
    nested: bool = False
    even: bool = True  # else failures come in clusters, whatever the enrolment


def looked(rng: Random, w: float, shares: Shares, n: int) -> Iterator[Looked]:
    """Return the looks at a stage that grows to n units, of whom these shares would fail, exactly."""
    a = b = x = y = 0
    for look in range(LOOKS):
        units = max(10, round(n * (look + 1) ** 2 / LOOKS**2))
        wave = 1.0 if shares.even else rng.uniform(0.7, 1.3)
        more_b = max(0, round(units * shares.old * wave) - b)
        both = more_b if shares.nested else 0
        more_a = max(both, ceil(units * shares.new * wave) - a)
        common = binomial(rng, both, w)  # of those who fail on either, so many are on new
        x += common + binomial(rng, more_a - both, w)
        y += both - common + binomial(rng, more_b - both, 1 - w)
        a, b = a + more_a, b + more_b
        yield Looked(a, b, StageCounts(x, y, units, w))


def is_falsely_safe(rng: Random, w: float, base: float, n: int = 20_000, *, nested: bool = False) -> bool:
    """Return whether a version exactly at the limit of `safe` is called safe at any look."""
    return any(
        one.a >= 2 * one.b + SLACK * one.counts.n and is_safe([one.counts])
        for one in looked(rng, w, Shares(2 * base + SLACK, base, nested), n)
    )


def misses(rng: Random, w: float, new: float, old: float, n: int = 20_000) -> bool:
    """Return whether the interval misses the true difference at any look."""
    for one in looked(rng, w, Shares(new, old, even=False), n):
        truth = (one.a - one.b) / one.counts.n
        found = difference(one.counts)
        if not found.low <= truth <= found.high:
            return True
    return False


def misses_mean(rng: Random, w: float, units: int = 3_000) -> bool:
    """Return whether the interval misses a sum of values in 0..1, of which new's and old's differ, at any look."""
    x = y = a = b = 0.0
    for unit in range(1, units + 1):
        on_new, on_old = rng.betavariate(0.5, 2), rng.betavariate(0.4, 2)
        a, b = a + on_new, b + on_old
        if rng.random() < w:
            x += on_new
        else:
            y += on_old
        if unit % (units // LOOKS) == 0 and not (_holds(total(x, w), a) and _holds(total(y, 1 - w), b)):
            return True
    return False


def alarms(rng: Random, w: float, share: float, stages: int = 1, units: int = 8_000) -> float | None:
    """Return after how many units of a stage the sample ratio alarms; None where it never does."""
    for stage in range(1, stages + 1):
        on_new = 0
        for seen in range(100, units + 1, 100):
            on_new += binomial(rng, 100, share)
            if ratio_is_off([SeenUnits(on_new, seen, w)], stage):
                return seen
    return None


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low - 1e-6 <= truth <= interval.high + 1e-6
