"""What `explain` and `status` hand out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from graysplit.core.decision import Rung
from graysplit.core.fleet import PROMISES

if TYPE_CHECKING:
    from graysplit.core.notices.debt import HookDebt


class Explanation(NamedTuple):
    """Why a unit gets its version: the ladder down to the rung that answered, and the bucket."""

    split: str
    version: str
    reason: str
    bucket: int | None  # None for what is no unit, and where no definition is known
    revision: int
    ladder: tuple[Rung, ...]

    def __str__(self) -> str:
        """Print it as a table of rungs, without the unit."""
        rungs = "\n".join(f"  {step.reason:<10} {step.asked}" for step in self.ladder)
        return f"{self.split}: {self.version} ({self.reason})\n{rungs}"


class Status(NamedTuple):
    """How one router stands."""

    phase: str  # asleep, not_ready, not_configured, live, closed
    mode: str  # how the store is followed: starting, lost, or one of graysplit.core.fleet.PROMISES
    store: str | None  # printable address
    age_s: float | None  # since the last answer of the store; None for never
    revision: int
    splits: int
    refused: Mapping[str, str]  # "weights checkout/new" to the reason; the last good value stands
    held: Mapping[str, str]  # "weights checkout/new" to what the store says and is not believed (law 7)
    lost: Mapping[str, str]  # keys without a usable answer; their last content stands
    off: tuple[str, ...]  # switched off by break-glass
    reason: str  # why contact is lost, or ""
    stale: bool  # contact lost for more than three seconds
    boot: str | None  # this process's id in the fleet
    untold: Mapping[str, int] = {}  # hook to how many changes it was not told of, as last read
    owed: Mapping[str, HookDebt] = {}  # hook to the rollbacks and trips that it is still to be told of, as last read
    dropped: int = 0  # log lines that were counted instead of printed
    unlogged: int = 0  # log lines of this process that its logging did not take: a handler raised, or too many waited
    verdicts: Mapping[str, str] = {}  # "checkout/new" to the guard's word on it, as last heard here
    trips: int = 0  # rollbacks that this process's guard has made
    mode_why: str = ""  # why the store is not followed by a better mode, or what is not known of it
    evidence_dropped: int = 0  # pieces of evidence (a call, its user, a goal) that were never told to the store

    @property
    def promise(self) -> str:
        """Say how soon a change arrives here as the store is followed now."""
        return PROMISES.get(self.mode, "none: the last values read are in force")
