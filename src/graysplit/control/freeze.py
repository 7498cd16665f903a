"""Freezes and finished releases: the changes that make and end them, and what they forbid or mark."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from graysplit.control.leases import span_words
from graysplit.control.reading import Reading
from graysplit.core.address import EVERYTHING, field_of, split_of
from graysplit.core.changes import known
from graysplit.core.entry import Entry
from graysplit.core.fleet import Fleet, Process
from graysplit.core.freeze import FREEZES, THAWED, Freeze, check_pattern, frozen
from graysplit.core.split_state import Change, Snapshot, SplitState
from graysplit.core.weights import FULL, Weight, format_weight, parse_weight, rises, share, total
from graysplit.errors import BadWeightError, RefusedError
from graysplit.stores import write_rules
from graysplit.stores.port import Expect
from graysplit.stores.text.freezes import read_freezes, write_freezes
from graysplit.stores.write_rules import OUTSIDE

FINISHED: Final = "finished:"  # in `meta`, before a split's name: '<change id> <ms>'
_SAID_AT_MOST: Final = 5
_REMEMBERED_MS: Final = 60_000

# --- freezes ---------------------------------------------------------------------------------------------------------


def freezes_in_effect(reading: Reading) -> tuple[Freeze, ...]:
    """Return the freezes that are not over yet, in the order of their patterns."""
    freezes = read_freezes(reading.text("meta", FREEZES))
    return tuple(sorted(freeze for freeze in freezes if freeze.stands(reading.load.now_ms)))


def freeze(reading: Reading, new: Freeze) -> tuple[Change, tuple[str, ...]]:
    """Return the change by which a freeze stands, beside the others, and what to say of it."""
    check_pattern(new.pattern)
    change = Change("freeze", new.pattern, marks={FREEZES: write_freezes([*_others(reading, new.pattern), new])})
    span = f"for {span_words(new.until_ms - new.at_ms)}, until {_when(new.until_ms)}"
    until = span if new.until_ms else f"until you end it: {unfreeze_command(new.pattern)}"
    return change, (f"no matching weight can rise {until}", _held(new, reading.snapshot))


def unfreeze(reading: Reading, pattern: str) -> Change:
    """Return the change that ends a freeze."""
    state = freezes_in_effect(reading)
    if pattern not in {freeze.pattern for freeze in state}:
        patterns = ", ".join(f"'{freeze.pattern}'" for freeze in state) or "none"
        raise RefusedError(f"no freeze '{pattern}' (freezes: {patterns}). See them with: graysplit list")
    marks = {FREEZES: write_freezes(_others(reading, pattern)), THAWED: str(reading.load.now_ms)}
    return Change("unfreeze", pattern, marks=marks)


def _others(reading: Reading, pattern: str) -> list[Freeze]:
    """Return the freezes beside a pattern's; one that is over stays a while, for plans that ask when it ended."""
    lately = reading.load.now_ms - _REMEMBERED_MS
    freezes = read_freezes(reading.text("meta", FREEZES))
    return [other for other in freezes if other.pattern != pattern and other.stands(lately)]


def check_thawed(freezes: str | None, splits: Iterable[str], now_ms: int) -> None:
    """Raise `RefusedError` where one of the splits may not rise by what the field says."""
    found = read_freezes(freezes)
    for split in sorted(splits):
        holding = frozen(found, split, now_ms)
        if holding is not None:
            raise RefusedError(
                f"'{split}' may not rise: {freeze_words(holding)}. Nothing was written; lowering is always allowed. "
                f"End the freeze with: {unfreeze_command(holding.pattern)}"
            )


def expect_freezes(reading: Reading) -> Expect:
    """Return what a raise rests on: the freezes as they were read, so that one that comes in between is a conflict."""
    return Expect("meta", FREEZES, reading.text("meta", FREEZES))


def freeze_words(freeze: Freeze) -> str:
    """Return it in one line: pattern, owner, since, until, reason."""
    parts = [
        f"'{freeze.pattern}' is frozen{f' by {freeze.who}' if freeze.who else ''}",
        f"since {_when(freeze.at_ms)}" if freeze.at_ms else "",
        f"until {_when(freeze.until_ms)}" if freeze.until_ms else "without an end",
    ]
    return f"{', '.join(filter(None, parts))}{f' ({freeze.why})' if freeze.why else ''}"


