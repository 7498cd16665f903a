"""What the guard counts: units by their first error in each window, by the second in which their call began.

A unit counts once per window over all strata, by the error begun first; an earlier begin replaces a later one, however
late it arrives. Calls are those begun in the window, less failed calls of units that count already (else a retry storm
hides itself). Over-counting the calls of new is harmless, under-counting is not; any number for old is harmless.

The second belongs to the beginning: an error is of the second in which its call began, and at each mark the running
calls of old begun by then are taken for failed ones. Else an outage of something that both versions use, which old
meets a few seconds later, would be a sure false rollback.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log
from types import MappingProxyType
from typing import Final, NamedTuple

from graysplit.core.guard.sequential_test import (
    ALPHA_ERRORS,
    DEADLINE_S,
    MARKS_S,
    MINIMUM,
    NORMAL,
    STOPWATCHES_S,
    Margin,
    Stratum,
    expected_on_new,
    limit,
    ln_evidence,
    ln_mean,
)
from graysplit.core.guard.verdict import Proof, What

_NONE: Final[Mapping[int, int]] = MappingProxyType({})


class Span(NamedTuple):
    """One window of one stopwatch, in whole seconds of the server's time."""

    length_s: int
    number: int  # from 1, and it never goes back
    begin_s: int

    @property
    def end_s(self) -> int:
        """Return the first second after it."""
        return self.begin_s + self.length_s


class StratumName(NamedTuple):
    """A stratum's name: a stage, and the rule with weights of its own that a call met, or none."""

    stage: int
    rule: str = ""


class WindowSide(NamedTuple):
    """What a window has booked on one version in one stratum."""

    calls: int = 0  # begun in the window
    repeats: int = 0  # of those, failed calls of units that count already
    settled: int = 0  # units first failing in calls begun before those of `recent`
    recent: Mapping[int, int] = _NONE  # units by begin second, of the last 30 seconds at least


class Book(NamedTuple):
    """What a window has booked in one stratum."""

    name: StratumName
    w: float  # the configured chance of new among eligible calls
    new: WindowSide
    old: WindowSide
    # Calls of old by begin second that have not ended, or ended with their process.
    running: Mapping[int, int] = _NONE


class Window(NamedTuple):
    """A window and its books."""

    span: Span
    books: tuple[Book, ...]


class WindowTotals(NamedTuple):
    """What only grows in a window, and shows its loss."""

    calls: int
    repeats: int
    units: int


def span_of(length_s: int, second: int, started_s: int) -> Span:
    """Return a stopwatch's window that a second is in, for a release begun so."""
    passed = max(0, second - started_s) // length_s
    return Span(length_s, passed + 1, started_s + passed * length_s)


def judged_spans(started_s: int, now_s: int) -> Iterator[Span]:
    """Return the windows to be judged now: of each stopwatch the present one, and the last until 30 s after its end."""
    for length_s in STOPWATCHES_S:
        span = span_of(length_s, now_s, started_s)
        if span.number > 1 and now_s - span.begin_s <= DEADLINE_S:
            yield Span(length_s, span.number - 1, span.begin_s - length_s)
        yield span


class Look(NamedTuple):
    """The counts of a window as they are compared at one mark."""

    strata: tuple[Stratum, ...]
    running: int  # of the units on old: calls without an answer


def looks(books: Sequence[Book], now_s: int) -> tuple[Look, ...]:
    """Return the counts at each mark: of first errors those of calls begun by then, and all calls."""
    rows = [_stratum_by_marks(book, now_s) for book in books]
    return tuple(
        Look(tuple(row[mark][0] for row in rows), sum(row[mark][1] for row in rows)) for mark in range(len(MARKS_S))
    )


def totals(books: Iterable[Book]) -> WindowTotals:
    """Return what a cursor remembers of a window."""
    sides = [side for book in books for side in (book.new, book.old)]
    return WindowTotals(
        sum(side.calls for side in sides),
        sum(side.repeats for side in sides),
        sum(side.settled + sum(side.recent.values()) for side in sides),
    )


def failed_on_new(window: Window) -> int:
    """Return how many units have failed on new in a window, in all strata."""
    return sum(book.new.settled + sum(book.new.recent.values()) for book in window.books)


def is_lost(cursor: WindowTotals, totals: WindowTotals) -> bool:
    """Return whether a store holds less than an evaluator has seen there: the window is dead."""
    return any(now < before for before, now in zip(cursor, totals, strict=True))


def strongest(
    windows: Iterable[Window],
    now_s: int,
    margin: Margin = NORMAL,
    alpha: float = ALPHA_ERRORS,
    what: What = "errors",
) -> Proof | None:
    """Return the strongest evidence against new over all windows and marks; None where nothing was booked."""
    found = [proof for window in windows for proof in _proofs(window, now_s, margin, alpha, what)]
    return max(found, key=lambda proof: (proof.convicts, proof.excess), default=None)


def _stratum_by_marks(book: Book, now_s: int) -> list[tuple[Stratum, int]]:
    new, old = _by_marks(book.new.recent, now_s), _by_marks(book.old.recent, now_s)
    n, o = max(0, book.new.calls - book.new.repeats), max(0, book.old.calls - book.old.repeats)
    return [
        (Stratum(book.new.settled + x, book.old.settled + y + still, n, o, book.w), still)
        for x, y, still in zip(new, old, _by_marks(book.running, now_s), strict=True)
    ]


def _by_marks(seconds: Mapping[int, int], now_s: int) -> list[int]:
    """Sum up, for each mark, what had begun by then."""
    found = [0] * len(MARKS_S)
    for second, count in seconds.items():
        passed = bisect(MARKS_S, now_s - second)
        if passed:
            found[passed - 1] += count
    for mark in range(len(MARKS_S) - 1, 0, -1):
        found[mark - 1] += found[mark]
    return found


def _proofs(window: Window, now_s: int, margin: Margin, alpha: float, what: What) -> Iterator[Proof]:
    """Look at each mark; those that saw the same counts are one."""
    ceiling = log(limit(window.span.number, alpha))
    for strata, running in dict.fromkeys(looks(window.books, now_s)):
        if not strata:
            return
        on_new, on_old = sum(stratum.x for stratum in strata), sum(stratum.y for stratum in strata)
        ln_e = ln_mean(ln_evidence(strata, margin))
        convicts = on_new >= MINIMUM and ln_e >= ceiling
        expected = expected_on_new(strata)
        length_s, number, _ = window.span
        yield Proof(what, length_s, number, on_new, on_old, running, expected, ln_e, ceiling, convicts)
