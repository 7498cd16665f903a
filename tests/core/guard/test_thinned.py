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
from tests.core.guard.test_buffer import NOW, a_tape

MANY = 16 * FULL


def call(page: SecondBuffer, mark: Any, index: int = 0, *, fails: bool = False, ends: bool = True) -> None:
    """Make a call as a route's text does."""
    (page.b_old, page.b_new)[index].append(mark)
    if page.timed:
        record = [1.0, index, mark]
        page.sampled += (record,)
        if ends:
            record[0] = -0.5
    if fails:
        page.failing((index, mark, None))
    if ends:
        (page.x_old, page.x_new)[index].append(mark)


def user(number: int) -> int:
    """Return a user's hash: a new object for each call."""
    return hash32(b"%d" % number, 7)


def thinned(**guard: Any) -> EvidenceBuffer:
    """Return a tape whose page was looked at too late and is thinned by the calls themselves."""
    tape = a_tape(**guard)
    for number in range(LATE + 1):
        call(tape.page, user(number))
    assert tape.full
    assert tape.page.sheets.thinning is not None
    tape.collect(NOW)
    tape.dropped = 0
    return tape


def of_users(batches: list[Batch]) -> set[int]:
    """Return the units that are told as exposed."""
    return {one.unit for batch in batches for one in batch.exposed}


def counted(batches: list[Batch]) -> int:
    """Return the calls that are told."""
    return sum(one.calls for batch in batches for one in batch.calls)


def test_what_writers_write_has_a_bound_while_nobody_looks() -> None:
    """Page after page of fewer users begins by itself; all calls are counted, by second, total and dropped."""
    tape = thinned()
    before = tape.begun(0)
    for number in range(MANY):
        call(tape.page, user(number), fails=number % 3 == 0)
    pages = [*tape._pages, *tape._opened]
    assert sum(page.sheets.waiting + page.sheets.blamed for page in pages) < LATE
    assert max(page.sheets.waiting for page in pages) <= KEPT + 1
    assert tape.begun(0) - before == tape.ended(0) - before == MANY
    batches = tape.collect(NOW)
    assert counted(batches) == MANY
    assert sum(batch.failures.old for batch in batches) == len(range(0, MANY, 3))
    assert all(batch.running == () for batch in batches)
    assert tape.dropped > MANY / 2


