"""From what redis-py raises to the conditions of graysplit, in plain words and without secrets."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from redis import exceptions

from graysplit.errors import RefusedError, StoreUnreachableError
from graysplit.stores.write_rules import WRONG_TYPE


class Condition(NamedTuple):
    """One way in which a server is of no use, and what that means for whoever asks again."""

    words: str
    kinds: tuple[type[Exception], ...] = ()
    marks: tuple[str, ...] = ()  # the servers' own words; redis-py 6 has no class for some
    fatal: bool = False  # as an answer: nothing else will be answered on this connection either
    patient: bool = False  # only a person can end it
    silent: bool = False  # nothing came at all
    refuses: bool = False  # it answers, and takes no writes
    mend: str = ""  # what makes it take writes again, for redis-cli


SILENT: Final = "no answer in time"
# The first that fits counts. What is neither fatal nor patient may pass by itself, and soon.
CONDITIONS: Final = (
    Condition(SILENT, (exceptions.TimeoutError,), silent=True),
    Condition("it is still loading its data", (exceptions.BusyLoadingError,), ("LOADING",), fatal=True),
    Condition("it is a replica, and takes no writes", (exceptions.ReadOnlyError,), ("READONLY",), fatal=True),
    Condition(
        "it is a replica, and cut off from its primary", (exceptions.MasterDownError,), ("MASTERDOWN",), fatal=True
    ),
    Condition("the cluster is down", (exceptions.ClusterDownError,), ("CLUSTERDOWN",), fatal=True),
    Condition("its slot is on the way to another node", (exceptions.TryAgainError,), ("TRYAGAIN",), fatal=True),
    Condition(
        "another node of the cluster owns the namespace", (exceptions.AskError, exceptions.MovedError), fatal=True
    ),
    Condition(
        "it requires a user and a password",
        marks=("NOAUTH", "Authentication required", "must be called with the client already authenticated"),
        fatal=True,
        patient=True,
    ),
    Condition(
        "it refuses the user or the password",
        (exceptions.AuthenticationError, exceptions.AuthorizationError),
        ("WRONGPASS", "invalid username-password"),
        fatal=True,
        patient=True,
    ),
    Condition(
        "it is out of memory", (exceptions.OutOfMemoryError,), ("OOM", "used memory > 'maxmemory'"), refuses=True
    ),
    Condition(
        "it has too few replicas (min-replicas-to-write)",
        marks=("NOREPLICAS",),
        refuses=True,
        mend="CONFIG SET min-replicas-to-write 0",
    ),
    Condition(
        "it cannot write its append-only file (is its disk full?)",
        marks=("Errors writing to the AOF",),
        refuses=True,
        mend="CONFIG SET appendonly no",
    ),
    Condition(
        "it cannot save to its disk (is it full?)",
        marks=("MISCONF",),
        refuses=True,
        mend="CONFIG SET stop-writes-on-bgsave-error no",
    ),
    Condition("it is busy running a script", marks=("BUSY ", "is busy running a script"), fatal=True),
    Condition("it takes no more connections", marks=("max number of clients",)),
    Condition("the server at this address is not Redis", (exceptions.InvalidResponse, ValueError)),
)
# What to do about a server that lacks what is needed.
OTHER_SERVER: Final = "use the address of the server itself, or of one that docs/reference/servers.md lists"
NO_TIME: Final = f"the server does not tell its time, by TIME, INFO or a script: {OTHER_SERVER}"
_FORBIDDEN: Final = ("NOPERM", "no permissions", "can't access", "can't run this command", "ACL failure")
_USER: Final = re.compile(r"\b[Uu]ser (?!has\b)\S+(?= has no permissions)")  # a part of the login
_PREFIX: Final = re.compile(r"^Error -?\w+ (?:connecting to \S+|while \w+ \w+ \w+)\. ")


def unreachable(name: str, error: BaseException, *, sent: bool = False, needed: str = "") -> StoreUnreachableError:
    """Return the error that tells a user why the server is of no use.

    `sent`: a command had been sent whose answer did not come, so that it may have been done. `needed`: the command
    that was refused, and that graysplit cannot do without.
    """
    condition = _condition(error)
    patient = is_forbidden(error) or (condition is not None and condition.patient)
    silent = condition is not None and condition.silent
    found = condition or Condition("")
    why = reason(error)
    if needed and condition is None:
        rights = f"{why} ({needed}). See what each role may do with: graysplit acl"
        why = rights if _names_a_key(error) else missing(needed, why)
    return StoreUnreachableError(
        name,
        why,
        patient=patient,
        silent=silent,
        refuses=found.refuses,
        answered=found.fatal or isinstance(error, exceptions.ResponseError),
        written=None if sent else False,
        mend=found.mend,
    )


def _names_a_key(error: BaseException) -> bool:
    """Return whether a user was kept from a key, which no other server would change."""
    return is_forbidden(error) and " key" in str(error)


def missing(needed: str, why: str) -> str:
    """Return the sentence for a command that graysplit cannot do without, with the server's words for refusing it."""
    return f"it answers {needed} with '{why}', and graysplit needs {needed}: {OTHER_SERVER}"


