"""A process that follows, reports and drives plans, a turn at a time, by a clock that is moved by hand."""

from __future__ import annotations

from typing import Final

from graysplit.core.address import field_of
from graysplit.core.fleet import Declared, Effect, Receipt
from graysplit.core.weights import format_weight
from graysplit.follower.plan_driver import PlanDriver
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Report
from tests.clocks import MovedClock
from tests.model.world import Process

BEAT_S: Final = 2.0


class OldDriver(PlanDriver):
    """The driver of a library that knows no plan of today."""

    def _parsed(self, split: str, raw: bytes) -> None:  # noqa: ARG002 - the signature of the real one
        return None


class Member(Process):
    """A process that follows, reports and drives."""

    def __init__(self, store: MemoryStore, clock: MovedClock, number: int, *, old: bool) -> None:
        """Begin as one of the fleet; `old`: with a library that does not know its plans."""
        super().__init__(store, clock)
        self.number = number
        self.boot = f"{number * 7919 % 65536:04x}{number:04d}"
        self.stopped = False  # by SIGSTOP: it does nothing, and says nothing
        self.driver = (OldDriver if old else PlanDriver)(self.boot, self.replica, self.events, clock, None)
        self.instance = f"web-{number}"  # the host on which it runs
        self.declares = True  # whether its code declares the splits that it follows
        self.versions: tuple[str, ...] | None = None  # those that its code has; None: all of the store's
        self._born_ms = int(clock.now * 1000)
        self._beat_at = 0.0

    def live(self) -> None:
        """Do what a follower's thread does in a turn."""
        if self.feed.wait(0):
            self.read()
            self.feed.record_raw_edits("outside")
            self.beat()
        elif self._clock.now >= self._beat_at:
            self.beat()
        self.driver.turn(self.feed)

    def beat(self) -> None:
        """Report what is in force here."""
        self._beat_at = self._clock.now + BEAT_S
        split_states = self.split_states()
        effects = {
            field_of(split, version.name): Effect(format_weight(split_state.in_force(version.name)))
            for split, split_state in split_states.items()
            for version in split_state.definition.candidates
        }
        declared = {
            split: Declared(
                found.definition.baseline,
                self.versions or found.definition.names,
                by=found.definition.by,
                measured=True,
            )
            for split, found in split_states.items()
            if self.declares
        }
        receipt = Receipt(self.replica.past.change, self.held.revision, effects, "memory")
        host = self.instance
        report = Report(self.boot, host, self.number, "1", declared, receipt, host, born_ms=self._born_ms)
        self.feed.report(report, about=True)