@pytest.mark.parametrize("aligned", [True, False])
def test_of_a_full_page_who_collects_it_leaves_the_same_users_out(*, aligned: bool) -> None:
    """Beginnings, ends, failures, those who hang: of a user all or none; each call is counted."""
    tape = a_tape(deadline_s=5.0)
    for number in range(FULL + 1):
        call(tape.page, user(number))
    assert tape.full
    page = tape.page
    assert (page.sheets.thinning, page.timed) == (None, False)
    for _ in tape.gathering(NOW):
        continue
    assert len(tape.page.sheets.begun[0]) == 0
    assert not tape.full
    marks = [user(number) for number in range(FULL // 2)]
    for mark in marks:
        page.b_new.append(mark)
    for mark in marks if aligned else marks[::-1]:
        page.x_new.append(mark)
    hanging = [user(number) for number in range(FULL, FULL + 512)]
    for mark in hanging:
        page.b_new.append(mark)
    batches = tape.collect(NOW)
    assert counted(batches) == FULL + 1 + len(marks) + len(hanging)
    assert [one.calls for one in batches[-1].running] == [len(hanging)]
    exposed = of_users(batches) & {*marks, *hanging}
    assert exposed == {mark for mark in {*marks, *hanging} if not mark & page.sheets.mask}
    assert tape.dropped == FULL + 1 + len(marks) + len(hanging) - len(
        [m for m in _all(marks, hanging) if not m & page.sheets.mask]
    )
    tape.turn(NOW + 5)
    (late,) = tape.collect(NOW + 5)
    assert late.overdue == Pair(0, len(hanging))
    assert len(late.errors) + late.unblamed == len(hanging)
    assert len(late.errors) == sum(not mark & page.sheets.mask for mark in hanging)


def _all(marks: list[int], hanging: list[int]) -> list[int]:
    """Return the calls of a second."""
    return [*map(user, range(FULL + 1)), *marks, *hanging]


@pytest.mark.parametrize("kept", [False, True])
def test_a_user_who_is_kept_is_kept_on_all_calls_and_by_each_process(*, kept: bool) -> None:
    """On both sides, by its hash alone: also where the choice was kept in a request, and nothing was hashed."""
    told: list[set[int]] = []
    for _ in range(2):
        tape = thinned()
        page, calls = tape.page, 6
        for number in range(2_000):
            mark = (str(number),) if kept else user(number)
            for _ in range(calls):
                call(page, mark, number % 2, fails=True)
        assert tape.page is page
        marks = Counter(mark for index in (0, 1) for mark in page.begun[index])
        assert marks
        assert set(marks.values()) == {calls}
        assert marks == Counter(mark for index in (0, 1) for mark in page.ended[index])
        assert not any(hash32(mark[0].encode(), 0) & 3 if isinstance(mark, tuple) else mark & 3 for mark in marks)
        told.append({hash(mark) for mark in marks})
    assert told[0] == told[1]


def test_the_next_second_begins_thinned_and_a_calm_one_ends_it() -> None:
    """By how many calls the second had, whoever was kept."""
    tape = a_tape()
    for number in range(FULL):
        call(tape.page, user(number))
    tape.turn(NOW + 1)
    assert tape.bits == 0, "a second that has not been full is whole"
    for number in range(4 * FULL):
        call(tape.page, user(number))
    tape.turn(NOW + 2)
    assert tape.bits == bits_for(4 * FULL) == 5
    assert tape.page.sheets.thinning is None, "calls are written down as ever"
    call(tape.page, user(1))
    tape.turn(NOW + 3)
    assert tape.bits == 0


def test_a_tape_that_follows_a_thinned_one_begins_thinned() -> None:
    """A change of the weight in a crowd: what it counts before its first turn is of the second before."""
    known = thinned()
    tape = EvidenceBuffer(known.terms, "t2", Lock(), known.bits)
    for number in range(MANY):
        call(tape.page, user(number))
    assert max(page.sheets.waiting for page in (*tape._pages, *tape._opened)) <= KEPT + 1
    tape.turn(NOW + 1)
    batches = tape.collect(NOW + 1)
    assert {one.second for batch in batches for one in batch.calls} == {NOW}
    assert counted(batches) == MANY


def test_what_runs_is_exact_and_who_is_not_written_down_vetoes_safe_at_the_deadline() -> None:
    """A call that ends is open for nobody; of those that hang the kept users are charged and the others counted."""
    tape = thinned(deadline_s=5.0)
    page = tape.page
    for number in range(1_000):
        call(page, user(number), 1, ends=number % 2 == 0)
    (batch,) = [one for one in tape.collect(NOW + 1) if one.running]
    assert batch.running == (Begun(NOW, on_new=True, calls=500),)
    kept = {user(number) for number in range(1, 1_000, 2) if page.sheets.thinning.keeps(user(number))}  # type: ignore[union-attr]
    seed = hash32(b"release-1", 0)
    assert {one.unit for one in batch.hanging} == {unit64(unit, seed) for unit in kept}
    tape.turn(NOW + 5)
    (late,) = tape.collect(NOW + 5)
    assert late.overdue == Pair(0, 500)
    assert {one.unit for one in late.errors} == {unit64(unit, seed) for unit in kept}
    assert late.unblamed == 500 - len(kept)


def test_failures_are_told_of_all_users_up_to_a_bound_then_of_some_of_both_sides() -> None:
    """Whatever their order; each user's calls all or none, and none that is left out is forgotten."""
    tape = thinned()
    few = UNITS_AT_ONCE // 2
    for number in range(few):
        call(tape.page, user(number), fails=True)
    (batch,) = tape.collect(NOW)
    assert len(batch.errors) == few
    assert batch.unblamed == 0
    for number in (*range(3 * BLAMED_AT_MOST), *range(3 * BLAMED_AT_MOST)):
        tape.page.failing((number % 2, user(number), None))
        if number % SLICE == 0:
            _some_of(tape)
    (batch,) = tape.collect(NOW)
    assert sum(batch.failures) == 6 * BLAMED_AT_MOST
    assert UNITS_AT_ONCE / 4 < len(batch.errors) <= UNITS_AT_ONCE
    assert batch.unblamed + sum(one.calls for one in batch.errors) == 6 * BLAMED_AT_MOST
    assert 0.4 < sum(one.on_new for one in batch.errors) / len(batch.errors) < 0.6
    assert tape.dropped >= batch.unblamed


def _some_of(tape: EvidenceBuffer) -> None:
    """Let what waits be no more than a writer lets wait."""
    assert tape.page.sheets.blamed <= NAMED_AT_MOST


def test_a_named_exception_is_told_in_a_flood_of_failures() -> None:
    """The first of it stops the release."""
    tape = thinned()
    for number in range(2 * BLAMED_AT_MOST):
        tape.page.failing((1, user(number), None))
    tape.page.failing((1, user(1), "DataLoss"))
    (batch,) = tape.collect(NOW)
    assert batch.named == {"DataLoss": Pair(0, 1)}


def test_timed_calls_are_those_of_kept_users_and_have_a_bound() -> None:
    """So that the slow rule goes on where every second is full."""
    tape = thinned(every_call=True, slow_s=0.1)
    assert tape.page.timed
    page = tape.page
    for number in range(2_000):
        call(page, user(number))
    kept = len(page.begun[0])
    (batch,) = tape.collect(NOW)
    assert sum(one.calls for one in batch.timed) == kept
    assert len(batch.slow) == kept
    for number in range(0, 64 * TIMED_AT_MOST, 64):
        page.sampled += ([1.0, 0, number << 6],)
        page.sampled += ([1.0, 0, number << 6],)
    assert len(page.sampled) == TIMED_AT_MOST


def test_who_is_told_by_name_is_thinned_too() -> None:
    """Choices that are no measured calls: some users, the others counted, page after page."""
    tape = thinned()
    for number in range(8 * FULL):
        tape.page.exposed((user(number), number % 2))
    batches = tape.collect(NOW)
    assert 0 < len(of_users(batches)) <= EXPOSED_AT_MOST
    assert tape.dropped + sum(len(batch.exposed) for batch in batches) >= 7 * FULL
    assert tape.bits > bits_for(LATE + 1)


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
    tape, whole = a_tape(), a_tape()
    for number in range(FULL):
        for one in (tape, whole):
            call(one.page, user(number), number % 2, fails=number % 7 == 0, ends=number % 3 > 0)
    taking, batches, slices = tape.collecting(NOW), list[Batch](), 0
    try:
        while True:
            next(taking)
            slices += 1
            call(tape.page, user(FULL + slices))
    except StopIteration as ended:
        batches += ended.value
    assert slices > FULL / SLICE
    expected = whole.collect(NOW)
    assert counted(batches) <= counted(expected) + slices
    batches += tape.collect(NOW)
    assert counted(batches) == counted(expected) + slices
    assert {one.unit for batch in batches for one in batch.errors} == {
        one.unit for batch in expected for one in batch.errors
    }
    assert [one.calls for one in batches[-1].running] == [one.calls for one in expected[-1].running]


def test_a_quiet_page_is_not_read_again_and_one_with_a_call_under_way_is() -> None:
    """Twenty armed splits with few calls have a hundred quiet pages: only what was written is looked at."""
    tape = a_tape()
    page = tape.page
    assert page.sheets.idle
    call(page, user(1), ends=False)
    assert not page.sheets.idle
    tape.collect(NOW + 1)
    assert not page.sheets.idle, "a call that runs is told each time"
    page.x_old.append(page.sheets.open[0].popitem()[1])
    assert not page.sheets.idle
    tape.collect(NOW + 1)
    assert page.sheets.idle
    page.exposed((user(2), 0))
    assert not page.sheets.idle
