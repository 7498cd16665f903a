"""Blue-green: who is ready to take over, and the weights of a switch, at once or in steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from graysplit.control.creating import made
from graysplit.control.planning import blind_words
from graysplit.control.proposal import Proposal
from graysplit.control.reading import Reading
from graysplit.control.result import Result
from graysplit.control.wishes import check_reason
from graysplit.core.changes import set_weights
from graysplit.core.definition import candidate
from graysplit.core.fleet import Fleet
from graysplit.core.snapshot import Change, Snapshot, Standing
from graysplit.core.weights import FULL, Weight, field_of, format_weight, share
from graysplit.errors import BadValueError, ConflictError, RefusedError, StoreUnreachableError

STEPS: Final = 10
LONGEST_S: Final = 600.0  # a command somebody waits for; what takes longer is a plan
NAMED_AT_MOST: Final = 10

Plan: TypeAlias = Callable[[Reading, str], Proposal]


class Standby(NamedTuple):
    """How far the live processes that declare a split are ready to take over with a version."""

    ready: int
    waiting: tuple[str, ...] = ()  # the others, each with its reason: "web-7/812 (warming)"

    @property
    def processes(self) -> int:
        """How many declare the split."""
        return self.ready + len(self.waiting)


class Step(NamedTuple):
    """One step of a switch that is spread over a time, as it was written."""

    number: int
    result: Result


Told: TypeAlias = Callable[[Standby | Step], None]


class Wish(NamedTuple):
    """What a switch is to do, and who is told of it while it goes on."""

    split: str
    to: str
    over_s: float | None = None
    why: str = ""
    told: Told | None = None


class Hands(NamedTuple):
    """What of an operator's hand a switch needs."""

    ensured: Callable[[Reading], tuple[Snapshot, Change | None]]  # the split, and the change that creates it
    propose: Callable[[Reading, Change, str], Proposal]
    change: Callable[[Plan, str], Result]  # plan, ask, submit; with a reason
    unchanged: Callable[[int], None]  # raises `ConflictError` where the split has changed since a revision
    fleet: Callable[[], Fleet]


class OvertakenError(ConflictError):
    """Somebody else changed the split between two steps of a switch, which ends there."""

    def __init__(self, fault: ConflictError, step: int) -> None:
        """Keep what was expected and found; the message says how far it came."""
        super().__init__(fault.split, fault.expected, fault.found)
        self.step = step
        said = (
            f"'{fault.split}': somebody else changed it after step {step} of {STEPS} (expected {fault.expected}, "
            f"found {fault.found}). The switch ends there, and what they wrote stands. "
            f"Look at it with: graysplit show {fault.split}"
        )
        self.args = (said,)


def standby_of(fleet: Fleet, split: str, version: str, *, back: bool = False) -> Standby:
    """Count who is ready for a version, and name those that are not; on the way back only hooks are asked."""
    found = [(process.label, process.declared[split]) for process in fleet.live if split in process.declared]
    reasons = [(label, one.warm.get(version) if back else one.unready(version)) for label, one in found]
    waiting = tuple(sorted(f"{label} ({why})" for label, why in reasons if why))
    return Standby(len(found) - len(waiting), waiting)


def switch(hands: Hands, wish: Wish, *, dry_run: bool = False) -> Result:
    """Send everybody to one version: in one write, or spread over a time in steps that anybody may end.

    Agreement is asked for once, before the first step. A change by somebody else between two steps is never written
    over: `OvertakenError`.
    """
    if wish.over_s is not None and not 0 < wish.over_s <= LONGEST_S:
        raise BadValueError(f"a switch is spread over at most {LONGEST_S:g} s: for longer, graysplit ramp {wish.split}")
    if wish.over_s is not None and not dry_run:
        return _spread(hands, wish, wish.over_s)
    done = hands.change(lambda reading, id_: _begin(hands, wish, reading, id_, STEPS), wish.why)
    return done if wish.over_s is None else done._replace(notes=(*done.notes, f"{STEPS} steps, {wish.over_s:g} s"))


def _spread(hands: Hands, wish: Wish, over_s: float) -> Result:
    """Write the steps at even intervals, the first at once and the last when the time is up."""
    shown: list[Standing] = []  # where the split stood before the first step

    def first(reading: Reading, id_: str) -> Proposal:
        shown[:] = [hands.ensured(reading)[0].splits[wish.split]]
        proposal = _begin(hands, wish, reading, id_, 1)
        whole = _proposed(hands, wish, reading, id_, STEPS)
        check_reason(whole.guarded, wish.why)
        return proposal._replace(ask=whole.ask, guarded=whole.guarded)

    results = [hands.change(first, _said(wish.why, 1))]
    began = time.monotonic()
    _tell(wish, Step(1, results[0]))
    for step in range(2, STEPS + 1):
        threading.Event().wait(max(0.0, began + over_s * (step - 1) / (STEPS - 1) - time.monotonic()))
        results.append(_next(hands, wish, shown[0], results[-1], step))
        _tell(wish, Step(step, results[-1]))
    return _whole(results)


def _tell(wish: Wish, what: Standby | Step) -> None:
    if wish.told is not None:
        wish.told(what)


