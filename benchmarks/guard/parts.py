"""The tables, one function each; each run has a seed of its own, so that more runs add to the same ones.

Targets by number: docs/design/guard.md#targets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import erf, log, sqrt
from random import Random
from typing import Final

from benchmarks.guard import counters, late, rivals, stages, sticky
from benchmarks.guard.calls import USUAL, Phase, Rule, Stop, run, steady
from benchmarks.guard.sticky import Crowd, Time
from benchmarks.guard.tables import Line, Table, figure, mark, share, spread
from graysplit.core.guard.interval import StageCounts, difference, ln_mixture
from graysplit.core.guard.sequential_test import ALPHA_SLOW, SLOW, STRICT, Stratum, evidence, is_worse, limit
from graysplit.core.guard.verdict_rules import is_safe
from graysplit.core.guard.windows import Book, Span, StratumName, Window, WindowSide, strongest

DAY_S: Final = 86_400
HOUR: Final = [Time(3_600)]
SIX_HOURS: Final = [Time(21_600)]

# X, Y, N, O, w, j, E, worse: docs/design/guard.md#the-rule-that-rolls-back.
VECTORS: Final = (
    (18, 12, 352, 1408, 0.2, 1, 4061.40, True),
    (4, 0, 4, 396, 0.01, 1, 1.92773e06, False),
    (5, 0, 5, 495, 0.01, 1, 1.11748e08, True),
    (8, 1, 2000, 198000, 0.01, 1, 2230.22, True),
    (5, 0, 25, 75, 0.2, 1, 225.199, False),
    (6, 0, 30, 120, 0.2, 1, 2481.18, True),
    (18, 12, 352, 1408, 0.2, 40, 4061.4, False),
    (40, 0, 2000, 8000, 0.2, 3, 9.56874e23, True),
    (60, 20, 9000, 12000, 0.2, 1, 2519.15, True),
    (0, 50, 1000, 4000, 0.2, 1, 0.00495614, False),
    (12, 0, 12, 12, 0.5, 1, 804.754, False),
    (13, 0, 13, 13, 0.5, 1, 1482.61, True),
    (165, 0, 165, 9, 0.95, 1, 857.916, True),
    (100, 0, 100, 0, 1.0, 1, 1.0, False),
)


def seeds(name: str, runs: int) -> Iterator[Random]:
    """Return a source of chance for each run of a case."""
    return (Random(f"{name} {number}") for number in range(runs))


def vectors(_: int) -> Table:
    """Return the published vectors, and what a window costs: targets 1 and 10."""
    worst = max(_off(evidence([Stratum(*numbers[:5])]), numbers[6]) for numbers in VECTORS)
    verdicts = sum(is_worse([Stratum(*numbers[:5])], numbers[5]) is not numbers[7] for numbers in VECTORS)
    two = evidence([Stratum(4, 3, 100, 1900, 0.05), Stratum(9, 4, 300, 1200, 0.2)])
    strict = evidence([Stratum(*VECTORS[0][:5])], STRICT)
    others = max(_off(two, 47830.9), _off(strict, 16148.0), _off(limit(3), 5142.86), _off(limit(40), 702_857))
    lines = [
        figure("E, 14 vectors: furthest, in 1e-6", worst * 1e6, 5),
        figure("their verdicts that differ", verdicts, 0),
        figure("strata, strict, limits: in 1e-6", others * 1e6, 5),
        figure("intervals: in 1e-4 points", _intervals() * 1e4, 0.5),
        figure("SRM: furthest, in 1e-6", _srm() * 1e6, 0.5),
        figure("one window, one stratum", _cost_us(1, 0), 50, "us"),
        figure("one window, all five marks differ", _cost_us(1, 30), None, "us"),
        figure("one window, four strata", _cost_us(4, 0), None, "us"),
    ]
    return Table("Vectors and cost (targets 1 and 10)", lines)


def always_failing(runs: int) -> Table:
    """Return what a version that always fails needs: docs/design/guard.md#a-version-that-always-fails."""
    wanted = {0.01: (5, 5), 0.05: (5, 7), 0.2: (6, 20), 0.5: (13, 50), 0.95: (165, 206), 0.99: (843, 959)}
    lines: list[Line] = []
    for w, (units, calls) in wanted.items():
        lines.append(figure(f"{100 * w:g} %: failing units needed", _needed(w), units))
        stops = [run(rng, steady(1e6, w, 1.0, 0.005)) for rng in seeds(f"always {w}", runs)]
        found = _calls(stops)
        tick = 100 * w
        lines.append(spread(f"{100 * w:g} %: new calls, median (p90)", found, runs, calls + tick))
    return Table("A version that always fails, old 0.5 %, 100 calls/s (target 4)", lines)


