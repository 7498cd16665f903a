"""Requests about a split's record: make it, change its versions, its pins and its protection, delete it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from graysplit.control import freeze
from graysplit.control.create import create_declared, declared_by
from graysplit.control.operator import Operator
from graysplit.control.plan.running_plan import running
from graysplit.control.proposal import Proposal
from graysplit.control.reading import Reading, check_readable
from graysplit.core import changes
from graysplit.core.address import field_of
from graysplit.core.definition import Definition
from graysplit.core.fleet import Fleet
from graysplit.core.guard.past_rate import PAST
from graysplit.core.limits import unit_name
from graysplit.core.split_state import Snapshot
from graysplit.core.waves import PREFIX as WAVE
from graysplit.core.waves import unknown_host
from graysplit.core.weights import Weight
from graysplit.errors import UnknownSplitError
from graysplit.follower.guard.evaluator import ACCEPTED


class CreateSplit(NamedTuple):
    """A split to be defined."""

    split: str
    versions: Sequence[str] | None = None  # None: those that live code declares, else `old` and `new`
    salt: str | None = None
    max_stale_s: int | None = None
    in_flight: Literal["finish"] | None = None
    by: Literal["unit", "instance"] | None = None  # None: as live code declares it

    @property
    def about(self) -> tuple[str, ...]:
        """No split alone: its seed is compared with those of all others."""
        return ()

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the record as it would be written, all weights at zero."""
        check_readable(reading, self.split)
        fleet = operator.store.fleet()
        by = self.by or declared_by(fleet, self.split)
        versions = self.versions
        if versions is None:
            versions = _declared_versions(reading.snapshot, fleet, self.split, by) or ("old", "new")
        change = changes.create(
            reading.snapshot, self.split, versions, self.salt, self.max_stale_s, in_flight=self.in_flight, by=by
        )
        return operator.propose(reading, change, id_)._replace(created=tuple(versions))


class AddVersion(NamedTuple):
    """One more candidate of a split, at zero."""

    split: str
    version: str

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the definition with the candidate in a place of its own."""
        check_readable(reading, self.split)
        return operator.propose(reading, changes.add_version(reading.snapshot, self.split, self.version), id_)


def _declared_versions(
    snapshot: Snapshot, fleet: Fleet, split: str, by: Literal["unit", "instance"]
) -> tuple[str, ...] | None:
    """Return the versions that live code declares, the baseline first; None where no code declares the split."""
    try:
        definition = create_declared(snapshot, fleet, split, by=by).definition
    except UnknownSplitError:
        return None
    return definition.names if isinstance(definition, Definition) else None


class DeleteSplit(NamedTuple):
    """A split whose name is to be free again."""

    split: str

    @property
    def about(self) -> tuple[str, ...]:
        """No split alone: fields that no version names go with it."""
        return ()

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the tombstone as it would be written, and all that goes with the record."""
        split = self.split
        if split not in reading.unread:
            changes.known(reading.snapshot, split)
        weights: dict[str, Weight] = {
            field: reading.held.weights.get(field, 0) for field in reading.fields("weights", split)
        }
        finished = freeze.finished_ms(reading, split) is not None
        change = changes.delete(split, weights, reading.fields("stops", split), finished=finished)
        own = (f"{ACCEPTED}{split}/", f"{PAST}{split}/")
        marks = [mark for mark in reading.texts("meta") if mark.startswith(own)]
        state = reading.snapshot.splits.get(split)
        baseline = state.definition.baseline if state is not None else ""
        freeze.check_undeclared(split, weights, freeze.declaring(operator.store.fleet(), split, baseline))
        return operator.propose(reading, change._replace(marks=dict.fromkeys(marks)), id_)


class RemoveVersion(NamedTuple):
    """A candidate that is to leave its split."""

    split: str
    version: str

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the definition without the candidate, and all that goes with it."""
        split, version = self
        check_readable(reading, split)
        plan, field = running(reading, split), field_of(split, version)
        planned = plan is not None and plan.plan is not None and version in plan.plan.versions
        change = changes.remove_version(reading.snapshot, split, version, planned=planned)
        own = (ACCEPTED + field, PAST + field, WAVE + field)
        marks = [mark for mark in own if reading.raw("meta", mark) is not None]
        return operator.propose(reading, change._replace(marks=dict.fromkeys(marks)), id_)


class PinUnit(NamedTuple):
    """A version for a unit."""

    split: str
    unit: str
    version: str | None = None  # None: the only candidate
    deny: bool = False  # every candidate

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the pin as it would be written, and where the unit does not get its version yet."""
        split = self.split
        check_readable(reading, split)
        state = changes.known(reading.snapshot, split)
        definition = state.definition
        named = changes.only_candidate(split, definition) if self.version is None and not self.deny else self.version
        wanted = None if self.deny else named
        proposal = operator.propose(reading, changes.pin(reading.snapshot, split, self.unit, wanted), id_)
        notes = [*proposal.notes, *_host_notes(operator.fleet, definition.by, self.unit)]
        if wanted not in {None, definition.baseline} and state.in_force(str(wanted)) == 0:
            notes.append(f"'{wanted}' is at zero: until it rises, the unit gets '{definition.baseline}'")
        return proposal._replace(notes=tuple(notes), pinned=definition.baseline if wanted is None else wanted)


class UnpinUnit(NamedTuple):
    """No version for a unit but the one of its bucket."""

    split: str
    unit: str

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the definition without the unit's pin or denial."""
        check_readable(reading, self.split)
        return operator.propose(reading, changes.unpin(reading.snapshot, self.split, self.unit), id_)


def _host_notes(fleet: Callable[[], Fleet], by: Literal["unit", "instance"], unit: str) -> Iterator[str]:
    """Return under which name a host is pinned, and that nobody knows it."""
    name = unit_name(by, unit)
    if name != unit:
        yield f"the host '{unit}' is known as '{name}', and is pinned under that name"
    unknown = unknown_host(fleet(), name) if by == "instance" else ""
    if unknown:
        yield unknown


class ProtectSplit(NamedTuple):
    """A split whose raises ask for a reason and for the typed name, or no longer."""

    split: str
    on: bool

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the definition as it would be written."""
        check_readable(reading, self.split)
        return operator.propose(reading, changes.protect(reading.snapshot, self.split, on=self.on), id_)
