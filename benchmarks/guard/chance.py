"""Draws and limits, in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, expm1, lgamma, log, log1p, sqrt
from random import Random
from statistics import median
from typing import Final

_EXACT_BELOW: Final = 60  # above it counts are drawn from a rounded normal: they are calls, hardly ever errors


def poisson(rng: Random, mean: float) -> int:
    """Draw a number of events."""
    if mean >= _EXACT_BELOW:
        return max(0, round(rng.gauss(mean, sqrt(mean))))
    floor, product, events = exp(-mean), rng.random(), 0
    while product > floor:
        product *= rng.random()
        events += 1
    return events


def binomial(rng: Random, trials: int, chance: float) -> int:
    """Draw a number of successes, exactly: by the gaps between them."""
    if chance > 0.5:
        return trials - binomial(rng, trials, 1 - chance)
    if chance <= 0:
        return 0
    scale, at, found = log1p(-chance), 0, 0
    while True:
        at += int(log(1 - rng.random()) / scale) + 1
        if at > trials:
            return found
        found += 1


def clopper_pearson(found: int, runs: int, miss: float = 0.05) -> tuple[float, float]:
    """Return the limits, as shares, of the chance behind so many of so many runs."""
    low = 0.0 if not found else _crossing(lambda p: 1 - _at_most(found - 1, runs, p) > miss / 2)
    high = 1.0 if found == runs else _crossing(lambda p: _at_most(found, runs, p) < miss / 2)
    return low, high


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def middle(values: Sequence[float]) -> float:
    """Return the median; infinite where there is none."""
    return median(values) if values else float("inf")


def _at_most(found: int, runs: int, chance: float) -> float:
    if chance >= 1:
        return 0.0 if found < runs else 1.0
    top = lgamma(runs + 1)
    return sum(
        exp(top - lgamma(k + 1) - lgamma(runs - k + 1) + k * log(chance) + (runs - k) * log1p(-chance))
        for k in range(found + 1)
    )


def _crossing(beyond: Callable[[float], bool]) -> float:
    low, high = 1e-12, 1.0
    for _ in range(50):
        at = (low + high) / 2
        low, high = (low, at) if beyond(at) else (at, high)
    return low


def lognormal_shares(rng: Random, units: int, sigma: float) -> list[float]:
    """Return uneven positive numbers of mean 1."""
    found = [exp(rng.gauss(0, sigma)) for _ in range(units)]
    whole = sum(found) / units
    return [one / whole for one in found]


def zipf_shares(units: int) -> list[float]:
    """Return numbers of mean 1 that fall as one over the rank."""
    found = [1 / rank for rank in range(1, units + 1)]
    whole = sum(found) / units
    return [one / whole for one in found]


def at_least_one(chance: float, times: float) -> float:
    """Return the chance of one or more in so many tries."""
    return -expm1(times * log1p(-chance)) if chance < 1 else 1.0
