"""Releases through the real counters: a buffer, the scripts in a real server, the judge; a minute in a moment.

Each user calls once, with a fate on either version that is drawn beforehand, so that the truth is known: how many of
the users who came would have failed on new, and how many on old.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from threading import RLock
from typing import Final, NamedTuple

from graysplit import embedded
from graysplit.core.bucketing import HASHES, hash32
from graysplit.core.guard.buffer import EvidenceBuffer, Terms, WatchedCandidate
from graysplit.core.guard.evaluation import EvaluationInput, counts_of, look
from graysplit.core.guard.interval import difference
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import Judgement, Stage
from graysplit.core.guard.verdict_rules import Watched
from graysplit.stores.port import Feed
from graysplit.stores.text.judge import judge_text, read_judge
from graysplit.stores.url import store_from_url

LENGTH_S: Final = 57  # of the first minute
LOOK_S: Final = 4
CALLS_PER_S: Final = 30


class Rates(NamedTuple):
    """The shares of users who fail."""

    new: float
    old: float


class Ended(NamedTuple):
    """What came of one release."""

    words: frozenset[str]  # all verdicts that were given
    covered: bool  # whether the report's difference covered the truth at every look
    stopped_at_s: int | None  # when it was found worse


@contextmanager
def feed() -> Iterator[Feed]:
    """Return a follower's connection to a server of its own."""
    with embedded.server() as server:
        store = store_from_url(server.url)
        found = store.follow()
        try:
            yield found
        finally:
            found.close()
            store.close()


def release(feed: Feed, seed: int, rates: Rates, share: int = 20_000) -> Ended:
    """Let a minute pass for one release at a share (thousandths of a percent), and look at it now and then."""
    rng, name = Random(seed), os.urandom(8).hex()
    started_s = int(time.time()) - LENGTH_S
    stage, field = Stage(share, 100_000 - share, 1), "checkout/new"
    case = EvaluationInput(Guard(), Watched(), started_s)
    buffer = EvidenceBuffer(
        Terms("checkout", ("old", "new"), (WatchedCandidate(1, field, name, started_s, stage),)), name, RLock()
    )
    words, covered, stopped_at_s = set[str](), True, None
    would, units = Rates(0, 0), 0
    for passed in range(LENGTH_S):
        second = started_s + passed
        buffer.turn(second)
        for _ in range(CALLS_PER_S):
            units += 1
            unit, on_new, on_old = str(rng.getrandbits(62)).encode(), rng.random() < rates.new, rng.random() < rates.old
            would = Rates(would.new + on_new, would.old + on_old)
            _call(buffer, unit, share, Rates(on_new, on_old))
        for batch in buffer.collect(second):
            feed.flush(batch)
        if passed % LOOK_S:
            continue
        tally = feed.tally(field, name, started_s)._replace(now_ms=(second + 1) * 1000)
        judged = look(tally, read_judge(tally.judge), case, name)
        feed.judge(Judgement(field, name, tally.judge, judge_text(judged.judge), judged.levels, second - 31))
        words.add(judged.judge.verdict.word)
        if judged.judge.verdict.word == "worse" and stopped_at_s is None:
            stopped_at_s = passed
        found = difference(counts_of(tally.stages[-1], share / 100_000))
        covered = covered and found.low <= (would.new - would.old) / units <= found.high
    return Ended(frozenset(words), covered, stopped_at_s)


def _call(buffer: EvidenceBuffer, unit: bytes, share: int, fails: Rates) -> None:
    """Do what a routed call does on its straight line."""
    hashed = hash32(unit, 7)
    index = int(hashed < HASHES * share // 100_000)
    part = buffer.current
    part.begun[index].append(hashed)
    if fails.new if index else fails.old:
        part.failing((index, hashed, None))
    part.ended[index].append(hashed)
