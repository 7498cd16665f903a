"""What a hook is still owed: how often it is attempted, how much is kept, and when it is given up."""

from __future__ import annotations

import pytest

from graysplit.core.notices.debt import (
    OWED_AT_MOST,
    OWED_MS,
    PAUSES_MS,
    TRIES_AT_LEAST,
    Debt,
    Owed,
    next_owed,
    not_taken,
    owing,
    pause_ms,
    stand_in,
    taken_over,
)
from graysplit.notices.payload import notice_of
from graysplit.stores.text.cursors import DEBT_AT_MOST, debt_field, hook_of, read_cursor, read_debt, write_debt

NOW = 1_700_000_000_000
HOURS = 3600 * 1000


def owed(number: int, since_ms: int = NOW, tries: int = 0) -> Owed:
    """Return what is owed of one change."""
    return Owed(f"{number}-0", number, f"c{number}", "checkout", "rollback", NOW, since_ms, tries)


def attempts(debt: Debt, *, chance: float, clock_ms: int = NOW) -> tuple[Debt, int]:
    """Attempt what is due until nothing is owed any more; return how it ended, and after how long."""
    begun = clock_ms
    while debt.owed:
        clock_ms += pause_ms(debt, clock_ms)
        one = next_owed(debt, clock_ms)
        assert one is not None
        debt = not_taken(debt, one, clock_ms, "refused", chance)
    return debt, clock_ms - begun


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_what_is_owed_is_attempted_for_a_day(chance: float) -> None:
    """Whatever is drawn; then it is given up and counted, and no attempt is nearer than three quarters of its pause."""
    over, after_ms = attempts(owing(Debt(), (owed(1),)), chance=chance)
    assert OWED_MS <= after_ms <= OWED_MS + 2 * PAUSES_MS[-1]
    assert (over.owed, over.given_up, over.last_given_up) == ((), 1, "c1")


def test_a_clock_that_leaps_ends_nothing_early() -> None:
    """A day ahead, or a year back: what is owed has its six hours of attempts all the same, and then an end."""
    leaped = owing(Debt(), (owed(1, since_ms=NOW - 2 * OWED_MS),))
    assert 6 * HOURS <= attempts(leaped, chance=0.0)[1] < OWED_MS
    back = owing(Debt(), (owed(1, since_ms=NOW + 365 * OWED_MS),))
    assert 6 * HOURS <= attempts(back, chance=0.0)[1] < OWED_MS
    assert pause_ms(Debt((owed(1, tries=1),), due_ms=NOW + OWED_MS), NOW) == 2 * PAUSES_MS[-1]


def test_a_hook_that_is_down_is_asked_once_for_each_pause_however_many_are_owed() -> None:
    """Each of fifty in its turn, and no oftener than one alone: no storm against a hook that comes back."""
    debt = owing(Debt(), tuple(owed(number, tries=1) for number in range(50)))
    clock_ms, asked = NOW, list[str]()
    while clock_ms < NOW + 6 * HOURS:
        one = next_owed(debt, clock_ms)
        assert one is not None
        asked.append(one.change)
        debt = not_taken(debt, one, clock_ms, "refused", 0.5)
        assert next_owed(debt, clock_ms) is None
        clock_ms += pause_ms(debt, clock_ms)
    assert len(asked) < 6 * HOURS / PAUSES_MS[-1] + len(PAUSES_MS)
    assert {*asked} == {f"c{number}" for number in range(50)}


def test_one_that_is_always_refused_keeps_no_other_back() -> None:
    """What is new is attempted at once, and after one that is taken the next is due."""
    debt = not_taken(owing(Debt(), (owed(1),)), owed(1), NOW, "it answered 400", 0.5)
    assert next_owed(debt, NOW) is None
    debt = owing(debt, (owed(2), owed(3)))
    assert next_owed(debt, NOW) == owed(2)
    debt = taken_over(debt, "c2")
    assert next_owed(debt, NOW) == owed(3)
    debt = taken_over(debt, "c3")
    assert (debt.owed[0].change, debt.streak, pause_ms(debt, NOW)) == ("c1", 0, 0)


def test_first_attempts_say_nothing_new_of_a_hook_that_is_down() -> None:
    """The pause is as long as before: thirty rollbacks at once are not each a reason to ask later."""
    debt = not_taken(owing(Debt(), (owed(0),)), owed(0), NOW, "refused", 0.5)
    due_ms = debt.due_ms
    for number in range(1, 30):
        debt = not_taken(owing(debt, (owed(number),)), owed(number), NOW, "refused", 0.5)
    assert (debt.due_ms, debt.streak, len(debt.owed)) == (due_ms, 1, 30)


def test_what_is_owed_is_bounded_in_number_and_in_bytes() -> None:
    """The oldest are given up and counted; the record stays readable with the longest names there are."""
    long = "x" * 100
    many = [Owed("9" * 19 + "-9", 9**9, f"{n:0100}", long, "rollback", NOW, NOW + n, 1) for n in range(300)]
    debt = Debt(fault="y" * 200)
    for one in many:
        debt = owing(debt, (one,))
    assert [each.since_ms for each in debt.owed] == [NOW + n for n in range(300 - OWED_AT_MOST, 300)]
    assert (debt.given_up, debt.last_given_up) == (300 - OWED_AT_MOST, f"{300 - OWED_AT_MOST - 1:0100}")
    text = write_debt(debt)
    assert len(text) < DEBT_AT_MOST
    assert read_debt(text) == debt


def test_the_same_change_is_owed_once() -> None:
    """Also where a process died between owing it and going on, and where it was taken before its turn came."""
    debt = owing(owing(Debt(), (owed(1),)), (owed(1),))
    assert debt.owed == (owed(1),)
    assert owing(taken_over(debt, "c1"), (owed(1),)).owed == ()


def test_what_the_log_has_lost_is_told_by_what_is_owed() -> None:
    """The change, its split, its cause and its time, and that the rest is gone."""
    notice = notice_of(stand_in(owed(7)), "default")
    assert (notice.change, notice.split, notice.cause) == ("c7", "checkout", "rollback")
    assert b"no longer in the log" in notice.body


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"owed":5}'])
def test_what_is_no_debt_is_none(text: str) -> None:
    """An absent field owes nothing; rows that are none are passed over."""
    assert read_debt(text) is None
    assert read_debt(None) == Debt()
    assert read_debt('{"owed":[["x",1],5,["no place",1,"c","s","trip",1,1,1]],"early":[1,"c"]}') == Debt(early=("c",))


def test_an_older_library_takes_a_debt_for_a_hook_without_trouble() -> None:
    """Its doctor reads each field of the key as how far a hook was told: it finds nothing refused there."""
    debt = owing(Debt(), (owed(1),))
    older = read_cursor(write_debt(debt))
    assert older is not None
    assert (older.attempts, older.dead, older.missed) == (0, 0, 0)
    assert hook_of(debt_field("webhook h 1")) == "webhook h 1"
    assert hook_of("webhook h 1") is None
    assert TRIES_AT_LEAST > 72
