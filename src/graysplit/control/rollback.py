"""Roll back: weight zero and a stop, read nothing first, and say afterwards what that has lowered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from graysplit.control.inputs import is_zero, lowered, new_id
from graysplit.control.result import Result
from graysplit.control.stop_note import stop_notes
from graysplit.control.targets import is_defined, names_of
from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.limits import cut
from graysplit.errors import StoreUnreachableError
from graysplit.stores.port import Place, Rollback
from graysplit.stores.text.records import PLAN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graysplit.control.operator import Operator

Moves: TypeAlias = "dict[str, tuple[str | None, str | None]]"  # by field: its text before and after

NAMED_AT_MOST: Final = 5  # plans that are over

_MARK: Final = f"meta {PLAN}"


def roll_back(operator: Operator, target: str, why: str) -> Result:
    """Write it, and return what it has lowered and stopped."""
    rollback = Rollback(new_id(), target, cut("actor", operator.actor), cut("reason", why))
    with operator.submitting(rollback.id):
        written = operator.store.roll_back(rollback)
    moves: Moves = {}
    stops: Moves = {}
    ended = _ended_plans(written.before, written.after)
    for at in sorted(written.before.keys() | written.after.keys()):
        key, _, field = at.partition(" ")
        if key == "weights" and "/" in field:
            moves[field] = (written.before.get(at), written.after.get(at))
        if key == "stops":
            stops[field] = (written.before.get(at), written.after.get(at))
    if target == EVERYTHING and EVERYTHING not in stops:
        _roll_back_untold(operator, why, moves, stops)
    return Result(
        cause="rollback",
        split=target,
        moves=moves,
        revision=written.revision,
        change=written.id,
        at_ms=written.at_ms,
        unrecorded=written.unrecorded,
        stops=stop_notes(stops),
        left=written.left,
        kept=written.kept,
        parts=written.parts,
        expected=lowered(moves, whole=not written.revision),
        notes=_ended_notes(ended),
        ended=ended,
        known=_is_known(operator, target, written.before),
        idle=all(written.before.get(at) == after for at, after in written.after.items()),
    )


def _roll_back_untold(operator: Operator, why: str, moves: Moves, stops: Moves) -> None:
    """Roll back what live processes run and the store says nothing of: it lists what it holds itself alone."""
    from graysplit.control.recovery.loss import untold

    for split, weights in untold(operator.store, moves.keys()).items():
        rollback = Rollback(new_id(), split, cut("actor", operator.actor), cut("reason", why))
        with operator.submitting(rollback.id):
            written = operator.store.roll_back(rollback)
        moves |= {field: (weight, "0") for field, weight in weights.items()}
        stops[split] = (written.before.get(f"stops {split}"), written.after.get(f"stops {split}"))


def foretell_rollback(operator: Operator, target: str) -> Result:
    """Return what a rollback would write, and what it would leave alone."""
    from graysplit.core.replica.adoption import text
    from graysplit.stores import write_rules

    load = operator.store.load()
    finished = write_rules.finished_of(load.meta, load.weights, load.stops, load.booked.fields)
    lowering = write_rules.lowering(target, load.weights, finished)
    before = {text(name): text(raw) for name, raw in load.weights.fields.items()}
    moves: Moves = {field: (before.get(field), "0") for field in lowering.fields}
    known = names_of(load, operator.store.fleet(), {}).know(target)
    notes = tuple(
        f"{field} would stay at {weight}; to roll it back too: graysplit rollback {split_of(field)}"
        for field, weight in lowering.kept.items()
    )
    over = write_rules.plans_over(
        load.meta, (split for stop in lowering.stops for split in write_rules.ended_by(load.meta, stop))
    )
    ended = _ended_plans(over, dict.fromkeys(over))
    notes = (*_ended_notes(ended, "would end"), *notes)
    return Result(
        cause="rollback",
        split=target,
        moves=moves,
        dry_run=True,
        left=lowering.left,
        notes=notes,
        ended=ended,
        known=known,
    )


def _is_known(operator: Operator, target: str, before: Mapping[str, str | None]) -> bool | None:
    """Return after a rollback whether anybody knows its target; a weight above zero that it lowered is enough."""
    if any(where.startswith("weights ") and not is_zero(weight) for where, weight in before.items()):
        return True
    place: Place = ("splits", split_of(target))
    try:
        if target != EVERYTHING and is_defined(target, operator.store.read_fields([place]).texts[place]):
            return True
        return names_of(operator.store.load(), operator.store.fleet(), before).know(target)
    except StoreUnreachableError:
        return None


def _ended_plans(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> dict[str, str]:
    """Return the plans that are over, in words, by split."""
    marks = {where.removeprefix(_MARK): mark for where, mark in before.items() if where.startswith(_MARK)}
    return {
        split: f"the plan of '{split}', which raised '{mark.partition(' ')[2]}'"
        for split, mark in sorted(marks.items())
        if mark is not None and after.get(_MARK + split) is None
    }


def _ended_notes(ended: Mapping[str, str], verb: str = "ends") -> tuple[str, ...]:
    """Return the lines that tell of plans that are over: a few by name, many by their number."""
    if len(ended) > NAMED_AT_MOST:
        return (f"{verb} {len(ended)} plans",)
    return tuple(f"{verb} {words}" for words in ended.values())
