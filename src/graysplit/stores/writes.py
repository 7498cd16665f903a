"""What each write verb writes, as a pure function of what was read: fields of the store, and the history's entry.

Memory applies the writes under its lock, the path without scripts in `WATCH` and `MULTI`. The Lua scripts write the
same in Redis; the contract of every store holds them to it. Whether a write may happen is for `write_rules` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from graysplit.core.address import split_of, stops_over
from graysplit.core.entry import Entry
from graysplit.core.lease import PREFIX as LEASE
from graysplit.core.replica.record import SENTINEL, Key
from graysplit.stores import write_rules
from graysplit.stores.port import Rollback, Submission, Trip, Written
from graysplit.stores.text.records import BRAKE, PLAN, TICK, changed, exact, raw_of, stop_text

BOOKED = "booked"


class Put(NamedTuple):
    """A field of a key of the namespace: the text that it gets, or None to take it away."""

    key: str  # weights, stops, splits, meta, plans, booked
    field: str
    value: str | None


class StoreReading(NamedTuple):
    """What a write rests on, all of one moment."""

    hashes: Mapping[str, Key]  # weights, stops, splits, meta, plans: those that the verb asks for
    booked: Mapping[bytes, bytes]
    highest: int  # the highest revision that processes have told of
    last: int  # the revision of the log's last entry
    now_ms: int  # server time

    @property
    def meta(self) -> Key:
        """The key that counts."""
        return self.hashes["meta"]

    def next_revision(self, above: int = 0, writes: Mapping[str, str | None] = {}) -> int:
        """Return the next revision, counted on from what is written to `meta`; 0 where there is nothing to count on."""
        written = {raw_of(field): raw_of(value) for field, value in writes.items() if value is not None}
        meta = self.meta._replace(fields={**self.meta.fields, **written})
        if not meta.fields.get(b"revision", b"0").isdigit():
            return 0
        return write_rules.next_revision(meta, self.highest, self.last, above)


class StoreWrites(NamedTuple):
    """What one act writes: all of it, or nothing."""

    puts: tuple[Put, ...]
    entry: Entry
    step: int  # by how much the revision grows

    @property
    def written(self) -> Written:
        """The answer to whoever asked for it."""
        entry = self.entry
        return Written(entry.id, entry.revision, entry.at_ms, entry.before, entry.after)


class RollbackWrites(NamedTuple):
    """What a rollback writes, in the order of what matters: where the rest is refused, what lowers has been written."""

    lowering: tuple[Put, ...]  # weights and stops; a stop that is set already keeps its text
    books: tuple[Put, ...]  # the same in the books, but for stops that were set already
    marks: tuple[Put, ...]  # leases, plans and finished releases that end with it
    entry: Entry | None  # None where there was nothing to lower
    step: int  # by how much the revision grows; 0 where there is no number to give
    written: Written


# --- an ordinary change ----------------------------------------------------------------------------------------------


def submission_writes(reading: StoreReading, submission: Submission, *, fresh: bool) -> StoreWrites:
    """Return what a checked submission writes; `fresh`: the namespace is new, and its keys are made with it."""
    before, after = changed(submission)
    own = {write.field: write.value for write in submission.writes if write.key == "meta"}
    revision = reading.next_revision(submission.above, own)
    said = own.get("revision")
    step = revision - (write_rules.revision_of(reading.meta) if said is None else int(said) if said.isdigit() else 0)
    puts = [
        *(_seed(submission.id) if fresh else ()),
        *(Put(name, exact(SENTINEL), "1") for name in submission.mends if not fresh),
        *_ended_plans(submission.ends),
        *(put for write in submission.writes for put in _booked(write.key, write.field, write.value)),
        *(_begun(field, submission.id, reading.now_ms) for field in submission.begins),
    ]
    entry = Entry(
        submission.id,
        revision,
        submission.split,
        submission.cause,
        submission.actor,
        submission.why,
        reading.now_ms,
        before,
        after,
    )
    return StoreWrites(tuple(puts), entry, step)


def _seed(change: str) -> Iterator[Put]:
    yield from (Put(name, exact(SENTINEL), "1") for name in (*write_rules.HASHES, BOOKED))
    yield from (Put("meta", "schema", "1"), Put("meta", "lineage", change))


def _booked(key: str, field: str, value: str | None) -> Iterator[Put]:
    """Return the write of a field, and of a weight or stop the same in the books."""
    yield Put(key, field, value)
    if key in {"weights", "stops"}:
        yield Put(BOOKED, f"{key} {field}", value)


def _begun(field: str, change: str, now_ms: int) -> Put:
    return Put("meta", f"release:{field}", f"{change} {now_ms}")


def _ended_plans(splits: Iterable[str]) -> Iterator[Put]:
    """Return the writes that take plans away: progress, tick, and the mark in `meta`."""
    for split in splits:
        yield from (Put("plans", split, None), Put("plans", TICK + split, None), Put("meta", PLAN + split, None))


def _ended_lease(where: str) -> Iterator[Put]:
    """Return the write that ends the lease on a weight, where a change is one of a weight."""
    key, _, field = where.partition(" ")
    if key == "weights":
        yield Put("meta", LEASE + field, None)


# --- what lowers -----------------------------------------------------------------------------------------------------


def rollback_writes(reading: StoreReading, rollback: Rollback) -> RollbackWrites:
    """Return what a rollback writes: each weight to zero, a stop beside it, and what ends with that."""
    weights, stops, meta = (reading.hashes[name] for name in ("weights", "stops", "meta"))
    finished = write_rules.finished_of(meta, weights, stops, reading.booked)
    lowering = write_rules.lowering(rollback.target, weights, finished)
    after: dict[str, str | None] = {f"weights {field}": "0" for field in lowering.fields}
    for stop, release in write_rules.ended_releases(meta, lowering).items():
        text = stop_text(
            why=rollback.why, who=rollback.actor, at_ms=reading.now_ms, change=rollback.id, release=release
        )
        after[f"stops {stop}"] = write_rules.first_reason(_text(stops, stop), text)
    before = _before(reading, after)
    ends = {split for stop in lowering.stops for split in write_rules.ended_by(meta, stop)}
    over = write_rules.plans_over(meta, ends)
    lost = (
        meta.lost
        if meta.lost is not None
        else None
        if reading.next_revision()
        else "holding a revision that is not a number"
    )
    unrecorded = None if lost is None or not after else f"the key 'meta' is {lost}: no revision"
    revision = write_rules.revision_of(meta) if not after else 0 if lost is not None else reading.next_revision()
    written = Written(
        rollback.id,
        revision,
        reading.now_ms,
        {**before, **over},
        {**after, **dict.fromkeys(over)},
        unrecorded,
        lowering.left,
        lowering.kept,
    )
    fresh = {where: value for where, value in after.items() if where.startswith("weights ") or before[where] != value}
    return RollbackWrites(
        tuple(Put(*_place(where), value) for where, value in after.items()),
        tuple(Put(BOOKED, where, value) for where, value in fresh.items()),
        (
            *(put for where in after for put in _ended_lease(where)),
            *_ended_plans(sorted(ends)),
            *(Put("meta", f"finished:{split_of(stop)}", None) for stop in lowering.stops),
        ),
        _entry(rollback, split_of(rollback.target), written) if after else None,
        0 if lost is not None else revision - write_rules.revision_of(meta),
        written,
    )


def trip_writes(reading: StoreReading, trip: Trip) -> StoreWrites:
    """Return what a guard's rollback writes that may be written: the stop, the zero, and what ends with them."""
    meta, field = reading.meta, trip.field
    text = stop_text(why=trip.why, who=trip.actor, at_ms=reading.now_ms, change=trip.id, release=trip.release)
    after: dict[str, str | None] = {f"stops {field}": text, f"weights {field}": "0"}
    before = _before(reading, after)
    ends = write_rules.ended_by(meta, field)
    over = write_rules.plans_over(meta, ends)
    revision = 0 if meta.lost is not None else reading.next_revision()
    puts = [
        *(put for where, value in after.items() for put in _booked(*_place(where), value)),
        Put("meta", LEASE + field, None),
        *_ended_plans(ends),
        Put("meta", f"finished:{split_of(field)}", None),
    ]
    written = Written(trip.id, revision, reading.now_ms, {**before, **over}, {**after, **dict.fromkeys(over)})
    step = revision - write_rules.revision_of(meta) if revision else 0
    return StoreWrites(tuple(puts), _entry(trip, split_of(field), written), step)


