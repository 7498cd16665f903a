"""How two candidates of a split compare with each other: by what was counted of either beside the baseline.

Two candidates share their stages where the same changes began and ended them. Of the units on either of them, each is
on the first with a chance that is known, whoever else runs; so the bounds are those of a candidate and its baseline,
and hold where nobody is on the baseline at all. Each pair has 95 % by itself; `jointly` holds for all stages of all
comparisons of the split at once: k candidates and the baseline are k (k+1) / 2 of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from graysplit.core.guard.interval import EACH, ESTIMATE_FACTOR, Interval, total
from graysplit.core.guard.report import Bounds, Compared, ReportSide, SampleRatio, Subject, side_of
from graysplit.core.guard.tally import EXPOSED_AT_MOST, MICRO, StageTally, Tally
from graysplit.core.guard.verdict_rules import SeenUnits, ratio_is_off

OVER: Final = -1  # instead of the change that ended a stage: nobody is on the candidate any more


class PairGoal(NamedTuple):
    """What units of either candidate did later; the first one's stand first."""

    name: str
    users: tuple[int, int]  # of those that are counted exactly
    converted: tuple[int, int]
    rates: Compared | None
    means: Compared | None  # of the values per unit; None also where each counts the same


class PairStage(NamedTuple):
    """One stage that both candidates share: a time of constant weights."""

    numbers: tuple[int, int]  # the stage's, within either release
    since_s: int
    shares: tuple[int, int]  # in thousandths of a percent
    sides: tuple[ReportSide, ReportSide]
    failing: Compared | None  # units with a failed call; None: nobody was seen
    ratio: SampleRatio | None
    goals: tuple[PairGoal, ...]

    @property
    def invalid(self) -> str:
        """Return why its bounds say nothing; "": they hold."""
        return "sample ratio mismatch" if self.ratio is not None and self.ratio.off else ""


class PairReport(NamedTuple):
    """Two candidates beside each other."""

    first: str  # their versions
    second: str
    comparisons: int  # of the split: so many share what may be missed in the joint bounds
    stages: tuple[PairStage, ...]  # those that they share


class Counted(NamedTuple):
    """One candidate and what was counted of it."""

    subject: Subject
    tally: Tally


def pairs_of(counted: Sequence[Counted], candidates: int) -> tuple[PairReport, ...]:
    """Compare each two of a split's candidates; it has so many in all."""
    comparisons = candidates * (candidates + 1) // 2
    return tuple(
        PairReport(
            first.subject.version, second.subject.version, comparisons, tuple(_stages(first, second, comparisons))
        )
        for first, second in combinations(counted, 2)
    )


def _stages(first: Counted, second: Counted, comparisons: int) -> Iterator[PairStage]:
    known = {(stage.stage.revision, stage.stage.old): (stage, end) for stage, end in _with_ends(second)}
    for one, end in _with_ends(first):
        other, other_end = known.get((one.stage.revision, one.stage.old), (None, 0))
        if other is not None and (end == other_end or OVER in {end, other_end}):
            yield _stage(one, other, comparisons)


def _with_ends(counted: Counted) -> Iterator[tuple[StageTally, int | None]]:
    """Return each stage with the change that ended it; None where it continues."""
    stages = counted.tally.stages
    ends = [*(stage.stage.revision for stage in stages[1:]), None if counted.subject.share else OVER]
    return zip(stages, ends, strict=False)


def _stage(one: StageTally, other: StageTally, comparisons: int) -> PairStage:
    shares = (one.stage.new, other.stage.new)
    chance = shares[0] / sum(shares)
    sides = (side_of(one, 1), side_of(other, 1))
    least = sum(
        side.users * (ESTIMATE_FACTOR if stage.exposed_bits else 1.0)
        for side, stage in zip(sides, (one, other), strict=True)
    )
    most = sum(
        side.users / (ESTIMATE_FACTOR if stage.exposed_bits else 1.0)
        for side, stage in zip(sides, (one, other), strict=True)
    )
    looked = _Look(chance, least, most, comparisons, max(one.number, other.number))
    failing = looked.compared((one.units.new, other.units.new), (one.unit_bits, other.unit_bits))
    names = sorted(one.goals.keys() | other.goals.keys())
    return PairStage(
        (one.number, other.number),
        max(one.since_s, other.since_s),
        shares,
        sides,
        failing,
        _ratio(one, other, chance),
        tuple(_goal(name, one, other, looked) for name in names),
    )


class _Look(NamedTuple):
    """What all comparisons of one stage share."""

    chance: float  # of the first, among the units on either
    least: float  # units that may have met either
    most: float
    comparisons: int  # that share what may be missed
    number: int  # the stage's

    def compared(self, seen: tuple[float, float], bits: tuple[int, int]) -> Compared | None:
        """Return how far apart the shares are of units that were seen; of either so many bits thin what is kept."""
        if not (0 < self.chance < 1 and self.least):
            return None
        parts = self.comparisons * self.number * (self.number + 1)
        return Compared(self._bounds(seen, bits, EACH), self._bounds(seen, bits, EACH / parts))

    def _bounds(self, seen: tuple[float, float], bits: tuple[int, int], a: float) -> Bounds:
        one = total(seen[0], self.chance / (1 << bits[0]), a)
        other = total(seen[1], (1 - self.chance) / (1 << bits[1]), a)
        low, high = one.low - other.high, one.high - other.low
        return Bounds(
            Interval(
                max(-1.0, low / (self.most if low > 0 else self.least)),
                min(1.0, high / (self.least if high > 0 else self.most)),
            ),
            Interval(one.low / other.high if other.high else 0.0, one.high / other.low if other.low else float("inf")),
        )


def _goal(name: str, one: StageTally, other: StageTally, looked: _Look) -> PairGoal:
    both = tuple(stage.goals.get(name) for stage in (one, other))
    units = tuple(goal.units.new if goal else 0 for goal in both)
    micro = tuple(goal.micro.new if goal else 0 for goal in both)
    bits = (one.exposed_bits, other.exposed_bits)
    valued = any(value != count * MICRO for value, count in zip(micro, units, strict=True))
    values = (micro[0] / MICRO, micro[1] / MICRO)
    return PairGoal(
        name,
        (one.exposed.new, other.exposed.new),
        (units[0], units[1]),
        looked.compared((units[0], units[1]), bits),
        looked.compared(values, bits) if valued else None,
    )


def _ratio(one: StageTally, other: StageTally, chance: float) -> SampleRatio | None:
    """Check the ratio of the first units of either, as long as both are still taken in."""
    on_one, units = one.ratio.new, one.ratio.new + other.ratio.new
    if not units or max(sum(one.ratio), sum(other.ratio)) >= EXPOSED_AT_MOST:
        return None
    return SampleRatio(on_one, units, units * chance, ratio_is_off((SeenUnits(on_one, units, chance),), one.number))
