"""A change on its way to the store: what it rests on, what it writes, and what a person should agree to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from graysplit.control.freeze import check_thawed, expect_freezes, unmarked
from graysplit.control.plan.plan_changes import PlanStart
from graysplit.control.plan.running_plan import Ended, running_words, touched
from graysplit.control.reading import Reading
from graysplit.control.result import Result
from graysplit.control.stop_note import StopNote, stop_notes
from graysplit.control.stops import (
    StopMoves,
    check_bystanders,
    cleared,
    freed,
    still_stopped,
    stop_moves,
    stop_words,
)
from graysplit.control.waves import crossing_over
from graysplit.core.address import EVERYTHING, field_of, parse_address, split_of, version_of
from graysplit.core.changes import Applied, Effects, lets_in
from graysplit.core.definition import Definition
from graysplit.core.freeze import FREEZES, THAWED
from graysplit.core.lease import PREFIX
from graysplit.core.replica.adoption import MAX_DEFINITION
from graysplit.core.split_state import SAME, Change, Snapshot
from graysplit.core.weights import FULL, PERCENT, Weight, format_weight, rises
from graysplit.errors import RefusedError
from graysplit.stores.port import Expect, KeyName, Submission, Write, Written
from graysplit.stores.text.records import PLAN


class Proposal(NamedTuple):
    """One compare-and-set change, not yet submitted."""

    id: str
    target: str
    change: Change
    effects: Effects
    expect: tuple[Expect, ...]
    writes: tuple[Write, ...]
    read_at_ms: int
    raises: bool
    moves: dict[str, tuple[str | None, str | None]]
    created: tuple[str, ...] = ()
    stop_moves: StopMoves = MappingProxyType({})
    stops: Mapping[str, str] = {}  # those that it clears, with what they say: a person agrees to each
    ask: str | None = None  # what a person types the name for
    guarded: tuple[str, ...] = ()  # protected splits that rise: it needs a reason
    notes: tuple[str, ...] = ()  # what is worth saying beside it
    ended: tuple[Ended, ...] = ()  # the plans that are over with it
    plans: Mapping[str, str] = {}  # by split, those of them that are paused or somebody else's: a person agrees to each
    spared: tuple[str, ...] = ()  # splits whose weight it writes again: their plan goes on
    said: str = ""  # what the history says of it, before the person's own reason
    plan: Mapping[str, object] | None = None  # which step of a plan it is about, for scripts
    unwatched: str = ""  # what nobody watches from then on
    pinned: str | None = None  # the version that a pin gives, or the baseline where it denies
    idle: bool = False  # nothing is otherwise than before: it is in the history alone
    doubts: tuple[str, ...] = ()  # what is not shown of a winner

    @property
    def told(self) -> object:
        """Return what a person has been shown, to be compared with what is about to be written; not the time of it.

        How a plan stands is told by its mark in `meta`, and its progress begins with the time.
        """
        return self.expect, [write for write in self.writes if write.field != THAWED and write.key != "plans"]

    def replacing(self, reading: Reading) -> Proposal:
        """Return it with the plans ended whose weight it writes again, and all of them agreed to."""
        more = tuple(running_words(reading, split) for split in self.spared)
        expect = [one for one in _marks(reading, self.spared) if one not in self.expect]
        kept = tuple(note for note in self.notes if note not in _spared_notes(reading, self.spared))
        return self._replace(
            ended=(*self.ended, *more), plans={}, spared=(), expect=(*self.expect, *expect), notes=kept
        )

    def submission(self, actor: str, why: str) -> Submission:
        """Return what the store is handed."""
        change = self.change
        why = f"{self.said}: {why}" if self.said and why else self.said or why
        return Submission(
            self.id,
            change.split,
            change.cause,
            actor,
            why,
            self.expect,
            self.writes,
            self.read_at_ms,
            self.raises,
            tuple(change.releases),
            ends=tuple(one.split for one in self.ended),
        )

    def beginning(self, start: PlanStart) -> Proposal:
        """Return it with what is noted of a plan beside it."""
        return self._replace(
            expect=(*self.expect, *(e for e in start.expect if e not in self.expect)),
            writes=(*self.writes, *start.writes),
            notes=(*self.notes, *start.notes),
            said=start.said,
            plan=start.plan,
        )

    def leaving(self, unwatched: str) -> Proposal:
        """Return it with what nobody watches from then on, where that is anything."""
        return self._replace(unwatched=unwatched) if unwatched else self

    def result(self, written: Written | None = None) -> Result:
        """Return what is told of it: after the write, or (without one) of a dry run."""
        return Result(
            cause=self.change.cause,
            split=self.target,
            moves=self.moves,
            revision=written.revision if written else 0,
            change=written.id if written else "",
            at_ms=written.at_ms if written else 0,
            unrecorded=written.unrecorded if written else None,
            created=self.created,
            cleared={field: StopNote(text) for field, text in cleared(self.stop_moves).items()},
            stops=stop_notes(self.stop_moves),
            leases=self.change.leases,
            moved=self.effects.moved / PERCENT,
            needless=self.effects.needless / PERCENT,
            expected=self._expected(),
            dry_run=written is None,
            notes=(
                *(f"{'ends' if written else 'would end'} {one.words}" for one in self.ended),
                *self.notes,
                *(f"warning: {doubt}" for doubt in self.doubts),
                *filter(None, [self.unwatched]),
            ),
            ended={one.split: one.words for one in self.ended},
            plan=self.plan,
            unwatched=self.unwatched,
            doubts=self.doubts,
            pinned=self.pinned,
            idle=self.idle,
        )

    def _expected(self) -> dict[str, str]:
        """Return what receipts will show: of candidates alone."""
        definition = self.change.definition
        own = field_of(self.change.split, definition.baseline) if isinstance(definition, Definition) else ""
        return {f: format_weight(after) for f, (_, after) in self.effects.weights.items() if f != own}


def propose(reading: Reading, applied: Applied, id_: str, *, target: str | None = None, actor: str = "") -> Proposal:
    """Turn a change into a proposal that rests on every field the change was made from."""
    change, after, done = applied
    across = crossing_over(reading, after, change.marks)
    moved_stops = stop_moves(reading.snapshot, change)
    unread = freed(reading, change, after)
    if change.cause not in CLEARS_ALL:
        check_bystanders(change, done, unread, moved_stops)
    change = change._replace(releases={**change.releases, **dict.fromkeys(unread, id_)})
    leave = _leave(after, change)
    raised = _raised(reading.snapshot, change, done) | frozenset(map(split_of, (*across, *unread, *leave)))
    check_thawed(reading.text("meta", FREEZES), raised, reading.load.now_ms)
    change = change._replace(marks={**change.marks, **dict.fromkeys(unmarked(reading, change, done.risen))})
    guarded = tuple(split for split in sorted(raised) if _protected(split, reading.snapshot, after))
    named = {**dict.fromkeys(change.weights), **done.weights}
    plans = [*touched(reading, change)]
    ended = tuple(running_words(reading, split) for split, over in plans if over)
    spared = tuple(split for split, over in plans if not over)
    moves = {field: pair for field in named if (pair := _pair(reading, change, done, field)) is not None}
    return Proposal(
        id=id_,
        target=target or change.split,
        change=change,
        effects=done,
        expect=_unique(
            (
                *_expect(reading, change, raised=bool(done.risen)),
                *([expect_freezes(reading)] if raised else []),
                *_marks(reading, [one.split for one in ended]),
            )
        ),
        writes=(*_writes(reading, change, id_), *_lease_writes(reading, change)),
        read_at_ms=reading.load.now_ms,
        raises=bool(raised),
        moves=moves,
        stop_moves=moved_stops,
        stops={} if change.cause in {"delete", "remove"} else cleared(moved_stops),  # what they held goes with them
        ask=_ask(
            reading.snapshot,
            change,
            {**_reached(after, across), **_reached(after, done.risen)},
            done,
            guarded,
            unread,
            leave,
        ),
        guarded=guarded,
        notes=(*still_stopped(after, moved_stops), *_spared_notes(reading, spared)),
        ended=ended,
        plans={one.split: one.words for one in ended if _is_asked(one, change, after, actor)},
        spared=spared,
    )


def _unique(expect: Iterable[Expect]) -> tuple[Expect, ...]:
    return tuple(dict.fromkeys(expect))


def _marks(reading: Reading, splits: Iterable[str]) -> list[Expect]:
    """Return the marks of plans that end with a change: the history names them."""
    return [Expect("meta", PLAN + split, reading.text("meta", PLAN + split)) for split in splits]


def _spared_notes(reading: Reading, splits: Iterable[str]) -> tuple[str, ...]:
    """Return the notes on plans whose weight is written again: they go on."""
    found = ((split, running_words(reading, split)) for split in splits)
    return tuple(
        f"the weight does not change: {one.words}, continues (to end it: --replace)" for _, one in found if one.by
    )


def _is_asked(one: Ended, change: Change, after: Snapshot, actor: str) -> bool:
    """Return whether a person agrees to a plan's end first: it is paused, or somebody else's.

    Whoever goes to zero is never asked, and of a record that is deleted the name is typed anyway.
    """
    state = after.splits.get(one.split)
    if not one.by or (not one.paused and one.by == actor) or change.cause == "delete" or state is None:
        return False
    return any(state.in_force(version.name) for version in state.definition.candidates)


def _leave(after: Snapshot, change: Change) -> dict[str, Weight]:
    """Return how far a plan may raise by itself, where that is above what is in force with the change."""
    found: dict[str, Weight] = {}
    for field, weight in change.up_to.items():
        state = after.splits.get(split_of(field))
        if state is not None and rises(state.in_force(version_of(field)), weight):
            found[field] = weight
    return found


def _raised(snapshot: Snapshot, change: Change, done: Effects) -> frozenset[str]:
    """Name the splits in which a change lets anybody in who was kept out."""
    state = snapshot.splits.get(change.split)
    by_pins = {change.split} if state is not None and lets_in(state, change) else set[str]()
    return frozenset(map(split_of, done.risen)) | by_pins


def _protected(split: str, *snapshots: Snapshot) -> bool:
    split_states = (snapshot.splits.get(split) for snapshot in snapshots)
    return any(state is not None and state.definition.protected for state in split_states)


def _pair(reading: Reading, change: Change, done: Effects, field: str) -> tuple[str | None, str | None] | None:
    """Return a candidate's weight in force before and after, or None where the field names no candidate."""
    if field in done.weights:
        before, after = done.weights[field]
        return format_weight(before), format_weight(after)
    split, version = parse_address(field)
    state = reading.snapshot.splits.get(split)
    written = (
        {v.name for v in change.definition.candidates} if isinstance(change.definition, Definition) else set[str]()
    )
    if state is None or version not in {candidate.name for candidate in state.definition.candidates}:
        new = state is None or version in written
        return (None, "0") if version and new and change.weights.get(field) is not None else None
    same = format_weight(state.in_force(version))
    goes = change.definition is None or (bool(written) and version not in written)
    return same, None if goes else same


