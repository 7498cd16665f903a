"""A program whose judges and notifiers are killed at any moment. Run by `test_guard_kills.py`; answers in JSON.

Two kinds of children, forked one after the other: one judges as fast as it can, the other tells numbered batches, and
says on a pipe which were acknowledged. The parent tells batches of its own all the while, and counts what it told.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

from graysplit.core.guard.evaluation import EvaluationInput, charges, forgotten, look
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import Batch, Begun, Exposed, Failed, Judgement, Pair, Stage
from graysplit.core.guard.verdict_rules import Watched
from graysplit.stores.port import Feed
from graysplit.stores.text.judge import judge_text, read_judge
from graysplit.stores.url import store_from_url

FIELD: Final = "checkout/new"
RELEASE: Final = "r1"
STAGE: Final = Stage(20_000, 80_000, 1)
PER_BATCH: Final = 5
USERS: Final = 2_000


def batch(buffer: str, number: int, started_s: int, rng: Random) -> Batch:
    """Make a batch in which each call fails, of users who come again and again: too few for admission to be thinned."""
    second = int(time.time()) - rng.randrange(5)
    users = [rng.randrange(USERS) for _ in range(PER_BATCH)]
    errors = tuple(Failed(second, user << 20, bool(user % 2)) for user in users)
    calls = tuple(Begun(second, on_new, sum(one.on_new is on_new for one in errors)) for on_new in (False, True))
    exposed = tuple(Exposed(one.unit & 0xFFFFFFFF, one.on_new) for one in errors)
    failures = Pair(calls[0].calls, calls[1].calls)
    return Batch(FIELD, RELEASE, started_s, buffer, number, STAGE, calls, failures, errors, exposed=exposed)


def judge(feed: Feed, started_s: int, tell: int) -> None:
    """Judge without a pause, as whoever is elected."""
    nonce, case = os.urandom(8).hex(), EvaluationInput(Guard(), Watched(), started_s)
    while True:
        tally = feed.tally(FIELD, RELEASE, started_s)
        judged = look(tally, read_judge(tally.judge), case, nonce)
        settled_s = tally.now_ms // 1000 - 3  # sooner than it would be: more is compacted under way
        written = feed.judge(
            Judgement(
                FIELD,
                RELEASE,
                tally.judge,
                judge_text(judged.judge),
                judged.levels,
                settled_s,
                judged.sample,
                forgotten(tally),
            )
        )
        for one in charges(tally, started_s):
            feed.flush(one)
        if written:
            os.write(tell, b"j")


def tell_batches(feed: Feed, started_s: int, tell: int) -> None:
    """Tell batches without a pause, and say that each was acknowledged."""
    buffer, rng, number = os.urandom(8).hex(), Random(os.urandom(8)), 0
    while True:
        number += 1
        feed.flush(batch(buffer, number, started_s, rng))
        os.write(tell, b"a")


def child(url: str, work: Callable[[Feed, int, int], None], started_s: int) -> tuple[int, int]:
    """Fork a child that works until it is killed; return its id, and the pipe on which it tells."""
    hear, tell = os.pipe()
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        os.close(hear)
        with suppress(BaseException):
            work(store_from_url(url).follow(), started_s, tell)
        os._exit(1)
    os.close(tell)
    return pid, hear


def killed(pid: int, hear: int) -> bytes:
    """Kill a child, and return all that it told."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    told = b""
    while some := os.read(hear, 65_536):
        told += some
    os.close(hear)
    return told


def main(url: str, kills: int) -> None:
    """Kill so many judges, and as many notifiers; say what was told and what is found."""
    started_s, rng = int(time.time()) - 10, Random(kills)
    feed = store_from_url(url).follow()
    own = acknowledged = judgements = 0
    for _ in range(kills):
        judging, hear_judge = child(url, judge, started_s)
        cursor, hear_teller = child(url, tell_batches, started_s)
        ready = [hear_judge, hear_teller]
        while ready:  # both are at work: killed before that they would show nothing
            own += 1
            feed.flush(batch("parent", own, started_s, rng))
            for found in select.select(ready, [], [], 0)[0]:
                ready.remove(found)
        until = time.monotonic() + rng.random() * 0.02
        while time.monotonic() < until:
            own += 1
            feed.flush(batch("parent", own, started_s, rng))
        judgements += len(killed(judging, hear_judge))
        acknowledged += len(killed(cursor, hear_teller))
    tally = feed.tally(FIELD, RELEASE, started_s)
    stage = tally.stages[-1]
    windows = {
        f"{kept.what} {kept.window.span.length_s}": [
            sum(side.calls for book in kept.window.books for side in (book.new, book.old)),
            sum(
                side.settled + sum(side.recent.values()) + side.repeats
                for book in kept.window.books
                for side in (book.new, book.old)
            ),
            sum(bits for _, bits in kept.levels),
        ]
        for kept in tally.kept
        if kept.what == "errors" and kept.window.span.number == 1
    }
    sys.stdout.write(
        json.dumps(
            {
                "told": (own + acknowledged) * PER_BATCH,
                "kills": kills,
                "judgements": judgements,
                "calls": sum(stage.calls),
                "failures": sum(stage.failures),
                "stages": len(tally.stages),
                "judge": read_judge(tally.judge).dead,
                "windows": windows,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
