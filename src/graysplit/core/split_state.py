"""All splits at one moment, and what a change makes of them.

A snapshot holds what the store says once it has been read; a change is a value and `apply` is a function, so that
an effect can be shown before it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from enum import Enum
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

from graysplit.core.address import EVERYTHING, field_of, split_of, stop_on, version_of
from graysplit.core.allocation import Claim, Run, allocate
from graysplit.core.definition import Definition
from graysplit.core.lease import Lease
from graysplit.core.waves import Wave, crossed, members
from graysplit.core.weights import FULL, Weight, rises, share, total


class _Same(Enum):
    SAME = "same"


SAME: Final = _Same.SAME
Same: TypeAlias = Literal[_Same.SAME]

V = TypeVar("V")


class SplitState(NamedTuple):
    """Where one split stands: its definition, the weights asked for, and the stops upon it."""

    split: str
    definition: Definition
    weights: Mapping[str, Weight] = {}  # by candidate; missing is 0
    stops: Mapping[str, str] = {}  # the fields that touch this split, with their text for people
    waves: Mapping[str, Wave] = {}  # by candidate: the instances that have crossed, where they do and not units

    def asked(self, version: str) -> Weight:
        """Return the weight the store says, whatever stops stand beside it."""
        return self.weights.get(version, 0)

    def stop_on(self, version: str) -> str | None:
        """Return the field of the stop that holds a candidate at zero, the narrowest first, or None."""
        return stop_on(field_of(self.split, version), self.stops)

    def in_force(self, version: str) -> Weight:
        """Return the weight in force: 0 if field, split or `*` is stopped, else the weight asked for."""
        return 0 if self.stop_on(version) is not None else self.asked(version)

    def reach(self, version: str) -> Weight:
        """Return a version's share, by its name: the baseline has what the candidates leave, an unknown one nothing."""
        names = [candidate.name for candidate in self.definition.candidates]
        if version in names:
            return self.in_force(version)
        return max(0, FULL - total(map(self.in_force, names))) if version == self.definition.baseline else 0

    def runs(self) -> tuple[Run, ...]:
        """Return the buckets in force, by candidate."""
        return allocate(
            Claim(version.name, version.place or 0, share(self.in_force(version.name)))
            for version in self.definition.candidates
        )

    def crossed_to(self, instance: str) -> str | None:
        """Return the candidate to which an instance has crossed, or None."""
        found = (v.name for v in self.definition.candidates if v.name in self.waves)
        return next((name for name in found if crossed(self.waves[name], instance, self.in_force(name))), None)

    def taken(self, version: str) -> frozenset[str]:
        """Return the instances that have crossed to other candidates than this one."""
        others = (name for name in self.waves if name != version)
        return frozenset(name for other in others for name in members(self.waves[other], self.in_force(other)))

    def overfull(self) -> bool:
        """Return whether the weights asked for add up to more than 100 %."""
        return total(self.asked(version.name) for version in self.definition.candidates) > FULL


class Snapshot(NamedTuple):
    """All splits as one process sees them at one moment."""

    splits: Mapping[str, SplitState] = {}
    stops: Mapping[str, str] = {}  # every stop, also those on splits nobody defined
    releases: Mapping[str, str] = {}  # by field: the id of the release that began last
    revision: int = 0


class LaidOver(Mapping[str, V]):
    """Some splits (or releases) laid over others, which are not looked at for it."""

    def __init__(self, under: Mapping[str, V], own: Mapping[str, V]) -> None:
        """Take both."""
        self.under = under
        self.own = own

    def __getitem__(self, split: str) -> V:
        """Return a split's state; raise `KeyError` where it has none."""
        return self.own[split] if split in self.own else self.under[split]

    def __iter__(self) -> Iterator[str]:
        """Name all."""
        yield from self.under
        yield from (split for split in self.own if split not in self.under)

    def __len__(self) -> int:
        """Count all."""
        return sum(1 for _ in self)


