"""The store's time as a process reckons it between two readings, and how far it was set back while leases ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.core.lease import Lease


class ServerTime:
    """The server's time by this process's clocks; None where the last reading did not tell it."""

    def __init__(self, clock: Clock) -> None:
        """Begin with no time known."""
        self._clock = clock
        self._by_boottime_ms: float | None = None  # the server's time at boot time zero
        self._by_monotonic_ms: float | None = None  # at monotonic time zero, which no sleep and no leap moves
        # By lease, the latest that it was since the lease was read: a clock that is set back makes none last longer.
        self.latest_ms: Mapping[tuple[str, Lease], float] = {}

    def note(self, now_ms: int) -> None:
        """Take the server's time of a reading (0: not told)."""
        self._by_boottime_ms = now_ms - 1000 * self._clock.boottime() if now_ms else None
        self._by_monotonic_ms = now_ms - 1000 * self._clock.monotonic() if now_ms else None

    def at_ms(self, boottime_s: float) -> int | None:
        """Return the server's time at a boot time of this machine."""
        return None if self._by_boottime_ms is None else int(self._by_boottime_ms + 1000 * boottime_s)

    def set_back(self, leases: Mapping[str, Lease]) -> Mapping[str, int]:
        """Return, by field, by how many ms the server's clock was set back since its lease was read here."""
        server_ms, before = self._by_monotonic_ms, self.latest_ms
        if server_ms is None:
            return {}
        self.latest_ms = {each: max(server_ms, before.get(each, server_ms)) for each in leases.items()}
        return {field: int(latest_ms - server_ms) for (field, _), latest_ms in self.latest_ms.items()}
