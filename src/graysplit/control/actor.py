"""Who is at work: for the history, not for access."""

from __future__ import annotations

import os

from graysplit.environment import setting


def actor_of(given: str | None) -> str:
    """Return the actor that was given, else `GRAYSPLIT_ACTOR`, else user@host."""
    return setting(given or None, "GRAYSPLIT_ACTOR") or f"{_user()}@{os.uname().nodename}"


def _user() -> str:
    named = os.environ.get("LOGNAME") or os.environ.get("USER")
    if named:
        return named
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
