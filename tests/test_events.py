"""Log lines: one per change, repeats counted."""

from __future__ import annotations

import logging

import pytest

from graysplit.events import QUIET_S, Events


class MovedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.now = 0.0

    def monotonic(self) -> float:
        """Give the time set."""
        return self.now

    def time(self) -> float:
        """Give the time set."""
        return self.now


@pytest.fixture
def clock() -> MovedClock:
    """Give a clock that stands still."""
    return MovedClock()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what the logger `graysplit` printed."""
    return [record.getMessage() for record in caplog.records if record.name == "graysplit"]


def test_repeats_are_counted_not_printed(clock: MovedClock, caplog: pytest.LogCaptureFixture) -> None:
    """The first line comes at once, the next after a minute with the number left out."""
    events = Events(clock)
    with caplog.at_level(logging.INFO, "graysplit"):
        for _ in range(5):
            events.warning("contact", "lost contact")
        assert lines(caplog) == ["lost contact"]
        clock.now = QUIET_S
        events.warning("contact", "lost contact")
    assert lines(caplog)[1:] == ["lost contact (4 more like this since)"]


def test_kinds_are_apart_and_an_end_is_remembered(clock: MovedClock, caplog: pytest.LogCaptureFixture) -> None:
    """Each kind has its own quiet time, which ends with its trouble."""
    events = Events(clock)
    with caplog.at_level(logging.INFO, "graysplit"):
        events.info("a", "a")
        events.info("b", "b")
        events.over("a")
        events.info("a", "a again")
    assert lines(caplog) == ["a", "b", "a again"]


def test_memory_is_bounded(clock: MovedClock) -> None:
    """Any number of kinds keeps a bounded memory."""
    events = Events(clock)
    for number in range(5000):
        events.info(f"kind {number}", "x")
    assert len(events._said) <= 1000
