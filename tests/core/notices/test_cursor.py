"""How far a hook was told: whose turn it is, when it is tried again, and when it is given up."""

from __future__ import annotations

from itertools import pairwise

import pytest

from graysplit.core.notices.cursor import (
    ATTEMPTS,
    PAUSES_MS,
    TURN_MS,
    Cursor,
    LogStep,
    begun,
    done,
    failed,
    is_before,
    passed_over,
    taken,
    told,
    wait_ms,
)
from graysplit.stores.text.cursors import read_cursor, write_cursor

NOW = 1_700_000_000_000
FRESH = Cursor("5-0", 7)
STEP = LogStep("6-0", 8, "c0ffee")
FULL = Cursor("9-1", 40, "me", NOW, 3, NOW, 2, "c0ffee", 5)


def test_one_process_has_the_turn() -> None:
    """Whoever took it goes on at once; the others wait until it ends, by the server's clock."""
    turn = taken(FRESH, "me", NOW)
    assert wait_ms(turn, "me", NOW) == 0
    assert wait_ms(turn, "you", NOW) == TURN_MS
    assert wait_ms(turn, "you", NOW + TURN_MS) == 0
    assert wait_ms(done(turn), "you", NOW) == 0


def test_a_clock_that_was_set_back_keeps_no_hook_silent() -> None:
    """A turn or a pause whose end lies far ahead is waited for no longer than the longest there is."""
    assert wait_ms(taken(FRESH, "me", NOW + 10**9), "you", NOW) == TURN_MS
    assert wait_ms(FRESH._replace(due_ms=NOW + 10**9), "you", NOW) == 2 * PAUSES_MS[-1]


def test_attempts_are_further_and_further_apart() -> None:
    """Each pause is longer than the one before, whatever is drawn; position stays, and the turn ends with a failure."""
    cursor, pauses = taken(FRESH, "me", NOW), list[tuple[int, int]]()
    for _ in range(ATTEMPTS - 1):
        shortest, cursor = failed(cursor, STEP, NOW, 0.0), failed(cursor, STEP, NOW, 1.0)
        pauses.append((shortest.due_ms - NOW, cursor.due_ms - NOW))
        assert (cursor.until_ms, cursor.position) == (0, FRESH.position)
    assert all(before[1] < after[0] for before, after in pairwise(pauses))


def test_after_the_last_attempt_an_entry_is_given_up_and_counted() -> None:
    """The position goes on, the change's id is kept, and the next entry begins with no attempts."""
    over = failed(FRESH._replace(attempts=ATTEMPTS - 1, dead=2), STEP, NOW, 0.5)
    assert (over.position, over.revision, over.attempts, over.due_ms) == ("6-0", 8, 0, 0)
    assert (over.dead, over.last_dead, over.until_ms) == (3, "c0ffee", 0)


def test_what_was_taken_ends_its_attempts() -> None:
    """The position goes on, and the turn begins anew."""
    after = told(FRESH._replace(attempts=3, due_ms=NOW, teller="me"), STEP, NOW)
    assert after == Cursor("6-0", 8, "me", NOW + TURN_MS)


@pytest.mark.parametrize(("first", "missed"), [(8, 0), (9, 1), (108, 100), (3, 0)])
def test_what_is_gone_is_counted_by_revisions(first: int, missed: int) -> None:
    """So many changes at most lie between what was told last and the first entry that is left."""
    assert passed_over(FRESH, "9-0", first).missed == missed


def test_where_nothing_is_gone_attempts_go_on() -> None:
    """The first entry left is the one that was attempted: it is not attempted for ever."""
    attempted = FRESH._replace(attempts=3, due_ms=NOW)
    assert passed_over(attempted, "9-0", 8) == attempted
    assert passed_over(attempted, "9-0", 9).attempts == 0


def test_a_hook_begins_at_the_log_s_end() -> None:
    """A new one, and one whose log has lost entries; what was counted before stays counted."""
    assert begun(None, "9-0", 12) == Cursor("9-0", 12)
    assert begun(FULL, "3-0", 30) == Cursor("3-0", 30, dead=2, last_dead="c0ffee", missed=5)


def test_positions_are_numbers() -> None:
    """They are compared as Redis compares them, not as texts."""
    assert is_before("9-0", "10-0")
    assert is_before("10-9", "10-10")
    assert not is_before("10-0", "10-0")


def test_a_record_is_read_as_it_was_written() -> None:
    """Whatever it holds; values of the wrong kind count as none."""
    for cursor in (FRESH, FULL):
        assert read_cursor(write_cursor(cursor)) == cursor
    assert read_cursor('{"position":"1-0","dead":-1,"until":true,"teller":7}') == Cursor("1-0", 0)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", "{}", '{"position":5}', '{"position":"x"}', "[" * 5000])
def test_what_is_no_record_is_none(text: str | None) -> None:
    """Whoever wrote it: the hook then begins at the log's end."""
    assert read_cursor(text) is None
