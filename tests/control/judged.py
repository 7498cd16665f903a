"""Counts and a judgement as a fleet would leave them in a store, for tests of what operators see."""

from __future__ import annotations

from graysplit.control.reading import read
from graysplit.core.guard.evaluation import Judge
from graysplit.core.guard.tally import Batch, Begun, Exposed, Judgement, Pair, Stage
from graysplit.core.guard.verdict import Verdict
from graysplit.stores.port import Store, Trip
from graysplit.stores.text.judge import judge_text

FIELD = "checkout/new"
WHY = "18 users failed on new, 12 on old, 6 expected on new; evidence 4,061 of 857"


def release_of(store: Store, field: str = FIELD) -> tuple[str, int]:
    """Return a candidate's release, and the second in which it began."""
    reading = read(store)
    return reading.snapshot.releases[field], reading.held.releases[field] // 1000


def judged(
    store: Store, word: str, why: str = WHY, *, weight: int = 20_000, field: str = FIELD, note: str = ""
) -> None:
    """Have a process tell of 352 calls on new and 1,408 on old, and a verdict be written on them, now."""
    release, started_s = release_of(store, field)
    feed = store.follow()
    now_s = feed.tally(field, release, started_s).now_ms // 1000
    flushed = feed.flush(
        Batch(
            field,
            release,
            started_s,
            "tape-1",
            1,
            Stage(weight, 100_000 - weight),
            calls=(Begun(now_s, on_new=True, calls=352), Begun(now_s, on_new=False, calls=1_408)),
            failures=Pair(12, 18),
            exposed=(*(Exposed(unit, unit % 5 == 0) for unit in range(500)),),
        )
    )
    tally = feed.tally(field, release, started_s)
    stage = tally.stages[-1]
    judge = Judge("nonce", flushed.now_ms, Verdict(word, why, note=note), stage.number, stage.stage.new)
    assert feed.judge(Judgement(field, release, tally.judge, judge_text(judge)))
    feed.close()


def tripped(store: Store, field: str = FIELD) -> None:
    """Have a guard roll a candidate's release back."""
    feed = store.follow()
    assert feed.trip(Trip("0123456789abcdef01234567", field, release_of(store, field)[0], WHY))
    feed.close()
