"""What stands between a client and its server in a test: it takes connections, and hands each on with its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self


class Relay:
    """Listens on loopback, and connects to the server for each who comes; `_serve` says what passes between them."""

    def __init__(self, port: int) -> None:
        """Listen on loopback; `port` is the server's."""
        self.connections = 0  # how many were made in all
        self._target = port
        self._closing = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]

    def url(self, server_url: str) -> str:
        """Return the address of the relay in the place of the server's."""
        return server_url.replace(f":{self._target}", f":{self.port}")

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for each in (self._listener, *self._sockets):
            shut(each)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._sockets += (client, server)
            if self._closing.is_set():  # it came too late to be closed with the others
                client.close()
                server.close()
                return
            self._serve(client, server)

    def _pass_on(self, run: Callable[[], None], client: socket.socket, server: socket.socket) -> None:
        """Pass on until one of them ends, and nothing after that."""
        with suppress(OSError, ValueError):
            run()
        shut(client)
        shut(server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Begin to pass on what both send; returns at once."""
        raise NotImplementedError


def shut(end: socket.socket) -> None:
    """Let nothing more pass, in either direction."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
