"""The local breaker: the same rule on one process's own counts, for as long as it has no store to ask.

It counts always, so that it knows what was before the store was lost, and acts only without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from graysplit.core.guard.sequential_test import STOPWATCHES_S, Margin
from graysplit.core.guard.tally import Batch, Stage
from graysplit.core.guard.verdict import Proof
from graysplit.core.guard.verdict_rules import local_proof
from graysplit.core.guard.window_counts import WindowCounts
from graysplit.core.guard.windows import Span, StratumName, judged_spans, span_of

SLICE: Final = 250  # units that are counted between two moments at which others may have a turn


class Breaker:
    """What one process has counted of one candidate in one release."""

    def __init__(self, started_s: int) -> None:
        """Begin with nothing, for a release that began then."""
        self._started_s = started_s
        self._windows: dict[tuple[int, int], WindowCounts] = {}  # by a window's length and number
        self._stages: dict[tuple[int, int], StratumName] = {}
        self._running: dict[str, tuple[StratumName, dict[int, int]]] = {}  # by buffer: calls of old under way

    @property
    def windows(self) -> int:
        """How many windows are counted."""
        return len(self._windows)

    def add(self, batch: Batch) -> None:
        """Count what a buffer tells."""
        for _ in self.adding(batch):
            continue

    def adding(self, batch: Batch) -> Iterator[None]:
        """Do so in slices of work."""
        name = self._name(batch.stage)
        for second, on_new, calls in batch.calls:
            for counts in self._open(second, name, batch.stage):
                counts.called(name, on_new=on_new, calls=calls)
        for place, (second, unit, on_new, calls) in enumerate(batch.errors, 1):
            for counts in self._open(second, name, batch.stage):
                counts.failed(unit, second, name, on_new=on_new, calls=calls)
            if not place % SLICE:
                yield
        running = {second: calls for second, on_new, calls in batch.running if not on_new}
        newest = max((one.second for one in batch.calls), default=0)
        for counts in self._windows.values() if newest else ():
            counts.thin(newest)
        self._running.pop(batch.buffer, None)
        if running:
            self._running[batch.buffer] = (name, running)

    def proof(self, now_s: int, processes: int, margin: Margin) -> Proof | None:
        """Return what convicts the candidate here; `processes` were live when the store was last heard."""
        judged = {(span.length_s, span.number) for span in judged_spans(self._started_s, now_s)}
        self._windows = {at: window for at, window in self._windows.items() if at in judged}
        running: dict[StratumName, dict[int, int]] = {}
        for name, calls in self._running.values():
            sums = running.setdefault(name, {})
            for second, number in calls.items():
                sums[second] = sums.get(second, 0) + number
        return local_proof(
            [window.window(now_s, running) for window in self._windows.values()], processes, now_s, margin
        )

    def _name(self, stage: Stage) -> StratumName:
        """Return a stage's name: they are numbered as they come here."""
        return self._stages.setdefault((stage.new, stage.old), StratumName(len(self._stages) + 1))

    def _open(self, second: int, name: StratumName, stage: Stage) -> list[WindowCounts]:
        if second < self._started_s:
            return []
        found: list[WindowCounts] = []
        for length_s in STOPWATCHES_S:
            span = span_of(length_s, second, self._started_s)
            counts = self._windows.get((length_s, span.number)) or self._begin(span)
            if counts.open(name, stage.w):
                found.append(counts)
        return found

    def _begin(self, span: Span) -> WindowCounts:
        """Begin a window's counts, and drop those that no call can fall into any more."""
        self._windows = {
            (length_s, number): window
            for (length_s, number), window in self._windows.items()
            if length_s != span.length_s or number >= span.number - 1
        }
        return self._windows.setdefault((span.length_s, span.number), WindowCounts(span))
