"""The guards of the splits that a process holds, read once per definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graysplit.core.definition import Definition
from graysplit.core.guard.settings import BadGuardError, Guard, parse_guard
from graysplit.errors import GraysplitError

if TYPE_CHECKING:
    from graysplit.events import Events
    from graysplit.follower.replica import Replica


class Guarded(NamedTuple):
    """A split that is watched, and how."""

    definition: Definition
    guard: Guard


class Guards:
    """Reads guards for one process; used by its follower's thread alone."""

    def __init__(self, replica: Replica, events: Events) -> None:
        """Begin with none read."""
        self._replica = replica
        self._events = events
        self._read: dict[str, tuple[bytes, Guarded | None]] = {}

    def of(self, split: str) -> Guarded | None:
        """Return a split with its guard; None where there is none, or none that is understood here."""
        raw = self._replica.adopted.definitions.get(split, b"")
        cached = self._read.get(split)
        if cached is None or cached[0] != raw:
            cached = self._read[split] = (raw, self._parsed(split, raw))
        return cached[1]

    def _parsed(self, split: str, raw: bytes) -> Guarded | None:
        try:
            definition = self._replica.parse(split, raw) if raw else None
            if definition is None or definition.guard is None:
                return None
            return Guarded(definition, parse_guard(definition.guard))
        except BadGuardError as fault:
            self._events.warning(f"guard_unreadable {split}", f"cannot read the guard of '{split}': {fault}")
        except (GraysplitError, ValueError):
            return None  # the replica has logged it
        return None