def reason(error: BaseException) -> str:
    """Return in plain words what kept the server from answering."""
    condition = _condition(error)
    if condition is not None:
        return condition.words
    text = _PREFIX.sub("", str(error)).rstrip(".").replace("Connection refused", "connection refused")
    return f"its rights are too narrow: {_USER.sub('this user', text)}" if is_forbidden(error) else text


def refused(what: str, answer: object) -> RefusedError:
    """Return the error of a server that takes a write from nobody, or not from us."""
    why = reason(answer) if isinstance(answer, BaseException) else "an answer of the wrong kind"
    return RefusedError(f"{what}: {why}. See what the server allows with: graysplit doctor")


def neither(what: str, error: BaseException) -> RefusedError:
    """Return the error for a write that needs scripts or `WATCH`, where both were refused."""
    if is_condition(error) or is_forbidden(error):
        return refused(what, error)
    why = f"scripts are refused here, and WATCH is answered with '{reason(error)}'; graysplit needs one of them"
    return RefusedError(f"{what}: {why}: {OTHER_SERVER}")


def fault(error: BaseException | str) -> str:
    """Return why one key cannot be read: the words after "the key 'meta' is"."""
    text = str(error)
    if "WRONGTYPE" in text:
        return WRONG_TYPE
    if is_forbidden(error) if isinstance(error, BaseException) else _names_a_right(text):
        return "not readable (no permission)"
    return f"not readable ({text})" if isinstance(error, BaseException) else text


def lacks_scripts(answer: object) -> bool:
    """Return whether a script was refused, in whatever words, so that another way is to be tried.

    What the server answers to every write now (no memory, no disk, too few replicas) is not a reason for one.
    """
    return isinstance(answer, exceptions.ResponseError) and _condition(answer) is None


def is_condition(error: BaseException) -> bool:
    """Return whether an error is about the server as a whole, and not about one command or key."""
    return _condition(error) is not None


def is_forbidden(error: BaseException) -> bool:
    """Return whether this user's role lacks the command or the key."""
    return isinstance(error, exceptions.NoPermissionError) or _names_a_right(str(error))


def is_oom(error: BaseException) -> bool:
    """Return whether a command was refused for lack of memory."""
    return isinstance(error, exceptions.OutOfMemoryError) or any(mark in str(error) for mark in ("OOM", "'maxmemory'"))


def is_fatal(error: BaseException) -> bool:
    """Return whether an error reply means that this server is the wrong one to talk to, or not now."""
    condition = _condition(error)
    return condition is not None and condition.fatal


def _condition(error: BaseException) -> Condition | None:
    text = str(error)
    return next((c for c in CONDITIONS if isinstance(error, c.kinds) or any(mark in text for mark in c.marks)), None)


def _names_a_right(text: str) -> bool:
    return any(mark in text for mark in _FORBIDDEN)
