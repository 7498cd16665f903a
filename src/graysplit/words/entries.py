"""How an entry of the history is told: in one line, and as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from graysplit.core.address import split_of
from graysplit.core.entry import Entry
from graysplit.core.replica.fork import LOST, move
from graysplit.words.texts import percent

NAMED_AT_MOST: Final = 10  # what one change has moved, in one line: a change of many splits may have hundreds


def entry_line(entry: Entry) -> str:
    """Return a change in one line."""
    listed = [*entry_moves(entry)]
    more = [f"and {len(listed) - NAMED_AT_MOST} more"] if len(listed) > NAMED_AT_MOST else []
    moves = ", ".join([*listed[:NAMED_AT_MOST], *more])
    why = f": {entry.why}" if entry.why else ""
    why += f" (ends the plan of {', '.join(entry.ended_plans)})" if entry.ended_plans and tells_end(entry) else ""
    return f"{entry.revision or '-'} {entry.cause} {entry.split} {moves + ' ' if moves else ''}by {entry.actor}{why}"


def tells_end(entry: Entry) -> bool:
    """Return whether it is worth a word that a plan is over with a change: its own last entry says so already."""
    return entry.cause not in {"step", "plan over"}


def entry_json(entry: Entry) -> dict[str, object]:
    """Return a change."""
    ended = {"ended_plans": list(entry.ended_plans)}
    return {**entry._asdict(), "before": dict(entry.before), "after": dict(entry.after), **ended}


def entry_moves(entry: Entry, split: str | None = None) -> Iterable[str]:
    """Return what became of each field that a change wrote; of one split's, or of all."""
    for at in sorted(entry.after, reverse=True):  # weights before stops
        key, _, field = at.partition(" ")
        if split is not None and split_of(field) != split:
            continue
        if key == "weights":
            yield f"{field} {percent(entry.before.get(at))} -> {percent(entry.after[at])}"
        elif key == "stops":
            yield f"stop {field} {_stop_move(entry.before.get(at), entry.after[at])}"
        elif key in LOST.values():
            yield move(at, entry.before.get(at), entry.after[at])


def _stop_move(before: str | None, after: str | None) -> str:
    """Return what became of a stop: one that stood keeps its words in a second rollback."""
    if after is None:
        return "cleared"
    return "set" if before is None else "already set" if before == after else "replaced"
