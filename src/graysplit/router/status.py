"""Say how one router is now: phase, mode of following, age, what is refused, kept or lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from graysplit import native
from graysplit.core.fleet import PROMISES
from graysplit.core.replica.adopted import Adopted
from graysplit.log_writer import WRITER
from graysplit.router.states import STALE_S

if TYPE_CHECKING:
    from graysplit.core.fleet import Mode
    from graysplit.core.notices.debt import HookDebt
    from graysplit.events import Events
    from graysplit.follower.follower import Follower
    from graysplit.notices.notifier import Notices
    from graysplit.router.states import Phase, PublishedStates
    from graysplit.stores.port import Store


class Status(NamedTuple):
    """How one router stands."""

    phase: Phase  # asleep, not_ready, not_configured, live, closed
    mode: Mode  # how the store is followed: starting, lost, or one of graysplit.core.fleet.PROMISES
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
    core: str = native.words  # what decides here: "compiled 1.2.3", or "pure Python: " and why

    @property
    def promise(self) -> str:
        """Return how soon a change arrives here as the store is followed now."""
        return PROMISES.get(self.mode, "none: the last values read are in force")


def status_of(  # noqa: PLR0913, PLR0917 - what a lifecycle has, handed over once
    states: PublishedStates,
    follower: Follower | None,
    notices: Notices | None,
    store: Store | None,
    events: Events,
    age_s: float | None,
) -> Status:
    """Return how a router is now; `age_s`: since the last answer of the store, None for never."""
    dead = follower is not None and follower.dead and states.phase in {"not_ready", "live"}
    held = follower.replica.adopted if follower is not None else Adopted()
    contact = states.following
    return Status(
        phase="asleep" if dead else states.phase,
        mode="lost" if dead else contact.mode,
        store=store.name if store is not None else None,
        age_s=age_s,
        revision=held.revision,
        splits=len(held.definitions),
        refused={f"{key} {field}": reason for (key, field), reason in held.refused.items()},
        held=dict(follower.replica.distrusted) if follower is not None else {},
        lost=dict(held.lost),
        off=tuple(sorted(states.break_glass.names)) if states.break_glass is not None else (),
        reason="the thread that follows has ended" if dead else contact.reason,
        stale=states.stale or (age_s is not None and age_s > STALE_S and states.phase != "closed"),
        boot=follower.boot if follower is not None else None,
        untold=notices.untold() if notices is not None else {},
        owed=notices.owed() if notices is not None else {},
        dropped=events.left_out,
        unlogged=WRITER.lost,
        verdicts=follower.watch.verdicts() if follower is not None else {},
        trips=follower.watch.trips if follower is not None else 0,
        mode_why=contact.mode_why,
        evidence_dropped=follower.watch.dropped if follower is not None else 0,
    )
