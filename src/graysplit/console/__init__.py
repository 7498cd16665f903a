"""The console: one page for 3 a.m., mounted in an application or served by `graysplit console`.

A table of contents: each name is imported from its module when it is first asked for. Needs the extra `console`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graysplit.console.application import app
    from graysplit.console.people import Auth, Person, Role

_ROOMS = {
    "Auth": "graysplit.console.people",
    "Person": "graysplit.console.people",
    "Role": "graysplit.console.people",
    "app": "graysplit.console.application",
}

__all__ = ["Auth", "Person", "Role", "app"]


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from graysplit.console.extra import imported

    found = getattr(imported(_ROOMS[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(_ROOMS)
