"""What operators look at: weights as asked, effective and actual, with the reason for a difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final, NamedTuple

from graysplit.control.freeze import finished_of, freezes_in_effect
from graysplit.control.guard.verdicts import Armed, Heard, armed
from graysplit.control.plan.awaited import Awaited, awaited
from graysplit.control.reading import Reading
from graysplit.control.recovery.loss import Loss, loss_of
from graysplit.control.undelivered import HookState
from graysplit.control.waves import Crossing, crossings
from graysplit.core.address import field_of
from graysplit.core.definition import Definition
from graysplit.core.entry import Entry
from graysplit.core.fleet import Fleet, Process
from graysplit.core.freeze import Freeze
from graysplit.core.lease import Lease
from graysplit.core.limits import NAME_AT_MOST
from graysplit.core.limits import shown as short
from graysplit.core.replica.adoption import text
from graysplit.core.replica.record import SENTINEL
from graysplit.core.split_state import SplitState
from graysplit.core.weights import format_weight
from graysplit.stores.text.records import TICK

UNKNOWN: Final = "unknown"  # a weight of which the store has lost what it said, and on which nobody agrees


class Row(NamedTuple):
    """One candidate: three weights that should be one."""

    split: str
    version: str
    asked: str  # what the store says, its text where that is not a weight, or `UNKNOWN`
    effective: str  # after stops and refusals
    actual: str  # "3/4 processes", or "-" where nobody says
    why: str  # the reason for a difference
    lease: Lease | None = None  # where the weight in force is for a time
    crossing: Crossing | None = None  # where instances cross over: how far they have
    behind: tuple[str, ...] = ()  # live processes that show another weight, or none yet: "web-7/812 (version_absent)"

    @property
    def field(self) -> str:
        """Return the candidate's address."""
        return field_of(self.split, self.version)


class Overview(NamedTuple):
    """A whole namespace on one screen."""

    store: str
    namespace: str
    revision: int
    rows: tuple[Row, ...]
    unread: Mapping[str, str]
    stops: Mapping[str, str]
    undefined: tuple[str, ...]  # splits that live code declares and the store does not know
    live: int
    silent: int
    last: Entry | None
    now_ms: int
    lost: Mapping[str, str]
    freezes: tuple[Freeze, ...] = ()
    finished: Mapping[str, int] = {}  # by split above zero whose release is over: the server time at which it was
    plans: tuple[Awaited, ...] = ()  # those that run
    guards: tuple[Armed, ...] = ()
    verdicts: Mapping[str, Heard] = {}  # by field: of the candidates above zero that a guard watches
    loss: Loss | None = None  # where the fleet knows more than the store
    owed: tuple[HookState, ...] | None = ()  # hooks with rollbacks or trips not delivered; None: may not be read


class SplitView(NamedTuple):
    """One split in full."""

    split: str
    definition: Definition | None  # None: it cannot be read
    unread: str | None
    rows: tuple[Row, ...]
    raw: Mapping[str, str]  # "weights checkout/new" to what the store says
    refused: Mapping[str, str]  # the same, to why it is not taken
    stops: Mapping[str, str]
    releases: Mapping[str, str]
    live: int
    revision: int
    last: Entry | None
    now_ms: int
    freezes: tuple[Freeze, ...] = ()  # those that hold it
    finished_ms: int | None = None  # server time at which its release was finished
    crossings: tuple[Crossing, ...] = ()  # where instances cross over: how far they have, by candidate
    plan: Awaited | None = None  # where one runs
    guard: Armed | None = None
    verdicts: Mapping[str, Heard] = {}  # by field: of its candidates above zero, where a guard watches them
    loss: Loss | None = None  # where the fleet knows more than the store


