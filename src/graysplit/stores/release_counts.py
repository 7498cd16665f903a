"""What a store without scripts counts of one release, in memory: the model of what they keep in Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from graysplit.core.guard.admission import Level, admits
from graysplit.core.guard.tally import (
    EXPOSED_AT_MOST,
    Batch,
    Begun,
    Converted,
    Exposed,
    Failed,
    Flushed,
    Goal,
    Judgement,
    Kept,
    Pair,
    Raised,
    RunningCalls,
    Sample,
    Stage,
    StageTally,
    Tally,
)
from graysplit.core.guard.verdict import What
from graysplit.core.guard.window_counts import WindowCounts
from graysplit.core.guard.windows import Book, Span, StratumName, Window, WindowSide, judged_spans
from graysplit.stores.text.tally import spans_of

GOALS_AT_MOST: Final = 20  # of one stage, by first come
ZEROS_AT_MOST: Final = 32  # zero bits of a hash that are told apart

DOUBT_S: Final = 10  # a unit's failures within so many seconds are one doubt
# A later stage stands for so long, and then nobody tells news of units in the one before.
CLOSES_S: Final = 600
# How long after its last flush a buffer's number is known: a batch is sent again for at most a minute.
BUFFER_MS: Final = 900_000
# How long after its end a window is kept: it is judged for half a minute, and told of for a minute more at most.
LATE_MS: Final = 300_000
# How long other counts are kept when nobody flushes or judges: units and calls under way, and the rest.
DAY_MS: Final = 86_400_000
RELEASE_MS: Final = 30 * DAY_MS


def window_ms(length_s: int) -> int:
    """Return for how long a window is kept after it was touched, so that it outlives its end."""
    return 1000 * length_s + LATE_MS


def zeros_of(unit: int) -> int:
    """Return the number of zero bits in which a hash ends, at most 32."""
    return min(ZEROS_AT_MOST, (unit & -unit).bit_length() - 1) if unit else ZEROS_AT_MOST


class _ByZeros:
    """A sum of each side by the number of zero bits, so that it is exact for the subset of any level."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: Counter[tuple[bool, int]] = Counter()

    def add(self, unit: int, *, on_new: bool, by: int = 1) -> None:
        self._sums[on_new, zeros_of(unit)] += by

    def pair(self, bits: int = 0) -> Pair:
        new = sum(count for (on_new, zeros), count in self._sums.items() if on_new and zeros >= bits)
        return Pair(sum(count for (_, zeros), count in self._sums.items() if zeros >= bits) - new, new)


class _Units:
    """Units of one stage, each once: all of them, or when they are many those whose hash ends in enough zero bits."""

    __slots__ = ("_sums", "bits", "sides")

    def __init__(self) -> None:
        self.bits = 0
        self.sides: dict[int, bool] = {}
        self._sums = _ByZeros()

    def add(self, unit: int, *, on_new: bool) -> bool:
        """Take a unit in; False where it is in, or is none of the subset."""
        if unit in self.sides or not admits(self.bits, unit):
            return False
        self.sides[unit] = on_new
        self._sums.add(unit, on_new=on_new)
        if len(self.sides) > EXPOSED_AT_MOST:
            self.bits += 1
            self.sides = {unit: side for unit, side in self.sides.items() if admits(self.bits, unit)}
        return True

    def pair(self) -> Pair:
        return self._sums.pair(self.bits)


