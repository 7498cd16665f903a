from __future__ import annotations

from itertools import pairwise

from graysplit.core.telling import ATTEMPTS, Step, Telling, failed, passed_over, taken, told

NOW = 1_700_000_000_000
FRESH = Telling("5-0", 7)
STEP = Step("6-0", 8, "c0ffee")


def test_attempts_are_further_and_further_apart() -> None:
    """Each pause is longer than the one before, whatever is drawn; the turn ends with a failure."""
    telling, pauses = taken(FRESH, "me", NOW), list[tuple[int, int]]()
    for _ in range(ATTEMPTS - 1):
        shortest, telling = failed(telling, STEP, NOW, 0.0), failed(telling, STEP, NOW, 1.0)
        pauses.append((shortest.due_ms - NOW, telling.due_ms - NOW))
        assert telling.until_ms == 0
    assert all(before[1] < after[0] for before, after in pairwise(pauses))


def test_what_was_taken_ends_its_attempts() -> None:
    """The position goes on, and the turn begins anew."""
    after = told(FRESH._replace(attempts=3, due_ms=NOW, teller="me"), STEP, NOW)
    assert (after.position, after.attempts, after.due_ms) == ("6-0", 0, 0)
    assert after.until_ms > NOW


def test_where_nothing_is_gone_attempts_go_on() -> None:
    """The first entry left is the one that was attempted: it is not attempted for ever."""
    attempted = FRESH._replace(attempts=3, due_ms=NOW)
    assert passed_over(attempted, "9-0", 8) == attempted
    assert passed_over(attempted, "9-0", 9).attempts == 0
