"""Requests about weights: set them, clear a stop, take the last change back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from graysplit.control.create import made
from graysplit.control.inputs import check_from, split_and_version, wanted_weights
from graysplit.control.leases import end_of, span_words
from graysplit.control.operator import Operator
from graysplit.control.proposal import Proposal
from graysplit.control.reading import Reading, check_readable
from graysplit.control.stops import when
from graysplit.control.undo import LOOKED_AT, before_unread, last_change, undo
from graysplit.core import changes
from graysplit.core.address import split_of
from graysplit.core.weights import Weight, format_weight
from graysplit.errors import RefusedError


class SetWeights(NamedTuple):
    """The weight of a candidate, or of several."""

    target: str
    bare: Weight | None  # of the candidate that the target names, or of the only one
    typed: Mapping[str, Weight] = {}  # by version
    cause: str = "set"
    from_: float | str | None = None  # the weight in force that was seen
    if_rev: int | None = None  # the revision since which the split must be unchanged
    yes: bool = False  # whether more units may move than the difference
    for_s: float | None = None  # seconds, of a lease

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (split_of(self.target),)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the weights as they would be written, with the split or candidate that is made on the way."""
        split, version = split_and_version(self.target)
        check_readable(reading, split)
        operator.check_unchanged(split, self.if_rev)
        base, created = operator.ensured(reading, split, [version, *self.typed])
        definition = base.splits[split].definition
        wanted = wanted_weights(version, self.bare, self.typed, lambda: changes.only_candidate(split, definition))
        check_from(base, split, wanted, self.from_)
        change = changes.set_weights(
            base,
            split,
            wanted,
            release=id_,
            mistyped=reading.mistyped(split, definition),
            cause=self.cause,
            yes=self.yes,
            until_ms=end_of(reading, self.for_s),
            leases=reading.held.leases,
        )
        if created is not None:
            change = change._replace(weights={**created.weights, **change.weights}, definition=created.definition)
        return _with_leases(operator.propose(reading, change, id_)._replace(created=made(created)), reading)


def _with_leases(proposal: Proposal, reading: Reading) -> Proposal:
    """Return a proposal that says of each lease when it ends, where it is asked for and where it is written."""
    leases = proposal.change.leases
    ends = {field: f"{span_words(lease.until_ms - reading.begun_ms)}" for field, lease in leases.items()}
    notes = tuple(
        f"{field} is at {format_weight(lease.at)}% for {ends[field]}, until {when(lease.until_ms)}, "
        f"then at {format_weight(lease.then)}%"
        for field, lease in leases.items()
    )
    ask = proposal.ask and ": ".join([proposal.ask, *notes[:1]])
    return proposal._replace(ask=ask, notes=(*proposal.notes, *notes))


class ClearStop(NamedTuple):
    """A stop to be taken away; that is a raise wherever a weight above zero is held by it."""

    target: str

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (split_of(self.target),)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the change that clears it, with a new release of all that rises."""
        change = changes.unstop(reading.snapshot, self.target, id_)
        return operator.propose(reading, change, id_, target=self.target)


class UndoLast(NamedTuple):
    """The inverse of what was changed last."""

    split: str
    force: bool = False  # whether what a change to zero brought down may rise

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the change that puts back what was there before the last one, byte for byte."""
        split = self.split
        last = last_change(operator.store.history(split, LOOKED_AT))
        if last is None:
            changes.known(reading.snapshot, split)
            raise RefusedError(f"the history of '{split}' is empty. See the split with: graysplit show {split}")
        unread, reading = split in reading.unread, before_unread(reading, split, last)
        change, writes = undo(reading, split, last, id_, force=self.force)
        idle = all(reading.text(write.key, write.field) == write.value for write in writes) and not change.marks
        proposal = operator.propose(reading, change, id_, target=split)
        notes = [*proposal.notes]
        if unread and any(write.key == "splits" for write in writes):
            notes.append(
                f"the definition, which this graysplit cannot read, is set back to before revision {last.revision}"
            )
        if idle:
            notes.append(f"nothing to revert: the last change of '{split}' ({last.cause}) changed nothing")
        beside = (write for write in proposal.writes if write.key == "meta")
        return proposal._replace(writes=(*writes, *beside), notes=tuple(notes), idle=idle)
