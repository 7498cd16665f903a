"""What a process notes for the guard: each call once, in the second and the batch it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import pytest

from graysplit.core.bucketing import hash32
from graysplit.core.guard.batch import HANGING_AT_MOST, UNITS_AT_ONCE, WatchedCandidate, unit64
from graysplit.core.guard.buffer import (
    CLOSED_S,
    EACH,
    FULL,
    UNCOLLECTED_S,
    EvidenceBuffer,
    Terms,
)
from graysplit.core.guard.collector import TOLD_AT_MOST
from graysplit.core.guard.marks import encoded
from graysplit.core.guard.second_buffer import NO_SECOND, SecondBuffer, named_by
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import MICRO, Batch, Begun, Exposed, Failed, Goal, Pair, Stage, duration_bucket
from graysplit.core.guard.thinned import KEPT

STAGE = Stage(20_000, 80_000, 7)
NOW = 1_700_000_000


def a_buffer(*, candidates: int = 1, **guard: Any) -> EvidenceBuffer:
    """Return a buffer whose part is that of `NOW`."""
    names = ("old", *(f"v{number}" for number in range(1, candidates + 1)))
    watched = tuple(
        WatchedCandidate(number, f"checkout/{name}", f"release-{number}", NOW - 5, STAGE)
        for number, name in enumerate(names[1:], 1)
    )
    buffer = EvidenceBuffer(Terms("checkout", names, watched, Guard(**guard)), "t1", Lock())
    buffer.turn(NOW)
    return buffer


def collected(buffer: EvidenceBuffer, second: int) -> Batch:
    """Collect what the one candidate has to tell."""
    (batch,) = buffer.collect(second)
    return batch


def record(part: SecondBuffer, index: int = 0, unit: object = "u", since: float = 1.0) -> list[Any]:
    """Begin a call that is timed, of a choice that was kept in a request."""
    begun: list[Any] = [since, index, (unit,)]
    part.begun[index].append(begun[2])
    part.sampled.append(begun)
    return begun


def end(part: SecondBuffer, call: list[Any], took: float | None = None) -> None:
    """End such a call, at once or after so long."""
    _, index, mark = call
    call[0] -= call[0] + (0 if took is None else took)
    part.ended[index].append(mark)


def known(unit: str, release: str = "release-1") -> int:
    """Return the 64 bits of a unit in a release's books."""
    return unit64(hash32(unit.encode(), 0), hash32(release.encode(), 0))


def test_calls_are_told_once_by_the_second_in_which_they_begin() -> None:
    """Both sides, each by its second; and no batch where nothing is new."""
    buffer = a_buffer()
    first = buffer.current
    for _ in range(3):
        first.b_old.append(5)
        first.x_old.append(5)
    buffer.turn(NOW + 1)
    buffer.current.b_new.append(6)
    buffer.current.x_new.append(6)
    batch = collected(buffer, NOW + 1)
    assert set(batch.calls) == {Begun(NOW, False, 3), Begun(NOW + 1, True, 1)}
    assert batch[:6] == ("checkout/v1", "release-1", NOW - 5, "t1", 1, STAGE)
    assert batch.running == ()
    assert buffer.collect(NOW + 2) == []
    first.b_old.append(5)  # by a call that had found the part before it was turned
    first.x_old.append(5)
    later = collected(buffer, NOW + 2)
    assert later.calls == (Begun(NOW, False, 1),)
    assert later.number == 2


def test_the_first_part_belongs_to_the_second_before_the_first_turn() -> None:
    """What begins before the server's time is told has a second all the same."""
    buffer = EvidenceBuffer(a_buffer().terms, "t1", Lock())
    assert buffer.current.second == NO_SECOND
    buffer.current.b_old.append(5)
    buffer.turn(NOW)
    assert collected(buffer, NOW).calls == (Begun(NOW - 1, False, 1),)


def test_a_batch_comes_each_time_while_calls_are_under_way() -> None:
    """A process that tells nothing is charged for them; the last batch says that none is left."""
    buffer = a_buffer()
    part = buffer.current
    part.b_old.append(5)
    for second in (NOW + 1, NOW + 2):
        buffer.turn(second)
        assert collected(buffer, second).running == (Begun(NOW, False, 1),)
    part.x_old.append(5)
    assert collected(buffer, NOW + 3).running == ()
    assert buffer.collect(NOW + 4) == []


