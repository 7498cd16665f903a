"""A rollback of everything that is too much for one step: read once what runs, then lower it a portion at a time.

Each portion is one write with a history entry of its own; the first has the rollback's id, the others that and a
number. So a portion whose reply was lost is sent again as it was, and the log answers it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graysplit.errors import StoreUnreachableError
from graysplit.stores.port import Rollback, Written
from graysplit.stores.redis.rollback import Part, StepAnswer
from graysplit.stores.write_rules import splits_of

Send = Callable[[Rollback, Part | None], "StepAnswer | None"]
Read = Callable[[], "list[list[str]]"]


def roll_back_by_portions(send: Send, read: Read, rollback: Rollback) -> Written:
    """Lower what is named in one step; everything, where that is much, in as many as it takes."""
    answer = send(rollback, None)
    done = _found_before(send, rollback, answer)
    if answer is None or len(done) <= answer.rest:
        done += _lowered(send, read(), rollback, done)
    return _joined(done)


def _found_before(send: Send, rollback: Rollback, answer: StepAnswer | None) -> list[Written]:
    """Return what was written when the same was asked before: a part that names nothing asks the log alone."""
    done = [] if answer is None else [answer.written]
    for number in range(2, 2 + (0 if answer is None else answer.rest)):
        found = send(rollback._replace(id=_id(rollback, number)), Part((), 0))
        if found is None or not found.written.after:
            break
        done.append(found.written)
    return done


def _lowered(
    send: Send, portions: Sequence[Sequence[str]], rollback: Rollback, before: Sequence[Written]
) -> list[Written]:
    done: list[Written] = []
    for number, fields in enumerate(portions or [()], 1):
        part = Part(fields, max(0, len(portions) - number))
        try:
            answer = send(rollback._replace(id=_id(rollback, len(before) + number)), part)
        except StoreUnreachableError as fault:
            if not before and not done:
                raise
            raise _broken_off(fault, [*before, *done], sum(len(splits_of(p)) for p in portions[number - 1 :])) from None
        if answer is not None:
            done.append(answer.written)
    return done


def _id(rollback: Rollback, number: int) -> str:
    return rollback.id if number == 1 else f"{rollback.id}p{number}"


def _broken_off(fault: StoreUnreachableError, done: Sequence[Written], rest: int) -> StoreUnreachableError:
    """Return the error that says that some portions are written and others may not be."""
    stops = sum(where.startswith("stops ") for written in done for where in written.after)
    reason = f"{fault.reason}. Interrupted: {stops} splits are rolled back, {rest} may not be. Repeat the same command"
    broken = StoreUnreachableError(
        fault.store, reason, patient=fault.patient, silent=fault.silent, refuses=fault.refuses, mend=fault.mend
    )
    broken.written = True  # in part, as the reason says
    return broken


def _joined(done: Sequence[Written]) -> Written:
    """Return what portions wrote as one change: with the time and the revision of the last."""
    first, last = done[0], done[-1]
    if len(done) == 1:
        return first
    before: dict[str, str | None] = {}
    after: dict[str, str | None] = {}
    kept: dict[str, str] = {}
    for written in done:
        before = {**written.before, **before}
        after |= written.after
        kept |= written.kept
    unrecorded = next((written.unrecorded for written in done if written.unrecorded is not None), None)
    parts = tuple(written.id for written in done if written.after)
    revision = last.revision if unrecorded is None else 0
    return Written(first.id, revision, last.at_ms, before, after, unrecorded, splits_of(kept), kept, parts)