def overview(  # noqa: PLR0913, PLR0917 - what the screen is made of
    store: str,
    namespace: str,
    reading: Reading,
    fleet: Fleet,
    last: Entry | None,
    said: Mapping[str, Heard] = {},
) -> Overview:
    """Lay out all splits, with what guards say of their candidates."""
    splits = reading.snapshot.splits
    by_split = {name: tuple(rows_of(reading, fleet, splits[name])) for name in sorted(splits)}
    declared = {name for process in fleet.live for name in process.declared}
    return Overview(
        store,
        namespace,
        reading.snapshot.revision,
        tuple(chain.from_iterable(by_split.values())),
        reading.unread,
        reading.snapshot.stops,
        tuple(sorted(declared - splits.keys() - reading.unread.keys())),
        len(fleet.live),
        len(fleet.silent),
        last,
        reading.load.now_ms,
        {} if reading.empty else reading.held.lost,
        freezes_in_effect(reading),
        finished(reading),
        tuple(filter(None, (awaited(reading, fleet, name, in_force(rows), said) for name, rows in by_split.items()))),
        tuple(filter(None, (armed(name, splits[name].definition) for name in sorted(splits)))),
        said,
        loss_of(reading, fleet),
    )


def split_view(
    reading: Reading, fleet: Fleet, split: str, last: Entry | None, said: Mapping[str, Heard] = {}
) -> SplitView:
    """Lay out one split, with what its guard says."""
    state = reading.snapshot.splits.get(split)
    rows = tuple(rows_of(reading, fleet, state)) if state else ()
    refused = {f"{key} {field}": why for (key, field), why in reading.held.refused.items()}
    raw = {
        f"{key} {field}": reading.shown(key, field) or ""
        for key in ("weights", "stops")
        for field in reading.fields(key, split)
    }
    return SplitView(
        split=split,
        definition=state.definition if state else None,
        unread=reading.unread.get(split),
        rows=rows,
        raw=raw,
        refused={at: why for at, why in refused.items() if at in raw},
        stops=state.stops if state else {},
        releases={f: reading.snapshot.releases[f] for f in reading.snapshot.releases if f.startswith(f"{split}/")},
        live=len(fleet.live),
        revision=reading.snapshot.revision,
        last=last,
        now_ms=reading.load.now_ms,
        freezes=tuple(freeze for freeze in freezes_in_effect(reading) if freeze.holds(split)),
        finished_ms=finished(reading).get(split),
        crossings=crossings(reading.snapshot, fleet, split),
        plan=awaited(reading, fleet, split, in_force(rows), said),
        guard=armed(split, state.definition) if state else None,
        verdicts=said,
        loss=loss_of(reading, fleet),
    )


def in_force(rows: Iterable[Row]) -> Mapping[str, str]:
    """Return the weights in force of one split's candidates, from its rows."""
    return {row.version: row.effective for row in rows}


def finished(reading: Reading) -> Mapping[str, int]:
    """Return the splits above zero whose release is over, each with the server time at which it was finished."""
    return {split: ms for split, ms in sorted(finished_of(reading).items()) if _above_zero(reading, split)}


def _above_zero(reading: Reading, split: str) -> bool:
    state = reading.snapshot.splits.get(split)
    if state is None:
        return False
    return any(state.in_force(version.name) != 0 for version in state.definition.candidates)


def rows_of(reading: Reading, fleet: Fleet, state: SplitState) -> Iterable[Row]:
    """Return a row for each candidate of a split."""
    crossed = {crossing.version: crossing for crossing in crossings(reading.snapshot, fleet, state.split)}
    for version in state.definition.candidates:
        field = field_of(state.split, version.name)
        effective = _effective(reading, fleet.live, state, version.name)
        actual, reasons, behind = _actual(fleet.live, field, effective, reading.snapshot.revision)
        yield Row(
            state.split,
            version.name,
            _asked(reading, field),
            effective,
            actual,
            "; ".join(filter(None, (_difference(reading, state, version.name), reasons))),
            _lease(reading, state, version.name),
            crossed.get(version.name),
            behind,
        )


