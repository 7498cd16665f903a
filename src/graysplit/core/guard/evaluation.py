"""Evaluate a tally: the verdict, and what is left for the process that evaluates next. Pure.

Every verdict is computed again from counts, so that a new evaluator loses nothing. What is handed on is small: the
verdict, and how far the counts had come, for a store that has lost some shows less than was seen there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from graysplit.core.guard import verdict_rules
from graysplit.core.guard.admission import FULL_RATE, Level, Levels, first_levels, next_levels
from graysplit.core.guard.interval import ESTIMATE_FACTOR, StageCounts
from graysplit.core.guard.past_rate import PastRate, uncontrolled
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import (
    Batch,
    Begun,
    Pair,
    RunningCalls,
    Sample,
    Stage,
    StageTally,
    Tally,
    duration_bucket,
    percentile,
)
from graysplit.core.guard.verdict import Verdict, What
from graysplit.core.guard.verdict_rules import Evidence, Raw, SeenUnits, Watched, judge
from graysplit.core.guard.windows import Book, Span, Window, WindowTotals, is_lost, strongest, totals

FRESH_MS: Final = 10_000  # an older verdict is none: nobody judges
SILENT_MS: Final = 70_000  # a process that has told nothing for so long has dropped what it could not tell
_AHEAD_S: Final = 10  # how long before a window begins its first level is published, where traffic wants one
_SAMPLES: Final = 200  # of a release's course to each doubling of its age
_SAMPLE_S: Final = 10

_NOTHING: Final[Mapping[str, WindowTotals]] = MappingProxyType({})


class Judge(NamedTuple):
    """What stands in a tally of whoever judges: who, since when, the verdict, and the cursor."""

    nonce: str = ""  # random, of the process that judges
    at_ms: int = 0  # server time
    verdict: Verdict = Verdict("unclear", "not evaluated yet")
    stage: int = 0  # the number of the one that the verdict speaks of
    share: int = 0  # the candidate's there, in thousandths of a percent
    cursor: Mapping[str, WindowTotals] = _NOTHING  # by window, and by stage
    dead: tuple[str, ...] = ()  # windows that have lost evidence
    lost: str = ""  # in this stage: it can not become safe any more
    doubt: str = ""  # why this stage became suspect: it stays so until a person accepts it
    noted: str = ""  # the number of the stage whose doubt stands in the history; with " note": its note alone
    sampled_s: int = 0
    minute: tuple[tuple[int, int, int], ...] = ()  # second, calls and failures of new until then, of the last minute
    calm: bool = False  # whether nobody has failed, or met a slow call, since the judgement before

    def is_fresh(self, now_ms: int) -> bool:
        """Return whether somebody judges at present; a time far in the future (the clock was set back) tells nothing.

        Either way by ten seconds: who asks may have read the time just before the judge wrote.
        """
        return abs(now_ms - self.at_ms) <= FRESH_MS


class EvaluationInput(NamedTuple):
    """What an evaluator knows besides the tally."""

    guard: Guard
    watched: Watched
    started_s: int
    noted: str = ""  # the number of the stage whose doubt this process has written into the history
    accepted: int = 0  # the stage whose doubts a person has accepted
    remembered: Judge | None = None  # what this process has judged before, should the store have lost it
    past: PastRate | None = None  # the baseline's rate in the release before, where this one began without it
    finished: bool = False  # a person has said that the release is over: its past is


class Evaluation(NamedTuple):
    """What came of a look."""

    judge: Judge
    levels: tuple[tuple[What, Span, tuple[tuple[int, int], ...]], ...]
    sample: Sample | None


def look(tally: Tally, before: Judge, case: EvaluationInput, nonce: str) -> Evaluation:
    """Judge a tally at its moment."""
    now_s = tally.now_ms // 1000
    stage = tally.stages[-1] if tally.stages else StageTally(0, Stage(0, 0), now_s)
    known = before if before.nonce or case.remembered is None else case.remembered
    same = known.stage == stage.number
    cursor = {**_cursor(tally), f"stage {stage.number}": WindowTotals(sum(stage.calls), 0, 0)}
    missing = [name for name, seen in known.cursor.items() if name in cursor and is_lost(seen, cursor[name])]
    gone = case.remembered is not None and case.remembered.cursor and not before.nonce
    dead = tuple(name for name in dict.fromkeys((*known.dead, *missing)) if name in cursor)
    lost = (known.lost if same else "") or _lost(missing, gone=bool(gone))
    minute = _minute(known.minute if same else (), stage, now_s)
    evidence = _evidence(tally, stage, dead, case.guard.slow_s)._replace(
        lost=lost,
        accepted=case.accepted == stage.number,
        minute=_since(minute),
        alone=None if case.finished else uncontrolled(tally.stages, case.past),
    )
    verdict = _lasting(judge(evidence, case.watched, now_s), known.doubt if same else "", case, stage)
    if same and known.verdict.note and not verdict.note and verdict.word != "worse":
        verdict = verdict._replace(note=known.verdict.note)  # as a doubt stays
    found = Judge(
        nonce,
        tally.now_ms,
        verdict,
        stage.number,
        stage.stage.new,
        cursor,
        dead,
        lost,
        verdict.why if verdict.word == "suspect" else "",
        case.noted or known.noted,
        known.sampled_s,
        minute,
        _is_calm(known.cursor, cursor),
    )
    sample = None
    if _wants_sample(known, found, case, now_s):
        sample = _sample(evidence, stage, verdict, case, now_s)
        found = found._replace(sampled_s=now_s)
    return Evaluation(found, tuple(_levels(tally, stage, now_s)), sample)


def _lasting(verdict: Verdict, doubt: str, case: EvaluationInput, stage: StageTally) -> Verdict:
    """Let a doubt stand, whatever the evidence says later; a guard that must not roll back doubts where it would."""
    if verdict.word == "safe" and not all(stage.calls):
        return verdict._replace(word="unclear", why="no calls measured: goals alone are not enough")
    accepted = case.accepted == stage.number
    if verdict.word == "worse" and case.guard.action != "rollback":  # asked first: no yes makes it roll back
        return (
            Verdict("unclear", f"accepted for this stage: {verdict.why}")
            if accepted
            else verdict._replace(word="suspect")
        )
    if accepted:
        return verdict
    if not doubt or verdict.word in ("worse", "suspect"):
        return verdict
    return Verdict("suspect", doubt, note=verdict.note)


def charges(tally: Tally, started_s: int) -> Iterator[Batch]:
    """Return, as batches of the buffers themselves, the calls of processes that are heard no more: they never end.

    Of new's those whose unit is known have failed. Of old's the others are kept too: they may have been about to fail.
    """
    stages = {stage.number: stage.stage for stage in tally.stages}
    for calls in _silent(tally):
        if calls.stage in stages:
            yield Batch(
                tally.field,
                tally.release,
                started_s,
                calls.buffer,
                calls.number + 1,
                stages[calls.stage],
                failures=Pair(
                    sum(one.calls for one in calls.hanging if not one.on_new),
                    sum(one.calls for one in calls.hanging if one.on_new),
                ),
                errors=calls.hanging,
                abandoned=tuple(_uncharged(calls)),
            )


def _uncharged(found: RunningCalls) -> Iterator[Begun]:
    """Return the calls of old under way whose unit is not known."""
    charged: dict[int, int] = {}
    for one in found.hanging:
        if not one.on_new:
            charged[one.second] = charged.get(one.second, 0) + one.calls
    for second, on_new, calls in found.calls:
        left = calls - charged.get(second, 0)
        if not on_new and left > 0:
            yield Begun(second, on_new=False, calls=left)


def forgotten(tally: Tally) -> tuple[str, ...]:
    """Name the buffers whose calls under way need not be kept any more."""
    return tuple(calls.buffer for calls in _silent(tally))


def _silent(tally: Tally) -> list[RunningCalls]:
    return [calls for calls in tally.running if tally.now_ms - calls.at_ms > SILENT_MS]


def _name(what: What, span: Span) -> str:
    return f"{what} {span.length_s} {span.number}"


def _cursor(tally: Tally) -> dict[str, WindowTotals]:
    return {_name(kept.what, kept.window.span): totals(kept.window.books) for kept in tally.kept}


def _is_calm(before: Mapping[str, WindowTotals], now: Mapping[str, WindowTotals]) -> bool:
    """Return whether all windows that were judged before have the failed calls and units that they had then."""
    known = [(before[name], value) for name, value in now.items() if name in before]
    return bool(known) and all((was.repeats, was.units) == (is_.repeats, is_.units) for was, is_ in known)


def _lost(missing: list[str], *, gone: bool) -> str:
    if gone:
        return "the store lost the counts"
    return f"the store's counts are lower than before ({', '.join(missing[:3])})" if missing else ""


def _evidence(tally: Tally, stage: StageTally, dead: tuple[str, ...], slow_s: float | None) -> Evidence:
    running = _running(tally.running)
    windows: dict[What, list[Window]] = {"errors": [], "slow": [], "cut": [], "doubt": []}
    for kept in tally.kept:
        if _name(kept.what, kept.window.span) not in dead:
            books = tuple(_filled(book, kept.window.span, running) for book in kept.window.books)
            windows[kept.what].append(Window(kept.window.span, books))
    w = stage.stage.w
    still = sum(calls for (number, on_new, _), calls in running.items() if on_new and number == stage.number)
    counts = counts_of(stage, w)
    return Evidence(
        stage=max(1, stage.number),
        w=w,
        errors=tuple(windows["errors"]),
        slow=tuple(windows["slow"]),
        cut=tuple(windows["cut"]),
        doubts=tuple(windows["doubt"]),
        counts=(counts._replace(x=counts.x + still / (1 << stage.unit_bits)),),
        seen=(SeenUnits(stage.ratio.new, sum(stage.ratio), w),) if sum(stage.ratio) else (),
        new=_raw(stage, 1, slow_s),
        old=_raw(stage, 0, slow_s),
        named=tally.named,
        unfinished=sum(sum(one.unfinished) for one in tally.stages),
        unblamed=stage.unblamed,
    )


def _raw(stage: StageTally, side: int, slow_s: float | None) -> Raw:
    """Return the calls of one side; slow are those timed from the bucket of the guard's limit on."""
    raw = Raw(stage.calls[side], stage.failures[side], stage.cuts[side], stage.overdue[side])
    if slow_s is None:
        return raw
    times, least = stage.durations[side], duration_bucket(round(slow_s * 1e9))
    return raw._replace(timed=sum(times.values()), slow=sum(n for bucket, n in times.items() if bucket >= least))


