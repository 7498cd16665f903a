"""What the scripts count in Redis is what the pure window counts hold, whatever arrives in whatever order."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graysplit.core.guard.admission import Level, next_levels
from graysplit.core.guard.sequential_test import STOPWATCHES_S
from graysplit.core.guard.tally import Batch, Begun, Exposed, Failed, Goal, Judgement, Pair, Stage, Tally
from graysplit.core.guard.window_counts import WindowCounts
from graysplit.core.guard.windows import Book, StratumName, span_of, totals
from graysplit.stores import Feed, store_from_url
from graysplit.stores.memory import MemoryStore

FIELD = "checkout/new"
STAGES = (Stage(20_000, 80_000, 3), Stage(50_000, 50_000, 5), Stage(20_000, 80_000, 8), Stage(5_000, 95_000, 0))
# Few units and few seconds, so that they meet; half of the units differ in bits that no number of Lua's holds.
UNITS = (0, 1, 2, 4, 12, 1 << 63, (1 << 63) + 1, (1 << 63) + 2)
BACK_S = 20  # of the seconds told of: none is settled by its age

seconds = st.integers(-BACK_S, 0)
counted = st.lists(st.builds(Begun, seconds, st.booleans(), st.integers(1, 9)), max_size=4).map(tuple)
failed = st.lists(st.builds(Failed, seconds, st.sampled_from(UNITS), st.booleans(), st.integers(1, 3)), max_size=6).map(
    tuple
)
exposed = st.lists(st.builds(Exposed, st.integers(0, 9), st.booleans()), max_size=4).map(tuple)
goals = st.lists(
    st.builds(Goal, st.sampled_from(("buy", "read")), st.integers(0, 9), st.integers(0, 10**6)), max_size=4
).map(tuple)
pairs = st.builds(Pair, st.integers(0, 9), st.integers(0, 9))
durations = st.dictionaries(st.integers(0, 130), st.integers(1, 9), max_size=3)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Draw a batch; its seconds are counted from now."""
    return Batch(
        FIELD,
        "r",
        0,
        "tape",
        1,
        draw(st.sampled_from(STAGES)),
        draw(counted),
        draw(pairs),
        draw(failed),
        draw(counted),
        draw(failed),
        draw(exposed),
        (draw(durations), draw(durations)),
        draw(st.dictionaries(st.sampled_from(("DataLoss", "ü:1 2")), pairs)),
        draw(goals),
        draw(counted),
        draw(failed),
        draw(pairs),
        draw(failed),
        draw(pairs),
        draw(counted),
        draw(pairs),
    )


