"""A TCP relay that counts how often a client waits for its server, and may stand as far from it as told."""

from __future__ import annotations

import re
import select
import socket
import time
from collections import deque
from functools import partial
from typing import Final

from tests.stores.relay import Relay

CONNECT: Final = "connect"
_COMMAND: Final = re.compile(rb"\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n")


class TripRelay(Relay):
    """Counts the trips of all connections: one to connect, and one for each answer that a client waits for.

    What is sent together, or sent on before an answer has arrived, is one trip. `trip_s` is the time of one: half of it
    for each direction. The first request of a connection is held for a whole trip more, as TCP's handshake would.
    """

    def __init__(self, port: int, trip_s: float = 0.0) -> None:
        """Listen on loopback; `port` is the server's."""
        super().__init__(port)
        self.trip_s = trip_s
        self.trips: list[str] = []  # what each was for: the names of the commands that were sent

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        self.trips.append(CONNECT)
        self._start(partial(self._pass_on, _Pair(self, client, server).run, client, server))


class _Pair:
    """One client's connection and the server's behind it."""

    def __init__(self, relay: TripRelay, client: socket.socket, server: socket.socket) -> None:
        self._relay, self._client, self._server = relay, client, server
        self._asked: list[str] = []  # by the client since an answer was delivered last
        self._on_the_way: dict[socket.socket, deque[tuple[float, bytes]]] = {client: deque(), server: deque()}
        self._connected_at = time.monotonic() + relay.trip_s

    def run(self) -> None:
        """Pass on until one of them ends."""
        while True:
            ready, _, _ = select.select((self._client, self._server), (), (), self._left_s())
            for source in ready:
                self._take(source, source.recv(65_536))
            now = time.monotonic()
            for sink, pieces in self._on_the_way.items():
                while pieces and pieces[0][0] <= now:
                    self._deliver(sink, pieces.popleft()[1])

    def _left_s(self) -> float | None:
        """Return when the next piece arrives, or None where none is on its way."""
        due = [pieces[0][0] for pieces in self._on_the_way.values() if pieces]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _take(self, source: socket.socket, data: bytes) -> None:
        sink = self._server if source is self._client else self._client
        if source is self._client:
            self._asked += [name.decode().upper() for name in _COMMAND.findall(data)] or ["..."] * bool(data)
        left_at = max(time.monotonic(), self._connected_at)
        self._on_the_way[sink].append((left_at + self._relay.trip_s / 2, data))

    def _deliver(self, sink: socket.socket, data: bytes) -> None:
        if not data:
            raise OSError("it has ended")
        if sink is self._client and self._asked:
            self._relay.trips.append(" ".join(self._asked))
            self._asked = []
        sink.sendall(data)
