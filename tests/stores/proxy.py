"""A TCP proxy that misbehaves on command, between a store and its server."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Passes bytes on; may drip them one by one, hold them back, or cut the line where an answer should go."""

    def __init__(self, port: int) -> None:
        """Listen on loopback; `port` is the server's."""
        self.drip_s = 0.0  # seconds between two bytes of an answer; 0: at once
        self.cut_after: bytes | None = None  # cut once, when an answer comes to a request that holds this
        self._target = port
        self._armed = threading.Event()
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._sockets: list[socket.socket] = [self._listener]
        self._threads[0].start()

    def url(self, server_url: str) -> str:
        """Give the address of the proxy in the place of the server's."""
        return server_url.replace(f":{self._target}", f":{self.port}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._sockets += (client, server)
            for source, sink, pump in ((client, server, self._ask), (server, client, self._answer)):
                thread = threading.Thread(target=self._pump, args=(source, sink, pump), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, pump: object) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                pump(sink, data)  # type: ignore[operator]
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

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
