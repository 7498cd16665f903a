"""What stands in the way of a raise: what a stop says of itself, and whom else it holds at zero."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from graysplit.control.stop_note import StopNote
from graysplit.core.address import EVERYTHING, covers, covers_split, parse_address, split_of, stop_on
from graysplit.core.limits import shown
from graysplit.errors import RefusedError
from graysplit.stores.write_rules import is_zero

if TYPE_CHECKING:
    from graysplit.control.reading import Reading
    from graysplit.core.changes import Effects
    from graysplit.core.split_state import Change, Snapshot

StopMoves: TypeAlias = Mapping[str, "tuple[str | None, str | None]"]  # by field: its text before and after

NAMED_AT_MOST = 5


def when(at_ms: int) -> str:
    """Return a server time as UTC."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at_ms / 1000)) if at_ms > 0 else "at no known time"
    except (OverflowError, ValueError, OSError):  # a field may hold any number
        return "the end of time"


def stop_words(field: str, text: str) -> str:
    """Return what a stop says of itself: by whom, when, why; a stop set by hand may say anything."""
    note = StopNote(text)
    if not note.fields:
        return f"{field}: {shown(text)}" if text else field
    parts = [f"by {note.who or 'somebody'}", "" if note.at_ms is None else when(note.at_ms), note.why]
    return f"{field}: {', '.join(part for part in parts if part)}"


def clear_words(stops: Mapping[str, str]) -> str:
    """Return which stops a change would clear; "" for none."""
    return ", and ".join(f"this clears the stop {stop_words(field, text)}" for field, text in stops.items())


def with_stops(ask: str | None, stops: Mapping[str, str]) -> str | None:
    """Return what is asked, the stops first: whoever answers by the words alone is asked about them too."""
    return ", and ".join(filter(None, (clear_words(stops), ask))) or None


def without_stops(ask: str | None, stops: Mapping[str, str]) -> str | None:
    """Return what is asked beside the stops, for whoever tells of them apart."""
    rest = (ask or "").removeprefix(clear_words(stops)).removeprefix(", and ") if stops else ask
    return rest or None


def with_plans(ask: str | None, plans: Mapping[str, str]) -> str | None:
    """Return what is asked, with the plans that end."""
    return ", and ".join(filter(None, (ask, _end_words(plans)))) or None


def without_plans(ask: str | None, plans: Mapping[str, str]) -> str | None:
    """Return what is asked beside the plans that end, for whoever tells of them apart."""
    rest = (ask or "").removesuffix(_end_words(plans)).removesuffix(", and ") if plans else ask
    return rest or None


def _end_words(plans: Mapping[str, str]) -> str:
    return ", and ".join(f"this ends {words}" for words in plans.values())


def stop_moves(snapshot: Snapshot, change: Change) -> StopMoves:
    """Return the stops that a change names and that stand before or after it."""
    pairs = {field: (snapshot.stops.get(field), text) for field, text in change.stops.items()}
    return {field: pair for field, pair in pairs.items() if pair != (None, None)}


def cleared(moves: StopMoves) -> dict[str, str]:
    """Return the stops that are taken away, with what they say."""
    return {field: before for field, (before, after) in moves.items() if before is not None and after is None}


def freed(reading: Reading, change: Change, after: Snapshot) -> list[str]:
    """Name the weights above zero that a cleared stop sets free and whose definition cannot be read here.

    Processes hold the last good definition, so that they would answer by them.
    """
    gone = cleared(stop_moves(reading.snapshot, change)).keys()
    if not gone or change.cause == "delete":
        return []
    found: list[str] = []
    everything = EVERYTHING in gone
    own = (field for split in {*map(split_of, gone)} for field in reading.fields("weights", split))
    for field in reading.texts("weights") if everything else own:
        split, version = parse_address(field)
        covered = version and stop_on(field, gone) and not stop_on(field, after.stops)
        if covered and split not in after.splits and field not in change.weights:
            found += [] if is_zero(reading.raw("weights", field)) else [field]
    return sorted(found)


def check_bystanders(change: Change, done: Effects, unread: list[str], moves: StopMoves) -> None:
    """Raise `RefusedError` where a cleared stop lets others rise than those that the change is about."""
    others = [*(field for field in done.risen if not _meant(change, field)), *unread]
    gone = cleared(moves)
    if others and gone:
        stop = EVERYTHING if EVERYTHING in gone else min(gone, key=len)
        more = f" and {len(others) - NAMED_AT_MOST} more" if len(others) > NAMED_AT_MOST else ""
        raise RefusedError(
            f"the stop '{stop}' also keeps {', '.join(others[:NAMED_AT_MOST])}{more} at zero: clearing it would "
            f"raise them too. Lower them first, or clear it for all of them: graysplit unstop '{stop}'"
        )


def still_stopped(after: Snapshot, moves: StopMoves) -> tuple[str, ...]:
    """Return which other stops hold what a cleared one has held."""
    gone = cleared(moves)
    over = sorted(
        stop
        for stop in after.stops
        if _holds(after, stop) and any(covers(stop, field) or covers(field, stop) for field in gone)
    )
    said = [f"still stopped by {stop_words(stop, after.stops[stop])}" for stop in over[:NAMED_AT_MOST]]
    more = len(over) - NAMED_AT_MOST
    return (*said, *([f"and by {more} more stops"] if more > 0 else []))


def stop_lines(moves: StopMoves, cause: str, *, dry_run: bool = False) -> Iterator[str]:
    """Return what becomes of stops, by what is written; a new one of a rollback goes without saying."""
    clear, put, stays = ("would clear", "would put", "would stay") if dry_run else ("cleared", "put", "stays")
    for field, (before, after) in moves.items():
        if after is None:
            yield f"{clear} the stop {stop_words(field, before or '')}"
        elif before == after:
            yield f"the stop {stays} unchanged: {stop_words(field, after)}"
        elif before is not None:
            yield f"{put} back the stop {stop_words(field, after)}; it takes the place of {stop_words(field, before)}"
        elif cause != "rollback":
            yield f"{put} back the stop {stop_words(field, after)}"


def _meant(change: Change, field: str) -> bool:
    """Return whether a change is about a candidate: it writes its weight, or it is about the split's stop alone."""
    return field in change.weights if change.weights else covers_split(change.split, split_of(field))


def _holds(after: Snapshot, stop: str) -> bool:
    """Return whether a stop holds anybody: not one of a version that a known split has not, or of its baseline."""
    split, version = parse_address(stop)
    state = after.splits.get(split) if version else None
    return state is None or any(found.name == version for found in state.definition.candidates)
