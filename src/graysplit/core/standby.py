"""Who is ready to take over with a version: the live processes that declare a split, and why others are not."""

from __future__ import annotations

from typing import Final, NamedTuple

from graysplit.core.fleet import Fleet

NAMED_AT_MOST: Final = 10
SHOWN_AT_MOST: Final = 3  # in the one line that says what a plan waits for


class Standby(NamedTuple):
    """How far the live processes that declare a split are ready to take over with a version."""

    ready: int
    waiting: tuple[str, ...] = ()  # the others, each with its reason: "web-7/812 (warming)"

    @property
    def processes(self) -> int:
        """How many declare the split."""
        return self.ready + len(self.waiting)

    def words(self, at_most: int = NAMED_AT_MOST) -> str:
        """Return who is not ready: `1 of 3 processes: web-7/812 (warming)`."""
        more = len(self.waiting) - at_most
        named = ", ".join(self.waiting[:at_most]) + (f" and {more} more" if more > 0 else "")
        return f"{len(self.waiting)} of {self.processes} processes: {named}"


def standby_of(fleet: Fleet, split: str, version: str, *, back: bool = False) -> Standby:
    """Count who is ready for a version, and name those that are not; on the way back only hooks are asked."""
    declared = [(process.label, process.declared[split]) for process in fleet.live if split in process.declared]
    reasons = [(label, one.warm.get(version) if back else one.unready(version)) for label, one in declared]
    waiting = tuple(sorted(f"{label} ({why})" for label, why in reasons if why))
    return Standby(len(declared) - len(waiting), waiting)


def unready_words(fleet: Fleet, split: str, version: str) -> str:
    """Return who is not ready, or that nobody is there to be; an empty text where all are."""
    standby = standby_of(fleet, split, version)
    if not standby.processes:
        return f"no live process declares '{split}'"
    return f"'{version}' is not ready in {standby.words(SHOWN_AT_MOST)}" if standby.waiting else ""