class _Stage:
    """What is counted of one stage."""

    def __init__(self, stage: Stage, now_s: int) -> None:
        self.stage = stage
        self.newest = stage.revision  # that was ever told of it
        self.since_s = now_s
        self.calls: Counter[bool] = Counter()
        self.failures = self.cuts = self.overdue = self.unfinished = Pair()
        self.dropped = self.unblamed = 0
        self.failed, self.exposed = _Units(), _Units()
        self.first: Counter[bool] = Counter()
        self.durations: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self.goals: dict[str, tuple[set[int], _ByZeros, _ByZeros]] = {}  # who counts, units, values

    def told_again(self, revision: int) -> None:
        self.newest = max(self.newest, revision)
        known = [one for one in (self.stage.revision, revision) if one]
        self.stage = self.stage._replace(revision=min(known, default=0))

    def count(self, batch: Batch) -> None:
        for _, on_new, calls in batch.calls:
            self.calls[on_new] += calls
        self.failures, self.cuts = _added(self.failures, batch.failures), _added(self.cuts, batch.cuts)
        self.overdue = _added(self.overdue, batch.overdue)
        self.unfinished = _added(self.unfinished, batch.unfinished)
        self.dropped += batch.dropped
        self.unblamed += batch.unblamed
        for counted, told in zip(self.durations, batch.durations, strict=True):
            counted.update(told)

    def meet(self, exposed: Iterable[Exposed], errors: Iterable[Failed], goals: Iterable[Goal]) -> None:
        for unit, on_new in exposed:
            if self.exposed.add(unit, on_new=on_new) and self.first.total() < EXPOSED_AT_MOST:
                self.first[on_new] += 1
        for error in errors:
            self.failed.add(error.unit, on_new=error.on_new)
        for goal in goals:
            self._convert(goal)

    def tally(self, number: int) -> StageTally:
        bits = self.exposed.bits
        goals = {name: Converted(units.pair(bits), micro.pair(bits)) for name, (_, units, micro) in self.goals.items()}
        return StageTally(
            number,
            self.stage,
            self.since_s,
            Pair(self.calls[False], self.calls[True]),
            self.failures,
            self.failed.pair(),
            self.failed.bits,
            self.exposed.pair(),
            bits,
            Pair(self.first[False], self.first[True]),
            (dict(self.durations[0]), dict(self.durations[1])),
            goals,
            self.cuts,
            self.overdue,
            self.unfinished,
            self.dropped,
            self.unblamed,
        )

    def _convert(self, goal: Goal) -> None:
        on_new = self.exposed.sides.get(goal.unit)
        if on_new is None or (goal.name not in self.goals and len(self.goals) >= GOALS_AT_MOST):
            return
        done, units, micro = self.goals.setdefault(goal.name, (set(), _ByZeros(), _ByZeros()))
        if goal.unit not in done:
            done.add(goal.unit)
            units.add(goal.unit, on_new=on_new)
            micro.add(goal.unit, on_new=on_new, by=goal.micro)


class _Window:
    """One window's books of all kinds."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.windows: dict[What, WindowCounts] = {
            "errors": WindowCounts(span),
            "slow": WindowCounts(span),
            "cut": WindowCounts(span),
        }
        self.levels: dict[What, tuple[tuple[int, int], ...]] = {}
        self.doubts: Counter[tuple[StratumName, bool, int]] = Counter()
        self._tens: dict[int, tuple[int, int]] = {}  # the first and last ten seconds in which a unit was a doubt
        self.abandoned: dict[StratumName, Counter[int]] = {}

    def count(self, batch: Batch, name: StratumName, w: float) -> None:
        calls, timed = ([one for one in told if self._holds(one.second)] for told in (batch.calls, batch.timed))
        failed = (batch.errors, batch.slow, batch.cut)
        errors, slow, cut = ([one for one in told if self._holds(one.second)] for told in failed)
        abandoned = [one for one in batch.abandoned if self._holds(one.second) and not one.on_new]
        if (calls or errors or cut or abandoned) and _count(self.windows["errors"], name, w, calls, ()):
            _count(self.windows["cut"], name, w, calls, cut)
            for one in errors:
                self._fail(name, one)
            for second, _, count in abandoned:
                self.abandoned.setdefault(name, Counter())[second] += count
        if timed or slow:
            _count(self.windows["slow"], name, w, timed, slow)

    def _fail(self, name: StratumName, one: Failed) -> None:
        """Count a unit's failed calls, and once per ten seconds as a doubt, whatever process they failed in."""
        counts, ten = self.windows["errors"], one.second // DOUBT_S
        for _ in range(one.calls):
            counts.failed(one.unit, one.second, name, on_new=one.on_new)
        if not counts.knows(one.unit):
            return
        first, last = self._tens.get(one.unit, (ten + 1, ten))
        if ten < first or ten > last:
            self.doubts[name, one.on_new, one.second] += 1
            self._tens[one.unit] = (min(ten, first), max(ten, last))

    def kept(self, now_s: int) -> Iterator[Kept]:
        for what, counts in self.windows.items():
            yield Kept(what, counts.window(now_s, self.abandoned), self.levels.get(what, ()))
        errors = self.windows["errors"].window(now_s, self.abandoned)
        yield Kept("doubt", Window(self.span, tuple(self._doubted(book) for book in errors.books)))

    def _doubted(self, book: Book) -> Book:
        def side(counted: WindowSide, *, on_new: bool) -> WindowSide:
            found = self.doubts.items()
            recent = {at: units for (name, new, at), units in found if (name, new) == (book.name, on_new)}
            return WindowSide(counted.calls, recent=recent)

        return book._replace(new=side(book.new, on_new=True), old=side(book.old, on_new=False))

    def _holds(self, second: int) -> bool:
        return self.span.begin_s <= second < self.span.end_s


