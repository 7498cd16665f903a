"""The router's life inside a server: ready before the first request of a process, out of the fleet at its end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from graysplit.core.durations import BadSpanError, Span, seconds
from graysplit.errors import ConfigurationError
from graysplit.log_writer import WRITER
from graysplit.router.inside import lifecycle_of

if TYPE_CHECKING:
    from graysplit.router.router import Router


class RouterLife:
    """Starts a router once in each process, and closes it. Raises nothing: an application serves without it."""

    __slots__ = ("_router", "_started_in", "_wait_s")

    def __init__(self, router: Router, ready_within: Span) -> None:
        """Start nothing yet; a start waits so long for the store. Raise `ConfigurationError` for a bad length."""
        self._router = router
        try:
            self._wait_s = seconds(ready_within)
        except BadSpanError as fault:
            raise ConfigurationError(f"invalid ready_within: {fault}") from None
        self._started_in = 0

    @property
    def started(self) -> bool:
        """Return whether this process has started it here."""
        return self._started_in == os.getpid()

    def start(self) -> None:
        """Start, and wait for the store; who comes meanwhile waits too."""
        try:
            self._router.wait_ready(self._wait_s)
        except Exception as fault:  # noqa: BLE001 - law 5: the application serves, with its baseline
            _tell("start", fault)
        self._started_in = os.getpid()

    async def astart(self) -> None:
        """Start without blocking the loop, and wait for the store."""
        try:
            await self._router.ready(self._wait_s)
        except Exception as fault:  # noqa: BLE001 - as above
            _tell("start", fault)
        self._started_in = os.getpid()

    def reopen(self) -> None:
        """Start for a worker, which may be a second one in this process."""
        lifecycle_of(self._router).reopen()
        self.start()

    async def areopen(self) -> None:
        """Start for a lifespan, which may be a second one in this process."""
        lifecycle_of(self._router).reopen()
        await self.astart()

    def close(self) -> None:
        """Say goodbye."""
        try:
            self._router.close()
        except Exception as fault:  # noqa: BLE001 - as above
            _tell("close", fault)

    async def aclose(self) -> None:
        """Say goodbye without blocking the loop."""
        from asyncio import to_thread

        await to_thread(self.close)


def _tell(verb: str, fault: Exception) -> None:
    """Log why the router could not; an address that cannot work is one reason."""
    said = f"this router could not {verb}: {type(fault).__name__}: {fault}. The application runs without it"
    WRITER.put("warning", said, {"graysplit_event": "configuration"})
