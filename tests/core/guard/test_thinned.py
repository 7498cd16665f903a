"""A second of very many calls: kept users are whole users, all calls are counted, and what is written has a bound."""

from __future__ import annotations

import sys
from collections import Counter
from threading import Lock
from typing import Any

import pytest

from graysplit.core.bucketing import hash32
from graysplit.core.guard.batch import EXPOSED_AT_MOST, UNITS_AT_ONCE, unit64
from graysplit.core.guard.buffer import FULL, LATE, EvidenceBuffer, bits_for
from graysplit.core.guard.second_buffer import SLICE, SecondBuffer
from graysplit.core.guard.tally import Batch, Begun, Pair
from graysplit.core.guard.thinned import BLAMED_AT_MOST, KEPT, NAMED_AT_MOST, TIMED_AT_MOST, ThinnedMarks, Thinning
from tests.core.guard.test_buffer import NOW, a_buffer

MANY = 16 * FULL


def call(part: SecondBuffer, mark: Any, index: int = 0, *, fails: bool = False, ends: bool = True) -> None:
    """Make a call as a route's text does."""
    (part.b_old, part.b_new)[index].append(mark)
    if part.timed:
        record = [1.0, index, mark]
        part.sampled += (record,)
        if ends:
            record[0] = -0.5
    if fails:
        part.failing((index, mark, None))
    if ends:
        (part.x_old, part.x_new)[index].append(mark)


def user(number: int) -> int:
    """Return a user's hash: a new object for each call."""
    return hash32(b"%d" % number, 7)


def thinned(**guard: Any) -> EvidenceBuffer:
    """Return a buffer whose part was looked at too late and is thinned by the calls themselves."""
    buffer = a_buffer(**guard)
    for number in range(LATE + 1):
        call(buffer.current, user(number))
    assert buffer.full
    assert buffer.current.records.thinning is not None
    buffer.collect(NOW)
    buffer.dropped = 0
    return buffer


def of_users(batches: list[Batch]) -> set[int]:
    """Return the units that are told as exposed."""
    return {one.unit for batch in batches for one in batch.exposed}


def counted(batches: list[Batch]) -> int:
    """Return the calls that are told."""
    return sum(one.calls for batch in batches for one in batch.calls)


def test_what_writers_write_has_a_bound_while_nobody_looks() -> None:
    """Part after part of fewer users begins by itself; all calls are counted, by second, total and dropped."""
    buffer = thinned()
    before = buffer.totals.begun(0)
    for number in range(MANY):
        call(buffer.current, user(number), fails=number % 3 == 0)
    parts = buffer.totals.all_parts()
    assert sum(part.records.waiting + part.records.blamed for part in parts) < LATE
    assert max(part.records.waiting for part in parts) <= KEPT + 1
    assert buffer.totals.begun(0) - before == buffer.totals.ended(0) - before == MANY
    batches = buffer.collect(NOW)
    assert counted(batches) == MANY
    assert sum(batch.failures.old for batch in batches) == len(range(0, MANY, 3))
    assert all(batch.running == () for batch in batches)
    assert buffer.dropped > MANY / 2


