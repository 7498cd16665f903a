"""Units that come again and again, each with a side, a volume and a share of failures of its own.

Each unit's calls are a Poisson stream; sides are drawn by chance w once a run. Beside the rule runs the note,
told of one failed call per unit and 10 s: docs/design/guard.md#few-users-a-note.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import exp
from random import Random
from typing import Final, NamedTuple

from benchmarks.guard.chance import lognormal_shares, zipf_shares
from benchmarks.guard.watch import Watch

SLOT_S: Final = 10


class Unit(NamedTuple):
    """How often somebody calls, and what share of the calls fails on either version."""

    rate: float
    new: float
    old: float


class Time(NamedTuple):
    """A time with an outage of so great a share of all calls, or none."""

    until_s: float
    outage: float = 0.0


class Found(NamedTuple):
    """When the rule rolled back, and when `suspect` was said; None where it was not."""

    rolled_back_s: float | None
    suspect_s: float | None


Crowd = Callable[[Random], Sequence[Unit]]


def run(rng: Random, units: Sequence[Unit], w: float, times: Sequence[Time], alone: int = 1) -> Found:
    """Let the units call, as if nobody acted, until all that can be found is.

    A doubt counts once per unit and 10 s for the whole fleet; or, as it must not be, in each of `alone` processes.
    """
    sides = [rng.random() < w for _ in units]
    watch, doubt = Watch(rng), Watch(rng)
    slots: dict[tuple[int, int], int] = {}
    now_s, stop_s, suspect_s = 0.0, None, None
    for time in times:
        chances = [
            max(unit.new if on_new else unit.old, time.outage) for unit, on_new in zip(units, sides, strict=True)
        ]
        heaps = list(accumulate(unit.rate * chance for unit, chance in zip(units, chances, strict=True)))
        passing = [0.0, 0.0]
        for unit, chance, on_new in zip(units, chances, sides, strict=True):
            passing[on_new] += unit.rate * (1 - chance)
        for one in (watch, doubt):
            one.stream(now_s, w, passing[True], passing[False])
        failing = heaps[-1]
        while failing:
            ahead_s = now_s + rng.expovariate(failing)
            if ahead_s >= time.until_s:
                break
            now_s = ahead_s
            unit_at = min(bisect(heaps, rng.random() * failing), len(sides) - 1)
            on_new = sides[unit_at]
            if stop_s is None and watch.failed(now_s, on_new=on_new, unit=unit_at):
                stop_s = now_s
            slot = int(now_s // SLOT_S)
            place = (unit_at, rng.randrange(alone) if alone > 1 else 0)
            if suspect_s is None and slots.get(place) != slot:
                slots[place] = slot
                if doubt.failed(now_s, on_new=on_new):
                    suspect_s = now_s
            if stop_s is not None and suspect_s is not None:
                return Found(stop_s, suspect_s)
        now_s = time.until_s
    return Found(stop_s, suspect_s)


def equal_users(units: int, rate: float, new: float, old: float) -> Crowd:
    """Return users of whom each calls as often and fails as often as any other."""
    return lambda _: [Unit(rate / units, new, old)] * units


def uneven_users(units: int, rate: float, mean: float, worse: float) -> Crowd:
    """Return users who call, and fail, some much more than others; on new `worse` times as much."""

    def draw(rng: Random) -> list[Unit]:
        volumes, shares = lognormal_shares(rng, units, 1.0), lognormal_shares(rng, units, 1.5)
        return [
            Unit(rate / units * volume, min(1.0, mean * share * worse), min(1.0, mean * share))
            for volume, share in zip(volumes, shares, strict=True)
        ]

    return draw


def one_clean_heavy(rate: float) -> Crowd:
    """Return half of all calls to one unit that never fails, the rest to 2,000 who do in 1 %."""
    return lambda _: [Unit(rate / 2, 0.0, 0.0), *[Unit(rate / 4_000, 0.01, 0.01)] * 2_000]


def tenants(units: int, rate: float) -> Crowd:
    """Return tenants of volumes lognormal (2) and failures lognormal (1.5)."""

    def draw(rng: Random) -> list[Unit]:
        volumes = lognormal_shares(rng, units, 2.0)
        shares = [min(1.0, 0.003 * exp(rng.gauss(0, 1.5))) for _ in range(units)]
        return [Unit(rate / units * volume, share, share) for volume, share in zip(volumes, shares, strict=True)]

    return draw


def beta_users(units: int, rate: float, *, zipf: bool) -> Crowd:
    """Return users whose shares of failures are beta (0.1, 9.9): most never fail, a few often."""

    def draw(rng: Random) -> list[Unit]:
        volumes = zipf_shares(units) if zipf else [1.0] * units
        shares = [rng.betavariate(0.1, 9.9) for _ in range(units)]
        return [Unit(rate / units * volume, share, share) for volume, share in zip(volumes, shares, strict=True)]

    return draw


def failing_few(units: int, rate: float) -> Crowd:
    """Return 2 % of the users nine failures in ten calls, and twenty times the calls: they try again."""
    busy = units // 50
    usual = rate / (units + 19 * busy)
    return lambda _: [Unit(20 * usual, 0.9, 0.9)] * busy + [Unit(usual, 0.001, 0.001)] * (units - busy)


def any_crowd(rng: Random) -> Sequence[Unit]:
    """Return a random population: 20 to 3,000 units, even or not, some heavy and clean, some failing always."""
    units = int(exp(rng.uniform(3, 8)))
    rate = rng.choice([5, 20, 50])
    volumes = lognormal_shares(rng, units, rng.choice([0.0, 1.0, 2.0]))
    mean, sigma = exp(rng.uniform(-7, -3.5)), rng.choice([0.0, 1.5, 3.0])
    shares = [min(1.0, mean * exp(rng.gauss(0, sigma))) for _ in range(units)]
    clean = rng.choice([0, units // 20])
    heaviest = sorted(range(units), key=volumes.__getitem__, reverse=True)[:clean]
    for at in heaviest:
        shares[at] = 0.0
    return [Unit(rate / units * volume, share, share) for volume, share in zip(volumes, shares, strict=True)]


def outages(hours: float, every_s: float = 3_000, lasting_s: float = 60, share: float = 0.6) -> list[Time]:
    """Return a time with outages that both versions meet."""
    found: list[Time] = []
    at_s = every_s
    while at_s < hours * 3_600:
        found += [Time(at_s), Time(at_s + lasting_s, share)]
        at_s += every_s
    return [*found, Time(hours * 3_600)]
