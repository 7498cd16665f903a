"""Requests about the guard of a split: arm it, take it away."""

from __future__ import annotations

from typing import NamedTuple

from graysplit.control.agreement import Agreement
from graysplit.control.guard.guard_changes import (
    GuardRequest,
    armed,
    check_explained,
    check_watched,
    disarmed,
    record_words,
)
from graysplit.control.operator import Operator
from graysplit.control.proposal import Proposal
from graysplit.control.reading import Reading, check_readable
from graysplit.core.changes import known
from graysplit.core.split_state import Change


class ArmGuard(NamedTuple):
    """A guard to be armed, or its settings to be changed."""

    split: str
    settings: GuardRequest
    explained: bool  # whether there is a reason, which a protected split asks for

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the definition with its guard, and whether anybody measures what it watches."""
        split = self.split
        check_readable(reading, split)
        base, created = operator.ensured(reading, split)
        definition = base.splits[split].definition
        check_explained(split, definition, explained=self.explained)
        nobody = check_watched(split, operator.store.fleet())
        wanted = armed(split, definition, self.settings, operator.actor, reading.begun_ms) or definition
        change = Change("guard", split, created.weights if created else {}, definition=wanted)
        proposal = operator.propose(reading, change, id_)
        notes = (*proposal.notes, *filter(None, (record_words(wanted), nobody)))
        return proposal._replace(created=definition.names if created else (), notes=notes)


class DisarmGuard(NamedTuple):
    """A guard to be taken away."""

    split: str
    agreement: Agreement

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the definition without its guard."""
        split = self.split
        check_readable(reading, split)
        definition = known(reading.snapshot, split).definition
        without = disarmed(split, definition, self.agreement.why, dry_run=self.agreement.dry_run)
        return operator.propose(reading, Change("guard off", split, definition=without), id_)