class ReleaseCounts:
    """All that is counted of one candidate's release."""

    def __init__(self, field: str, release: str) -> None:
        """Begin empty."""
        self.field = field
        self.release = release
        self.touched_ms = 0
        self.judge: str = ""
        self._numbers: dict[str, tuple[int, int]] = {}  # by buffer: the last one applied, and when
        self._stages: list[_Stage] = []
        self._windows: dict[tuple[int, int], _Window] = {}
        self._named: dict[str, Raised] = {}
        self._running: dict[str, RunningCalls] = {}
        self._course: list[Sample] = []

    def flush(self, batch: Batch, now_ms: int) -> Flushed:
        """Add a batch, once."""
        number, _ = self._numbers.get(batch.buffer, (0, 0))
        if batch.number <= number:
            return Flushed(applied=False, judge=self.judge, now_ms=now_ms)
        self._forget(now_ms)
        self._numbers[batch.buffer] = (batch.number, now_ms)
        self.touched_ms = now_ms
        place = self._stage_of(batch.stage, now_ms // 1000)
        stage = self._stages[place]
        stage.count(batch)
        if not self._is_closed(place, now_ms // 1000):
            stage.meet(batch.exposed, batch.errors, batch.goals)
        for span in spans_of(batch):
            self._window(span).count(batch, StratumName(place + 1), stage.stage.w)
        for name, raised in ((name, raised) for name, raised in batch.named.items() if any(raised)):
            before = self._named.get(name, Raised(0, 0))
            self._named[name] = Raised(before.on_new + raised.new, before.on_old + raised.old)
        self._running.pop(batch.buffer, None)
        if batch.running or batch.hanging:
            told = RunningCalls(batch.buffer, batch.number, now_ms, place + 1, batch.running, batch.hanging)
            self._running[batch.buffer] = told
        return Flushed(applied=True, judge=self.judge, now_ms=now_ms)

    def tally(self, started_s: int, now_ms: int, *, course: bool) -> Tally:
        """Return what is counted, with the windows that are to be judged now."""
        now_s = now_ms // 1000
        windows = [self._windows.get(span[:2]) or _Window(span) for span in judged_spans(started_s, now_s)]
        return Tally(
            self.field,
            self.release,
            tuple(kept for window in windows for kept in window.kept(now_s)),
            tuple(stage.tally(number) for number, stage in enumerate(self._stages, 1)),
            tuple(self._running.values()),
            dict(self._named),
            self.judge,
            tuple(self._course) if course else (),
            now_ms,
        )

    def judged(self, judgement: Judgement, now_ms: int) -> bool:
        """Take a judgement, if the judge's text is still as read; what is settled, its own window counts settle."""
        if judgement.before != self.judge:
            return False
        self.judge, self.touched_ms = judgement.after, now_ms
        for what, span, levels in judgement.levels:
            if what != "doubt":
                window = self._window(span)
                window.levels[what] = tuple((from_s, bits) for from_s, bits in levels)
                window.windows[what].levels = tuple(Level(*level) for level in levels)
        if judgement.sample is not None:
            self._course.append(judgement.sample)
        for buffer in judgement.forget:
            self._running.pop(buffer, None)
        return True

    def _stage_of(self, told: Stage, now_s: int) -> int:
        """Find the stage of these shares, or begin a new one."""
        newest = self._stages[-1] if self._stages else None
        if newest is not None and newest.stage[:2] != told[:2] and told.revision <= newest.newest:
            alike = [place for place, stage in enumerate(self._stages) if stage.stage[:2] == told[:2]]
            if alike:
                return alike[-1]
        if newest is None or newest.stage[:2] != told[:2]:
            self._stages.append(_Stage(told, now_s))
        else:
            newest.told_again(told.revision)
        return len(self._stages) - 1

    def _is_closed(self, place: int, now_s: int) -> bool:
        return place + 1 < len(self._stages) and now_s - self._stages[place + 1].since_s > CLOSES_S

    def _window(self, span: Span) -> _Window:
        return self._windows.setdefault(span[:2], _Window(span))

    def _forget(self, now_ms: int) -> None:
        """Drop what nobody can ask for any more."""
        for buffer in [buffer for buffer, (_, at_ms) in self._numbers.items() if now_ms - at_ms > BUFFER_MS]:
            del self._numbers[buffer]
        for at in [at for at, window in self._windows.items() if now_ms - 1000 * window.span.end_s > LATE_MS]:
            del self._windows[at]


def _added(before: Pair, more: Pair) -> Pair:
    return Pair(before.old + more.old, before.new + more.new)


def _count(counts: WindowCounts, name: StratumName, w: float, calls: Sequence[Begun], errors: Sequence[Failed]) -> bool:
    if not counts.open(name, w):
        return False
    for _, on_new, count in calls:
        counts.called(name, on_new=on_new, calls=count)
    for second, unit, on_new, count in errors:
        for _ in range(count):
            counts.failed(unit, second, name, on_new=on_new)
    return True
