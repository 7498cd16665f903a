"""Move traffic from an old implementation to a new one inside the running program, by percentage, from Redis.

A table of contents: each name is imported from its room when it is first asked for, so that the command line pays
for none of what application code uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graysplit.version import __version__

if TYPE_CHECKING:
    # What application code asks and declares with
    # What operators' programs use
    from graysplit.control import Control
    from graysplit.control.steps import Step
    from graysplit.core.decision import Decision, Reason
    from graysplit.core.durations import Span
    from graysplit.core.fleet import Mode

    # What either may catch
    from graysplit.errors import (
        BadDefinitionError,
        BadNameError,
        BadValueError,
        BadWeightError,
        ConfigurationError,
        ConflictError,
        GraysplitError,
        RefusedError,
        RegistrationError,
        SignatureMismatchError,
        StoreCorruptError,
        StoreLostError,
        StoreUnreachableError,
        UnknownSplitError,
        UnknownVersionError,
    )
    from graysplit.notices import CommandHook, Webhook
    from graysplit.router.explanation import Explanation
    from graysplit.router.router import Router
    from graysplit.router.states import Phase
    from graysplit.router.status import Status
    from graysplit.routes.handle import Split
    from graysplit.routes.types import Routed
    from graysplit.routes.unit import INSTANCE, attribute
    from graysplit.scope import Unit
    from graysplit.scope_entry import context

__all__ = [
    "INSTANCE",
    "BadDefinitionError",
    "BadNameError",
    "BadValueError",
    "BadWeightError",
    "CommandHook",
    "ConfigurationError",
    "ConflictError",
    "Control",
    "Decision",
    "Explanation",
    "GraysplitError",
    "Mode",
    "Phase",
    "Reason",
    "RefusedError",
    "RegistrationError",
    "Routed",
    "Router",
    "SignatureMismatchError",
    "Span",
    "Split",
    "Status",
    "Step",
    "StoreCorruptError",
    "StoreLostError",
    "StoreUnreachableError",
    "Unit",
    "UnknownSplitError",
    "UnknownVersionError",
    "Webhook",
    "__version__",
    "attribute",
    "context",
]

_ROOMS = {
    "context": "graysplit.scope_entry",
    "CommandHook": "graysplit.notices",
    "Webhook": "graysplit.notices",
    "Control": "graysplit.control",
    "Span": "graysplit.core.durations",
    "Step": "graysplit.control.steps",
    "Decision": "graysplit.core.decision",
    "Reason": "graysplit.core.decision",
    "Mode": "graysplit.core.fleet",
    "Phase": "graysplit.router.states",
    "Unit": "graysplit.scope",
    "Explanation": "graysplit.router.explanation",
    "Router": "graysplit.router.router",
    "Status": "graysplit.router.status",
    "INSTANCE": "graysplit.routes.unit",
    "Routed": "graysplit.routes.types",
    "Split": "graysplit.routes.handle",
    "attribute": "graysplit.routes.unit",
}


def __getattr__(name: str) -> object:
    """Import a name from its room, once."""
    if name not in __all__:
        raise AttributeError(f"module 'graysplit' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_ROOMS.get(name, "graysplit.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
