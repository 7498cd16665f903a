"""Who is at work: for the history, not for access."""

from __future__ import annotations

import os

from graysplit.environment import setting


def actor_of(given: str | None) -> str:
    """Return the actor that was given, else `GRAYSPLIT_ACTOR`, else user@host."""
    return setting(given or None, "GRAYSPLIT_ACTOR") or f"{_user()}@{_host()}"


def _user() -> str:
    named = os.environ.get("LOGNAME") or os.environ.get("USER")
    if named:
        return named
    import getpass

    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user without a name; or no users at all
        return str(os.getuid()) if hasattr(os, "getuid") else "somebody"


def _host() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    return os.environ.get("COMPUTERNAME", "somewhere")