def _effective(reading: Reading, live: Iterable[Process], state: SplitState, version: str) -> str:
    """Return the weight in force: as the store says, or where it gives no good answer, as all live processes do."""
    field = field_of(state.split, version)
    if ("weights", field) in reading.held.refused or reading.held.lost or state.overfull():
        said = {process.receipt.effects[field].weight for process in live if field in process.receipt.effects}
        if len(said) == 1:
            return said.pop()
    if "weights" in reading.held.lost and state.stop_on(version) is None:
        return UNKNOWN  # the store says nothing of it, and processes keep what they had
    return format_weight(state.in_force(version))


def export(namespace: str, reading: Reading) -> Mapping[str, object]:
    """Return what the store holds as plain values; a definition as JSON where it can be read, as its text where not.

    Beside the four hashes how far plans are (`plans`), which older libraries pass over.
    """
    import json

    keys = {name: reading.key(name).fields for name in ("weights", "stops", "splits", "meta")}
    shown = {
        name: {text(field): text(raw) for field, raw in sorted(fields.items()) if field != SENTINEL}
        for name, fields in keys.items()
    }
    judged = "splits" not in reading.held.lost
    splits = {
        name: json.loads(value) if judged and short(name, NAME_AT_MOST) not in reading.unread else value
        for name, value in shown["splits"].items()
    }
    plans = {text(field): text(raw) for field, raw in sorted(reading.load.plans.fields.items()) if _is_progress(field)}
    return {"namespace": namespace, "revision": reading.snapshot.revision, **shown, "splits": splits, "plans": plans}


def _is_progress(field: bytes) -> bool:
    """Return whether a field of `plans` says how far a plan is: a driver's tick is of no use elsewhere."""
    return field != SENTINEL and not field.startswith(TICK.encode())


def _asked(reading: Reading, field: str) -> str:
    raw = reading.shown("weights", field)
    weight = reading.held.weights.get(field)
    if raw is None:
        return UNKNOWN if "weights" in reading.held.lost else "0"
    return raw if weight is None else format_weight(weight)


def _difference(reading: Reading, state: SplitState, version: str) -> str:
    """Return why the weight in force is not the one asked for, or nothing."""
    field = field_of(state.split, version)
    if ("weights", field) in reading.held.refused:
        return "refused; last good value stays in force"
    if reading.held.lost:
        return f"lost: {', '.join(sorted(reading.held.lost))}; the last content stays in force"
    stop = state.stop_on(version)
    if stop is not None:
        return f"stopped by {stop}"
    mistyped = reading.mistyped(state.split, state.definition).fields
    if mistyped or state.overfull():
        zero = f"zero by the field {', '.join(sorted(mistyped))}"
        return zero if mistyped else "over 100 % together: raises are ignored"
    lease = _lease(reading, state, version)
    if lease is not None:
        left_s = max(0, lease.until_ms - reading.load.now_ms) // 1000
        return f"for {left_s // 60} min {left_s % 60} s more, then {format_weight(lease.then)}"
    return ""


def _lease(reading: Reading, state: SplitState, version: str) -> Lease | None:
    """Return the lease by which a candidate's weight stands, if it does."""
    lease = reading.held.leases.get(field_of(state.split, version))
    return lease if lease is not None and lease.at == state.in_force(version) else None


def _actual(live: Iterable[Process], field: str, effective: str, revision: int) -> tuple[str, str, tuple[str, ...]]:
    """Count the live processes that do it, among those that say; collect why others do not, and name them."""
    says = shows = 0
    behind: dict[str, str] = {}
    reasons: set[str] = set()
    for process in live:
        effect = process.receipt.effects.get(field)
        # A receipt names what changed lately; who stands at this revision does what it says.
        if effect is None and process.receipt.revision < revision:
            behind[process.label] = f"at revision {process.receipt.revision} of {revision}"
            continue
        says += 1
        if effect is None or effect.weight == effective:
            shows += 1
        else:
            held = f"weights {field}" in process.receipt.held
            why = effect.why or f"{effect.weight} {'held: graysplit recover' if held else 'elsewhere'}"
            reasons.add(why)
            behind[process.label] = why
    named = tuple(f"{label} ({why})" for label, why in behind.items())
    return (f"{shows}/{says}" if says else "-"), ", ".join(sorted(reasons)), named