def stop_writes(reading: StoreReading, field: str, why: str, change: str) -> Put:
    """Return the stop that a process adds which knows of a zero that the store has lost."""
    release = write_rules.releases_of(reading.meta, field, [field])
    return Put("stops", field, stop_text(why=why, who=BRAKE, at_ms=reading.now_ms, change=change, release=release))


def _entry(act: Rollback | Trip, split: str, written: Written) -> Entry:
    return Entry(
        act.id, written.revision, split, act.cause, act.actor, act.why, written.at_ms, written.before, written.after
    )


def _before(reading: StoreReading, places: Iterable[str]) -> dict[str, str | None]:
    """Return what is in the places that a change writes: `weights checkout/new`."""
    named = ((where, *_place(where)) for where in places)
    return {where: _text(reading.hashes[key], field) for where, key, field in named}


def _place(where: str) -> tuple[str, str]:
    key, _, field = where.partition(" ")
    return key, field


def _text(key: Key, field: str) -> str | None:
    raw = key.fields.get(raw_of(field))
    return None if raw is None else exact(raw)


# --- raw edits -------------------------------------------------------------------------------------------------------


def raw_edit_writes(
    reading: StoreReading, edits: Sequence[write_rules.Edit], actor: str, new_id: Callable[[], str]
) -> list[StoreWrites]:
    """Return what enters raw edits into the history, one act each, numbered on; a plan ends with the first of them."""
    weights, stops, meta = (reading.hashes[name] for name in ("weights", "stops", "meta"))
    started: dict[str, list[str]] = {}
    for field in write_rules.begun(weights, stops, reading.booked) if edits else ():
        for over in stops_over(field)[1:]:
            started.setdefault(over, []).append(field)
    first = reading.next_revision()
    known = write_rules.revision_of(meta)
    acts: list[StoreWrites] = []
    ended: set[str] = set()
    for number, edit in enumerate(edits):
        change = edit.signed.change if edit.signed else new_id()
        ends = {split for where in edit.after for split in write_rules.ended_by(meta, _place(where)[1])} - ended
        ended |= ends
        plans = write_rules.plans_over(meta, ends)
        begun = started.get(edit.split, ()) if edit.signed is None else ()
        revision = first + number if first else 0
        entry = Entry(
            change,
            revision,
            edit.split,
            edit.cause,
            edit.actor(actor),
            edit.why,
            reading.now_ms,
            {**edit.before, **plans},
            {**edit.after, **dict.fromkeys(plans)},
        )
        acts.append(StoreWrites(_edit_puts(edit, ends, begun, change, reading.now_ms), entry, max(0, revision - known)))
        known = max(known, revision)
    return acts


def _edit_puts(
    edit: write_rules.Edit, ends: Collection[str], begun: Iterable[str], change: str, now_ms: int
) -> tuple[Put, ...]:
    return (
        *(Put(*_place(where), "0") for where in edit.zeros),
        *(Put(BOOKED, where, value) for where, value in edit.after.items()),
        *(put for where in edit.after for put in _ended_lease(where)),  # an edit from outside ends a lease
        *_ended_plans(sorted(ends)),
        *(_begun(field, change, now_ms) for field in begun),
    )


def copied_books(weights: Key, stops: Key) -> Iterator[Put]:
    """Return the books where they were lost: what is in the store is taken as known."""
    for name, key in (("weights", weights), ("stops", stops)):
        fields = (raw for raw in key.fields if raw != SENTINEL)
        yield from (Put(BOOKED, f"{name} {exact(raw)}", exact(key.fields[raw])) for raw in fields)
    yield Put(BOOKED, exact(SENTINEL), "1")