def _begin(hands: Hands, wish: Wish, reading: Reading, id_: str, step: int) -> Proposal:
    """Propose a step from what stands now, if everybody is ready."""
    snapshot, _ = hands.ensured(reading)
    definition = snapshot.splits[wish.split].definition
    back = wish.to == definition.baseline
    if not back:
        candidate(wish.split, definition, wish.to)
    found = standby_of(hands.fleet(), wish.split, wish.to, back=back)
    check_ready(wish, found, back=back)
    _tell(wish, found)
    return _proposed(hands, wish, reading, id_, step)


def _proposed(hands: Hands, wish: Wish, reading: Reading, id_: str, step: int) -> Proposal:
    snapshot, created = hands.ensured(reading)
    standing = snapshot.splits[wish.split]
    change = _change(snapshot, wish, reading, id_, step_weights(standing, wish.to, step))
    if created is not None:
        change = change._replace(weights={**created.weights, **change.weights}, definition=created.definition)
    proposal = hands.propose(reading, change, id_)
    notes = (*proposal.notes, *_unwatched(standing, wish.to, step))
    return proposal._replace(notes=notes, created=proposal.created if created is None else made(created))


def _unwatched(standing: Standing, to: str, step: int) -> tuple[str, ...]:
    """Say what nobody watches once everybody is on a candidate."""
    split, baseline = standing.split, standing.definition.baseline
    if step < STEPS or to == baseline:
        return ()
    look = f"Watch it yourself: graysplit watch {split}; back at once: graysplit rollback {split}"
    return (f"{field_of(split, to)} {blind_words(to, baseline)}. {look}",)


def _next(hands: Hands, wish: Wish, shown: Standing, before: Result, step: int) -> Result:
    """Write a further step, if what stands is what the one before wrote."""

    def plan(reading: Reading, id_: str) -> Proposal:
        hands.unchanged(before.revision)
        snapshot, _ = hands.ensured(reading)
        _check_written(wish, snapshot.splits[wish.split], step_weights(shown, wish.to, step - 1))
        change = _change(snapshot, wish, reading, id_, step_weights(shown, wish.to, step))
        return hands.propose(reading, change, id_)._replace(ask=None)

    try:
        return hands.change(plan, _said(wish.why, step))
    except ConflictError as fault:
        raise OvertakenError(fault, step - 1) from fault
    except StoreUnreachableError as lost:
        known = "step" if lost.written is False else "at least step"
        lost.reason = f"{lost.reason}. The switch ended there, and {known} {step - 1} of {STEPS} stands"
        lost.written = True
        raise


def _change(snapshot: Snapshot, wish: Wish, reading: Reading, id_: str, weights: Mapping[str, Weight]) -> Change:
    mistyped = reading.mistyped(wish.split, snapshot.splits[wish.split].definition)
    # Who moves needlessly on the way gets where everybody goes.
    return set_weights(snapshot, wish.split, weights, release=id_, mistyped=mistyped, cause="switch", yes=True)


def step_weights(standing: Standing, to: str, step: int) -> dict[str, Weight]:
    """Give all candidates' weights after a step: on a straight line from what is in force to all, and to nothing."""
    ends = {version.name: FULL if version.name == to else 0 for version in standing.definition.candidates}
    begins = {name: share(standing.effective(name)) for name in ends}
    return {name: begins[name] + _part(end - begins[name], step) for name, end in ends.items()}


def _part(distance: int, step: int) -> int:
    """Give the part of a way that is behind one after a step: of a raise at most its share, of a lowering at least."""
    return distance * step // STEPS


def _check_written(wish: Wish, standing: Standing, weights: Mapping[str, Weight]) -> None:
    for name, weight in weights.items():
        found, at = standing.effective(name), f"{field_of(wish.split, name)} at"
        if found != weight:
            raise ConflictError(wish.split, f"{at} {format_weight(weight)}", f"{at} {format_weight(found)}")


def check_ready(wish: Wish, found: Standby, *, back: bool = False) -> None:
    """Raise `RefusedError`, naming who is not ready, unless everybody is; the way back needs nobody to be there."""
    again = f"graysplit switch {wish.split} --to {wish.to}"
    if not found.processes and not back:
        raise RefusedError(
            f"no live process declares '{wish.split}', so nobody can say whether '{wish.to}' is ready. "
            f"See who follows with: graysplit fleet; then again: {again}"
        )
    if found.waiting:
        more = len(found.waiting) - NAMED_AT_MOST
        named = ", ".join(found.waiting[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
        now = f"; back at once, whoever is ready: graysplit rollback {wish.split}" if back else ""
        raise RefusedError(
            f"'{wish.to}' is not ready in {len(found.waiting)} of {found.processes} processes: {named}. "
            f"Nothing was written. Once it is: {again}{now}"
        )


def _said(why: str, step: int) -> str:
    said = f"step {step} of {STEPS}"
    return f"{why}, {said}" if why else said


def _whole(results: list[Result]) -> Result:
    """Tell the steps as one change: from where the first began to where the last ended."""
    first, last = results[0], results[-1]
    moves = {field: (pair[0], last.moves.get(field, pair)[1]) for field, pair in first.moves.items()}
    expected: dict[str, str] = {}
    for result in results:
        expected |= result.expected
    return last._replace(
        moves=moves,
        created=first.created,
        cleared=first.cleared,
        stops=first.stops,
        notes=first.notes,
        moved=sum(result.moved for result in results),
        needless=sum(result.needless for result in results),
        expected=expected,
    )
