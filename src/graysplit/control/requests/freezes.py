"""Requests about what may rise: freezes, finished releases, and the waves of instances."""

from __future__ import annotations

from typing import NamedTuple

from graysplit.control.freeze import finish, freeze, unfreeze
from graysplit.control.operator import Operator
from graysplit.control.plan.running_plan import check_over
from graysplit.control.proposal import Proposal
from graysplit.control.reading import Reading, check_readable
from graysplit.control.waves import rebalance
from graysplit.core.freeze import Freeze


class FreezePattern(NamedTuple):
    """Splits whose weights may not rise."""

    pattern: str
    why: str
    for_s: float | None = None  # seconds of the server's time; None: until it is ended

    @property
    def about(self) -> tuple[str, ...]:
        """No split alone: it tells which of all it holds."""
        return ()

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the freezes with this one."""
        now_ms = reading.load.now_ms
        until_ms = 0 if self.for_s is None else now_ms + int(self.for_s * 1000)
        change, notes = freeze(reading, Freeze(self.pattern, self.why, operator.actor, now_ms, until_ms))
        return operator.propose(reading, change, id_)._replace(notes=notes)


class UnfreezePattern(NamedTuple):
    """A freeze to be ended."""

    pattern: str

    @property
    def about(self) -> tuple[str, ...]:
        """No split alone."""
        return ()

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the freezes without this one."""
        return operator.propose(reading, unfreeze(reading, self.pattern), id_)


class FinishRelease(NamedTuple):
    """A release that is over."""

    split: str
    stays: int | None = None  # the share that its candidates hold, in thousandths of a percent; None: all

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the mark that it is over."""
        check_readable(reading, self.split)
        check_over(reading, self.split)
        return operator.propose(reading, finish(reading, self.split, id_, self.stays), id_)


class RebalanceWaves(NamedTuple):
    """The waves of a split, to be filled up."""

    split: str

    @property
    def about(self) -> tuple[str, ...]:
        """The split, whose fields are enough."""
        return (self.split,)

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return the waves without the dead, as many as the weights ask for."""
        check_readable(reading, self.split)
        change, notes = rebalance(reading, self.split, operator.store.fleet())
        return operator.propose(reading, change, id_)._replace(notes=notes)
