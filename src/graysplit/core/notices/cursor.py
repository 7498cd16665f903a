"""Say whose turn it is to tell a hook what the log holds, and how far it has been told: one record for each hook.

Every transition is a new record, written by whoever read the old one and only if it is still as read. So one process
tells at a time; one that dies between telling and writing it down is followed by another that tells it again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# A turn ends by itself after so long: longer than one event may take.
TURN_MS: Final = 15_000
ATTEMPTS: Final = 5
# After each failed attempt but the last; what is drawn beside them lengthens or shortens each by up to a quarter.
PAUSES_MS: Final = (1_000, 4_000, 16_000, 64_000)
# What is older than this is told to nobody: a hook that was away for weeks does not begin with the weeks.
OLDEST_MS: Final = 24 * 3600 * 1000


class Cursor(NamedTuple):
    """How far one hook has been told. Times are the server's, in ms."""

    position: str  # of the last entry of the log that needs no notice any more
    revision: int  # of that entry
    teller: str = ""  # so it is called in Redis: boot id of the process whose turn it is, or was last
    until_ms: int = 0  # the end of its turn
    attempts: int = 0  # that failed for the entry after the position
    due_ms: int = 0  # when it may be attempted again
    dead: int = 0  # entries that the hook did not take, after all attempts
    last_dead: str = ""  # the change id of the last of them
    missed: int = 0  # entries at most that were gone, or too old, before they were told


class LogStep(NamedTuple):
    """One entry of the log, as far as the cursor needs it."""

    position: str
    revision: int
    change: str


def wait_ms(cursor: Cursor, boot: str, now_ms: int) -> int:
    """Return the time until a process may take its turn; 0: now."""
    others = cursor.until_ms if cursor.teller != boot else 0
    # A clock that was set back must not keep a hook silent: nothing here is ever further away than its longest.
    return max(0, min(others - now_ms, TURN_MS), min(cursor.due_ms - now_ms, 2 * PAUSES_MS[-1]))


def begun(before: Cursor | None, position: str, revision: int) -> Cursor:
    """Return a record that begins at the log's end, so that the past is not told; counts are kept."""
    known = before or Cursor(position, revision)
    return Cursor(position, revision, dead=known.dead, last_dead=known.last_dead, missed=known.missed)


def taken(cursor: Cursor, boot: str, now_ms: int) -> Cursor:
    """Return a process its turn."""
    return cursor._replace(teller=boot, until_ms=now_ms + TURN_MS)


def done(cursor: Cursor) -> Cursor:
    """End a turn early."""
    return cursor._replace(until_ms=0)


def told(cursor: Cursor, step: LogStep, now_ms: int) -> Cursor:
    """Go on behind an entry that was taken, or that nobody wants to hear of; the turn begins anew."""
    return cursor._replace(
        position=step.position, revision=step.revision, attempts=0, due_ms=0, until_ms=now_ms + TURN_MS
    )


def failed(cursor: Cursor, step: LogStep, now_ms: int, chance: float) -> Cursor:
    """Note an attempt that failed, which ends the turn; after the last one the entry is given up and counted."""
    if cursor.attempts + 1 >= ATTEMPTS:
        return done(told(cursor, step, now_ms)._replace(dead=cursor.dead + 1, last_dead=step.change))
    pause_ms = int(PAUSES_MS[cursor.attempts] * (0.75 + chance / 2))
    return done(cursor._replace(attempts=cursor.attempts + 1, due_ms=now_ms + pause_ms))


def passed_over(cursor: Cursor, position: str, first: int) -> Cursor:
    """Go on where the log begins, or where it is young enough; `first` is the revision of the first entry left.

    Revisions say how many are missing at most: some may have been of no interest. Where none is, all stays as it is,
    the attempts at that first entry too.
    """
    gap = first - cursor.revision - 1
    if gap <= 0:
        return cursor
    return cursor._replace(position=position, revision=first - 1, attempts=0, due_ms=0, missed=cursor.missed + gap)


def is_before(position: str, other: str) -> bool:
    """Return whether a position of the log comes before another."""
    return _order(position) < _order(other)


def _order(position: str) -> tuple[int, int]:
    ms, _, sequence = position.partition("-")
    return int(ms), int(sequence)
