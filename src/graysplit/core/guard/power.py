"""What a step can show before it begins: how many users `safe` needs, and the smallest harm that would be found.

Pure arithmetic over the rules that judge later, fed with what is expected instead of what was counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor
from typing import Final, NamedTuple

from graysplit.core.guard.interval import StageCounts
from graysplit.core.guard.sequential_test import NORMAL, STOPWATCHES_S, Margin, Stratum, is_worse
from graysplit.core.guard.verdict_rules import missing_on_new

_EXACT: Final = 1e-4  # how near to the smallest share found, itself a share of it


class Traffic(NamedTuple):
    """What comes, as far as it is known from a while ago."""

    calls_s: float  # calls per second, all versions together
    units_s: float  # users per second who had not been met before
    failing: float = 0.0  # the share of calls that fail on old


class Outlook(NamedTuple):
    """What one step needs, and could find."""

    w: float  # the candidate's chance among candidate and baseline
    units: int | None  # on new, until `safe` where both are equally good; None: it never comes
    seconds: float | None  # until then at this traffic; None: it never comes, or traffic is not known
    found: float | None  # the smallest share failing on new that is found by then; None: not even if all fail


def outlook(w: float, traffic: Traffic | None, *, within_s: float = 0.0, age_s: float = 0.0) -> Outlook:
    """Foretell a step that lasts at least `within_s`, `age_s` after its release began."""
    units = units_needed(w, traffic.failing if traffic else 0.0)
    seconds = None
    if units is not None and traffic is not None and traffic.units_s > 0:
        seconds = units / (traffic.units_s * w)
    if traffic is None:
        return Outlook(w, units, None, None)
    return Outlook(w, units, seconds, detectable(w, traffic, max(within_s, seconds or 0.0), age_s=age_s))


def units_needed(w: float, failing: float = 0.0) -> int | None:
    """Return how many units on new `safe` needs where both versions fail alike; None without a control, or never."""
    if not 0 < w < 1:
        return None
    # One unit that has been exposed, with its part of a failure: what is missing then is nearly all.
    missing = missing_on_new([StageCounts(failing * w, failing * (1 - w), 1.0, w)])
    return None if missing is None else round(missing + w)


def detectable(
    w: float, traffic: Traffic, seconds: float, *, age_s: float = 0.0, margin: Margin = NORMAL
) -> float | None:
    """Return the smallest share of calls failing on new that the stopwatches find in so many seconds; None: none.

    As expected, each call another user's: who fails again and again counts once, so that fewer are found.
    """
    windows = [*_windows(traffic.calls_s, seconds, age_s)]

    def is_found(share: float) -> bool:
        return any(
            is_worse([expected], number, margin)
            for number, calls in windows
            for expected in [_expected(w, traffic.failing, share, calls)]
        )

    if not 0 < w < 1 or not is_found(1.0):
        return None
    low, high = traffic.failing, 1.0
    while high - low > high * _EXACT:
        middle = (low + high) / 2
        low, high = (low, middle) if is_found(middle) else (middle, high)
    return high


def _windows(calls_s: float, seconds: float, age_s: float) -> Iterator[tuple[int, float]]:
    """Return, of each stopwatch, the first windows that see the step, by number, with the calls of it that they see."""
    for length_s in STOPWATCHES_S:
        number = int(age_s // length_s) + 1
        left_s = number * length_s - age_s
        yield number, calls_s * min(seconds, left_s)
        if seconds > left_s:
            yield number + 1, calls_s * min(seconds - left_s, length_s)


def _expected(w: float, failing: float, share: float, calls: float) -> Stratum:
    """Return what so many calls are expected to come to, rounded against new's being found."""
    on_new = calls * w
    return Stratum(floor(on_new * share), ceil((calls - on_new) * failing), ceil(on_new), floor(calls - on_new), w)