def test_each_candidate_gets_its_own_batch_beside_the_baseline() -> None:
    """Of another candidate it learns nothing, and a unit is known by other bits in each release."""
    buffer = a_buffer(candidates=2)
    for index in range(3):
        buffer.current.begun[index].append(index)
        buffer.current.failing((index, ("u",), None))
        buffer.current.ended[index].append(index)
    one, two = buffer.collect(NOW)
    assert (one.field, two.field) == ("checkout/v1", "checkout/v2")
    for batch, release in ((one, "release-1"), (two, "release-2")):
        assert set(batch.calls) == {Begun(NOW, False, 1), Begun(NOW, True, 1)}
        assert batch.failures == Pair(1, 1)
        assert {failed.unit for failed in batch.errors} == {known("u", release)}
    assert one.errors[0].unit != two.errors[0].unit
    buffer.current.b_new.append(1)
    buffer.current.x_new.append(1)
    (only,) = buffer.collect(NOW)
    assert (only.field, only.number) == ("checkout/v1", 2)


def test_a_failing_unit_is_told_with_the_number_of_its_calls() -> None:
    """Each failed call counts; a unit that cannot be encoded is only counted."""
    buffer = a_buffer()
    for unit in ("a", "a", "b", None):
        buffer.current.failing((1, (unit,), None))
    batch = collected(buffer, NOW)
    assert batch.failures == Pair(0, 4)
    assert set(batch.errors) == {Failed(NOW, known("a"), True, 2), Failed(NOW, known("b"), True, 1)}


def test_a_call_cut_short_is_told_with_its_unit_and_is_no_failure() -> None:
    """By the second of its beginning; one whose second nobody knows any more is only counted."""
    buffer = a_buffer()
    part = buffer.current
    for unit in ("a", "a", None):
        part.cut((1, (unit,)))
    buffer.turn(NOW + 1)
    batch = collected(buffer, NOW + 1)
    assert (batch.cuts, batch.failures, batch.errors) == (Pair(0, 3), Pair(), ())
    assert batch.cut == (Failed(NOW, known("a"), True, 2),)
    buffer.turn(NOW + CLOSED_S + 2)
    buffer.collect(NOW + CLOSED_S + 2)
    part.cut((0, ("a",)))
    late = collected(buffer, NOW + CLOSED_S + 3)
    assert (late.cuts, late.cut) == (Pair(1, 0), ())


def test_a_sampled_call_is_timed() -> None:
    """By its length in nanoseconds; slow is what takes as long as the guard says, and its unit is told."""
    buffer = a_buffer(slow_s=0.5)
    for unit, took in (("fast", 0.1), ("slow", 0.6)):
        end(buffer.current, record(buffer.current, 1, unit), took)
    batch = collected(buffer, NOW)
    assert batch.timed == (Begun(NOW, True, 2),)
    assert batch.slow == (Failed(NOW, known("slow"), True),)
    assert batch.durations == ({}, {duration_bucket(100_000_000): 1, duration_bucket(600_000_000): 1})
    assert batch.hanging == ()


def test_one_second_in_seventeen_is_timed_or_every_call() -> None:
    """Another one for each buffer; where the guard asks for every call, all are, from the first part on."""
    buffer = a_buffer()
    timed: list[bool] = []
    for second in range(NOW + 1, NOW + 1 + 4 * EACH):
        buffer.turn(second)
        timed.append(buffer.current.timed)
    assert [sum(timed[at : at + EACH]) for at in range(0, 4 * EACH, EACH)] == [1, 1, 1, 1]
    assert EvidenceBuffer(a_buffer(every_call=True).terms, "t1", Lock()).current.timed
    assert a_buffer(every_call=True).current.timed


