"""End a wait for connections from another thread, or from a signal handler."""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from math import ceil


class Wakeup:
    """A pair of sockets: who waits listens to one of them beside its connections; once set it stays so."""

    def __init__(self) -> None:
        """Begin unset; the sockets are made by the first wait."""
        self.is_set = False
        self._pid = os.getpid()
        self._pair: tuple[socket.socket, socket.socket] | None = None
        self._poll: tuple[list[socket.socket], select.poll] | None = None  # of the sockets that were waited for last

    def set(self) -> None:
        """End the wait that is under way, and each one from now on; takes no lock, never waits, never raises."""
        self.is_set = True
        if (pair := self._pair) is not None and self._pid == os.getpid():  # in a forked child it is the parent's
            with suppress(OSError):  # closed: nobody waits any more
                pair[1].send(b"\0")

    def wait(self, sockets: list[socket.socket], within_s: float) -> bool:
        """Wait until something arrives at a socket, or this is set; return whether either came within that time."""
        if self._pair is None:
            pair = socket.socketpair()
            pair[1].settimeout(0)
            self._pair = pair
        if self.is_set:  # looked at after the pair is there: who sets it from here on sends
            return True
        if not hasattr(select, "poll"):  # Windows
            return bool(select.select((*sockets, self._pair[0]), (), (), within_s)[0])
        if self._poll is None or self._poll[0] != sockets:
            poll = select.poll()  # no descriptor of its own, as one of `epoll` would be
            for each in (*sockets, self._pair[0]):
                poll.register(each, select.POLLIN)
            self._poll = (sockets, poll)
        return bool(self._poll[1].poll(ceil(1000 * within_s)))

    def close(self) -> None:
        """Let go of the sockets; may be called twice."""
        for each in self._pair or ():
            each.close()

    def __del__(self) -> None:
        """Let go of the sockets, where nobody has."""
        self.close()