def _leased(reading: Reading, change: Change) -> list[str]:
    """Name the fields whose lease a change takes, or ends because it writes their weight."""
    state = (field for field in change.weights if reading.raw("meta", PREFIX + field) is not None)
    return sorted({*state, *change.leases})


def _lease_writes(reading: Reading, change: Change) -> Iterator[Write]:
    for field in _leased(reading, change):
        lease = change.leases.get(field)
        yield Write("meta", PREFIX + field, None if lease is None else str(lease))


def _reached(after: Snapshot, fields: Iterable[str]) -> dict[str, Weight]:
    """Return the weights in force that let somebody in."""
    found = ((field, after.splits.get(split_of(field))) for field in fields)
    return {field: state.reach(version_of(field)) for field, state in found if state is not None}


# Verbs about everything that their stop holds.
CLEARS_ALL: Final = frozenset({"unstop", "delete"})

# What a person types the name for, whatever it does to weights.
_ALWAYS: Final = {
    "delete": "this deletes the record of '{}'",
    "unfreeze": "this allows increases again where only '{}' blocked them",
    "guard off": "this removes the guard of '{}'",
}


def _ask(  # noqa: PLR0913, PLR0917 - what a question rests on
    snapshot: Snapshot,
    change: Change,
    reached: dict[str, Weight],
    done: Effects,
    guarded: tuple[str, ...],
    unread: list[str],
    leave: Mapping[str, Weight],
) -> str | None:
    if change.cause in _ALWAYS:
        stops = (f", and clears the stop {stop_words(*stop)}" for stop in cleared(stop_moves(snapshot, change)).items())
        return _ALWAYS[change.cause].format(change.split) + "".join(stops)
    written = change.definition
    if _protected(change.split, snapshot) and isinstance(written, Definition) and not written.protected:
        return f"this removes the protection of '{change.split}'"
    full = [field for field, weight in reached.items() if weight == FULL]
    if full:
        return f"this sends everybody to {', '.join(full)}"
    full = [field for field, weight in leave.items() if weight == FULL]
    if full:
        return f"this lets a plan send everybody to {', '.join(full)}"
    unknown = (f"{field} (its definition cannot be read)" for field in unread)
    by_plan = (f"{field} by a plan to {format_weight(weight)}" for field, weight in leave.items())
    rising = ", ".join([*(_rise(field, done.weights[field]) for field in done.risen), *by_plan, *unknown])
    if guarded:
        more = f"the instances that cross to {', '.join(reached)}" if reached else "the units that pins admit"
        return f"this raises {rising or more}, and {', '.join(guarded)} is protected"
    return f"this raises {rising}" if rising and change.cause in {"undo", "unstop"} else None


