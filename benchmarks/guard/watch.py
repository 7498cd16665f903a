"""The guard as a simulation runs it: events in continuous time, judged by the shipped rule at each error.

Calls are Poisson streams, so that only errors need be drawn one by one; the calls in between are drawn when somebody
looks. Looks lie at each first error on new, the only moments at which evidence can rise (but for the share of calls on
new, looked at again just before the next event). Most looks are answered by a bound that no trip can be under:
E <= exp(M KL(X/M || p0)) with M = X + Y and p0 = rho w / (rho w + 1 - w), whatever N and O.
"""

from __future__ import annotations

from math import log
from random import Random

from benchmarks.guard.chance import poisson
from graysplit.core.guard.sequential_test import (
    ALPHA_ERRORS,
    MINIMUM,
    NORMAL,
    STOPWATCHES_S,
    Margin,
    Stratum,
    is_worse,
    limit,
)


class Clock:
    """One stopwatch's present window."""

    __slots__ = ("ceiling", "ends_s", "hot", "known", "length_s", "n0", "number", "o0", "past", "past_bound", "x", "y")

    def __init__(self, length_s: int, begin_s: float, alpha: float) -> None:
        """Begin in the window that begins then."""
        self.length_s = length_s
        self.number = int(begin_s // length_s)
        self.known: set[int] = set()
        self.begin(alpha, 0, 0)

    def begin(self, alpha: float, n: int, o: int) -> None:
        """Begin the next window, at so many calls."""
        self.number += 1
        self.ends_s = self.number * self.length_s
        self.ceiling = log(limit(self.number, alpha))
        self.known.clear()
        self.past: list[Stratum] = []
        self.past_bound = 0.0
        self.restart(n, o)

    def restart(self, n: int, o: int) -> None:
        """Begin a stratum, at so many calls."""
        self.x = self.y = 0
        self.n0, self.o0 = n, o
        self.hot = False


class Watch:
    """Three stopwatches over two streams of calls."""

    def __init__(self, rng: Random, margin: Margin = NORMAL, alpha: float = ALPHA_ERRORS, begin_s: float = 0.0) -> None:
        """Begin at a time since the release began at which all windows begin."""
        self._rng = rng
        self._margin = margin
        self._alpha = alpha
        self._drawn_s = begin_s
        self._rates = (0.0, 0.0)
        self._w = 0.0
        self._p0 = 0.0
        self.n = self.o = 0  # calls so far that did not fail
        self.failures = 0  # of new
        self.clocks = [Clock(length_s, begin_s, alpha) for length_s in STOPWATCHES_S]

    def stream(self, now_s: float, w: float, on_new: float, on_old: float) -> None:
        """Set the chance of new, and how many calls succeed per second on either side; a new chance is a stratum."""
        self.pass_to(now_s)
        self._rates = (on_new, on_old)
        if w == self._w:
            return
        for clock in self.clocks:
            if clock.x or clock.y or self.n > clock.n0:
                clock.past.append(self._stratum(clock))
                clock.past_bound += self._bound(clock)
            clock.restart(self.n, self.o)
        self._w = w
        self._p0 = self._margin.rho * w / (self._margin.rho * w + 1 - w)

    def pass_to(self, now_s: float) -> None:
        """Let time pass, and begin the windows that are due."""
        for clock in self.clocks:
            while now_s >= clock.ends_s:
                self._draw(clock.ends_s)
                clock.begin(self._alpha, self.n, self.o)
        self._draw(now_s)

    def failed(self, now_s: float, *, on_new: bool, unit: int | None = None) -> bool:
        """Count a failed call, once per window for each unit, and say whether that trips."""
        tripped = False
        self.failures += on_new
        for clock in self.clocks:
            if now_s >= clock.ends_s:
                self.pass_to(now_s)
            if clock.hot:
                tripped = tripped or self._trips(clock, now_s)
            if unit is not None:
                if unit in clock.known:
                    continue
                clock.known.add(unit)
            if not on_new:
                clock.y += 1
                continue
            clock.x += 1
            if clock.x + sum(past.x for past in clock.past) >= MINIMUM if clock.past else clock.x >= MINIMUM:
                tripped = self._looks(clock, now_s) or tripped
        return tripped

    def _looks(self, clock: Clock, now_s: float) -> bool:
        clock.hot = self._bound(clock) + clock.past_bound >= clock.ceiling
        return clock.hot and self._trips(clock, now_s)

    def _trips(self, clock: Clock, now_s: float) -> bool:
        self._draw(now_s)
        return is_worse([*clock.past, self._stratum(clock)], clock.number, self._margin, self._alpha)

    def _bound(self, clock: Clock) -> float:
        x, units, p0 = clock.x, clock.x + clock.y, self._p0
        if x <= p0 * units or not 0 < p0 < 1:
            return 0.0
        share = x / units
        return x * log(share / p0) + (clock.y * log((1 - share) / (1 - p0)) if clock.y else 0.0)

    def _stratum(self, clock: Clock) -> Stratum:
        n, o = self.n - clock.n0 + clock.x, self.o - clock.o0 + clock.y
        return Stratum(clock.x, clock.y, n, o, self._w)

    def _draw(self, now_s: float) -> None:
        passed_s = now_s - self._drawn_s
        if passed_s <= 0:
            return
        self._drawn_s = now_s
        self.n += poisson(self._rng, self._rates[0] * passed_s)
        self.o += poisson(self._rng, self._rates[1] * passed_s)