def counts_of(stage: StageTally, w: float) -> StageCounts:
    """Return a stage's counts in the subset of units that is kept exactly; exposed ones are rather under-counted."""
    exposed = float(sum(stage.exposed))
    if stage.exposed_bits:
        exposed *= ESTIMATE_FACTOR
    scale = 2.0 ** (stage.exposed_bits - stage.unit_bits)
    return StageCounts(stage.units.new, stage.units.old, exposed * scale, w)


def in_full(verdict: Verdict, stage: StageTally, candidate: str) -> Verdict:
    """Return a verdict on a stage with how many more users it needs; for whoever asks, and not at each look."""
    return verdict_rules.in_full(verdict, (counts_of(stage, stage.stage.w),), candidate, 1 << stage.unit_bits)


def _running(told: Iterable[RunningCalls]) -> dict[tuple[int, bool, int], int]:
    """Sum up the calls under way by stage, side and begin second, for as long as their buffers tell of them.

    Past the deadline too: only some are known by their unit and charged then, and old may fail later than new.
    """
    found: dict[tuple[int, bool, int], int] = {}
    for one in told:
        for second, on_new, calls in one.calls:
            key = (one.stage, on_new, second)
            found[key] = found.get(key, 0) + calls
    return found


def _filled(book: Book, span: Span, running: Mapping[tuple[int, bool, int], int]) -> Book:
    still = dict(book.running)
    for (stage, on_new, second), calls in running.items():
        if stage == book.name.stage and not on_new and span.begin_s <= second < span.end_s:
            still[second] = still.get(second, 0) + calls
    return book._replace(running=still)