class Change(NamedTuple):
    """One change of one split, as a value. None takes a field away; `SAME` leaves the definition alone."""

    cause: str  # the verb that made it: set, rollback, pin, ...
    split: str
    weights: Mapping[str, Weight | None] = {}  # by field
    stops: Mapping[str, str | None] = {}  # by field
    definition: Definition | Same | None = SAME
    releases: Mapping[str, str] = {}  # releases that begin with it, by field
    leases: Mapping[str, Lease] = {}  # leases taken with it, by field; any other on a weight it writes ends
    marks: Mapping[str, str | None] = {}  # other fields of `meta`: a release is finished, splits are frozen
    up_to: Mapping[str, Weight] = {}  # by field: how far a plan may raise by itself once this is written


def apply(snapshot: Snapshot, change: Change) -> Snapshot:
    """Return the snapshot after a change; the one before stays as it is."""
    stops = _laid_over(snapshot.stops, change.stops)
    touched = {change.split, *map(split_of, change.stops)}
    changed = _changed(snapshot, change)
    touching = stops_by_split(stops)
    is_deleted = changed is None and change.split in snapshot.splits
    if is_deleted or EVERYTHING in touched:
        splits: Mapping[str, SplitState] = _laid_over(snapshot.splits, {change.split: changed})
        splits = {name: split_state._replace(stops=touching(name)) for name, split_state in splits.items()}
    else:
        split_states = {name: snapshot.splits.get(name) for name in touched}
        split_states[change.split] = changed  # None: a pattern of freezes, or what is known by its stops alone
        own = {name: state._replace(stops=touching(name)) for name, state in split_states.items() if state is not None}
        splits = LaidOver(snapshot.splits, own)
    releases = LaidOver(snapshot.releases, change.releases) if change.releases else snapshot.releases
    return Snapshot(splits, stops, releases, snapshot.revision + 1)


def _changed(snapshot: Snapshot, change: Change) -> SplitState | None:
    """Return the changed split's state without its stops, or None where it is deleted, or was not there."""
    before = snapshot.splits.get(change.split)
    definition = change.definition
    if definition is SAME:
        definition = before.definition if before else None
    if definition is None:
        return None
    own: dict[str, Weight | None] = {version_of(field): weight for field, weight in change.weights.items()}
    weights = _laid_over(before.weights if before else {}, own)
    return SplitState(change.split, definition, weights, {}, before.waves if before else {})


def differing_splits(before: Snapshot, after: Snapshot) -> Collection[str]:
    """Name the splits that may differ between two snapshots: few, where one comes from the other by changes."""
    names, splits = set[str](), after.splits
    while isinstance(splits, LaidOver):
        names |= splits.own.keys()
        splits = splits.under
        if splits is before.splits:
            return names
    return before.splits.keys() | after.splits.keys()


def stops_by_split(stops: Mapping[str, str]) -> Callable[[str], Mapping[str, str]]:
    """Sort stops once, to give for each split those that touch it."""
    own: dict[str, dict[str, str]] = {}
    for field, text in stops.items():
        own.setdefault(split_of(field), {})[field] = text
    everything = own.pop(EVERYTHING, {})
    return lambda split: {**everything, **own.get(split, {})}


def raises(before: SplitState | None, after: SplitState | None) -> bool:
    """Return whether a change lets anybody in whom it kept out before: only those need a fence (law 6)."""

    def reach(split_state: SplitState | None, name: str) -> Weight:
        return split_state.reach(name) if split_state is not None else 0

    return any(rises(reach(before, name), reach(after, name)) for name in compared(before, after))


def compared(before: SplitState | None, after: SplitState | None) -> tuple[str, ...]:
    """Name the versions whose weights say what a change does: the candidates, which alone are let in or kept out.

    Where another version becomes the baseline, both baselines too: who was on the old one moves to the new one.
    """
    found = [split_state.definition for split_state in (before, after) if split_state is not None]
    turned = len({definition.baseline for definition in found}) > 1
    names = (definition.names if turned else [v.name for v in definition.candidates] for definition in found)
    return tuple(dict.fromkeys(name for own in names for name in own))


def _laid_over(base: Mapping[str, V], over: Mapping[str, V | None]) -> dict[str, V]:
    merged: dict[str, V] = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged
