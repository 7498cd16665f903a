"""From what redis-py raises to the conditions of graysplit, in plain words and without secrets."""

from __future__ import annotations

import re
from typing import Final

from redis import exceptions

from graysplit.errors import RefusedError, StoreUnreachableError

# redis-py 6 lacks some of these; the texts are the servers'.
_WORDS: Final = (
    ("WRONGTYPE", "of the wrong type"),
    ("NOPERM", "not readable (no permission)"),
    ("no permissions", "not readable (no permission)"),
    ("can't access", "not readable (no permission)"),
    ("can't run this command", "not readable (no permission)"),
)
_OOM: Final = ("OOM", "used memory > 'maxmemory'")
_KINDS: Final = (
    (exceptions.TimeoutError, "no answer in time"),
    (exceptions.BusyLoadingError, "it is still loading its data"),
    (exceptions.AuthenticationError, "it refuses the user or the password"),
    (exceptions.ReadOnlyError, "it is a replica, and takes no writes"),
)
_MARKS: Final = (
    ("WRONGPASS", "it refuses the user or the password"),
    ("READONLY", "it is a replica, and takes no writes"),
    *((mark, "it is out of memory") for mark in _OOM),
    ("NOREPLICAS", "it has too few replicas to take writes"),
    ("MISCONF", "it cannot save to its disk, and takes no writes"),
)
_UNSUPPORTED: Final = ("unknown command", "unknown subcommand", "syntax error", "not supported", "disabled")
_PREFIX: Final = re.compile(r"^Error -?\w+ (?:connecting to \S+|while \w+ \w+ \w+)\. ")


def unreachable(name: str, error: BaseException) -> StoreUnreachableError:
    """Give the error that tells a user why the server is of no use."""
    return StoreUnreachableError(name, reason(error))


def reason(error: BaseException) -> str:
    """Say in plain words what kept the server from answering."""
    text = str(error)
    known = next((words for kind, words in _KINDS if isinstance(error, kind)), None)
    known = known or next((words for mark, words in _MARKS if mark in text), None)
    return known or _PREFIX.sub("", text).rstrip(".").replace("Connection refused", "connection refused")


def refused(what: str, answer: object) -> RefusedError:
    """Say that the server takes a follower's write from nobody, or not from us."""
    why = reason(answer) if isinstance(answer, BaseException) else "an answer of the wrong kind"
    return RefusedError(f"{what}: {why}. See what the server allows with: graysplit doctor")


def fault(error: BaseException | str) -> str:
    """Say why one key cannot be read: the words after "the key 'meta' is"."""
    text = f"NOPERM {error}" if isinstance(error, exceptions.NoPermissionError) else str(error)
    return next((words for mark, words in _WORDS if mark in text), text)


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


def is_oom(error: BaseException) -> bool:
    """Say whether a command was refused for lack of memory."""
    text = str(error)
    return any(mark in text for mark in _OOM)


def is_fatal(error: BaseException) -> bool:
    """Say whether an error reply means that this server is the wrong one to talk to."""
    kinds = (exceptions.ReadOnlyError, exceptions.MovedError, exceptions.AskError, exceptions.ClusterDownError)
    text = str(error)
    return isinstance(error, kinds) or any(mark in text for mark in ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH"))
