"""The calls on a buffer are counted exactly, however long a writer is held up in the middle of one."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

from graysplit.core.counters import Counts
from graysplit.core.guard.buffer import CLOSED_S, EvidenceBuffer
from graysplit.core.guard.tally import Pair
from tests.core.guard.test_buffer import NOW, a_buffer
from tests.core.guard.test_thinned import thinned

# What a call looks up before it writes, where another thread may have its turn.
LOOKED_UP = {
    "side": lambda part: part.begun,
    "list": lambda part: part.b_new,
    "method": lambda part: part.b_new.append,
}


@pytest.fixture
def _uncollected() -> Iterator[None]:
    """Keep the collector of garbage away: nothing may depend on it."""
    gc.disable()
    yield
    gc.enable()


def pass_time(buffer: EvidenceBuffer, seconds: int) -> None:
    """Let seconds pass, each looked at."""
    first = max(buffer.current.second, NOW)
    for second in range(first + 1, first + seconds + 1):
        buffer.turn(second)
        buffer.collect(second)


@pytest.mark.parametrize("held", LOOKED_UP)
def test_a_part_is_kept_while_a_call_is_held_up_before_it_writes(held: str) -> None:
    """Not a moment longer: quiet parts stay few."""
    buffer = a_buffer()
    looked_up = LOOKED_UP[held](buffer.current)
    pass_time(buffer, 2 * CLOSED_S)
    if held == "side":
        looked_up = looked_up[1]
    if held != "method":
        looked_up = looked_up.append
    looked_up(5)
    assert buffer.totals.begun(1) == 1
    assert len(buffer.totals.parts) == 5
    del looked_up
    pass_time(buffer, 1)
    assert len(buffer.totals.parts) == 4
    assert buffer.totals.begun(1) == 1


def test_an_end_that_is_held_up_is_counted() -> None:
    """For as long as it may take: a call must not seem to run for ever."""
    buffer = a_buffer()
    buffer.current.b_new.append(5)
    ends = buffer.current.x_new
    pass_time(buffer, 2 * CLOSED_S)
    (batch,) = buffer.collect(buffer.current.second)
    assert [one.calls for one in batch.running] == [1]
    ends.append(5)
    del ends
    (batch,) = buffer.collect(buffer.current.second)
    assert batch.running == ()
    assert buffer.totals.ended(1) == 1


def test_a_failure_that_is_held_up_is_told() -> None:
    """Its part is closed by then, and the call has been charged as hanging: it is counted."""
    buffer = a_buffer()
    part = buffer.current
    part.b_new.append(5)
    fail, end = part.failing, part.x_new.append
    pass_time(buffer, CLOSED_S + 3)
    fail((1, 5, None))
    end(5)
    del fail, end
    (batch,) = buffer.collect(buffer.current.second)
    assert batch.failures == Pair(0, 1)
    assert batch.running == ()


def test_a_call_that_is_held_up_before_it_is_only_counted_is_counted() -> None:
    """Of a part that is thinned the compiled core holds no list, but the count of those who are not written down."""
    buffer = thinned()
    before = buffer.totals.begun(0)
    marks = buffer.current.records.begun[0]
    passed = marks.passed.count  # type: ignore[attr-defined] # a thinned part's
    del marks
    pass_time(buffer, 2 * CLOSED_S)
    next(passed)
    assert buffer.totals.begun(0) == before + 1


@pytest.mark.usefixtures("_uncollected")
@pytest.mark.parametrize("make", [a_buffer, thinned])
def test_a_buffer_is_counted_as_long_as_a_call_may_begin_on_it(make: Callable[[], EvidenceBuffer]) -> None:
    """Who has read a state may be held up before the call begins; its buffer may be over by then."""
    buffer = make()
    counts = Counts(buffer.names, routed=True)
    counts.count_by(buffer.totals)
    before = counts.asked()
    buffer.leave()
    pass_time(buffer, 2 * CLOSED_S)
    assert buffer.over
    counts.settle()
    buffer.current.b_new.append(5)
    assert counts.asked() == before + 1
    assert counts.running(1) == 1
    buffer.current.x_new.append(5)
    totals = buffer.totals
    assert not totals.settled
    del buffer
    assert totals.settled
    counts.settle()
    assert counts.asked() == before + 1
    assert counts.running(1) == 0
