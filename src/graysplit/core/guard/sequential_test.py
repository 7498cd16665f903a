"""The rule that rolls back: a share too large for chance of the units who meet an error is on the new version.

If both versions are equally good, a share w of the units who meet an error is on new. Per stopwatch window, with X, Y
the units whose first error of the window fell on new and old, and N, O the calls, in strata g of constant w:

    s       = max(w, N / (N + O))                      more calls on new excuse more errors
    theta_k = rho * r_k
    cost_k  = (1-w) (theta_k - rho) / (rho (theta_k w + 1-w))
    ln E_k  = sum over g of  X ln r_k + (X+Y) ln((rho s + 1-s) / (theta_k s + 1-s)) - delta N cost_k
    worse   when sum of X >= 5 and mean over k of E_k >= K j (j+1) / alpha        j = 1, 2, ...: the window's number

Each E_k is a supermartingale from 1 for a version no worse than the margin (rho, delta), so that Ville's inequality
holds the chance of ever reaching the limit below alpha, however long and often one looks (Ville 1939; Lindon & Malek,
arXiv 2011.03567). Derivation and proof: docs/design/guard.md#the-rule-that-rolls-back. Do not add counts across strata.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, inf, log
from typing import Final, NamedTuple

# The ratios of hazards that the mixture looks for.
RATIOS: Final = (1.3, 1.7, 2.5, 4.0, 8.0, 20.0, 60.0, 200.0)
# A minute, half an hour, six hours; by server time since the release began, each starts again only when it ends.
STOPWATCHES_S: Final = (60, 1_800, 21_600)
MINIMUM: Final = 5  # units on new with an error: a floor only removes rollbacks
STRATA_AT_MOST: Final = 32  # per window; later ones are left out
DEADLINE_S: Final = 30.0  # a call still running then is a failed call of its unit, once; unless the guard says else
LONGEST_DEADLINE_S: Final = 600.0  # for so long evidence stays open
MARKS_S: Final = (1, 2, 5, 10, 30)  # how long ago E is looked at: each mark is a lower bound, so all share one alpha

# Of the one per cent of healthy releases that may be rolled back, by union bound.
ALPHA_ERRORS: Final = 0.007
ALPHA_SLOW: Final = 0.0015
ALPHA_CUT: Final = 0.0005  # calls cut short: those of a version that hangs are so many that this is enough
ALPHA_LOCAL: Final = 0.001  # of the whole fleet's local breakers


class Margin(NamedTuple):
    """What still counts as equally good: a hazard of at most rho times the old one's, plus delta per call."""

    rho: float
    delta: float


NORMAL: Final = Margin(1.1, 0.0005)
STRICT: Final = Margin(1.0, 0.0)
SLOW: Final = Margin(1.25, 0.005)


class Stratum(NamedTuple):
    """The counts of one window in a time of constant chance."""

    x: int  # units whose first error of the window fell on new
    y: int  # and on old
    n: int  # calls begun on new, less failed calls of units that count already; over-counting is harmless
    o: int  # and on old; any number is harmless
    w: float  # the chance of new among eligible calls


def ln_evidence(strata: Iterable[Stratum], margin: Margin = NORMAL) -> tuple[float, ...]:
    """Return ln E_k of one window for each ratio of the mixture."""
    rho, delta = margin
    totals = [0.0] * len(RATIOS)
    for x, y, n, o, w in strata:
        s = max(w, n / (n + o)) if n + o else w
        for k, ratio in enumerate(RATIOS):
            theta = rho * ratio
            cost = (1 - w) * (theta - rho) / (rho * (theta * w + 1 - w))
            weight = log((rho * s + 1 - s) / (theta * s + 1 - s))
            totals[k] += x * log(ratio) + (x + y) * weight - delta * n * cost
    return tuple(totals)


def ln_mean(logs: Sequence[float]) -> float:
    """Return the logarithm of the mean of what these are logarithms of."""
    top = max(logs)
    return top + log(sum(exp(one - top) for one in logs) / len(logs)) if top > -inf else -inf


def evidence(strata: Iterable[Stratum], margin: Margin = NORMAL) -> float:
    """Return E of one window; infinite where it is too large to be written."""
    ln_e = ln_mean(ln_evidence(strata, margin))
    return exp(ln_e) if ln_e < 709 else inf  # noqa: PLR2004 - the largest power of e that a float holds


def limit(window: int, alpha: float = ALPHA_ERRORS) -> float:
    """Return what E must reach in the window of this number, from 1, of one of the three stopwatches."""
    return len(STOPWATCHES_S) * window * (window + 1) / alpha


def is_worse(strata: Sequence[Stratum], window: int, margin: Margin = NORMAL, alpha: float = ALPHA_ERRORS) -> bool:
    """Return whether new is worse than the margin allows, by one window."""
    if sum(stratum.x for stratum in strata) < MINIMUM:
        return False
    return ln_mean(ln_evidence(strata, margin)) >= log(limit(window, alpha))


def expected_on_new(strata: Iterable[Stratum]) -> float:
    """Return how many of the units with an error would be on new by chance, for people."""
    return sum((stratum.x + stratum.y) * stratum.w for stratum in strata)
