"""What is counted in memory ends when nobody can ask for it any more."""

from __future__ import annotations

from graysplit.core.guard.tally import Batch, Begun, Exposed, Failed, Goal, Judgement, Pair, Stage
from graysplit.stores.memory import MemoryStore
from graysplit.stores.release_counts import BUFFER_MS, CLOSES_S, DAY_MS, RELEASE_MS, ReleaseCounts
from tests.clocks import MovedClock

START_MS = 1_700_000_000_000
START_S = START_MS // 1000
OLD, NEW = Stage(20_000, 80_000, 1), Stage(50_000, 50_000, 2)


def told(number: int, stage: Stage = OLD, *, buffer: str = "tape", second: int = START_S) -> Batch:
    """Return a batch of one failed call."""
    return Batch(
        "checkout/new",
        "r",
        START_S,
        buffer,
        number,
        stage,
        calls=(Begun(second, True, 1),),
        errors=(Failed(second, number, True),),
        exposed=(Exposed(number, True),),
        goals=(Goal("buy", number),),
    )


def test_a_buffers_number_is_known_for_a_quarter_of_an_hour() -> None:
    """A batch is sent again for at most a minute; then the number is forgotten."""
    counts = ReleaseCounts("checkout/new", "r")
    counts.flush(told(7), START_MS)
    assert not counts.flush(told(7), START_MS + 600_000).applied
    counts.flush(told(1, buffer="other"), START_MS + BUFFER_MS + 1)
    assert counts.flush(told(7), START_MS + BUFFER_MS + 2).applied


def test_a_window_is_forgotten_five_minutes_after_its_end() -> None:
    """Nobody judges it any more, and what comes so late counts for those that go on."""
    counts = ReleaseCounts("checkout/new", "r")
    counts.flush(told(1), START_MS)
    assert counts.tally(START_S, START_MS, course=False).kept[0].window.books
    counts.flush(told(2, second=START_S + 370), START_MS + 370_000)
    assert not counts.tally(START_S, START_MS, course=False).kept[0].window.books
    assert counts.tally(START_S, START_MS + 370_000, course=False).kept[-4].window.books[0].new.calls == 2


def test_units_of_a_stage_are_told_until_ten_minutes_after_the_next_has_begun() -> None:
    """Later ones count for their windows alone."""
    counts = ReleaseCounts("checkout/new", "r")
    counts.flush(told(1), START_MS)
    counts.flush(told(1, NEW, buffer="new"), START_MS)
    for number, passed_ms, units in ((2, CLOSES_S * 1000, 2), (3, CLOSES_S * 1000 + 1000, 2)):
        counts.flush(told(number), START_MS + passed_ms)
        stage = counts.tally(START_S, START_MS, course=False).stages[0]
        assert (stage.units, stage.exposed, stage.goals["buy"].units) == (Pair(0, units),) * 3
        assert stage.calls.new == number


def test_a_tally_that_nobody_touches_is_gone_after_a_month() -> None:
    """Flushes and judgements both keep it alive."""
    clock = MovedClock(START_S)
    store = MemoryStore(clock=clock)
    feed = store.follow()
    feed.flush(told(1))
    clock.now += (RELEASE_MS - DAY_MS) / 1000
    assert feed.judge(Judgement("checkout/new", "r", "", "judge"))
    clock.now += (RELEASE_MS - DAY_MS) / 1000
    feed.flush(told(1)._replace(field="search/new"))
    assert store.tally("checkout/new", "r", START_S).judge == "judge"
    clock.now += 2 * DAY_MS / 1000
    feed.flush(told(2)._replace(field="search/new"))
    assert store.tally("checkout/new", "r", START_S).judge == ""
