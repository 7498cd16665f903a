"""What a follower tells, and whom: the side of the router that it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from graysplit.core.fleet import Declared, Effect, Mode, Sweep
    from graysplit.core.guard.buffer import EvidenceBuffer
    from graysplit.core.replica.adopted import Adopted


class Contact(NamedTuple):
    """How a process follows its store at present."""

    mode: Mode = "starting"  # starting, lost, or one of graysplit.core.fleet.PROMISES
    since: float = 0.0  # monotonic time of the last answer; 0 for never
    reason: str = ""  # why contact is lost
    mode_why: str = ""  # why it is not followed by a better mode, or what is not known of it
    silent: bool = False  # lost, and not noticed at once: the other end gave no sign


class Audience(Protocol):
    """Whoever publishes what a follower adopts. Called from the follower's thread only."""

    def publish(self, held: Adopted, splits: Collection[str]) -> None:
        """Publish what is held now; `splits` are those that it changes."""
        ...

    def contact(self, contact: Contact) -> None:
        """Take note of how the store is followed."""
        ...

    def knows(self, field: str) -> bool:
        """Return whether a field of weights or stops names a split or candidate of a published state."""
        ...

    def turn(self, now: float) -> bool:
        """Let time pass (monotonic seconds): what has not been heard of becomes stale.

        True where what the code declares has changed, so that the fleet should be told at once.
        """
        ...

    def inherit(self, held: Adopted, *, fresh: bool) -> None:
        """Serve what a file holds in place of a store that does not answer; nothing where the store's word is known.

        Versions on trial run by it only where it is fresh.
        """
        ...

    def abandon(self) -> None:
        """Fall asleep: the thread that follows has ended without being asked, and a decision starts another."""
        ...

    def refresh(self) -> None:
        """Publish all states anew: break-glass has changed."""
        ...

    def declared(self) -> dict[str, Declared]:
        """Return the splits that the code declares; the same object while nothing of them has changed."""
        ...

    def asked(self) -> dict[str, int]:
        """Return how often each split that the code declares was asked."""
        ...

    def effects(self, fields: Iterable[str]) -> dict[str, Effect]:
        """Return what fields do here now, as compiled."""
        ...

    def baselines(self) -> dict[str, str]:
        """Return the splits whose baseline is another one in the code than in the store, and how they differ."""
        ...

    def sweeps(self, changes: Mapping[str, Mapping[str, str]]) -> dict[str, Sweep]:
        """Return what changes of many fields, each by its id with the weights it wrote, do here now, as compiled."""
        ...

    def buffers(self) -> list[EvidenceBuffer]:
        """Return the buffers of armed splits, and those from which something is still to be collected."""
        ...
