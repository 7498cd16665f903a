"""Whether the other end of a connection lives: a PING after some silence, whose answer nobody waits for.

A process at rest wakes once for each PING: the answer to the last one is read when the next is due. A loss is noticed
within 1.25 s of the last sign of life. That sign is the answer to a PING, and counts from when it was asked for; the
next PING follows at most SILENCE_S + NEAR_S later, and is lost where it is not answered PONG_WITHIN_S after that:
0.55 + 0.075 + 0.625 = 1.25. A server may be held up for PONG_WITHIN_S and is not taken for lost.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from graysplit.stores.redis.connection import PONG, Connection, Posted
from graysplit.stores.redis.wakeup import Wakeup

SILENCE_S: Final = 0.55
PONG_WITHIN_S: Final = 0.625
NEAR_S: Final = 0.075  # who waits until so shortly after a PING is due is not woken for it, and begins to wait again
# A wait that nothing can end lasts no longer: where redis-py keeps its socket to itself, or the server its answer.
DEAF_S: Final = 0.25


class Pulse:
    """The PING of one connection."""

    def __init__(self, line: Connection) -> None:
        """Begin with none sent."""
        self.line = line
        self._ping: Posted | None = None

    @property
    def is_awaited(self) -> bool:
        """Return whether an answer is still to come."""
        return self._ping is not None and not self._ping.full

    @property
    def due_at(self) -> float:
        """Return when there is something to check next."""
        if self._ping is None or self._ping.full:
            return self.line.heard + SILENCE_S
        return self._ping.sent + PONG_WITHIN_S

    def check(self, now: float) -> bool:
        """Send a PING where one is due, and say so; what has arrived has been read.

        Raises `StoreUnreachableError` where the last was not answered in time.
        """
        if now < self.due_at:
            return False
        if self._ping is not None and self._ping.replies != [b"PONG"]:
            with self.line.within(0.0):  # what lies there all the same is an answer
                self.line.replies(self._ping)
        due = now >= self.line.heard + SILENCE_S
        self._ping = self.line.ping() if due else None
        return due

    def read(self) -> None:
        """Read what has arrived: mostly the answer to a PING, alone."""
        if not (self.is_awaited and self.line.take_pong()):
            self.line.drain()

    def forgive(self, seconds: float) -> None:
        """Do not count a time in which this process stood still as silence of the other end."""
        if self._ping is not None:
            self._ping.sent += seconds


def rest(pulses: Sequence[Pulse], within_s: float, wakeup: Wakeup) -> bool:
    """Wait until something comes by itself, or `wakeup` ends it; return whether it may have.

    The answer to a PING alone ends no wait, where the system lets a socket be quiet about so few bytes.
    """
    sockets = [each for pulse in pulses if (each := pulse.line.socket) is not None]
    if len(sockets) < len(pulses):
        return pulses[0].line.readable(min(within_s, DEAF_S))
    quiet = [each for each, pulse in zip(sockets, pulses, strict=True) if pulse.is_awaited]
    _wake_from(quiet, len(PONG) + 1)
    try:
        return wakeup.wait(sockets, within_s)
    finally:
        _wake_from(quiet, 1)  # any other answer may be as short


def _wake_from(sockets: Sequence[socket.socket], count: int) -> None:
    """Have sockets count as readable from so many bytes on; their end always does."""
    for each in sockets:
        with suppress(OSError):  # Windows does not know it
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