def test_a_call_past_the_deadline_is_charged_once_whatever_becomes_of_it() -> None:
    """At 30 s, by the second of its beginning, timed or not; it has not failed, but its unit counts as if."""
    buffer = a_buffer(slow_s=1.0)
    part = buffer.current
    calls = [record(part, 1, unit) for unit in ("answers", "fails")]
    part.b_new.append(hashed := hash32(b"hangs", 0))
    units = {known("answers"), known("fails"), known("hangs")}
    for second in range(NOW + 1, NOW + 30):
        buffer.turn(second)
        batch = collected(buffer, second)
        assert batch.errors == ()
        assert {(one.second, one.unit, one.on_new) for one in batch.hanging} == {(NOW, unit, True) for unit in units}
    batch = collected(buffer, NOW + 30)
    assert {one.unit for one in batch.errors} == units
    assert {one.unit for one in batch.slow} == units - {known("hangs")}
    assert (batch.overdue, batch.failures, batch.hanging) == (Pair(0, 3), Pair(), ())
    part.failing((1, calls[1][2], None))
    for call in calls:
        end(part, call)
    later = collected(buffer, NOW + 31)
    assert (later.errors, later.failures, later.overdue) == ((), Pair(0, 1), Pair())
    assert later.running == (Begun(NOW, True, 1),)
    part.x_new.append(hashed)
    assert collected(buffer, NOW + 32).running == ()


def test_a_call_that_has_failed_is_not_charged_at_the_deadline() -> None:
    """Also where its end has not been written yet."""
    buffer = a_buffer()
    call = record(buffer.current, 1, "a")
    buffer.current.failing((1, call[2], None))
    batch = collected(buffer, NOW + 30)
    assert (batch.errors, batch.overdue) == ((Failed(NOW, known("a"), True),), Pair())
    assert collected(buffer, NOW + 31).errors == ()


@pytest.mark.parametrize(("deadline_s", "charged_s"), [(5.0, 5), (90.0, 90), (300.0, 300), (None, None)])
def test_the_deadline_is_the_guards(deadline_s: float | None, charged_s: int | None) -> None:
    """For so long a second stays open, so that its calls are charged; without one none ever is."""
    buffer = a_buffer(deadline_s=deadline_s)
    record(buffer.current, 1, "a")
    charged: list[int] = []
    for second in range(1, 310):
        buffer.turn(NOW + second)
        batch = collected(buffer, NOW + second)
        if batch.overdue.new:
            assert batch.errors == (Failed(NOW, known("a"), True),)
            charged.append(second)
    assert charged == ([] if charged_s is None else [charged_s])


def test_calls_that_end_in_another_order_are_told_apart() -> None:
    """By the mark that each has for itself, also where they are of one unit."""
    buffer = a_buffer()
    marks = [(unit,) for unit in ("u", "u", "u", "0", "1", "2")]
    buffer.current.begun[0].extend(marks)
    buffer.current.ended[0].extend([marks[4], marks[0]])
    batch = collected(buffer, NOW + 1)
    assert batch.running == (Begun(NOW, False, 4),)
    told = {(one.unit, one.calls) for one in batch.hanging}
    assert told == {(known("u"), 2), (known("0"), 1), (known("2"), 1)}
    buffer.current.ended[0].extend(marks[1:4] + marks[5:])
    assert collected(buffer, NOW + 2).running == ()


def test_of_very_many_calls_under_way_some_are_told_by_unit() -> None:
    """By bits that say nothing about the side; all are counted."""
    buffer = a_buffer()
    for index in (0, 1):
        buffer.current.begun[index].extend((f"{index} {number}",) for number in range(5_000))
    batch = collected(buffer, NOW + 1)
    assert sum(one.calls for one in batch.running) == 10_000
    assert len(batch.hanging) == HANGING_AT_MOST
    assert 0.4 < sum(one.on_new for one in batch.hanging) / HANGING_AT_MOST < 0.6


def test_old_parts_are_dropped_with_what_still_runs_and_totals_stay_exact() -> None:
    """After two minutes a call that does not end takes no room, and is still told as under way until it ends."""
    buffer = a_buffer()
    part = buffer.current
    part.b_new.append(5)
    part.b_new.append(6)
    part.x_new.append(5)
    second = NOW
    for second in range(NOW + 1, NOW + 130):
        buffer.turn(second)
        (batch,) = buffer.collect(second)
        assert [(one.on_new, one.calls) for one in batch.running] == [(True, 1)]
    assert len(buffer.totals.parts) < 10
    assert (buffer.totals.begun(1), buffer.totals.ended(1)) == (2, 1)
    part.x_new.append(5)
    assert (buffer.totals.begun(1), buffer.totals.ended(1)) == (2, 2)
    part.failing((1, ("late",), None))
    batch = collected(buffer, second)
    assert batch.running == ()
    assert batch.errors == ()
    assert batch.failures == Pair(0, 1)


