"""What the routes and handles of a router ask, wherever it has moved to; an application never calls it."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING

from graysplit.clock import SYSTEM_CLOCK
from graysplit.routes.unit import named_unit

if TYPE_CHECKING:
    from graysplit.core.compiled import CompiledSplit
    from graysplit.core.decision import Decision
    from graysplit.router.lifecycle import Lifecycle
    from graysplit.routes.port import Draw


class RouterChooser:
    """The slow path of a router; see `routes.port.Chooser`."""

    __slots__ = ("_lifecycle", "draw", "monotonic", "states")

    def __init__(self, lifecycle: Lifecycle) -> None:
        """Ask a lifecycle, until the router moves to another one."""
        self.move(lifecycle)

    def move(self, lifecycle: Lifecycle) -> None:
        """Ask another lifecycle from now on."""
        self._lifecycle = lifecycle
        self.draw: Draw = lifecycle.decisions.draw
        # A compiled core asks these whether the thread that follows is late, as `draw` does.
        self.states = lifecycle.states
        self.monotonic = monotonic if lifecycle.clock is SYSTEM_CLOCK else lifecycle.clock.monotonic

    def resolve(
        self, state: CompiledSplit, unit: object, attributes: Mapping[str, object] | None
    ) -> tuple[CompiledSplit, int, Decision]:
        """Decide off the hot path, and count it; a unit that is an attribute is read from `attributes` first."""
        return self._lifecycle.decisions.resolve(state, named_unit(unit, attributes, self.instance))

    def instance(self) -> str:
        """Return the name of this process's host."""
        return self._lifecycle.instance()

    def warn(self, kind: str, message: str) -> None:
        """Log something, for routes."""
        self._lifecycle.events.warning(kind, message)
