"""Counters that threads share: nothing is lost, however often they are read."""

from __future__ import annotations

from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.counters import Counts, Meter


def bump(meter: Meter, times: int) -> None:
    """Count as the hot path does."""
    for _ in range(times):
        next(meter.count)


@given(st.lists(st.integers(0, 50) | st.sampled_from(("read", "forget"))))
def test_a_meter_is_exact_however_often_it_is_read(steps: list[int | str]) -> None:
    """Reading takes nothing away, and forgetting begins at zero."""
    meter, expected = Meter(), 0
    for step in steps:
        if isinstance(step, int):
            bump(meter, step)
            expected += step
        elif step == "read":
            assert meter.read() == expected
        else:
            meter.forget()
            expected = 0
    assert meter.read() == meter.read() == expected


def test_eight_threads_lose_nothing() -> None:
    """8 x 20,000 counts are 160,000."""
    meter = Meter()
    threads = [Thread(target=bump, args=(meter, 20_000)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.read() == 160_000


def test_reasons_off_the_hot_path_are_counted_apart() -> None:
    """A pinned call is asked for, and no evidence."""
    counts = Counts(("old", "new"))
    bump(counts.other(1, "pin"), 3)
    bump(counts.started[1], 2)
    assert counts.other(1, "pin") is counts.other(1, "pin")
    assert counts.started[1].read() == 2
    assert counts.asked() == 5


def test_running_calls_are_those_begun_and_not_ended() -> None:
    """Of a route each call counts; of a handle only attempts do."""
    routed, handle = Counts(("old", "new"), routed=True), Counts(("old", "new"))
    for counts in (routed, handle):
        bump(counts.started[1], 5)
        bump(counts.finished[1], 2)
    assert routed.running(1) == 3
    assert handle.running(1) == 0
    bump(handle.entered[1], 4)
    assert handle.running(1) == 2


def test_a_child_forgets() -> None:
    """After a fork nothing of the parent's is counted again, in routes neither."""
    for routed in (False, True):
        counts = Counts(("old", "new"), routed=routed)
        for meter in (*counts.started, *counts.entered, *counts.finished, *counts.failed, counts.other(0, "pin")):
            bump(meter, 3)
        counts.forget()
        assert counts.asked() == counts.running(0) == counts.running(1) == 0
        bump(counts.started[0], 1)
        assert counts.asked() == 1


class FixedBuffer:
    """Totals of two versions, as a buffer gives them."""

    def __init__(self) -> None:
        """Begin with some of each."""
        self.settled = False
        self.totals = {"begun": [5, 4], "asked": [0, 3], "ended": [5, 6]}

    def begun(self, index: int) -> int:
        """Return what began on the straight lines."""
        return self.totals["begun"][index]

    def asked(self, index: int) -> int:
        """Return what began elsewhere."""
        return self.totals["asked"][index]

    def ended(self, index: int) -> int:
        """Return what has ended."""
        return self.totals["ended"][index]


def test_calls_on_buffers_are_read_with_the_meters() -> None:
    """Of a route what began elsewhere was counted as a decision; of a handle it is an attempt."""
    for routed, running, evaluations in ((True, 3, 9), (False, 0, 9)):
        counts, buffer = Counts(("old", "new"), routed=routed), FixedBuffer()
        counts.count_by(buffer)
        counts.count_by(buffer)
        bump(counts.started[1], 5)
        assert counts.measured()[1].evaluations == {"bucket": evaluations}
        assert counts.asked() == 14
        assert counts.running(1) == running
        assert counts.attempted() is not routed


class BusyBuffer(FixedBuffer):
    """A buffer on which one call runs on, and another begins and ends between any two readings."""

    def begun(self, index: int) -> int:
        """Count one more, beside what has ended."""
        self.totals["begun"][index] = self.totals["ended"][index] + 2
        self.totals["ended"][index] += 1
        return self.totals["begun"][index] - 1

    asked = begun


def test_a_call_that_runs_is_never_told_as_ended() -> None:
    """Whatever ends while somebody reads."""
    for routed in (True, False):
        counts = Counts(("old", "new"), routed=routed)
        counts.count_by(BusyBuffer())
        assert all(counts.measured()[1].running >= 1 for _ in range(3))
        assert counts.running(1) >= 1


def test_a_buffer_whose_totals_stand_is_let_go_and_its_calls_stay_counted() -> None:
    """Not before; a fork forgets them all."""
    counts, buffer = Counts(("old", "new"), routed=True), FixedBuffer()
    counts.count_by(buffer)
    counts.settle()
    buffer.totals["begun"][1] = 6
    assert counts.measured()[1].evaluations == {"bucket": 6}
    buffer.settled = True
    counts.settle()
    buffer.totals["begun"][1] = 100
    assert counts.measured()[1].evaluations == {"bucket": 6}
    assert counts.running(1) == 0
    counts.forget()
    assert counts.asked() == 0
