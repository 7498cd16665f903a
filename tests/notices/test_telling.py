"""Whose turn it is to tell a hook, and how far it has been told."""

from __future__ import annotations

import pytest

from graysplit.core.telling import (
    ATTEMPTS,
    PAUSES_MS,
    TURN_MS,
    Step,
    Telling,
    begun,
    done,
    failed,
    is_before,
    passed_over,
    taken,
    told,
    wait_ms,
)
from graysplit.stores.tellings import read_telling, write_telling

NOW = 1_700_000_000_000
FRESH = Telling("5-0", 7)


def test_one_process_tells_at_a_time() -> None:
    """Others wait for the end of its turn, which comes by itself; it need not wait for itself."""
    turn = taken(FRESH, "a", NOW)
    assert wait_ms(turn, "a", NOW) == 0
    assert wait_ms(turn, "b", NOW) == TURN_MS
    assert wait_ms(turn, "b", NOW + TURN_MS) == 0
    assert wait_ms(done(turn), "b", NOW) == 0


def test_a_clock_that_was_set_back_keeps_no_hook_silent() -> None:
    """Nothing is ever further away than its longest."""
    assert wait_ms(taken(FRESH, "a", NOW + 10**9), "b", NOW) == TURN_MS
    later = FRESH._replace(attempts=1, due_ms=NOW + 10**9)
    assert wait_ms(later, "b", NOW) == 2 * PAUSES_MS[-1]


def test_what_is_not_taken_is_attempted_again_and_then_given_up() -> None:
    """Five attempts with growing pauses; the dead are counted, the last is named, and the next entry is told."""
    telling, pauses = FRESH, []
    step = Step("6-0", 8, "c-8")
    for _ in range(ATTEMPTS - 1):
        telling = failed(telling, step, NOW, 0.5)
        assert telling.position == FRESH.position
        pauses.append(telling.due_ms - NOW)
    assert tuple(pauses) == PAUSES_MS
    telling = failed(telling, step, NOW, 0.5)
    assert (telling.position, telling.dead, telling.last_dead, telling.attempts) == ("6-0", 1, "c-8", 0)
    assert told(telling, Step("7-0", 9, "c-9"), NOW).dead == 1


def test_a_new_hook_begins_at_the_end_of_the_log() -> None:
    """The past is not told; what was counted before stays counted."""
    assert begun(None, "9-0", 12) == Telling("9-0", 12)
    known = FRESH._replace(dead=3, missed=4, attempts=2)
    assert begun(known, "9-0", 12) == Telling("9-0", 12, dead=3, missed=4)


def test_what_the_log_lost_is_counted() -> None:
    """Revisions say how many at most."""
    assert passed_over(FRESH, "20-0", 12).missed == 4
    assert passed_over(FRESH, "20-0", 8).missed == 0


def test_positions_are_compared_as_numbers() -> None:
    """9 comes before 10."""
    assert is_before("9-0", "10-0")
    assert is_before("10-9", "10-10")
    assert not is_before("10-0", "10-0")


@pytest.mark.parametrize("telling", [FRESH, taken(FRESH, "a", NOW), FRESH._replace(dead=2, last_dead="x", missed=5)])
def test_a_record_is_read_as_it_was_written(telling: Telling) -> None:
    """Whatever it holds."""
    assert read_telling(write_telling(telling)) == telling


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"position": 5}', '{"position": "x"}', "\ud800"])
def test_what_is_no_record_is_none(text: str) -> None:
    """Whoever wrote it: the hook then begins at the log's end."""
    assert read_telling(text) is None
