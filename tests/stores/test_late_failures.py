"""An outage that both versions meet, old much later than new: buffers, books and judge let it pass."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from random import Random
from threading import Lock

import pytest

from graysplit.core.bucketing import HASHES, hash32
from graysplit.core.guard.batch import WatchedCandidate
from graysplit.core.guard.buffer import EvidenceBuffer, Terms
from graysplit.core.guard.evaluation import EvaluationInput, charges, forgotten, look
from graysplit.core.guard.marks import Record
from graysplit.core.guard.second_buffer import SecondBuffer
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import Batch, Judgement, Stage
from graysplit.core.guard.verdict_rules import Watched
from graysplit.stores.release_counts import ReleaseCounts
from graysplit.stores.text.judge import judge_text, read_judge

NOW = 1_700_000_000
FIELD = "checkout/new"
SHARE = 20_000
RATE = 60.0
OUTAGE = range(20, 90)
LENGTH_S = 170


class Clockwork:
    """Calls of one process that fail in an outage, each version after a time of its own; time passes by itself."""

    def __init__(self, new_s: float, old_s: float, every_s: float, seed: int, *, only_new: bool = False) -> None:
        """Plan what comes."""
        self._only_new = only_new
        self.worse = ""
        self._late = {False: old_s, True: new_s}
        self._every_s = every_s
        self._rng = Random(seed)
        candidate = WatchedCandidate(1, FIELD, "r1", NOW, Stage(SHARE, 100_000 - SHARE, 1))
        self._buffer = EvidenceBuffer(Terms("checkout", ("old", "new"), (candidate,)), "t1", Lock())
        self._counts = ReleaseCounts(FIELD, "r1")
        self._planned: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = count()
        for second in range(LENGTH_S):
            self._plan(second, self._turn)
            self._plan(second + 0.6, self._judge)
        at = 0.3
        while at < LENGTH_S:
            self._plan(at, self._call)
            at += self._rng.expovariate(RATE)

    def run(self) -> str:
        """Let time pass; give why new was found worse, or nothing."""
        while self._planned and not self.worse:
            at, _, act = heapq.heappop(self._planned)
            act(at)
        return self.worse

    def _plan(self, at: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._planned, (at, next(self._number), act))

    def _turn(self, at: float) -> None:
        second = NOW + int(at)
        self._buffer.turn(second)
        if int(at) % self._every_s == 0:
            for batch in self._buffer.collect(second):
                self._plan(at + 0.1, lambda now, batch=batch: self._flush(batch, now))

    def _flush(self, batch: Batch, at: float) -> None:
        self._counts.flush(batch, int((NOW + at) * 1000))

    def _judge(self, at: float) -> None:
        now_ms = int((NOW + at) * 1000)
        tally = self._counts.tally(NOW, now_ms, course=False)
        found = look(tally, read_judge(tally.judge), EvaluationInput(Guard(), Watched(), NOW), "me")
        text, settled_s = judge_text(found.judge), now_ms // 1000 - 31
        self._counts.judged(
            Judgement(FIELD, "r1", tally.judge, text, found.levels, settled_s, None, forgotten(tally)), now_ms
        )
        for batch in charges(tally, NOW):
            self._counts.flush(batch, now_ms)
        if found.judge.verdict.word == "worse":
            self.worse = found.judge.verdict.why

    def _call(self, at: float) -> None:
        unit = str(self._rng.getrandbits(62))
        hashed = hash32(unit.encode(), 7)
        on_new, part = hashed < HASHES * SHARE // 100_000, self._buffer.current
        part.begun[on_new].append(hashed)
        record: Record | None = [1_000.0, int(on_new), hashed] if part.timed else None
        if record is not None:
            part.sampled.append(record)
        fails = int(at) in OUTAGE and (on_new or not self._only_new)
        takes_s = self._late[on_new] if fails else 0.05

        def end(_: float) -> None:
            self._end(part, record, hashed, takes_s, on_new=on_new, fails=fails)

        self._plan(at + takes_s, end)

    def _end(
        self, part: SecondBuffer, record: Record | None, hashed: int, takes_s: float, *, on_new: bool, fails: bool
    ) -> None:
        if fails:
            part.failing((int(on_new), hashed, None))
        if record is not None:
            record[0] = -takes_s
        part.ended[on_new].append(hashed)


@pytest.mark.parametrize("every_s", [1, 4])
@pytest.mark.parametrize("old_s", [5, 29, 30.2, 31.5, 60])
def test_old_may_fail_much_later_than_new(old_s: float, every_s: float) -> None:
    """Calls of old that are under way count as failed ones for as long as they may fail, past the deadline too."""
    assert Clockwork(0.05, old_s, every_s, seed=7).run() == ""


def test_what_new_alone_meets_is_found() -> None:
    """The same clockwork can tell the difference."""
    assert "users failed on new" in Clockwork(0.05, 0.05, 1, seed=7, only_new=True).run()