def _rise(field: str, pair: tuple[Weight, Weight]) -> str:
    return f"{field} {format_weight(pair[0])} -> {format_weight(pair[1])}"


def _expect(reading: Reading, change: Change, *, raised: bool) -> Iterator[Expect]:
    if change.split != EVERYTHING and FREEZES not in change.marks:
        yield from _seen(reading, "splits", [change.split])
    yield from _seen(reading, "meta", change.marks)
    if not change.weights and not change.stops and change.cause != "finish" and not raised:
        return
    yield from _seen(reading, "weights", _weights_under(reading, change))
    yield from _seen(reading, "stops", _stops_over(reading, change))
    yield from _seen(reading, "meta", [f"release:{field}" for field in change.releases])
    yield from _seen(reading, "meta", [f"{PREFIX}{field}" for field in _leased(reading, change)])


def _weights_under(reading: Reading, change: Change) -> list[str]:
    """Name the weights a change rests on: the split's own, and those of everybody where `*` is touched."""
    own = {*reading.fields("weights", change.split), *change.weights}
    state = reading.snapshot.splits.get(change.split)
    if state is not None:
        own |= {field_of(change.split, version.name) for version in state.definition.candidates}
    if EVERYTHING in change.stops:
        own |= {field for field in reading.texts("weights") if split_of(field) in reading.snapshot.splits}
    return sorted(own)


