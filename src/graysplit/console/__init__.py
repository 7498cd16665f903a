"""The console: one page for 3 a.m., mounted in an application or served by `graysplit console`.

A table of contents: each name is imported from its module when it is first asked for. Needs the extra `console`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graysplit.console.app import app
    from graysplit.console.people import Auth, Person, Role

_ROOMS = {
    "Auth": "graysplit.console.people",
    "Person": "graysplit.console.people",
    "Role": "graysplit.console.people",
    "app": "graysplit.console.app",
}

__all__ = ["Auth", "Person", "Role", "app"]


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from graysplit.errors import ConfigurationError

    try:
        found = getattr(import_module(_ROOMS[name]), name)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "graysplit":
            raise
        raise ConfigurationError(
            f"the console needs {missing.name}. Install it with: pip install 'graysplit[console]'"
        ) from missing
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(_ROOMS)
