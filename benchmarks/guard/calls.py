"""Independent calls, each by a unit of its own. The rule: docs/design/guard.md."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from random import Random
from typing import Final, NamedTuple

from benchmarks.guard.chance import poisson
from benchmarks.guard.watch import Watch
from graysplit.core.guard.sequential_test import ALPHA_ERRORS, NORMAL, Margin


class Phase(NamedTuple):
    """A time of constant chances."""

    until_s: float
    w: float
    new: float  # the share of calls that fail
    old: float


class Rule(NamedTuple):
    """A margin, and what part of the risk is its."""

    margin: Margin = NORMAL
    alpha: float = ALPHA_ERRORS


USUAL: Final = Rule()


class Stop(NamedTuple):
    """A rollback: when, at the next whole second, and after how many calls on new."""

    at_s: float
    calls: int


def steady(calls: float, w: float, new: float, old: float, rate: float = 100) -> tuple[Phase, ...]:
    """Return one phase of so many calls."""
    return (Phase(calls / rate, w, new, old),)


def run(
    rng: Random, phases: Sequence[Phase], rate: float = 100, begin_s: float = 0.0, rule: Rule = USUAL
) -> Stop | None:
    """Let calls come until the rule rolls back, or the phases end."""
    watch = Watch(rng, rule.margin, rule.alpha, begin_s)
    now_s = begin_s
    for phase in phases:
        on_new, on_old = rate * phase.w, rate * (1 - phase.w)
        watch.stream(now_s, phase.w, on_new * (1 - phase.new), on_old * (1 - phase.old))
        failing = on_new * phase.new + on_old * phase.old
        share = on_new * phase.new / failing if failing else 0.0
        while failing:
            ahead_s = now_s + rng.expovariate(failing)
            if ahead_s >= phase.until_s:
                break
            now_s = ahead_s
            if watch.failed(now_s, on_new=rng.random() < share):
                tick_s = ceil(now_s)
                watch.pass_to(tick_s)
                more = poisson(rng, on_new * phase.new * (tick_s - now_s))
                return Stop(tick_s, watch.n + watch.failures + more)
        now_s = phase.until_s
    return None
