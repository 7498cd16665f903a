"""What routes need from the router above them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from graysplit.core.compiled import CompiledSplit
from graysplit.core.decision import Decision
from graysplit.core.durations import Span

if TYPE_CHECKING:
    from graysplit.scope import Scope


class Draw(Protocol):
    """What answers a split's first question in a context."""

    def __call__(self, scope: Scope, state: CompiledSplit, unit: object, /) -> int | None:
        """Return the version's index, kept there; None where the ladder is to be climbed."""
        ...


class Chooser(Protocol):
    """The slow path: whatever the straight line of a route or handle does not answer."""

    @property
    def draw(self) -> Draw:
        """Return what draws in a context."""
        ...

    def resolve(
        self, state: CompiledSplit, unit: object, attributes: Mapping[str, object] | None
    ) -> tuple[CompiledSplit, int, Decision]:
        """Return the state decided on, the version's index in it, and the decision.

        Wakes the router, looks at the open context, climbs the ladder and counts the exposure; never raises. The
        unit is `context.MISSING` where the context's is meant, None where asking for it has failed.
        """
        ...

    def instance(self) -> str:
        """Return the name of this process's host: the unit where that is `graysplit.INSTANCE`."""
        ...

    def warn(self, kind: str, message: str) -> None:
        """Log that something needs a person's eye; repeats of a kind are counted instead."""
        ...


# Called with a version's name, what prepares it, and how often; or raises.
Prepare = Callable[[str, Callable[[], object], "Span | None"], None]

# Called with a kind and a message, as `Chooser.warn`.
Warn = Callable[[str, str], None]

# Called with a version's name and its function; puts it where the router compiles states from, or raises.
Register = Callable[[str, Callable[..., Any]], None]  # Any: a version of whatever signature


def unprepared(version: str, function: Callable[[], object], every: Span | None) -> None:
    """Stand for `Prepare` where there is no router: nothing is prepared."""
