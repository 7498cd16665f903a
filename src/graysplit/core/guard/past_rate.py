"""Judge a candidate at 100 % by the rate that the baseline had before: the cruder rule.

At 100 %, and after a switch, no hash draws a side, so nothing is compared. What is known is how often old failed
before. With Y of O calls failed there, and X users whose first error of a window fell on new, in N calls:

    q       = the largest rate at which E_low(Y, O; q) < 1 / a            old's past rate is at most q
    suspect   when X >= 5 and E(X, N; 2 q + 0.005) >= K j (j+1) / a       beyond twice that, and half a point
    worse     when X >= 5 and E(X, N; 4 q + 0.25)  >= K j (j+1) / a       beyond doubt: four times that, and 25 points
    E(x, n; p) = mean over k of (p_k/p)^x ((1-p_k)/(1-p))^(n-x)           p_k = p + (1-p) g_k; E_low: p_k = p g_k

with a = `ALPHA` / 2 and j, K as in the stopwatches. Where a call fails with chance p at most, whatever happened before
it, each factor has mean 1 at most, so that E is a supermartingale from 1: it ever reaches its limit with chance a at
most, however often one looks (Ville 1939), and both parts together with chance `ALPHA`.

Cruder than the comparison, and outside its bound of 1 in 100: time has passed, calls count as independent, and an
outage of what both versions use looks like a bad version. Hence the margins, and hence it holds for six hours only.
Where old's rate is not known, new is suspect once more than half of its calls fail, and is never worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import log
from typing import Final, NamedTuple

from graysplit.core.durations import format_span
from graysplit.core.guard.sequential_test import MINIMUM, Margin, limit, ln_mean
from graysplit.core.guard.tally import StageTally
from graysplit.core.guard.windows import Window

ALPHA: Final = 0.001  # the chance of a false alarm at equal rates in one release, outside the guard's one per cent
HOLDS_S: Final = 21_600  # from when nobody was on old any more: later its rate says little
OLDEST_S: Final = 86_400  # how old a rate may be when a switch begins
SUSPECT: Final = Margin(2.0, 0.005)
BEYOND_DOUBT: Final = Margin(4.0, 0.25)
HALF: Final = 0.5  # of the calls: the suspicion where nothing is known of old
USERS: Final = 500  # of old, from which on a stage tells enough by itself

PAST: Final = "past:"  # in `meta`, before a candidate's field: what a release without a control knows from before it

_DIGITS: Final = 15
_ABOVE: Final = (0.01, 0.03, 0.1, 0.3, 0.6, 0.9)
_BELOW: Final = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9)


class PastRate(NamedTuple):
    """What was counted of the baseline while it still had users beside a candidate."""

    calls: int
    failures: int
    users: int  # that met it
    failed: int  # of them, those with a failed call
    until_s: int  # server time at which that ended

    @property
    def rate(self) -> float:
        """Return the share of calls that failed."""
        return self.failures / self.calls if self.calls else 0.0

    @property
    def highest(self) -> float:
        """Return the highest rate that these counts allow.

        Failed calls of one user count once, and the calls fewer by as much: whoever fails again and again is one
        witness. With few of them each user is one call.
        """
        if self.failed >= MINIMUM:
            return highest(self.failed, self.calls * self.failed / max(self.failures, self.failed))
        return highest(self.failed, min(self.users, self.calls))


class Uncontrolled(NamedTuple):
    """The time since which nobody is on the baseline, and what is known of it from before."""

    since_s: int
    first: int  # the number of the first stage of that time
    past: PastRate | None = None

    def left_s(self, now_s: int) -> int:
        """Return for how many seconds more a past rate speaks of the candidate."""
        return max(0, self.since_s + HOLDS_S - now_s)


class Alarm(NamedTuple):
    """What a window has shown against the past rate."""

    users: int  # with a failed call in it
    calls: int
    length_s: int
    number: int
    beyond_doubt: bool = False


def uncontrolled(stages: Sequence[StageTally], remembered: PastRate | None = None) -> Uncontrolled | None:
    """Return since when nobody is on the baseline, by a release's stages; None where somebody is.

    `remembered` is what was kept of the release before, where this one began without anybody on the baseline.
    """
    alone = 0
    while alone < len(stages) and not stages[-1 - alone].stage.old:
        alone += 1
    if not alone or not stages[-1].stage.new:
        return None
    first = stages[-alone]
    past = past_of(stages[: len(stages) - alone], first.since_s)
    if past is None and remembered is not None and 0 <= first.since_s - remembered.until_s <= OLDEST_S:
        past = remembered
    return Uncontrolled(first.since_s, first.number, past)


def past_of(stages: Sequence[StageTally], until_s: int) -> PastRate | None:
    """Return what stages with a control have counted of the baseline, until a second; None for nothing.

    It is the last one with enough users, else the one with most: not the one with the lowest rate.
    """
    parts = [_of(stage, end_s) for stage, end_s in _with_ends(stages, until_s) if stage.stage.old]
    known = [one for one in parts if one.calls and one.users and until_s - one.until_s <= OLDEST_S]
    enough = [one for one in known if one.users >= USERS]
    return enough[-1] if enough else max(known, key=lambda one: one.users, default=None)


def past_text(past: PastRate) -> str:
    """Return a past rate as it stands in `meta`."""
    return " ".join(map(str, past))


def read_past(text: str) -> PastRate | None:
    """Read a past rate; what is none is not known."""
    parts = text.split()
    if len(parts) != len(PastRate._fields) or not all(part.isdecimal() and len(part) <= _DIGITS for part in parts):
        return None
    return PastRate(*map(int, parts))


def alarm(windows: Iterable[Window], alone: Uncontrolled) -> Alarm | None:
    """Return the weightiest of what windows show against the past rate; None where they show nothing."""
    seen = [one for window in windows if (one := _seen(window, alone.first)).users >= MINIMUM]
    if not seen:
        return None
    suspect, worse = (HALF, 1.0) if alone.past is None else limits(alone.past)
    alarms = [
        one._replace(beyond_doubt=is_above(one.users, one.calls, worse, one.number))
        for one in seen
        if is_above(one.users, one.calls, suspect, one.number)
    ]
    return max(alarms, key=lambda one: (one.beyond_doubt, one.users / one.calls), default=None)


def limits(past: PastRate) -> tuple[float, float]:
    """Return the rates that new must be shown to be above: to be suspect, and to be worse beyond doubt."""
    high = past.highest
    return SUSPECT.rho * high + SUSPECT.delta, BEYOND_DOUBT.rho * high + BEYOND_DOUBT.delta


def highest(failed: float, calls: float) -> float:
    """Return the highest rate that is not refuted by so many failed of so many calls."""
    ceiling = log(2 / ALPHA)

    def refuted(rate: float) -> bool:
        return ln_evidence(failed, calls, rate, lambda part: rate * part, _BELOW) >= ceiling

    low, high = min(1.0, failed / calls) if calls else 1.0, 1.0
    while high - low > 1e-6:  # noqa: PLR2004 - finer than any margin
        middle = (low + high) / 2
        low, high = (low, middle) if refuted(middle) else (middle, high)
    return high


def is_above(failed: int, calls: int, rate: float, window: int) -> bool:
    """Return whether so many failed of so many calls are too many for a rate, by the window of this number."""
    if failed < MINIMUM or rate >= 1:
        return False
    ln_e = ln_evidence(failed, calls, rate, lambda part: rate + (1 - rate) * part, _ABOVE)
    return ln_e >= log(limit(window, ALPHA / 2))


def ln_evidence(
    failed: float, calls: float, rate: float, other: Callable[[float], float], parts: Sequence[float]
) -> float:
    """Return the logarithm of how much better other rates explain the counts than this one does."""
    well = max(0.0, calls - failed)
    return ln_mean([failed * log(other(part) / rate) + well * log((1 - other(part)) / (1 - rate)) for part in parts])


def alarm_words(alarm: Alarm, past: PastRate | None, candidate: str, baseline: str) -> str:
    """Return what was seen, and by which cruder rule, for people."""
    seen = f"{alarm.users:,} users failed in {alarm.calls:,} calls of {candidate} within {span_words(alarm.length_s)}"
    before = f"over half; {baseline}'s rate before is not known" if past is None else past_words(past, baseline)
    return f"{seen}; {before} (compared with the past: an outage of both versions would look the same)"


def past_words(past: PastRate, baseline: str) -> str:
    """Return what the baseline's rate was."""
    return f"{baseline} before: {100 * past.rate:.2g} % of {past.calls:,} calls"


