"""What others do in the same cases: default rules of two controllers, and two tests looked at again and again.

Each is told, minute by minute, the calls and failures of both sides. Flagger: more than 1 % of new's calls of a minute
fail, and that in five minutes, in a row or not. Argo: more than 5 % of new's calls of five minutes fail, and that more
than three times. z: two shares, one-sided at 1 %, from 100 calls of new on. Mann-Whitney: the minutes' shares of
failures of both sides, every five minutes, one-sided at 0.1 %. Calls are Poisson streams; failed
checks add up while the weight stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from random import Random
from typing import Final, NamedTuple, Protocol

from benchmarks.guard.calls import Phase
from benchmarks.guard.chance import poisson

MINUTE_S: Final = 60


class Seen(NamedTuple):
    """The calls of a time."""

    n: int
    failed_new: int
    o: int
    failed_old: int


class Rival(Protocol):
    """A rule that is told of each step and says when it rolls back."""

    step_s: int

    def looks(self, seen: Seen) -> bool:
        """Return whether this is the moment."""
        ...


class Flagger:
    """A threshold, looked at each minute."""

    step_s = MINUTE_S

    def __init__(self) -> None:
        """Begin with no failed check."""
        self._failed = 0

    def looks(self, seen: Seen) -> bool:
        """Count a failed check."""
        self._failed += seen.n > 0 and seen.failed_new > 0.01 * seen.n
        return self._failed >= 5


class Argo:
    """A threshold, looked at each five minutes."""

    step_s = 5 * MINUTE_S

    def __init__(self) -> None:
        """Begin with no failed measurement."""
        self._failed = 0

    def looks(self, seen: Seen) -> bool:
        """Count a failed measurement."""
        self._failed += seen.n > 0 and seen.failed_new > 0.05 * seen.n
        return self._failed > 3


class Peeking:
    """A z-test at a fixed level, looked at each second."""

    step_s = 1

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._counts = [0, 0, 0, 0]

    def looks(self, seen: Seen) -> bool:
        """Test all that has been counted."""
        n, x, o, y = self._counts = [a + b for a, b in zip(self._counts, seen, strict=True)]
        if n < 100 or not o or not x + y:
            return False
        pooled = (x + y) / (n + o)
        spread = sqrt(pooled * (1 - pooled) * (1 / n + 1 / o))
        return spread > 0 and (x / n - y / o) / spread > 2.326


class MannWhitney:
    """A rank test of the minutes' rates, looked at each five minutes."""

    step_s = MINUTE_S

    def __init__(self) -> None:
        """Begin with no minute."""
        self._new: list[float] = []
        self._old: list[float] = []

    def looks(self, seen: Seen) -> bool:
        """Add a minute, and test at each fifth."""
        self._new.append(seen.failed_new / seen.n if seen.n else 0.0)
        self._old.append(seen.failed_old / seen.o if seen.o else 0.0)
        return len(self._new) % 5 == 0 and _rank_z(self._new, self._old) > 3.09


RIVALS: Final[dict[str, Callable[[], Rival]]] = {
    "Flagger": Flagger,
    "Argo": Argo,
    "z-test": Peeking,
    "Mann-Wh.": MannWhitney,
}


def run(rng: Random, rival: Rival, phases: Sequence[Phase], rate: float = 100) -> int | None:
    """Return the calls on new until it rolls back; None where it does not."""
    calls = 0
    for seen in _steps(rng, phases, rate, rival.step_s):
        calls += seen.n
        if rival.looks(seen):
            return calls
    return None


def _steps(rng: Random, phases: Sequence[Phase], rate: float, step_s: int) -> Iterator[Seen]:
    now_s = 0.0
    for phase in phases:
        mean_new, mean_old = rate * phase.w * step_s, rate * (1 - phase.w) * step_s
        while now_s < phase.until_s:
            x, y = poisson(rng, mean_new * phase.new), poisson(rng, mean_old * phase.old)
            n, o = poisson(rng, mean_new * (1 - phase.new)), poisson(rng, mean_old * (1 - phase.old))
            yield Seen(n + x, x, o + y, y)
            now_s += step_s


def _rank_z(new: Sequence[float], old: Sequence[float]) -> float:
    """Return how far the ranks of new lie above chance, in standard deviations, ties counted."""
    everything = sorted([(value, 1) for value in new] + [(value, 0) for value in old])
    whole, at, ranks, ties = len(everything), 0, 0.0, 0
    while at < whole:
        end = at
        while end < whole and everything[end][0] == everything[at][0]:
            end += 1
        same = end - at
        ranks += (at + 1 + end) / 2 * sum(side for _, side in everything[at:end])
        ties += same**3 - same
        at = end
    a, b = len(new), len(old)
    spread = a * b / 12 * (whole + 1 - ties / (whole * (whole - 1)))
    return (ranks - a * (a + 1) / 2 - a * b / 2) / sqrt(spread) if spread > 0 else 0.0
