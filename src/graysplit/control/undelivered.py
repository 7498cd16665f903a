"""What hooks were not told, from what the store notes of each: what is owed, what is given up, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from graysplit.core.durations import format_span
from graysplit.core.notices.debt import Debt, Owed
from graysplit.errors import RefusedError
from graysplit.stores.port import CursorReading, Store
from graysplit.stores.text.cursors import debt_field, hook_of, read_cursor, read_debt


class HookState(NamedTuple):
    """One hook: what it has still to be told, and what it will never be. Times are the server's."""

    hook: str
    owed: tuple[Owed, ...]  # rollbacks and trips, the oldest first
    next_ms: int | None  # when they may be attempted again; None for nothing owed
    fault: str  # why the last attempt at them failed, or ""
    refused: int  # attempts that failed for the change that is next in order
    given_up: int
    last_given_up: str  # a change's id
    missed: int  # at most so many were gone from the log, or a day old, before they were told
    unread: bool  # what the store notes cannot be read, all of it or in part
    now_ms: int

    @property
    def age_ms(self) -> int:
        """How long the oldest has been owed."""
        return max((self.now_ms - owed.since_ms for owed in self.owed), default=0)


def hook_states(read: CursorReading) -> tuple[HookState, ...]:
    """Return every hook that the store knows of, by name."""
    names = {hook_of(field) or field for field in read.texts}
    return tuple(_state(hook, read.texts, read.now_ms) for hook in sorted(names))


def undelivered(read: CursorReading | None) -> tuple[HookState, ...] | None:
    """Return the hooks that are owed something; None where that may not be read."""
    return None if read is None else tuple(state for state in hook_states(read) if state.owed)


def cursors_of(store: Store) -> CursorReading | None:
    """Read how far each hook has been told; None where that may not be read."""
    try:
        return store.read_cursors()
    except RefusedError:
        return None


def owed_words(state: HookState) -> str:
    """Return what a hook is owed, for how long, and why the last attempt failed."""
    what = "1 rollback or trip is" if len(state.owed) == 1 else f"{len(state.owed)} rollbacks or trips are"
    fault = f"; the last attempt: {state.fault}" if state.fault else "; not attempted yet"
    return f"{what} not delivered, the oldest for {format_span(state.age_ms // 1000 * 1000)}{fault}"


def _state(hook: str, texts: Mapping[str, str], now_ms: int) -> HookState:
    cursor, debt = read_cursor(texts.get(hook)), read_debt(texts.get(debt_field(hook)))
    known = debt or Debt()
    return HookState(
        hook,
        tuple(sorted(known.owed, key=lambda owed: owed.since_ms)),
        max(now_ms, known.due_ms) if known.owed else None,
        known.fault,
        cursor.attempts if cursor else 0,
        known.given_up + (cursor.dead if cursor else 0),
        known.last_given_up or (cursor.last_dead if cursor else ""),
        cursor.missed if cursor else 0,
        cursor is None or debt is None,
        now_ms,
    )