def alone_words(found: Uncontrolled | None, now_s: int, candidate: str, baseline: str) -> str:
    """Return by what a candidate is judged that nobody is left beside."""
    alone = f"everybody is on {candidate}"
    left_s = 0 if found is None else found.left_s(now_s)
    if found is None or not left_s:
        return f"{alone}: there is nothing to compare with"
    left = f"for {span_words(left_s)} more"
    if found.past is None:
        return f"{alone}, and {baseline}'s rate before is not known: suspect {left} once over half of its calls fail"
    words = past_words(found.past, baseline)
    if limits(found.past)[0] >= 1:
        return f"{alone}, and too little is known of {baseline} ({found.past.users:,} users) to judge it by the past"
    return f"{alone}: compared with the past only, {left} ({words})"


def span_words(seconds: float) -> str:
    """Return a span for people, without its smaller units where it is long."""
    return format_span(max(1, round(seconds)) * 1000)


def _with_ends(stages: Sequence[StageTally], until_s: int) -> Iterable[tuple[StageTally, int]]:
    return zip(stages, [*(stage.since_s for stage in stages[1:]), until_s], strict=False)


def _of(stage: StageTally, end_s: int) -> PastRate:
    return PastRate(
        stage.calls.old,
        stage.failures.old,
        stage.exposed.old << stage.exposed_bits,
        stage.units.old << stage.unit_bits,
        end_s,
    )


def _seen(window: Window, first: int) -> Alarm:
    """Return a window's users and calls of the time without a control."""
    sides = [book.new for book in window.books if book.name.stage >= first]
    users = sum(side.settled + sum(side.recent.values()) for side in sides)
    calls = max(users, sum(side.calls - side.repeats for side in sides))
    return Alarm(users, calls, window.span.length_s, window.span.number)
