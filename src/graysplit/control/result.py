"""What a verb did, and what the processes say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graysplit.control.stop_note import StopNote
from graysplit.core.address import version_of
from graysplit.core.lease import Lease
from graysplit.stores.port import Copies


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipts:
    """How far a change has come, by the processes that follow the store."""

    confirmed: int
    processes: int  # all that have not said goodbye, silent ones too
    lagging: tuple[str, ...]  # live, and not showing the effect yet: "web-7/812 (version_absent)"
    silent: tuple[str, ...]  # not seen for more than six seconds
    running: int  # calls still running on what was lowered
    seconds: float  # from the write to this answer
    # Not counted: whose connection ended and whose place a younger process on the host took, "web-7/812 (now
    # web-7/913)"; where nobody is counted, who declared it within a day and said no goodbye, "web-7/812 (25m ago)".
    gone: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Return whether somebody confirmed and nobody is missing."""
        return self.confirmed > 0 and not self.lagging and not self.silent

    @property
    def nobody(self) -> bool:
        """Return whether no process follows the namespace, and none did of late."""
        return self.processes == 0 and not self.gone


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One change as it was written, or with `dry_run` as it would be."""

    cause: str
    split: str  # or what a rollback or unstop was aimed at: "ranking/b", "*"
    moves: Mapping[str, tuple[str | None, str | None]]  # by field: its weight before and after
    revision: int = 0  # 0: nothing was written, or the history could not be
    change: str = ""  # the change's random id
    at_ms: int = 0  # server time
    unrecorded: str | None = None  # why the history has no entry, though the change stands
    created: tuple[str, ...] = ()  # the versions of a split made on the way, the baseline first
    cleared: Mapping[str, StopNote] = field(default_factory=dict[str, StopNote])  # the stops it cleared
    # By field: what a stop that it names said before, and says.
    stops: Mapping[str, tuple[StopNote | None, StopNote | None]] = field(
        default_factory=dict[str, "tuple[StopNote | None, StopNote | None]"]
    )
    # By field: the weight for a time, its end (server time) and the weight after.
    leases: Mapping[str, Lease] = field(default_factory=dict[str, Lease])
    left: tuple[str, ...] = ()  # finished releases that `rollback --all` left alone
    moved: float = 0.0  # percent of all units that change hands; of a batch, added up split by split
    needless: float = 0.0  # of them, those that no weight asked for
    expected: Mapping[str, str] = field(default_factory=dict[str, str])  # by field: the weight that receipts will show
    kept: Mapping[str, str] = field(default_factory=dict[str, str])  # by field: the weights of the releases in `left`
    parts: tuple[str, ...] = ()  # the ids of its history entries, where it was written in portions
    dry_run: bool = False
    pinned: str | None = None  # the version that a pin gives, or the baseline where it denies
    copies: Copies | None = None  # how many replicas have it; None where nobody asked, or where there is none
    notes: tuple[str, ...] = ()  # what is worth saying beside it
    ended: Mapping[str, str] = field(default_factory=dict[str, str])  # by split: the plans that are over with it
    plan: Mapping[str, object] | None = None  # of what is said of a plan: its step, the next one and its gates
    unwatched: str = ""  # what nobody watches from then on, one of the notes; "": nothing that it leaves so
    doubts: tuple[str, ...] = ()  # what is not shown of the version that was chosen as the winner, among the notes
    # Of a rollback: whether the store, live code or a receipt knows its target; None where that could not be read.
    known: bool | None = True
    idle: bool = False  # nothing is otherwise than before: it is in the history alone

    @property
    def from_(self) -> str | Mapping[str, str | None] | None:
        """Return the weight before: one text for one candidate, by version for several."""
        return self._side(0)

    @property
    def to(self) -> str | Mapping[str, str | None] | None:
        """Return the weight after, in the same form."""
        return self._side(1)

    def _side(self, side: int) -> str | Mapping[str, str | None] | None:
        if len(self.moves) == 1:
            return next(iter(self.moves.values()))[side]
        return {version_of(field) or field: pair[side] for field, pair in self.moves.items()} or None


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmed:
    """A change, and how far it has come."""

    result: Result
    receipts: Receipts
