"""What a process holds of its store: the last good values, and what it would not take. `adoption.py` says how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from graysplit.core.in_force import in_force

if TYPE_CHECKING:
    from graysplit.core.lease import Lease
    from graysplit.core.waves import Wave
    from graysplit.core.weights import Weight


class Tripped(NamedTuple):
    """A stop that this process has set for itself alone, while it had no store."""

    release: str  # it ends with this release
    text: str  # what the stop says to people


class Capped(NamedTuple):
    """A weight that the store has raised, and that is not followed while its split cannot be trusted."""

    said: Weight  # what the store says
    reason: str


class Adopted(NamedTuple):
    """What a process holds of its store: the last good values, and what it would not take."""

    weights: Mapping[str, Weight] = {}  # by field
    stops: Mapping[str, str] = {}  # by field
    definitions: Mapping[str, bytes] = {}  # by split: the last good bytes; parsed when compiled
    refused: Mapping[tuple[str, str], str] = {}  # (key, field) to the reason
    lost: Mapping[str, str] = {}  # key to the reason why its last content stands
    releases: Mapping[str, int] = {}  # by field: server time in ms at which its last release began
    begun: Mapping[str, str] = {}  # by field: the id of that release
    tripped: Mapping[str, Tripped] = {}  # by field: what this process has stopped by its own counts
    since: Mapping[str, int] = {}  # by split: the revision of the last change seen of its weights and stops
    leases: Mapping[str, Lease] = {}  # by field
    lapsed: Mapping[str, Weight] = {}  # by field whose lease is over: the weight that stands instead
    planned: Mapping[str, str] = {}  # by split whose plan runs: "<run> <version>"
    waves: Mapping[str, Wave] = {}  # by field: the instances that have crossed, where they do and not units
    capped: Mapping[str, Capped] = {}  # by field: raises that are not followed; what stands instead is in `weights`
    revision: int = 0
    seen: Mapping[str, Mapping[bytes, bytes]] = {}  # the raw fields last looked at, good or bad, by key

    @property
    def loaded(self) -> bool:
        """Return whether anything has ever been adopted."""
        return bool(self.seen)

    def in_force(self, field: str, baseline: str) -> Weight:
        """Return the weight in force of a candidate, by what is held; an unknown baseline is an empty text."""
        return in_force(field, baseline, self.weights, self.stops, self.lapsed).weight
