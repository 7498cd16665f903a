"""The guard's verdict: a pure function of what has been counted, in a fixed order of rules.

`worse` (too many units with an error, a slow call or one cut short on new; an exception named by its owner), `suspect`
(a doubt that pauses and warns: a sample ratio that is off, evidence lost), `no control`, `safe`, `unclear`. Failures of
few users are a note beside it that stops nothing: it is written in up to 30 of 100 healthy releases of three hours.
A healthy release is `worse` in at most 1 of 100 cases and never `safe` by having no traffic. Where nobody is on old
any more, a cruder rule with a bound of its own says `worse` and `suspect`: by old's rate before (`past_rate`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log
from types import MappingProxyType
from typing import Final, NamedTuple

from graysplit.core.guard.interval import (
    EACH,
    SLACK,
    SRM_K,
    SRM_LIMIT,
    StageCounts,
    ln_mixture,
    total,
)
from graysplit.core.guard.past_rate import Uncontrolled, alarm, alarm_words, alone_words
from graysplit.core.guard.sequential_test import (
    ALPHA_CUT,
    ALPHA_ERRORS,
    ALPHA_LOCAL,
    ALPHA_SLOW,
    MINIMUM,
    NORMAL,
    SLOW,
    Margin,
)
from graysplit.core.guard.tally import Raised
from graysplit.core.guard.verdict import Proof, Verdict, told
from graysplit.core.guard.windows import Book, Window, failed_on_new, strongest

_MOST_UNITS: Final = 1e9
# Where more of old's calls run past the deadline it says nothing: what takes that long in health has not failed.
OVERDUE_AT_MOST: Final = 0.02
UNSHOWN: Final = "not enough users yet to show that it is safe"


class Watched(NamedTuple):
    """Whom a guard compares, and by what measure."""

    candidate: str = "new"
    baseline: str = "old"
    margin: Margin = NORMAL
    named: frozenset[str] = frozenset()  # exceptions of which the first on new stops the release


class Raw(NamedTuple):
    """Calls of one version, and how many of them failed, were cut short, or had not ended by the deadline."""

    calls: int = 0
    failures: int = 0
    cuts: int = 0
    overdue: int = 0
    timed: int = 0
    slow: int = 0  # of the timed ones

    @property
    def rate(self) -> float:
        """Return the share that failed."""
        return self.share(self.failures)

    def share(self, calls: int) -> float:
        """Return what share of all calls so many are."""
        return calls / self.calls if self.calls else 0.0


class SeenUnits(NamedTuple):
    """First-seen units of the present stage in one stratum; counted for the sample ratio."""

    on_new: int
    units: int
    w: float


_NOTHING: Final[Mapping[str, Raised]] = MappingProxyType({})


class Evidence(NamedTuple):
    """All that is known of a candidate in its release, at one moment."""

    stage: int  # the number of the present one in the release, from 1
    w: float  # its chance of new; at 0 and 1 there is no control
    errors: tuple[Window, ...] = ()
    slow: tuple[Window, ...] = ()  # the same with "slow" for "error"
    cut: tuple[Window, ...] = ()  # the same with "cut short" for "error"
    doubts: tuple[Window, ...] = ()  # one failed call per unit and 10 s in place of first errors: for the note
    counts: tuple[StageCounts, ...] = ()  # units since the stage began, by stratum; X with the running calls of new
    seen: tuple[SeenUnits, ...] = ()
    new: Raw = Raw()  # since the stage began
    old: Raw = Raw()
    minute: Raw = Raw()  # the last one's, of new
    named: Mapping[str, Raised] = _NOTHING
    unfinished: int = 0  # calls of this release that returned before their work was done
    unblamed: int = 0  # calls of this stage that failed or the like, and whose users were too many to be told
    lost: str = ""  # which evidence was lost
    accepted: bool = False  # a person has seen this stage's doubts and goes on
    alone: Uncontrolled | None = None  # since when nobody is on old, and its rate before


def judge(evidence: Evidence, watched: Watched, now_s: int) -> Verdict:
    """Return the verdict at a moment of the server's time."""
    past = _by_past(evidence, watched, now_s)
    found = (
        _worse(evidence, watched, now_s)
        or (past if past is not None and past.word == "worse" else None)
        or _suspect(evidence, watched)
        or (past if not evidence.accepted else None)
        or _without_control(evidence, watched, now_s)
        or _safe_or_unclear(evidence, watched)
    )
    return found if found.word == "worse" else found._replace(note=_note(evidence, watched, now_s))


def local_proof(windows: Sequence[Window], processes: int, now_s: int, margin: Margin = NORMAL) -> Proof | None:
    """Return what convicts a candidate by the counts of one process that has no store; `processes` were last seen live.

    Errors only, and each process has its part of one budget, so that the whole fleet's sum stays what it is.
    """
    proof = strongest(windows, now_s, margin, ALPHA_LOCAL / max(1, processes))
    return proof if proof is not None and proof.convicts else None


def is_safe(counts: Sequence[StageCounts]) -> bool:
    """Return whether it is shown that new fails at most twice as often as old, plus half a point of the exposed units.

    By stratum, each with its part of what may be missed; a stratum without a control says nothing.
    """
    told_by = [one for one in counts if 0 < one.w < 1]
    if not told_by:
        return False
    each = EACH / len(told_by)
    high = sum(total(one.x, one.w, each).high for one in told_by)
    low = sum(total(one.y, 1 - one.w, each).low for one in told_by)
    return high < 2 * low + SLACK * sum(one.n for one in told_by)


def missing_on_new(counts: Sequence[StageCounts]) -> float | None:
    """Estimate how many more units on new `safe` needs if all goes on as it does; None where it never comes."""
    told_by = [one for one in counts if 0 < one.w < 1]
    seen = sum(one.n for one in told_by)
    if not seen:
        return None

    def enough(times: float) -> bool:
        return is_safe([StageCounts(floor(x * times), floor(y * times), n * times, w) for x, y, n, w in told_by])

    low, high = 1.0, 1.0
    while not enough(high):
        low, high = high, high * 2
        if high * seen > _MOST_UNITS:
            return None
    while high - low > low / 1_000:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return (high - 1) * sum(one.n * one.w for one in told_by)


def ratio_is_off(seen: Sequence[SeenUnits], stage: int) -> bool:
    """Return whether too many or too few of the first-seen units are on new for chance, over a stage's strata."""
    told_by = [one for one in seen if 0 < one.w < 1]
    ln_e = sum(ln_mixture(one.on_new, one.units, one.w, SRM_K) for one in told_by)
    return bool(told_by) and ln_e >= log(SRM_LIMIT * stage * (stage + 1))


def _worse(evidence: Evidence, watched: Watched, now_s: int) -> Verdict | None:
    for proof in (
        strongest(_telling(evidence.errors), now_s, watched.margin, ALPHA_ERRORS, "errors"),
        strongest(_telling(evidence.slow), now_s, SLOW, ALPHA_SLOW, "slow"),
        # Whoever waits no longer cuts short what is slow.
        strongest(_telling(evidence.cut), now_s, SLOW, ALPHA_CUT, "cut"),
    ):
        if proof is not None and proof.convicts:
            return Verdict("worse", told(proof, watched.candidate, watched.baseline), proof)
    for name, raised in sorted(evidence.named.items()):
        if name in watched.named and raised.on_new and not raised.on_old:
            why = f"{name} was raised on {watched.candidate} and never on {watched.baseline}; it is named in stop_on"
            return Verdict("worse", f"{why} (outside the bound of 1 in 100)")
    return None


def _by_past(evidence: Evidence, watched: Watched, now_s: int) -> Verdict | None:
    """Judge by what old's rate was before, for as long as that says something."""
    if evidence.alone is None or not evidence.alone.left_s(now_s):
        return None
    past_alarm = alarm(evidence.errors, evidence.alone)
    if past_alarm is None:
        return None
    why = alarm_words(past_alarm, evidence.alone.past, watched.candidate, watched.baseline)
    return Verdict("worse" if past_alarm.beyond_doubt else "suspect", why)


def _suspect(evidence: Evidence, watched: Watched) -> Verdict | None:
    if evidence.accepted:
        return None
    if evidence.lost:
        return Verdict("suspect", f"evidence was lost: {evidence.lost}")
    if ratio_is_off(evidence.seen, evidence.stage):
        return Verdict("suspect", _off(evidence, watched))
    return None


def _note(evidence: Evidence, watched: Watched, now_s: int) -> str:
    """Return what the failures of few users say in this stage, or an empty text."""
    here = [Window(window.span, _of_stage(window.books, evidence.stage)) for window in evidence.doubts]
    proof = strongest(_telling(here), now_s, watched.margin, ALPHA_ERRORS, "doubt")
    return told(proof, watched.candidate, watched.baseline) if proof is not None and proof.convicts else ""


def _telling(windows: Sequence[Window]) -> list[Window]:
    """Leave out windows in which too few users have failed on new for any evidence to convict it."""
    return [window for window in windows if failed_on_new(window) >= MINIMUM]


def _of_stage(books: Sequence[Book], stage: int) -> tuple[Book, ...]:
    """Leave out what a person has accepted, or left behind, with another stage."""
    return tuple(book for book in books if book.name.stage == stage)


def _off(evidence: Evidence, watched: Watched) -> str:
    on_new, units = sum(one.on_new for one in evidence.seen), sum(one.units for one in evidence.seen)
    expected = sum(one.units * one.w for one in evidence.seen)
    return f"sample ratio mismatch: {on_new:,} of {units:,} users on {watched.candidate}, {expected:,.0f} expected"


def _without_control(evidence: Evidence, watched: Watched, now_s: int) -> Verdict | None:
    if 0 < evidence.w < 1:
        return None
    why = "everybody is on one version: there is nothing to compare with"
    if evidence.w:
        why = alone_words(evidence.alone, now_s, watched.candidate, watched.baseline)
    failing = evidence.minute.rate
    if failing > 0.5:  # noqa: PLR2004 - over half
        why += f"; {100 * failing:.0f} % of the last minute's calls failed"
    return Verdict("no control", why)


def _safe_or_unclear(evidence: Evidence, watched: Watched) -> Verdict:
    veto = _veto(evidence, watched) or _slower(evidence.new, evidence.old, watched)
    if veto:
        return Verdict("unclear", veto)
    if not is_safe(evidence.counts):
        seen = any(one.n for one in evidence.counts)
        return Verdict("unclear", UNSHOWN if seen else "no traffic yet")
    shown = f"{watched.candidate} fails at most twice as often as {watched.baseline}, plus half a point"
    return Verdict("safe", f"shown: {shown}")


def in_full(verdict: Verdict, counts: Sequence[StageCounts], candidate: str, scale: int = 1) -> Verdict:
    """Return a verdict with how many more users it needs, which is a long search: for whoever asks.

    `counts` are of one unit in `scale`.
    """
    if (verdict.word, verdict.why) != ("unclear", UNSHOWN):
        return verdict
    missing = missing_on_new(counts)
    if missing is None:
        return verdict._replace(why=f"{candidate} fails too often to be safe")
    if not missing:  # more has been counted since
        return verdict
    return verdict._replace(why=f"about {_rounded(missing * scale):,} more users are needed on {candidate}")


def _veto(evidence: Evidence, watched: Watched) -> str:
    """Name what makes `safe` impossible, also where a person goes on."""
    if ratio_is_off(evidence.seen, evidence.stage) and not evidence.lost:
        return _off(evidence, watched)
    if unseen := _unseen(evidence):
        return unseen
    new, old = evidence.new, evidence.old
    if old.share(old.overdue) > OVERDUE_AT_MOST:
        late = f"{100 * old.share(old.overdue):.2g} % of the calls on {watched.baseline} run past the deadline"
        return f"{late}: use a guard with a longer deadline (--deadline 2m, or off)"
    for share_new, share_old, what in (
        (new.rate, old.rate, "fail"),
        (new.share(new.cuts), old.share(old.cuts), "are cut short"),
        (new.share(new.overdue), old.share(old.overdue), "run past the deadline"),
    ):
        if share_new > 2 * share_old + SLACK:
            shares = f"{100 * share_new:.2f} % of the calls {what} on {watched.candidate}, {100 * share_old:.2f} %"
            return f"{shares} on {watched.baseline}"
    return ""


def _unseen(evidence: Evidence) -> str:
    """Name what was not seen of the calls, or an empty text."""
    if evidence.lost:
        return f"evidence was lost: {evidence.lost}"
    if evidence.unfinished:
        return "calls return before their work is done (a coroutine, a generator, a future): their outcome is not seen"
    if evidence.unblamed:
        return f"too many failed at once: of {evidence.unblamed:,} such calls it is not known whose they were"
    return ""


def _slower(new: Raw, old: Raw, watched: Watched) -> str:
    """Return the message that more of new's timed calls are slow than the slow rule lets pass."""
    of_new, of_old = new.slow / max(1, new.timed), old.slow / max(1, old.timed)
    if of_new <= SLOW.rho * of_old + SLOW.delta:
        return ""
    shares = f"{100 * of_new:.2f} % of the timed calls are slow on {watched.candidate}, {100 * of_old:.2f} %"
    return f"{shares} on {watched.baseline}"


def _rounded(units: float) -> int:
    """Return two digits, upwards: an estimate is no more than that."""
    step = float("1" + "0" * max(0, len(str(int(units))) - 2))
    return int(ceil(units / step) * step)