def _minute(
    before: tuple[tuple[int, int, int], ...], stage: StageTally, now_s: int
) -> tuple[tuple[int, int, int], ...]:
    kept = [one for one in before if now_s - one[0] <= 60]  # noqa: PLR2004 - a minute
    if not kept or now_s - kept[-1][0] >= _SAMPLE_S:
        kept.append((now_s, stage.calls.new, stage.failures.new))
    return tuple(kept)


def _since(minute: tuple[tuple[int, int, int], ...]) -> Raw:
    (_, calls, failures), (_, now, failed) = minute[0], minute[-1]
    return Raw(now - calls, failed - failures)


def _levels(tally: Tally, stage: StageTally, now_s: int) -> Iterator[tuple[What, Span, tuple[tuple[int, int], ...]]]:
    """Return the levels that change: of windows that fill, and of those about to begin under very much traffic."""
    rate = sum(stage.calls) / max(1, now_s - stage.since_s)
    for kept in tally.kept:
        if kept.what == "doubt":
            continue
        span = kept.window.span
        levels: Levels = tuple(Level(*one) for one in kept.levels) or first_levels(span.begin_s)
        wanted = next_levels(levels, totals(kept.window.books).units, now_s)
        if wanted != levels:
            yield kept.what, span, wanted
        if rate > FULL_RATE and 0 < span.end_s - now_s <= _AHEAD_S:
            following = Span(span.length_s, span.number + 1, span.end_s)
            yield kept.what, following, first_levels(following.begin_s, rate)


def _wants_sample(before: Judge, judge: Judge, case: EvaluationInput, now_s: int) -> bool:
    if (before.stage, before.verdict.word) != (judge.stage, judge.verdict.word):
        return True
    return now_s - before.sampled_s >= max(_SAMPLE_S, (now_s - case.started_s) // _SAMPLES)


def _sample(evidence: Evidence, stage: StageTally, verdict: Verdict, case: EvaluationInput, now_s: int) -> Sample:
    proof = strongest(evidence.errors, now_s, case.guard.margin)
    old, new = stage.durations
    return Sample(
        now_s,
        stage.number,
        verdict.word,
        stage.stage.new,
        proof.ln_evidence if proof else 0.0,
        proof.ln_limit if proof else 0.0,
        stage.calls,
        stage.failures,
        Pair(percentile(old, 0.95), percentile(new, 0.95)),
    )
