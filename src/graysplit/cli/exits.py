"""Exit codes as a table: what scripts may rely on."""

from __future__ import annotations

from typing import Final

from graysplit.errors import (
    BadDefinitionError,
    BadValueError,
    ConfigurationError,
    ConflictError,
    GraysplitError,
    RegistrationError,
    StoreLostError,
    StoreUnreachableError,
    UnknownSplitError,
    UnknownVersionError,
)

DONE: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
NO_SUCH_SPLIT: Final = 3
FASTER: Final = 4
UNREACHABLE: Final = 5
UNCONFIRMED: Final = 6
UNHEALTHY: Final = 7
DEFECT: Final = 70
INTERRUPTED: Final = 130

MEANINGS: Final = {
    DONE: "done",
    REFUSED: "refused; nothing was written",
    USAGE: "wrong usage, or an invalid value",
    NO_SUCH_SPLIT: "no such split",
    FASTER: "conflict: changed by someone else; nothing was written",
    UNREACHABLE: "store unreachable",
    UNCONFIRMED: "written, but not confirmed everywhere; or not reached in time",
    UNHEALTHY: "unhealthy, or rolled back meanwhile",
    DEFECT: "internal error; the message says whether it was written",
    INTERRUPTED: "interrupted; the message says whether it was written",
}

# The first class that fits counts; what is not here was refused.
_CODES: Final[tuple[tuple[type[GraysplitError], int], ...]] = (
    (UnknownSplitError, NO_SUCH_SPLIT),
    (StoreLostError, UNHEALTHY),
    (UnknownVersionError, USAGE),
    (ConflictError, FASTER),
    (StoreUnreachableError, UNREACHABLE),
    (BadDefinitionError, REFUSED),
    (BadValueError, USAGE),
    (RegistrationError, REFUSED),
    (ConfigurationError, USAGE),
)


def code_of(fault: GraysplitError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(fault, kind)), REFUSED)