def unfreeze_command(pattern: str) -> str:
    """Return the command that ends a freeze, as a shell takes it."""
    if pattern == EVERYTHING:
        return "graysplit unfreeze --all"
    quoted = f"'{pattern}'" if {"*", "?"} & {*pattern} else pattern
    return f"graysplit unfreeze {quoted}"


def _held(new: Freeze, snapshot: Snapshot) -> str:
    """Name the splits that it holds: a mistyped pattern holds none."""
    held = sorted(split for split in snapshot.splits if new.holds(split))
    more = f" and {len(held) - _SAID_AT_MOST} more" if len(held) > _SAID_AT_MOST else ""
    named = ", ".join(held[:_SAID_AT_MOST]) + more
    return f"blocks {named}" if held else "matches no split yet; see all splits with: graysplit list"


def _when(ms: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(ms / 1000))
    except (OverflowError, ValueError, OSError):  # a field may hold any number
        return "the end of time"


def with_freezes(split: str, entries: Iterable[Entry], log: Iterable[Entry], count: int) -> tuple[Entry, ...]:
    """Return a split's newest entries with those of the freezes that hold it, newest first; `log` has all splits'."""
    own = list(entries)
    known = {entry.id for entry in own}
    last = own[-1] if len(own) >= count else None
    for entry in log:
        holds = entry.cause in {"freeze", "unfreeze"} and Freeze(entry.split).holds(split)
        if not holds or entry.id in known or (last is not None and _older(entry, last)):
            continue
        place = next((number for number, one in enumerate(own) if _older(one, entry)), len(own))
        own.insert(place, entry)
    return tuple(own[:count])


def _older(one: Entry, other: Entry) -> bool:
    return (one.at_ms, one.revision) < (other.at_ms, other.revision)


# --- raises past it, seen afterwards ---------------------------------------------------------------------------------


def during_freeze(entries: Iterable[Entry], log: Callable[[], Iterable[Entry]], now: str | None) -> Iterator[Entry]:
    """Return entries, those of raises from outside that came during a freeze with that as their reason.

    A freeze cannot keep anybody from a raw edit; the history says so. `log` gives the newest entries of all splits, of
    which those that changed the freezes tell what stood before; `now` is what stands since.
    """
    listed = list(entries)
    if not any(_raised(entry) for entry in listed):
        return iter(listed)
    told = {entry.id: holding for entry, holding in _at_their_time(log(), now)}
    return (entry._replace(why=_during(told[entry.id])) if entry.id in told else entry for entry in listed)


def _at_their_time(log: Iterable[Entry], text: str | None) -> Iterator[tuple[Entry, Freeze]]:
    """Walk back from what stands now, and return the raises from outside with the freeze that stood then."""
    at = f"meta {FREEZES}"
    for entry in log:  # newest first
        if at in entry.after:
            text = entry.before.get(at)
        elif _raised(entry):
            splits = {split_of(where.partition(" ")[2]) for where in entry.after} or {entry.split}
            holding = (frozen(read_freezes(text), split, entry.at_ms) for split in sorted(splits))
            first = next(filter(None, holding), None)
            if first is not None:
                yield entry, first


def _raised(entry: Entry) -> bool:
    """Return whether an edit from outside let somebody in: a weight that rose, a stop that went."""
    return entry.cause == OUTSIDE and any(_rose(entry, where) for where in entry.after)


def _rose(entry: Entry, where: str) -> bool:
    before, after = entry.before.get(where), entry.after[where]
    if where.startswith("stops "):
        return after is None
    try:
        return rises(parse_weight(before or "0"), parse_weight(after or "0"))
    except BadWeightError:
        return False


def _during(holding: Freeze) -> str:
    return f"during freeze: {freeze_words(holding)}"


# --- finished releases -----------------------------------------------------------------------------------------------


