"""What a hook is still owed: rollbacks and trips that it did not take, delivered later by whichever process lives.

They leave the order of the history, so that nothing waits for them. One attempt that fails puts off all of them: a
hook that is down is asked once for each pause, however many are owed. Times are the server's, in ms.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from graysplit.core.entry import Entry

# Traffic went back: what nobody may miss because a webhook was restarted.
LASTING: Final = frozenset({"rollback", "trip"})
OWED_AT_MOST: Final = 100
EARLY_AT_MOST: Final = 200
NAME_AT_MOST: Final = 100
FAULT_AT_MOST: Final = 200
# After each attempt that failed since the last that did not; drawn up to a quarter shorter or longer.
PAUSES_MS: Final = (1_000, 4_000, 16_000, 64_000, 300_000)
# Given up after a day, and never after fewer attempts than six hours hold: a clock that leaps must not end it early.
OWED_MS: Final = 24 * 3600 * 1000
TRIES_AT_LEAST: Final = 6 * 3600 * 1000 * 4 // (3 * PAUSES_MS[-1]) + len(PAUSES_MS)


class Owed(NamedTuple):
    """One change that a hook has still to be told; enough to tell it where the log has lost the entry."""

    position: str  # in the log
    revision: int
    change: str
    split: str
    cause: str
    at_ms: int  # when it was changed
    since_ms: int  # when it was first not taken, or found behind another that was not
    tries: int = 0  # attempts that the hook has failed since it is owed


class Debt(NamedTuple):
    """What one hook is owed, in the order in which it is attempted."""

    owed: tuple[Owed, ...] = ()
    early: tuple[str, ...] = ()  # ids of changes taken in hand before the order of the history came to them
    streak: int = 0  # attempts that failed, one after the other
    due_ms: int = 0  # when the next may be made
    fault: str = ""  # why the last was not taken
    ahead: str = "0-0"  # the log's position up to which they were looked for, while the order waits
    given_up: int = 0
    last_given_up: str = ""  # a change's id


class HookDebt(NamedTuple):
    """The rollbacks and trips that one hook has still to be told, as last read."""

    changes: int
    age_s: float  # of the oldest
    fault: str  # why the last attempt failed, or ""


def owing(debt: Debt, entries: tuple[Owed, ...]) -> Debt:
    """Owe some more, without an attempt; where it is too many the oldest are given up."""
    known = {*debt.early, *(owed.change for owed in debt.owed)}
    new = tuple(owed for owed in entries if owed.change not in known)
    owed = sorted((*debt.owed, *new), key=lambda each: each.since_ms)
    over = tuple(owed[: max(0, len(owed) - OWED_AT_MOST)])
    left = tuple(each for each in (*debt.owed, *new) if each not in over)
    early = (*debt.early, *(each.change for each in new))[-EARLY_AT_MOST:]
    return _given_up(debt, over)._replace(owed=left, early=early)


def next_owed(debt: Debt, now_ms: int) -> Owed | None:
    """Return what is to be attempted now: at once what never was, one of the others where their pause is over."""
    fresh = next((owed for owed in debt.owed if not owed.tries), None)
    if fresh is not None or not debt.owed:
        return fresh
    return None if pause_ms(debt, now_ms) else debt.owed[0]


def pause_ms(debt: Debt, now_ms: int) -> int:
    """Return the time until something owed may be attempted: at most twice the longest pause, wherever clocks leap."""
    if any(not owed.tries for owed in debt.owed):
        return 0
    return max(0, min(debt.due_ms - now_ms, 2 * PAUSES_MS[-1]))


def taken_over(debt: Debt, change: str) -> Debt:
    """Take off a change that the hook has taken; what else is owed is due at once."""
    left = tuple(owed for owed in debt.owed if owed.change != change)
    return debt._replace(owed=left, streak=0, due_ms=0, fault="" if not left else debt.fault)


def not_taken(debt: Debt, owed: Owed, now_ms: int, fault: str, chance: float) -> Debt:
    """Note an attempt that failed: it comes last among what is owed, and all of it waits."""
    others = tuple(each for each in debt.owed if each.change != owed.change)
    tried = tuple(each._replace(tries=each.tries + 1) if each.tries else each for each in others)
    queue = (*tried, owed._replace(tries=owed.tries + 1))
    over = tuple(each for each in queue if _is_over(each, now_ms))
    noted = _given_up(debt, over)._replace(
        owed=tuple(each for each in queue if each not in over), fault=fault[:FAULT_AT_MOST]
    )
    if debt.streak and not owed.tries:
        return noted  # its first attempt: it says nothing new of a hook that is known to be down
    pause = int(PAUSES_MS[min(debt.streak, len(PAUSES_MS) - 1)] * (0.75 + chance / 2))
    return noted._replace(streak=debt.streak + 1, due_ms=now_ms + pause)


def stand_in(owed: Owed) -> Entry:
    """Return an entry for what the log no longer has."""
    why = "its entry is no longer in the log: see the current state with graysplit show"
    return Entry(owed.change, owed.revision, owed.split, owed.cause, "unknown", why, owed.at_ms, {}, {})


def _is_over(owed: Owed, now_ms: int) -> bool:
    age_ms = now_ms - owed.since_ms
    return owed.tries >= TRIES_AT_LEAST and not 0 <= age_ms < OWED_MS


def _given_up(debt: Debt, over: tuple[Owed, ...]) -> Debt:
    if not over:
        return debt
    return debt._replace(given_up=debt.given_up + len(over), last_given_up=over[-1].change)