def test_parts_stay_few_when_nothing_runs_or_the_clock_goes_back() -> None:
    """A quiet second goes within a few; a clock that is put back and forth cannot pile parts up."""
    buffer = a_buffer()
    for second in range(NOW, NOW + 100):
        buffer.turn(second)
        buffer.current.b_old.append(second)
        buffer.current.x_old.append(second)
        buffer.collect(second)
    assert len(buffer.totals.parts) < 8
    for second in range(NOW + 300, NOW, -1):
        buffer.turn(second)
        buffer.current.b_old.append(second)
        buffer.collect(second)
    assert len(buffer.totals.parts) < 160
    assert buffer.totals.begun(0) == 400


def test_a_unit_is_told_as_exposed_once() -> None:
    """From calls and from choices, on its side; a choice kept in a request shows none."""
    buffer = a_buffer()
    for mark in (7, 7, ("kept",)):
        buffer.current.b_old.append(mark)
        buffer.current.x_old.append(mark)
    buffer.current.exposed((9, 1))
    assert set(collected(buffer, NOW).exposed) == {Exposed(7, False), Exposed(9, True)}
    buffer.current.exposed((9, 1))
    assert buffer.collect(NOW) == []


def test_the_units_that_are_remembered_as_told_are_bounded() -> None:
    """Beyond the bound they may be told again, which does no harm."""
    buffer, batches = a_buffer(), list[Batch]()
    for begin in range(0, TOLD_AT_MOST + 10, FULL):
        for hashed in range(begin, min(begin + FULL, TOLD_AT_MOST + 10)):
            buffer.current.exposed((hashed, 0))
        batches += buffer.collect(NOW)
    assert sum(len(batch.exposed) for batch in batches) == TOLD_AT_MOST + 10
    assert buffer.dropped == 0
    assert max(len(batch.exposed) for batch in batches) == UNITS_AT_ONCE
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    assert sum(sum(one.calls for one in batch.calls) for batch in batches) == 0
    assert 0 < len(buffer._collector._told) <= TOLD_AT_MOST


@pytest.mark.parametrize("by_name", [True, False])
def test_a_full_part_tells_the_same_units_of_both_sides_and_counts_every_call(by_name: bool) -> None:
    """Whose hash ends in zeros, whatever the side and the order: calls stay exact, the rest is counted as dropped."""
    buffer = a_buffer()
    part = buffer.current
    many = 8 * FULL
    for number in range(many):
        hashed, index = hash32(b"%d" % number, 7), int(number % 5 == 0)
        if by_name:
            part.exposed((hashed, index))
        else:
            part.begun[index].append(hashed)
            part.ended[index].append(None)
    part.timed = True
    assert buffer.full
    assert not part.timed, "what follows is timed all the same"
    batches = buffer.collect(NOW)
    told = {one for batch in batches for one in batch.exposed}
    bits = min(len(f"{one.unit:032b}") - len(f"{one.unit:032b}".rstrip("0")) for one in told)
    wanted = {(hash32(b"%d" % number, 7), number % 5 == 0) for number in range(many)}
    assert told == {one for one in wanted if not one[0] & ((1 << bits) - 1)}
    assert KEPT / 3 < len(told) < 2 * KEPT
    assert buffer.dropped == many - len(told)
    assert sum(one.calls for batch in batches for one in batch.calls) == (0 if by_name else many)
    assert not buffer.full
    assert not buffer.collect(NOW)


def test_each_part_of_many_units_has_its_share_of_both_sides() -> None:
    """A look between two parts would else find the sample ratio off."""
    buffer = a_buffer()
    for hashed in range(5 * UNITS_AT_ONCE):
        buffer.current.exposed((hashed << 12, int(hashed < UNITS_AT_ONCE)))
    batches = buffer.collect(NOW)
    assert len(batches) == 5
    for batch in batches:
        on_new = sum(one.on_new for one in batch.exposed)
        assert 0.15 < on_new / len(batch.exposed) < 0.25


