"""What integrations read of a router beyond its face: the state behind a decision, and the turns of its follower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from graysplit.router.decisions import Listener, Taking
from graysplit.routes.unit import named_unit

__all__ = ["Listener", "Taking", "decide_by_state", "lifecycle_of", "listen"]

if TYPE_CHECKING:
    from graysplit.core.compiled import CompiledSplit
    from graysplit.core.decision import Decision
    from graysplit.router.lifecycle import Lifecycle
    from graysplit.router.router import Router


def lifecycle_of(router: Router) -> Lifecycle:
    """Return the lifecycle that stands behind a router now; another one once an application includes it."""
    return router._lifecycle  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] # the one place beside the router


def decide_by_state(
    router: Router, split: str, unit: object, attributes: Mapping[str, object] | None
) -> tuple[CompiledSplit, Decision]:
    """Return the state that has answered beside the decision; counted, off the hot path, never raises."""
    lifecycle = lifecycle_of(router)
    found = lifecycle.decisions.resolve(lifecycle.states.state(split), named_unit(unit, attributes, lifecycle.instance))
    return found[0], found[2]


def listen(router: Router, listener: Listener) -> None:
    """Tell a listener once of each version that a context (a request, a task) takes, off the hot path.

    What no `graysplit.context` is around is told to nobody. What the listener raises is logged and harms no decision.
    """
    lifecycle_of(router).decisions.listen(listener)
