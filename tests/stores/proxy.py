"""A TCP proxy that misbehaves on command, between a store and its server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from tests.stores.relay import Relay, shut


class Proxy(Relay):
    """Passes bytes on; may drip them one by one, hold them back, or cut the line where an answer should go."""

    def __init__(self, port: int) -> None:
        """Listen on loopback; `port` is the server's."""
        super().__init__(port)
        self.drip_s = 0.0  # seconds between two bytes of an answer; 0: at once
        self.cut_after: bytes | None = None  # cut once, when an answer comes to a request that holds this
        self._armed = threading.Event()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        for source, sink, pump in ((client, server, self._ask), (server, client, self._answer)):
            self._start(partial(self._pump, source, sink, pump))

    def _pump(self, source: socket.socket, sink: socket.socket, pump: Callable[[socket.socket, bytes], None]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                pump(sink, data)
        shut(source)
        shut(sink)

    def _ask(self, server: socket.socket, data: bytes) -> None:
        if self.cut_after is not None and self.cut_after in data:
            self.cut_after = None
            self._armed.set()
        server.sendall(data)

    def _answer(self, client: socket.socket, data: bytes) -> None:
        if self._armed.is_set():
            self._armed.clear()
            raise OSError("cut")
        if not self.drip_s:
            client.sendall(data)
            return
        for number in range(len(data)):
            client.sendall(data[number : number + 1])
            if self._closing.wait(self.drip_s):
                return