def test_goals_go_to_the_books_of_the_version_drawn() -> None:
    """The baseline's to all candidates; each with its value."""
    buffer = a_buffer(candidates=2)
    buffer.record("purchase", 5, MICRO, 0)
    buffer.record("purchase", 6, 250_000, 2)
    one, two = buffer.collect(NOW)
    assert one.goals == (Goal("purchase", 5, MICRO),)
    assert two.goals == (Goal("purchase", 5, MICRO), Goal("purchase", 6, 250_000))


def test_named_exceptions_are_counted_by_side() -> None:
    """Those that stop a release are told with their names, old's too."""
    buffer = a_buffer()
    for index in (0, 1, 1):
        buffer.current.failing((index, ("u",), "DataLoss"))
    assert collected(buffer, NOW).named == {"DataLoss": Pair(1, 2)}


def test_what_nobody_collects_for_a_minute_is_dropped() -> None:
    """Evidence goes; the counts of calls stay exact."""
    buffer = a_buffer()
    buffer.shed(0.0)
    buffer.current.b_old.append(5)
    buffer.current.failing((0, ("u",), None))
    buffer.shed(UNCOLLECTED_S)
    assert len(buffer.current.records.begun[0]) == 1
    buffer.shed(UNCOLLECTED_S + 1)
    assert len(buffer.current.records.begun[0]) == len(buffer.current.records.failing) == 0
    assert buffer.totals.begun(0) == 1


def test_a_buffer_is_over_when_it_has_left_and_nothing_runs() -> None:
    """Not while a call runs, but at the latest after two minutes; and not at all once it is back."""
    buffer = a_buffer()
    totals, part = buffer.totals, buffer.current
    part.b_old.append(5)
    buffer.leave()
    pass_time(buffer, range(1, 20))
    assert not buffer.over
    part.x_old.append(5)
    buffer.rejoin()
    pass_time(buffer, [20])
    assert not buffer.over
    buffer.leave()
    pass_time(buffer, range(21, 25))
    assert buffer.over
    del buffer
    assert totals.settled

    hanging = a_buffer()
    totals = hanging.totals
    hanging.current.b_old.append(5)
    hanging.leave()
    pass_time(hanging, range(1, 123))
    assert hanging.over
    del hanging
    assert totals.buffer() is None
    assert not totals.settled


def test_a_buffer_that_is_back_is_not_over_before_it_has_been_collected_again() -> None:
    """Left, over, back and left again between two looks: what was written meanwhile would go with it."""
    buffer = a_buffer()
    buffer.leave()
    pass_time(buffer, range(1, 6))
    assert buffer.over
    buffer.rejoin()
    buffer.current.b_old.append(5)
    buffer.current.x_old.append(5)
    buffer.leave()
    assert not buffer.over
    assert collected(buffer, NOW + 6).calls == (Begun(NOW + 5, False, 1),)


def pass_time(buffer: EvidenceBuffer, seconds: Sequence[int]) -> None:
    """Collect at each of these seconds after `NOW`."""
    for second in seconds:
        buffer.turn(NOW + second)
        buffer.collect(NOW + second)


def test_a_hostile_unit_is_nobodys_evidence() -> None:
    """Whatever its class does, nothing is raised."""

    class Hostile(str):
        __slots__ = ()

        def encode(self, *_: object) -> bytes:
            raise RuntimeError

    assert encoded(Hostile("x")) is None
    buffer = a_buffer(slow_s=0.1)
    record(buffer.current, 1, Hostile("x"))
    batch = collected(buffer, NOW + 30)
    assert (batch.overdue, batch.errors) == (Pair(0, 1), ())


class DataLoss(Exception):  # noqa: N818 - a name as people write it
    """What stops a release."""


class WorseLoss(DataLoss):
    """A kind of it."""


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("DataLoss",), "DataLoss"),
        ((f"{__name__}.DataLoss",), f"{__name__}.DataLoss"),
        (("Other", "WorseLoss"), "WorseLoss"),
        (("Exception",), "Exception"),
        (("Loss", "elsewhere.DataLoss"), None),
        ((), None),
    ],
)
def test_an_exception_is_named_by_its_class_or_a_base_of_it(names: tuple[str, ...], found: str | None) -> None:
    """Alone, or with its module; nothing else is meant."""
    assert named_by(WorseLoss(), names) == found