def _stops_over(reading: Reading, change: Change) -> list[str]:
    own = {EVERYTHING, change.split, *reading.fields("stops", change.split), *change.stops, *change.weights}
    return sorted(own)


def _seen(reading: Reading, key: KeyName, fields: Iterable[str]) -> Iterator[Expect]:
    return (Expect(key, field, reading.text(key, field)) for field in fields)


def _writes(reading: Reading, change: Change, id_: str) -> Iterator[Write]:
    for field, weight in change.weights.items():
        yield Write("weights", field, None if weight is None else format_weight(weight))
    for field, stop in change.stops.items():
        yield Write("stops", field, stop)
    for field, mark in change.marks.items():
        yield Write("meta", field, mark)
    if change.definition is not SAME:
        yield Write("splits", change.split, _definition_text(reading, change.split, change.definition, id_))


def _definition_text(reading: Reading, split: str, definition: Definition | None, id_: str) -> str:
    from graysplit.codec import dump_definition, tombstone

    if definition is None:
        state = reading.snapshot.splits.get(split)
        return tombstone(id_, state and state.definition.baseline)
    dumped = dump_definition(definition)
    if len(dumped.encode()) > MAX_DEFINITION:
        raise RefusedError(
            f"the record of '{split}' would be larger than {MAX_DEFINITION} bytes, and no process would accept it. "
            f"Remove pins first: graysplit unpin {split} UNIT"
        )
    return dumped
