"""A fleet of one process that drives for real, in a memory store whose time the test moves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from graysplit.codec import parse_definition
from graysplit.control import Control
from graysplit.core.fleet import Declared, Effect, Sweep
from graysplit.core.guard.verdict import Verdict
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.lineage import Past
from graysplit.core.weights import format_weight
from graysplit.events import Events
from graysplit.follower.plan_driver import PlanDriver
from graysplit.follower.port import Contact
from graysplit.follower.replica import Replica
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock
from tests.control.processes import CHECKOUT, live

BEGAN_S = 1_800_000_000.0


class Nobody:
    """Publishes to no one."""

    def publish(self, held: Adopted, splits: Collection[str]) -> None:
        """Do nothing."""

    def contact(self, contact: Contact) -> None:
        """Do nothing."""

    def knows(self, field: str) -> bool:  # noqa: ARG002 - the port's signature
        """Know all."""
        return True

    def turn(self, now: float) -> bool:  # noqa: ARG002 - the port's signature
        """Have nothing to tell."""
        return False

    def refresh(self) -> None:
        """Do nothing."""

    def declared(self) -> dict[str, Declared]:
        """Declare nothing."""
        return {}

    def asked(self) -> dict[str, int]:
        """Count nothing."""
        return {}

    def sweeps(self, changes: Mapping[str, Mapping[str, str]]) -> dict[str, Sweep]:  # noqa: ARG002 - the port's signature
        """Say nothing."""
        return {}

    def effects(self, fields: Iterable[str]) -> dict[str, Effect]:  # noqa: ARG002 - the port's signature
        """Say nothing."""
        return {}


class World:
    """A store, an operator, and one live process that may drive."""

    def __init__(self, verdicts: Mapping[str, str] = {}) -> None:
        """Begin with the split `checkout`, ten seconds after everything has started."""
        self.clock = MovedClock(BEGAN_S)
        self.store = MemoryStore(clock=self.clock)
        self.control = Control(self.store, actor="ada@lab", confirm=True)
        self.feed = self.store.follow()
        events = Events(self.clock)
        self.replica = Replica(Nobody(), events, parse_definition, Adopted(), Past())
        self.driver = PlanDriver(
            "boot-1", self.replica, events, self.clock, lambda split, _: Verdict(verdicts.get(split, "unclear"))
        )
        self.driver.connected()
        self.control.create("checkout", ["old", "new"])
        self.pass_s(11.0, drives=False)

    @property
    def now_ms(self) -> int:
        """Return the server's time."""
        return int(self.clock.now * 1000)

    def pass_s(self, seconds: float, *, drives: bool = True, tick_s: float = 0.1) -> None:
        """Let time pass, in which the process follows, reports and, unless told otherwise, drives."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now = min(until, self.clock.now + tick_s)
            self.turn(drives=drives)

    def turn(self, *, drives: bool = True) -> None:
        """Follow, report and drive once."""
        self.replica.apply(
            self.feed.load(self.replica.past.position, whole=True), lambda: self.feed.load("", whole=True)
        )
        self.replica.go_on(lambda: False)
        held = self.replica.adopted
        stopped = {field.partition("/")[0] for field in held.stops}
        shows = {
            field: Effect("0" if field.partition("/")[0] in stopped else format_weight(weight))
            for field, weight in held.weights.items()
        }
        live(self.store, declared=CHECKOUT, effects=shows)
        if drives:
            self.driver.turn(self.feed)

    def steps(self) -> list[tuple[str, int]]:
        """Return the steps that were taken by the plan, oldest first: the weight, and when."""
        entries = reversed(self.control.history("checkout", 100))
        return [(entry.after["weights checkout/new"] or "", entry.at_ms) for entry in entries if entry.cause == "step"]
