"""One rule for the settings of Router, Control and command line: the argument, else the environment, else a default."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final, cast, overload

from graysplit.errors import ConfigurationError

_INSTEAD: Final = (  # by what an object has: what to write instead of it
    ("get_secret_value", "give its text: .get_secret_value()"),
    ("explain", "give the address that this one was made with"),
    ("execute_command", "graysplit makes connections of its own: give the address"),
    ("decode", "give it as text: .decode()"),
)


@overload
def setting(given: str | None, variable: str, default: str) -> str: ...
@overload
def setting(given: str | None, variable: str, default: None = None) -> str | None: ...
def setting(given: str | None, variable: str, default: str | None = None) -> str | None:
    """Return what was given, else what the variable says, else the default; an empty variable says nothing.

    An empty argument is an argument: whoever takes it refuses it, so that an unset shell variable is not another
    store.
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
        f"a store is named by its address, a text (redis://localhost:6379/0); this is {kind_of(given)}: {instead}"
    )


def check_text(name: str, given: str | None) -> str | None:
    """Return an argument that is a text or absent; raise `ConfigurationError` for another kind, or an empty text.

    An empty one is an unset variable of somebody's shell, which must not mean the default. It is never printed.
    """
    if given is None:
        return None
    if (kind := kind_unlike_text(given)) is not None:
        raise ConfigurationError(f"invalid {name}: use text, not {kind}")
    if not given.strip():
        raise ConfigurationError(f"{name} is empty (an unset variable?): leave it out to use the environment's")
    return given


def check_namespace(given: str | None) -> None:
    """Raise `ConfigurationError` for what cannot name a namespace."""
    check_text("namespace", given)
    if given is not None and set(given) & set("{} \t\r\n"):
        raise ConfigurationError(f"invalid namespace {given!r}: use letters and digits, without spaces or braces")


def path_of(given: object) -> str | None:
    """Return a path as text, whether it is text or a path object; None for what is neither."""
    if not isinstance(given, (str, os.PathLike)):
        return None
    path = cast("object", os.fspath(cast("str", given)))  # of some objects it is bytes
    return path if isinstance(path, str) else None


def items_of(given: object) -> tuple[object, ...] | None:
    """Return the items of a collection; None for what is none, or is one of letters, bytes or pairs."""
    if not isinstance(given, Iterable) or isinstance(given, (str, bytes, bytearray, memoryview, Mapping)):
        return None
    return tuple(cast("Iterable[object]", given))


def kind_unlike_text(given: object) -> str | None:
    """Return what was given by its kind, where that is not text."""
    return None if isinstance(given, str) else kind_of(given)


def kind_of(given: object) -> str:
    """Return what was given by its kind: its value may be a secret."""
    if isinstance(given, type):
        return f"the class {given.__name__}"
    name = type(given).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