def finish(reading: Reading, split: str, id_: str, at: int | None = None) -> Change:
    """Return the change that marks a release as over; its weights stay.

    Refused below 100 % unless `at` is the share of all candidates together, in thousandths of a percent.
    """
    state = known(reading.snapshot, split)
    if state.stops:
        stop = min(state.stops)
        raise RefusedError(
            f"the stop '{stop}' applies to '{split}': a stopped release cannot be finished. "
            f"Start again with: graysplit set {split} 5 --unstop; or clear it: graysplit unstop '{stop}'"
        )
    if all(share(weight) == 0 for weight in _in_force(state).values()):
        raise RefusedError(
            f"nothing to finish: every candidate of '{split}' is at zero. "
            f"Delete its record with: graysplit delete {split}"
        )
    _check_unleased(reading, state)
    since = finished_ms(reading, split)
    if since is not None:
        raise RefusedError(f"'{split}' was finished at {_when(since)}. See it with: graysplit show {split}")
    _check_whole(split, total(_in_force(state).values()), at)
    return Change("finish", split, marks={FINISHED + split: f"{id_} {reading.load.now_ms}"})


def finished_ms(reading: Reading, split: str) -> int | None:
    """Return the server time at which a split's release was finished, or None: not finished, or begun again since."""
    # Most splits have no mark, and then nobody needs the books.
    return None if reading.raw("meta", FINISHED + split) is None else finished_of(reading).get(split)


def finished_of(reading: Reading) -> Mapping[str, int]:
    """Return the server times at which releases were finished, by split, of those that have not begun again since."""
    reading.check_all()
    load = reading.load
    return write_rules.finished_of(load.meta, load.weights, load.stops, load.booked.fields)


def unmarked(reading: Reading, change: Change, risen: Iterable[str]) -> Iterator[str]:
    """Name the marks of `meta` that end with a change: a finished release is none once its weights are written."""
    splits = {split_of(field) for field in (*change.weights, *change.stops, *risen)}
    splits |= {change.split} if change.definition is None else set()
    for split in sorted(splits):
        mark = FINISHED + split
        if mark not in change.marks and reading.raw("meta", mark) is not None:
            yield mark


def declaring(fleet: Fleet, split: str, baseline: str = "") -> tuple[str, ...]:
    """Name the processes whose code declares a split; a silent one may come back.

    With `baseline` those alone whose code has it too: others answer with their own, whatever the record says.
    """

    def asks(process: Process) -> bool:
        declaration = process.declared.get(split)
        return declaration is not None and (not baseline or declaration.baseline in {"", baseline})

    live = tuple(process.label for process in fleet.live if asks(process))
    return live + tuple(f"{process.label} (silent)" for process in fleet.silent if asks(process))


def check_undeclared(split: str, weights: Mapping[str, object], labels: tuple[str, ...]) -> None:
    """Raise `RefusedError` where code still asks for a split that stands above zero."""
    if labels and any(weight != 0 for weight in weights.values()):
        more = f" and {len(labels) - _SAID_AT_MOST} more" if len(labels) > _SAID_AT_MOST else ""
        raise RefusedError(
            f"'{split}' is finished, but code still declares it: {', '.join(labels[:_SAID_AT_MOST])}{more}. Without "
            "its record they would all go back to the baseline. Remove the route from the code first, then: "
            f"graysplit delete {split}"
        )


def _check_whole(split: str, found: int, at: int | None) -> None:
    if at is not None and at != found:
        raise RefusedError(
            f"'{split}' is at {format_weight(found)} %, not at {format_weight(at)} %. Nothing was written. "
            f"See it with: graysplit show {split}"
        )
    if at is None and found < FULL:
        raise RefusedError(
            f"'{split}' is at {format_weight(found)} %, below 100 %, and rollback --all leaves a finished release "
            f"alone. Nothing was written. To finish it at this weight: graysplit finish {split} "
            f"--at {format_weight(found)}"
        )


def _check_unleased(reading: Reading, state: SplitState) -> None:
    for version, weight in _in_force(state).items():
        field = field_of(state.split, version)
        lease = reading.held.leases.get(field)
        if lease is not None and lease.at == weight:
            raise RefusedError(
                f"{field} is at {format_weight(weight)} only for a time (a lease). "
                f"Make it permanent with: graysplit set {field} {format_weight(weight)}"
            )


def _in_force(state: SplitState) -> Mapping[str, Weight]:
    return {version.name: state.in_force(version.name) for version in state.definition.candidates}