class Case(NamedTuple):
    """Batches, each of a buffer of its own, and the order in which they arrive: some of them twice."""

    batches: Sequence[Batch]
    order: Sequence[int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a case."""
    found = draw(st.lists(batches(), min_size=1, max_size=6))
    twice = draw(st.lists(st.sampled_from(range(len(found))), max_size=3))
    return Case(found, draw(st.permutations([*range(len(found)), *twice])))


@pytest.fixture(scope="module")
def feed(server: object) -> Iterator[Feed]:
    """Return a connection to a real server."""
    store = store_from_url(server.url, f"model-{uuid.uuid4().hex}")  # type: ignore[attr-defined] # the session's server
    found = store.follow()
    yield found
    found.close()
    store.close()


often = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@often
@given(case=cases(), settled=st.integers(0, BACK_S))
def test_redis_counts_what_memory_counts(feed: Feed, case: Case, settled: int) -> None:
    """All of a tally, stages and goals too; and what is settled half way is not lost."""
    release, memory = uuid.uuid4().hex, MemoryStore().follow()
    now_s = feed.tally(FIELD, release, 0).now_ms // 1000
    told = [_at(batch, now_s, release, f"tape {buffer}") for buffer, batch in enumerate(case.batches)]
    for place, number in enumerate(case.order):
        assert feed.flush(told[number]).applied == memory.flush(told[number]).applied
        if place == len(case.order) // 2:
            assert feed.judge(Judgement(FIELD, release, "", "half way", settled_s=now_s - settled))
            assert memory.judge(Judgement(FIELD, release, "", "half way"))
    began_s = now_s - 30
    assert _alike(feed.tally(FIELD, release, began_s)) == _alike(memory.tally(FIELD, release, began_s))


@often
@given(case=cases(), bits=st.integers(0, 2))
def test_redis_counts_what_the_ledger_counts(feed: Feed, case: Case, bits: int) -> None:
    """Each window's books, thinned by a level from its first second; the window counts are told in another order."""
    release = uuid.uuid4().hex
    now_s = feed.tally(FIELD, release, 0).now_ms // 1000
    began_s = now_s - 30
    told = [_at(batch, now_s, release, f"tape {buffer}") for buffer, batch in enumerate(case.batches)]
    for buffer, stage in enumerate(STAGES[:2]):  # their numbers are given, so that the order tells nothing
        feed.flush(Batch(FIELD, release, began_s, f"first {buffer}", 1, stage))
    told = [_sided(batch._replace(stage=STAGES[batch.stage.new == 50_000])) for batch in told]
    spans = [span_of(length_s, began_s, began_s) for length_s in STOPWATCHES_S]
    levels = tuple(("errors", span, ((span.begin_s, bits),)) for span in spans)
    assert feed.judge(Judgement(FIELD, release, "", "thin", levels=levels))  # type: ignore[arg-type] # a kind's name
    for number in case.order:
        feed.flush(told[number])
    kept = [one for one in feed.tally(FIELD, release, began_s).kept if one.what == "errors"]
    assert [one.window.span for one in kept] == spans
    for one in kept:
        window_counts = WindowCounts(one.window.span)
        window_counts.levels = (Level(one.window.span.begin_s, bits),)
        for batch in reversed(told):
            _tell(window_counts, batch)
        books = tuple(book._replace(running={}) for book in one.window.books)
        assert books == tuple(sorted(window_counts.window(now_s).books, key=lambda book: book.name.stage))


@pytest.mark.parametrize("kind", ["redis", "memory"])
def test_ten_times_more_failing_units_take_little_more_room(feed: Feed, kind: str) -> None:
    """200,000 units fail, 2,000 a second, and levels are published as a judge does: some 30,000 are kept."""
    store = feed if kind == "redis" else MemoryStore().follow()
    release, began_s = uuid.uuid4().hex, feed.tally(FIELD, "", 0).now_ms // 1000 - 150
    span = span_of(1_800, began_s, began_s)
    levels, text, units = (Level(began_s, 0),), "", 0
    for second in range(100):
        at_s = began_s + second
        some = tuple(Failed(at_s, unit, unit % 5 == 0) for unit in range(second * 2_000, second * 2_000 + 2_000))
        store.flush(Batch(FIELD, release, began_s, "tape", second + 1, STAGES[0], errors=some))
        kept = next(k for k in store.tally(FIELD, release, began_s).kept if k.window.span == span)
        units = totals(kept.window.books).units
        levels = next_levels(levels, units, at_s)
        changed = (("errors", span, tuple(tuple(level) for level in levels)),)
        assert store.judge(Judgement(FIELD, release, text, f"{second}", changed))  # type: ignore[arg-type] # pairs
        text = f"{second}"
    assert 20_000 < units < 45_000
    assert levels[-1].bits >= 5


def _at(batch: Batch, now_s: int, release: str, buffer: str) -> Batch:
    """Move a batch to now, in a release and with a buffer of its own."""
    moved = {
        name: tuple(one._replace(second=now_s + one.second) for one in getattr(batch, name))
        for name in ("calls", "errors", "timed", "slow", "running", "hanging", "cut", "abandoned")
    }
    return batch._replace(release=release, started_s=now_s - 30, buffer=buffer, **moved)


def _sided(batch: Batch) -> Batch:
    """Return each unit one side in a stage, as the hash does: of two begins in one second neither is the first."""
    stage = batch.stage.new == 50_000
    return batch._replace(errors=tuple(one._replace(on_new=one.unit % 4 > 1 + stage) for one in batch.errors))


def _alike(tally: Tally) -> Tally:
    """Leave out what two stores cannot have alike: times, orders, what is folded up, fields that are zero."""
    kept = tuple(
        one._replace(window=one.window._replace(books=tuple(sorted(map(_folded, one.window.books)))))
        for one in tally.kept
    )
    stages = tuple(stage._replace(since_s=0, goals=dict(stage.goals)) for stage in tally.stages)
    running = tuple(sorted(one._replace(at_ms=0) for one in tally.running))
    return tally._replace(kept=kept, stages=stages, running=running, named=dict(tally.named), now_ms=0)


def _folded(book: Book) -> Book:
    new, old = (
        side._replace(settled=side.settled + sum(side.recent.values()), recent={}) for side in (book.new, book.old)
    )
    return book._replace(new=new, old=old, running={0: sum(book.running.values())})


def _tell(window_counts: WindowCounts, batch: Batch) -> None:
    begin_s, end_s = window_counts.span.begin_s, window_counts.span.end_s
    name = StratumName(1 + (batch.stage.new == 50_000))
    calls = [one for one in batch.calls if begin_s <= one.second < end_s]
    errors = [one for one in batch.errors if begin_s <= one.second < end_s]
    cut, abandoned = ([one for one in told if begin_s <= one.second < end_s] for told in (batch.cut, batch.abandoned))
    if calls or errors or cut or abandoned:
        window_counts.open(name, batch.stage.w)
    for one in calls:
        window_counts.called(name, on_new=one.on_new, calls=one.calls)
    for one in errors:
        for _ in range(one.calls):
            window_counts.failed(one.unit, one.second, name, on_new=one.on_new)
