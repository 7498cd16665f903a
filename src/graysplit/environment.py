"""One rule for the settings of Router, Control and command line: the argument, else the environment, else a default."""

from __future__ import annotations

import os
from typing import overload


@overload
def setting(given: str | None, variable: str, default: str) -> str: ...
@overload
def setting(given: str | None, variable: str, default: None = None) -> str | None: ...
def setting(given: str | None, variable: str, default: str | None = None) -> str | None:
    """Return what was given, else what the variable says, else the default; an empty variable says nothing.

    An empty argument is an argument: whoever takes it refuses it, so that an unset shell variable is no other store.
    """
    if given is not None:
        return given
    return os.environ.get(variable) or default
