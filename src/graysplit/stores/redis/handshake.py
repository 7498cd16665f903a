"""What a new connection says first: noted instead of said, so that it goes out together with the first question.

redis-py waits for each of its answers (`HELLO` or `AUTH`, `SELECT`) before anything else may be said, which costs a
round trip each.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from redis import connection as redis_connection
from redis import exceptions

from graysplit.stores.redis.client import Command, Reply, mapping_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_PING: Final[Command] = ("PING",)


class Noting:
    """Mixed into a kind of redis-py's connections: `note` has it note its greeting, for whoever uses the connection."""

    password: str | None
    credential_provider: object
    protocol: int

    _noted: list[Command] | None = None  # while it notes
    _greeting: tuple[Command, ...] = ()  # what is to be said first, until it is taken
    _in_use = False  # since the greeting was taken
    sent_whole: set[str] | None = None  # scripts sent here since one was not known to the server; None: all were known

    def note(self) -> None:
        """Note what it would say upon connecting; raises `ConnectionError` where it would connect again by itself.

        Of a user without a login it is asked whether the server wants one: older ones close upon a stranger's first
        long command without a word, and whether it was done would not be known.
        """
        if self._in_use:
            raise exceptions.ConnectionError("the connection was lost")
        self.sent_whole = None
        self._noted = []
        try:
            cast("Any", super()).on_connect()
            known = self.password or self.credential_provider
            self._greeting = (*self._noted, *(() if known else (_PING,)))
        finally:
            self._noted = None

    def take_greeting(self) -> tuple[Command, ...]:
        """Return what is to be said first; nothing on a connection that has said it."""
        self._in_use = True
        greeting, self._greeting = self._greeting, ()
        return greeting

    def give_back(self) -> None:
        """Let it connect again, as a pool does with a connection that has ended."""
        self._in_use = False

    def send_command(self, *words: str | int, **options: object) -> None:
        """Send one command, or note it."""
        if self._noted is None:
            cast("Any", super()).send_command(*words, **options)
        else:
            self._noted.append(words)

    def read_response(self, *args: object, **options: object) -> Reply:
        """Read an answer; to what was noted, the one that lets redis-py go on."""
        if self._noted is None:
            return cast("Any", super()).read_response(*args, **options)
        return {b"proto": self.protocol} if self._noted[-1][0] == "HELLO" else b"OK"


@cache
def noting(kind: type | None) -> type:
    """Return a kind of connections that notes its greeting: plain, TLS or unix socket."""
    kind = kind or redis_connection.Connection
    return type(f"Noting{kind.__name__}", (Noting, kind), {})


def note(connection: Noting) -> None:
    """Note a greeting; redis-py calls it upon connecting."""
    connection.note()


def refusal(greeting: Sequence[Command], replies: Sequence[Reply]) -> exceptions.ResponseError | None:
    """Return the first error among a greeting's answers, or None where all was accepted.

    What is said to a PING is for whoever uses the connection; a server that wants a login has ended it by then.
    """
    for command, reply in zip(greeting, replies, strict=True):
        if isinstance(reply, exceptions.ResponseError) and command != _PING:
            return reply
        if command[0] == "HELLO" and mapping_of(reply).get(b"proto") != command[1]:
            return exceptions.ResponseError("Invalid RESP version")
    return None
