"""From what redis-py raises to the conditions of graysplit, in plain words and without secrets."""

from __future__ import annotations

import re
from typing import Final

from redis import exceptions

from graysplit.errors import StoreUnreachableError

# redis-py 6 lacks some of these; the texts are the servers'.
_WORDS: Final = (
    ("WRONGTYPE", "of the wrong type"),
    ("NOPERM", "not readable (no permission)"),
    ("no permissions", "not readable (no permission)"),
    ("can't access", "not readable (no permission)"),
    ("can't run this command", "not readable (no permission)"),
)
_UNSUPPORTED: Final = ("unknown command", "unknown subcommand", "syntax error", "not supported", "disabled")
_PREFIX: Final = re.compile(r"^Error -?\w+ (?:connecting to \S+|while \w+ \w+ \w+)\. ")


def unreachable(name: str, error: BaseException) -> StoreUnreachableError:
    """Give the error that tells a user why the server is of no use."""
    return StoreUnreachableError(name, reason(error))


def reason(error: BaseException) -> str:
    """Say in plain words what kept the server from answering."""
    text = str(error)
    if isinstance(error, exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, exceptions.BusyLoadingError):
        return "it is still loading its data"
    if isinstance(error, exceptions.AuthenticationError) or "WRONGPASS" in text:
        return "it refuses the user or the password"
    if isinstance(error, exceptions.ReadOnlyError) or "READONLY" in text:
        return "it is a replica, and takes no writes"
    if is_oom(error):
        return "it is out of memory"
    if "NOREPLICAS" in text:
        return "it has too few replicas to take writes"
    if "MISCONF" in text:
        return "it cannot save to its disk, and takes no writes"
    return _PREFIX.sub("", text).rstrip(".").replace("Connection refused", "connection refused") or type(error).__name__


def fault(error: BaseException | str) -> str:
    """Say why one key cannot be read: the words after "the key 'meta' is"."""
    text = f"NOPERM {error}" if isinstance(error, exceptions.NoPermissionError) else str(error)
    return next((words for mark, words in _WORDS if mark in text), text)


def is_oom(error: BaseException) -> bool:
    """Say whether a write was refused for lack of memory."""
    text = str(error)
    return "OOM" in text or "used memory > 'maxmemory'" in text


def concerns_one_key(error: BaseException) -> bool:
    """Say whether an error is about one key or command only, so that the others still answer."""
    text = str(error)
    return is_unsupported(error) or "WRONGTYPE" in text


def is_unsupported(error: BaseException) -> bool:
    """Say whether this server, or this user's role, lacks the command."""
    if isinstance(error, exceptions.NoPermissionError):
        return True
    text = str(error)
    return "NOPERM" in text or any(mark in text.lower() for mark in _UNSUPPORTED)


def is_fatal(error: BaseException) -> bool:
    """Say whether an error reply means that this server is the wrong one to talk to."""
    kinds = (exceptions.ReadOnlyError, exceptions.MovedError, exceptions.AskError, exceptions.ClusterDownError)
    text = str(error)
    return isinstance(error, kinds) or any(mark in text for mark in ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH"))
