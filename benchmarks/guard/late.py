"""An outage that both versions meet, old's failures some seconds late: shipped window counts, marks, thinning."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final, NamedTuple

from benchmarks.guard.chance import binomial, poisson
from graysplit.core.guard.admission import bits_at, first_levels, next_levels
from graysplit.core.guard.window_counts import WindowCounts
from graysplit.core.guard.windows import Span, StratumName, judged_spans, strongest

HERE: Final = StratumName(1)
OUTAGE_S: Final = (40, 100)  # from, until


class Case(NamedTuple):
    """How late old fails, how much traffic there is, and whether the second belongs to the beginning."""

    late_s: int
    rate: float
    w: float = 0.2
    users: int = 1_000_000
    by_begin: bool = True  # else by arrival, running calls left out: what must not be done


class Admitted(NamedTuple):
    """How many of the failing units entered, and at which level."""

    units: int
    bits: int


def trips(rng: Random, case: Case) -> bool:
    """Return whether a healthy release is rolled back."""
    fleet = _Fleet(rng, case)
    return any(fleet.second(now_s) for now_s in range(OUTAGE_S[1] + case.late_s + 5))


def admitted(rng: Random, rate: int, users: int) -> Admitted:
    """Return how many of so many failing users enter, each once, at a rate."""
    levels, inside = first_levels(0), 0
    for now_s in range(users // rate):
        inside += binomial(rng, rate, 0.5 ** bits_at(levels, now_s))
        levels = next_levels(levels, inside, now_s + 1)
    return Admitted(inside, levels[-1].bits)


class _Fleet:
    """Users who call in an outage, and the window counts that are told of it."""

    def __init__(self, rng: Random, case: Case) -> None:
        self._rng = rng
        self._case = case
        self._ledgers: dict[Span, WindowCounts] = {}
        self._due: dict[int, list[tuple[int, int]]] = {}  # old's failures to come: second -> unit, begin
        self._running: Counter[int] = Counter()

    def second(self, now_s: int) -> bool:
        """Let a second pass, and say whether the release is rolled back at its end."""
        case = self._case
        windows = [self._window_counts(span) for span in judged_spans(0, now_s)]
        for on_new in (True, False):
            self._call(windows, now_s, on_new=on_new)
        for unit, begin_s in self._due.pop(now_s, ()):
            self._running[begin_s] -= 1
            _fail(windows, unit, begin_s if case.by_begin else now_s, on_new=False)
        for window_counts in windows:
            window_counts.thin(now_s)
        ahead_s = now_s + 1 if case.by_begin else now_s + 60
        still = {HERE: +self._running} if case.by_begin else {}
        found = strongest([window_counts.window(now_s + 1, still) for window_counts in windows], ahead_s)
        return found is not None and found.convicts

    def _window_counts(self, span: Span) -> WindowCounts:
        if span not in self._ledgers:
            self._ledgers[span] = WindowCounts(span)
            self._ledgers[span].open(HERE, self._case.w)
        return self._ledgers[span]

    def _call(self, windows: list[WindowCounts], now_s: int, *, on_new: bool) -> None:
        case, out = self._case, OUTAGE_S[0] <= now_s < OUTAGE_S[1]
        calls = poisson(self._rng, case.rate * (case.w if on_new else 1 - case.w))
        for window_counts in windows:
            if now_s < window_counts.span.end_s:
                window_counts.called(HERE, on_new=on_new, calls=calls)
        for _ in range(binomial(self._rng, calls, 1.0 if out else 0.002)):
            unit = _unit(self._rng, case, on_new=on_new)
            if on_new or not out:
                _fail(windows, unit, now_s, on_new=on_new)
            else:
                self._due.setdefault(now_s + case.late_s, []).append((unit, now_s))
                self._running[now_s] += 1


def _unit(rng: Random, case: Case, *, on_new: bool) -> int:
    """Draw a user of a side, as 64 bits of a hash that tells nothing about the side."""
    edge = int(case.users * case.w)
    user = rng.randrange(edge) if on_new else rng.randrange(edge, case.users)
    return (user * 0x9E3779B97F4A7C15 ^ user >> 7) * 0xBF58476D1CE4E5B9 >> 20 & 0xFFFFFFFFFFFF


def _fail(windows: list[WindowCounts], unit: int, begin_s: int, *, on_new: bool) -> None:
    for window_counts in windows:
        if window_counts.span.begin_s <= begin_s < window_counts.span.end_s:
            window_counts.failed(unit, begin_s, HERE, on_new=on_new)