def power(runs: int) -> Table:
    """Return how many calls on new it takes until a rollback, for errors and for slow calls."""
    lines: list[Line] = []
    for old, new, w, goal in (
        (0.001, 0.005, 0.01, 3_600),
        (0.001, 0.011, 0.01, 720),
        (0.001, 0.011, 0.2, 1_050),
        (0.01, 0.05, 0.01, 270),
        (0.01, 0.05, 0.2, 400),
        (0.001, 0.002, 0.2, None),
    ):
        few = runs if goal else max(10, runs // 10)
        name = f"{100 * old:g} -> {100 * new:g} %, weight {100 * w:g} %"
        found = _calls(run(rng, steady(2e7, w, new, old)) for rng in seeds(name, few))
        lines.append(spread(name, found, few, goal))
        if goal == 400:
            lines.append(mark("  the same, p90", found, few, 700))
    zero = _calls(run(rng, steady(1e6, 0.1, 0.005, 0.0)) for rng in seeds("zero", runs))
    lines.append(spread("0 -> 0.5 %, weight 10 %", zero, runs, 1_300))
    lines.append(_after_a_day(runs))
    for times, goal in ((1.5, 5_700), (2.0, 690), (5.0, 60)):
        chance = 1 - _below(2.326348 - log(times))
        slow = Rule(SLOW, ALPHA_SLOW)
        found = _calls(run(rng, steady(2e6, 0.2, chance, 0.01), rule=slow) for rng in seeds(f"slow {times}", runs))
        lines.append(spread(f"{times:g} times slower, weight 20 %", found, runs, goal))
    return Table("New calls until rollback, median (p90), 100 calls/s (3, 5, 6)", lines)


def healthy(runs: int) -> Table:
    """Return how many healthy releases are rolled back, with independent calls: target 2."""
    slow = Rule(SLOW, ALPHA_SLOW)
    cases: Mapping[str, tuple[Sequence[Phase], Rule, int]] = {
        f"equal, {100 * base:g} %, weight {100 * w:g} %, 1e6": (steady(1e6, w, base, base), USUAL, runs)
        for w in (0.01, 0.05, 0.2, 0.5, 0.95)
        for base in (0.001, 0.01, 0.05)
    } | {
        "equal, 1 %, weight 1 %, 1e7": (steady(1e7, 0.01, 0.01, 0.01), USUAL, max(5, runs // 5)),
        "on the margin, 1 -> 1.15 %, 2e6": (steady(2e6, 0.2, 0.0115, 0.01), USUAL, runs),
        "slow, margin, 1 -> 1.75 %, 2e6": (steady(2e6, 0.2, 0.0175, 0.01), slow, runs),
        "3 outages of 60 s at 60 %, 1 %": (OUTAGES, USUAL, runs),
        "ramp 1-5-20-50, base 0.2 to 3 %": (RAMP, USUAL, runs),
    }
    lines: list[Line] = []
    false = whole = 0
    for name, (phases, rule, many) in cases.items():
        found = sum(run(rng, phases, rule=rule) is not None for rng in seeds(name, many))
        false, whole = false + found, whole + many
        lines.append(share(name, found, many, 1))
    lines.append(share("all of these", false, whole, 1))
    return Table("Healthy releases rolled back, independent calls, in per cent (target 2)", lines)


def compared(runs: int) -> Table:
    """Return what others do in the same cases."""
    few = max(5, runs // 5)
    cases: dict[str, tuple[Sequence[Phase], bool]] = {
        "equal, 0.1 %, 1 %": (steady(2e6, 0.01, 0.001, 0.001), True),
        "equal, 1 %, 1 %": (steady(2e6, 0.01, 0.01, 0.01), True),
        "equal, 5 %, 1 %": (steady(2e6, 0.01, 0.05, 0.05), True),
        "1 -> 1.15 %, 20 %": (steady(2e6, 0.2, 0.0115, 0.01), True),
        "outage 3 x 60 s, 1 %": (OUTAGES, True),
        "ramp, base 0.2 to 3 %": (RAMP, True),
        "0.1 -> 0.5 %, 1 %": (steady(2e6, 0.01, 0.005, 0.001), False),
        "0.1 -> 1.1 %, 20 %": (steady(2e6, 0.2, 0.011, 0.001), False),
        "1 -> 5 %, 1 %": (steady(2e6, 0.01, 0.05, 0.01), False),
        "1 -> 5 %, 20 %": (steady(2e6, 0.2, 0.05, 0.01), False),
        "0.5 -> 100 %, 20 %": (steady(1e5, 0.2, 1.0, 0.005), False),
    }
    lines: list[Line] = []
    for case, (phases, equal) in cases.items():
        for name, rival in rivals.RIVALS.items():
            found = [
                calls for rng in seeds(case + name, few) if (calls := rivals.run(rng, rival(), phases)) is not None
            ]
            label = f"{case}: {name}"
            lines.append(share(label, len(found), few) if equal else spread(label, found, few))
        ours = _calls(run(rng, phases) for rng in seeds(case, few))
        label = f"{case}: this rule"
        lines.append(share(label, len(ours), few) if equal else spread(label, ours, few))
    return Table("Others: false rollbacks; new calls until rollback, median (p90)", lines)


def sticky_users(runs: int) -> Table:
    """Return the same for users who come again and again, with identical versions: target 2."""
    cases: dict[str, tuple[Crowd, float, Sequence[Time]]] = {
        "half the calls by a clean unit, 1 %": (sticky.one_clean_heavy(200), 0.01, [Time(10_800)]),
        "50 tenants, lognormal, 50 %": (sticky.tenants(50, 50), 0.5, SIX_HOURS),
        "200 tenants, beta, 20 %": (sticky.beta_users(200, 20, zipf=False), 0.2, SIX_HOURS),
        "10,000 users, Zipf, beta, 20 %": (sticky.beta_users(10_000, 20, zipf=True), 0.2, SIX_HOURS),
        "300 uneven users, outages, 20 %": (sticky.uneven_users(300, 20, 0.01, 1.0), 0.2, sticky.outages(6)),
        "2 % of users fail 90 %, 1 h, 20 %": (sticky.failing_few(2_000, 20), 0.2, HOUR),
        "any population, 1 to 95 %": (sticky.any_crowd, 0.0, SIX_HOURS),
    }
    lines: list[Line] = []
    for case, (crowd, w, times) in cases.items():
        found = [
            sticky.run(rng, crowd(rng), w or rng.choice([0.01, 0.05, 0.2, 0.5, 0.95]), times)
            for rng in seeds(case, runs)
        ]
        lines.append(share(case, sum(one.rolled_back_s is not None for one in found), runs, 1))
        lines.append(share("  the note", sum(one.suspect_s is not None for one in found), runs))
    return Table("The same users again and again, equal versions, 6 h, in per cent (target 2)", lines)


def doubts(runs: int) -> Table:
    """Return how often the note on few users is written in three healthy hours; and if each process counted alone."""
    crowds: dict[str, Crowd] = {
        "200 users, beta": sticky.beta_users(200, 20, zipf=False),
        "any population": sticky.any_crowd,
        "2 % fail 90 %, retrying": sticky.failing_few(2_000, 20),
    }
    few = max(5, runs // 5)
    lines: list[Line] = []
    for case, crowd in crowds.items():
        for alone in (1, 4, 40):
            w = 0.0 if crowd is sticky.any_crowd else 0.2
            found = [
                sticky.run(rng, crowd(rng), w or rng.choice([0.01, 0.05, 0.2, 0.5, 0.95]), [Time(10_800)], alone)
                for rng in seeds(f"doubts {case}", few)
            ]
            name = f"  each of {alone} alone" if alone > 1 else case
            lines.append(share(name, sum(one.suspect_s is not None for one in found), few))
    return Table("The note on few users in three healthy hours, 1, 4 or 40 processes, in per cent", lines)


def shared_outage(runs: int) -> Table:
    """Return late failures in an outage of both, thinning, and what happens without the marks."""
    few = max(5, runs // 5)
    lines: list[Line] = []
    for late_s in (0, 5, 30):
        case = late.Case(late_s, 200)
        found = sum(late.trips(rng, case) for rng in seeds(f"late {late_s}", few))
        lines.append(share(f"old fails {late_s} s late", found, few, 1))
    naive = late.Case(5, 200, by_begin=False)
    found = sum(late.trips(rng, naive) for rng in seeds("naive", few))
    lines.append(share("  5 s late, booked by arrival", found, few))
    large, some = late.Case(5, 5_000), max(2, runs // 50)
    found = sum(late.trips(rng, large) for rng in seeds("thinned", some))
    lines.append(share("5 s late, 5,000 calls/s, thinned", found, some, 1))
    rng = Random("admitted")
    entered = late.admitted(rng, 10_000, 10_000_000)
    lines += [
        figure("10,000,000 users fail: entries", entered.units, 55_000),
        figure("  levels", entered.bits, 13),
    ]
    return Table("An outage that both versions meet, old's failures late (target 2)", lines)


def few_users(runs: int) -> Table:
    """Return for few users how often the rule rolls back, and how often the note is written."""
    lines: list[Line] = []
    kinds: dict[str, tuple[Callable[[int], Crowd], Sequence[Time]]] = {
        "1 -> 5 % for all": (lambda users: sticky.equal_users(users, 50, 0.05, 0.01), HOUR),
        "uneven users, 5 times": (lambda users: sticky.uneven_users(users, 50, 0.01, 5.0), HOUR),
        "always fails, 10 min": (lambda users: sticky.equal_users(users, 50, 1.0, 0.01), [Time(600)]),
    }
    for kind, (crowd, times) in kinds.items():
        for users in (50, 200, 1_000):
            name = f"{kind}, {users:,} users"
            found = [sticky.run(rng, crowd(users)(rng), 0.2, times) for rng in seeds(name, runs)]
            stops = [one.rolled_back_s for one in found if one.rolled_back_s is not None]
            first = kind.startswith("1 ->") and users == 1_000
            lines.append(share(name, len(stops), runs, 95 if first else None, at_least=first))
            lines.append(share("  the note", sum(one.suspect_s is not None for one in found), runs))
            if first:
                lines.append(spread("  seconds, median (p90)", stops, runs, 60))
    return Table("Few users, 50 calls/s, 20 %, one hour: rolled back (target 7)", lines)


def safety(runs: int) -> Table:
    """Return units needed for `safe`, false `safe`, missed intervals, the sample ratio: targets 8 and 9."""
    lines: list[Line] = []
    for w in (0.2, 0.01):
        for base in (0.0, 0.001, 0.01, 0.05):
            few = 5 if not base else max(5, runs // 5)
            name = f"safe, base {100 * base:g} %, {100 * w:g} %: on new"
            found = [stages.units_until_safe(rng, w, base, 2_000_000) for rng in seeds(name, few)]
            lines.append(spread(name, found, few, 1_300 if w == 0.2 and not base else None))
    cases = [(w, base) for w in (0.05, 0.2, 0.5) for base in (0.0, 0.001, 0.01, 0.05)]
    worst = 0.0
    for nested in (False, True):
        false = 0
        for w, base in cases:
            name = f"limit {w} {base} {nested}"
            one = sum(stages.is_falsely_safe(rng, w, base, nested=nested) for rng in seeds(name, runs))
            false, worst = false + one, max(worst, one / runs)
        lines.append(share(f"false safe on the limit{', nested' if nested else ''}", false, runs * len(cases), 5))
    lines.append(figure("  the worst case of 24", 100 * worst, 5, "%"))
    missed = worst_missed = 0
    pairs = [(w, new, old) for w in (0.05, 0.2, 0.5) for new, old in ((0.01, 0.01), (0.05, 0.01), (0.001, 0.03))]
    for w, new, old in pairs:
        one = sum(stages.misses(rng, w, new, old) for rng in seeds(f"misses {w} {new} {old}", runs))
        missed, worst_missed = missed + one, max(worst_missed, one)
    lines.append(share("interval misses, 40 looks", missed, runs * len(pairs), 5))
    lines.append(share("  the worst case of 9", worst_missed, runs, 5))
    few = max(5, runs // 5)
    lines.append(share("bounded means missed", sum(map(stages.misses_mean, seeds("mean", few), [0.2] * few)), few, 5))
    false = sum(stages.alarms(rng, 0.2, 0.2, stages=5) is not None for rng in seeds("srm", runs))
    lines.append(share("SRM, five stages: false alarms", false, runs, 1))
    found = [
        units for rng in seeds("srm off", runs) if (units := stages.alarms(rng, 0.2, 0.22, units=40_000)) is not None
    ]
    lines.append(spread("SRM, 20 -> 22 %: units", found, runs))
    return Table("`safe`, intervals and the sample ratio (targets 8 and 9)", lines)


OUTAGES: Final[tuple[Phase, ...]] = (
    Phase(1_770, 0.01, 0.002, 0.002),
    Phase(1_830, 0.01, 0.6, 0.6),
    Phase(4_770, 0.01, 0.002, 0.002),
    Phase(4_830, 0.01, 0.6, 0.6),
    Phase(7_770, 0.01, 0.002, 0.002),
    Phase(7_830, 0.01, 0.6, 0.6),
    Phase(10_800, 0.01, 0.002, 0.002),
)
RAMP: Final[tuple[Phase, ...]] = tuple(
    Phase(60 * (minute + 1), w, base, base)
    for minute in range(240)
    for w, base in [((0.01, 0.05, 0.2, 0.5)[minute // 60], 0.002 + 0.028 * minute / 240)]
)


def through_counters(runs: int) -> Table:
    """Return releases through buffers, the scripts of a real server and the judge: false alarms, and what is found."""
    lines: list[Line] = []
    with counters.feed() as feed:
        for w, base in ((0.2, 0.02), (0.5, 0.1)):
            ended = [
                counters.release(feed, seed, counters.Rates(base, base), round(w * 100_000)) for seed in range(runs)
            ]
            name = f"equal, {100 * base:g} %, weight {100 * w:g} %"
            lines.append(share(f"{name}: rolled back", sum("worse" in one.words for one in ended), runs, 1))
            lines.append(share("  suspect", sum("suspect" in one.words for one in ended), runs, 1))
            lines.append(share("  difference missed, 15 looks", sum(not one.covered for one in ended), runs, 5))
        few = max(5, runs // 5)
        ended = [counters.release(feed, seed, counters.Rates(0.3, 0.02), 20_000) for seed in range(few)]
        lines.append(
            share("2 -> 30 %: rolled back", sum("worse" in one.words for one in ended), few, 100, at_least=True)
        )
        lines.append(share("  difference missed", sum(not one.covered for one in ended), few, 5))
    return Table("Through the real counters and scripts: a minute, 30 users a second", lines)


PARTS: Final[dict[str, Callable[[int], Table]]] = {
    "vectors": vectors,
    "failing": always_failing,
    "power": power,
    "healthy": healthy,
    "sticky": sticky_users,
    "doubts": doubts,
    "late": shared_outage,
    "few": few_users,
    "safety": safety,
    "compared": compared,
    "counters": through_counters,
}


def _calls(stops: Iterator[Stop | None] | Sequence[Stop | None]) -> list[float]:
    return [stop.calls for stop in stops if stop is not None]


def _after_a_day(runs: int) -> Line:
    """Let a regression begin anywhere in the six hours after a day; how it fared before is part of it."""
    found: list[float] = []
    for rng in seeds("day", runs):
        at_s = DAY_S + rng.uniform(0, 21_600)
        phases = (Phase(at_s, 0.2, 0.01, 0.01), Phase(at_s + 21_600, 0.2, 0.05, 0.01))
        stop = run(rng, phases, begin_s=DAY_S)
        if stop is not None and stop.at_s > at_s:
            found.append((stop.at_s - at_s) * 20)
    return spread("1 -> 5 % after a day, weight 20 %", found, runs, 1_600)


def _needed(w: float) -> int:
    """Return the failing units on new that trip the first window, old meeting no error."""
    rest = (1 - w) / w
    return next(x for x in range(1, 10_000) if is_worse([Stratum(x, 0, x, round(x * rest), w)], 1))


def _off(found: float, wanted: float) -> float:
    return abs(found / wanted - 1)


def _intervals() -> float:
    wanted = {
        (20, 80, 10000, 0.2): (-0.7085, 0.9532, True),
        (40, 80, 10000, 0.2): (0.0223, 2.2425, False),
        (0, 0, 6000, 0.2): (-0.1111, 0.5019, False),
    }
    worst = 0.0
    for numbers, (low, high, safe) in wanted.items():
        found = difference(StageCounts(*numbers))
        agree = is_safe([StageCounts(*numbers)]) is safe
        worst = max(worst, abs(100 * found.low - low), abs(100 * found.high - high), 0.0 if agree else 1.0)
    return worst


def _srm() -> float:
    return max(abs(ln_mixture(2300, 10000, 0.2, 1000) - 23.510262), abs(ln_mixture(2100, 10000, 0.2, 1000) - 1.593542))


def _cost_us(strata: int, recent: int) -> float:
    """Return the CPU time of looking at one window, the least of some hundred."""
    side = WindowSide(1_000, 5, 18, dict.fromkeys(range(recent), 1))
    books = tuple(Book(StratumName(stage), 0.2, side, side, dict.fromkeys(range(recent), 2)) for stage in range(strata))
    window = [Window(Span(60, 1, 0), books)]
    return min(_spent_us(window) for _ in range(200))


def _spent_us(window: Sequence[Window]) -> float:
    began = time.thread_time_ns()
    strongest(window, 31)
    return (time.thread_time_ns() - began) / 1_000


def _below(z: float) -> float:
    return (1 + erf(z / sqrt(2))) / 2
