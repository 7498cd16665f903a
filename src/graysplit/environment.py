"""One rule for the settings of Router, Control and command line: the argument, else the environment, else a default."""

from __future__ import annotations

import os
from typing import Final, overload

from graysplit.errors import ConfigurationError

_INSTEAD: Final = (  # by what an object has: what to write instead of it
    ("get_secret_value", "give its text: .get_secret_value()"),
    ("execute_command", "graysplit makes connections of its own: give the address"),
    ("decode", "give it as text: .decode()"),
)


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


def check_store(given: object) -> None:
    """Raise `ConfigurationError` where what was given for a store is neither an address nor a store."""
    if given is None or isinstance(given, str) or hasattr(given, "roll_back"):
        return
    instead = next((said for name, said in _INSTEAD if hasattr(given, name)), "give its text: str(...)")
    raise ConfigurationError(
        f"a store is named by its address, a text (redis://localhost:6379/0); "
        f"this is a {type(given).__name__}: {instead}"
    )
