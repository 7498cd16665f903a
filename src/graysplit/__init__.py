"""Move traffic from an old implementation to a new one inside the running program, by percentage, from Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

# What application code asks and declares with
from graysplit.context import context
from graysplit.core.decision import Decision

# What it may catch
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
    StoreUnreachableError,
    UnknownSplitError,
    UnknownVersionError,
)
from graysplit.router import Explanation, Router, Status
from graysplit.routes import INSTANCE, Routed, Split, attribute
from graysplit.version import __version__

if TYPE_CHECKING:
    from graysplit.control import Control

__all__ = [
    "INSTANCE",
    "BadDefinitionError",
    "BadNameError",
    "BadValueError",
    "BadWeightError",
    "ConfigurationError",
    "ConflictError",
    "Control",
    "Decision",
    "Explanation",
    "GraysplitError",
    "RefusedError",
    "RegistrationError",
    "Routed",
    "Router",
    "SignatureMismatchError",
    "Split",
    "Status",
    "StoreCorruptError",
    "StoreUnreachableError",
    "UnknownSplitError",
    "UnknownVersionError",
    "__version__",
    "attribute",
    "context",
]


def __getattr__(name: str) -> object:
    """Import what only operators need when it is first asked for."""
    if name == "Control":
        from graysplit.control import Control

        return Control
    raise AttributeError(f"module 'graysplit' has no attribute {name!r}")