@pytest.mark.parametrize("aligned", [True, False])
def test_of_a_full_part_who_collects_it_leaves_the_same_users_out(*, aligned: bool) -> None:
    """Beginnings, ends, failures, those who hang: of a user all or none; each call is counted."""
    buffer = a_buffer(deadline_s=5.0)
    for number in range(FULL + 1):
        call(buffer.current, user(number))
    assert buffer.full
    part = buffer.current
    assert (part.records.thinning, part.timed) == (None, False)
    for _ in buffer.gathering(NOW):
        continue
    assert len(buffer.current.records.begun[0]) == 0
    assert not buffer.full
    marks = [user(number) for number in range(FULL // 2)]
    for mark in marks:
        part.b_new.append(mark)
    for mark in marks if aligned else marks[::-1]:
        part.x_new.append(mark)
    hanging = [user(number) for number in range(FULL, FULL + 512)]
    for mark in hanging:
        part.b_new.append(mark)
    batches = buffer.collect(NOW)
    assert counted(batches) == FULL + 1 + len(marks) + len(hanging)
    assert [one.calls for one in batches[-1].running] == [len(hanging)]
    exposed = of_users(batches) & {*marks, *hanging}
    assert exposed == {mark for mark in {*marks, *hanging} if not mark & part.records.mask}
    assert buffer.dropped == FULL + 1 + len(marks) + len(hanging) - len(
        [m for m in _all(marks, hanging) if not m & part.records.mask]
    )
    buffer.turn(NOW + 5)
    (late,) = buffer.collect(NOW + 5)
    assert late.overdue == Pair(0, len(hanging))
    assert len(late.errors) + late.unblamed == len(hanging)
    assert len(late.errors) == sum(not mark & part.records.mask for mark in hanging)


def _all(marks: list[int], hanging: list[int]) -> list[int]:
    """Return the calls of a second."""
    return [*map(user, range(FULL + 1)), *marks, *hanging]


@pytest.mark.parametrize("kept", [False, True])
def test_a_user_who_is_kept_is_kept_on_all_calls_and_by_each_process(*, kept: bool) -> None:
    """On both sides, by its hash alone: also where the choice was kept in a request, and nothing was hashed."""
    told: list[set[int]] = []
    for _ in range(2):
        buffer = thinned()
        part, calls = buffer.current, 6
        for number in range(2_000):
            mark = (str(number),) if kept else user(number)
            for _ in range(calls):
                call(part, mark, number % 2, fails=True)
        assert buffer.current is part
        marks = Counter(mark for index in (0, 1) for mark in part.begun[index])
        assert marks
        assert set(marks.values()) == {calls}
        assert marks == Counter(mark for index in (0, 1) for mark in part.ended[index])
        assert not any(hash32(mark[0].encode(), 0) & 3 if isinstance(mark, tuple) else mark & 3 for mark in marks)
        told.append({hash(mark) for mark in marks})
    assert told[0] == told[1]


def test_the_next_second_begins_thinned_and_a_calm_one_ends_it() -> None:
    """By how many calls the second had, whoever was kept."""
    buffer = a_buffer()
    for number in range(FULL):
        call(buffer.current, user(number))
    buffer.turn(NOW + 1)
    assert buffer.bits == 0, "a second that has not been full is whole"
    for number in range(4 * FULL):
        call(buffer.current, user(number))
    buffer.turn(NOW + 2)
    assert buffer.bits == bits_for(4 * FULL) == 5
    assert buffer.current.records.thinning is None, "calls are written down as ever"
    call(buffer.current, user(1))
    buffer.turn(NOW + 3)
    assert buffer.bits == 0


def test_a_buffer_that_follows_a_thinned_one_begins_thinned() -> None:
    """A change of the weight in a crowd: what it counts before its first turn is of the second before."""
    known = thinned()
    buffer = EvidenceBuffer(known.terms, "t2", Lock(), known.bits)
    for number in range(MANY):
        call(buffer.current, user(number))
    assert max(part.records.waiting for part in buffer.totals.all_parts()) <= KEPT + 1
    buffer.turn(NOW + 1)
    batches = buffer.collect(NOW + 1)
    assert {one.second for batch in batches for one in batch.calls} == {NOW}
    assert counted(batches) == MANY


def test_what_runs_is_exact_and_who_is_not_written_down_vetoes_safe_at_the_deadline() -> None:
    """A call that ends is open for nobody; of those that hang the kept users are charged and the others counted."""
    buffer = thinned(deadline_s=5.0)
    part = buffer.current
    for number in range(1_000):
        call(part, user(number), 1, ends=number % 2 == 0)
    (batch,) = [one for one in buffer.collect(NOW + 1) if one.running]
    assert batch.running == (Begun(NOW, on_new=True, calls=500),)
    kept = {user(number) for number in range(1, 1_000, 2) if part.records.thinning.keeps(user(number))}  # type: ignore[union-attr]
    seed = hash32(b"release-1", 0)
    assert {one.unit for one in batch.hanging} == {unit64(unit, seed) for unit in kept}
    buffer.turn(NOW + 5)
    (late,) = buffer.collect(NOW + 5)
    assert late.overdue == Pair(0, 500)
    assert {one.unit for one in late.errors} == {unit64(unit, seed) for unit in kept}
    assert late.unblamed == 500 - len(kept)


def test_failures_are_told_of_all_users_up_to_a_bound_then_of_some_of_both_sides() -> None:
    """Whatever their order; each user's calls all or none, and none that is left out is forgotten."""
    buffer = thinned()
    few = UNITS_AT_ONCE // 2
    for number in range(few):
        call(buffer.current, user(number), fails=True)
    (batch,) = buffer.collect(NOW)
    assert len(batch.errors) == few
    assert batch.unblamed == 0
    for number in (*range(3 * BLAMED_AT_MOST), *range(3 * BLAMED_AT_MOST)):
        buffer.current.failing((number % 2, user(number), None))
        if number % SLICE == 0:
            _some_of(buffer)
    (batch,) = buffer.collect(NOW)
    assert sum(batch.failures) == 6 * BLAMED_AT_MOST
    assert UNITS_AT_ONCE / 4 < len(batch.errors) <= UNITS_AT_ONCE
    assert batch.unblamed + sum(one.calls for one in batch.errors) == 6 * BLAMED_AT_MOST
    assert 0.4 < sum(one.on_new for one in batch.errors) / len(batch.errors) < 0.6
    assert buffer.dropped >= batch.unblamed


def _some_of(buffer: EvidenceBuffer) -> None:
    """Let what waits be no more than a writer lets wait."""
    assert buffer.current.records.blamed <= NAMED_AT_MOST


def test_a_named_exception_is_told_in_a_flood_of_failures() -> None:
    """The first of it stops the release."""
    buffer = thinned()
    for number in range(2 * BLAMED_AT_MOST):
        buffer.current.failing((1, user(number), None))
    buffer.current.failing((1, user(1), "DataLoss"))
    (batch,) = buffer.collect(NOW)
    assert batch.named == {"DataLoss": Pair(0, 1)}


def test_timed_calls_are_those_of_kept_users_and_have_a_bound() -> None:
    """So that the slow rule goes on where every second is full."""
    buffer = thinned(every_call=True, slow_s=0.1)
    assert buffer.current.timed
    part = buffer.current
    for number in range(2_000):
        call(part, user(number))
    kept = len(part.begun[0])
    (batch,) = buffer.collect(NOW)
    assert sum(one.calls for one in batch.timed) == kept
    assert len(batch.slow) == kept
    for number in range(0, 64 * TIMED_AT_MOST, 64):
        part.sampled += ([1.0, 0, number << 6],)
        part.sampled += ([1.0, 0, number << 6],)
    assert len(part.sampled) == TIMED_AT_MOST


def test_who_is_told_by_name_is_thinned_too() -> None:
    """Choices that are no measured calls: some users, the others counted, part after part."""
    buffer = thinned()
    for number in range(8 * FULL):
        buffer.current.exposed((user(number), number % 2))
    batches = buffer.collect(NOW)
    assert 0 < len(of_users(batches)) <= EXPOSED_AT_MOST
    assert buffer.dropped + sum(len(batch.exposed) for batch in batches) >= 7 * FULL
    assert buffer.bits > bits_for(LATE + 1)


def test_near_the_end_of_the_stack_no_beginning_is_left_open() -> None:
    """A beginning is counted, an end is written: either way the call has ended."""
    full = Thinning(1, 7, lambda: None)
    begun, ended = ThinnedMarks(full, KEPT), ThinnedMarks(full)

    class Deep(str):
        __slots__ = ()

        def encode(self, *_: object) -> bytes:
            raise RecursionError

    mark = (Deep("u"),)

    def at_the_end(marks: ThinnedMarks) -> None:
        try:
            at_the_end(marks)
        except RecursionError:
            marks.append(mark)

    limit = sys.getrecursionlimit()
    for marks in (begun, ended):
        at_the_end(marks)
    assert sys.getrecursionlimit() == limit
    assert (len(begun), len(ended)) in {(0, 0), (0, 1)}
    assert begun.passed.read() + len(begun) == ended.passed.read() + len(ended) == 1


def test_a_collection_goes_in_slices_and_counts_the_same() -> None:
    """Between two of them calls go on: each is told once, in this collection or the next."""
    buffer, whole = a_buffer(), a_buffer()
    for number in range(FULL):
        for one in (buffer, whole):
            call(one.current, user(number), number % 2, fails=number % 7 == 0, ends=number % 3 > 0)
    taking, batches, slices = buffer.collecting(NOW), list[Batch](), 0
    try:
        while True:
            next(taking)
            slices += 1
            call(buffer.current, user(FULL + slices))
    except StopIteration as ended:
        batches += ended.value
    assert slices > FULL / SLICE
    expected = whole.collect(NOW)
    assert counted(batches) <= counted(expected) + slices
    batches += buffer.collect(NOW)
    assert counted(batches) == counted(expected) + slices
    assert {one.unit for batch in batches for one in batch.errors} == {
        one.unit for batch in expected for one in batch.errors
    }
    assert [one.calls for one in batches[-1].running] == [one.calls for one in expected[-1].running]


def test_a_quiet_part_is_not_read_again_and_one_with_a_call_under_way_is() -> None:
    """Twenty armed splits with few calls have a hundred quiet parts: only what was written is looked at."""
    buffer = a_buffer()
    part = buffer.current
    assert part.records.idle
    call(part, user(1), ends=False)
    assert not part.records.idle
    buffer.collect(NOW + 1)
    assert not part.records.idle, "a call that runs is told each time"
    part.x_old.append(part.records.open[0].popitem()[1])
    assert not part.records.idle
    buffer.collect(NOW + 1)
    assert part.records.idle
    part.exposed((user(2), 0))
    assert not part.records.idle
