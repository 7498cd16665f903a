"""A TCP proxy that misbehaves on command, between graysplit and a real server."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

HOST: Final = "127.0.0.1"
_CHUNK: Final = 65_536


class Proxy:
    """Passes bytes on until told otherwise; `heal` ends whatever was asked for.

    `refuse` closes every door, `blackhole` keeps connections open and lets nothing through (what was sent arrives
    after `heal`, as TCP would deliver it), `delay_s` holds each piece back, `drip_s` passes answers byte by byte, `cut`
    breaks what is open now, `hold` keeps back a request that contains certain bytes until `release`, and `harm` does
    one connection a harm as soon as certain bytes are sent on it.
    """

    def __init__(self, port: int) -> None:
        """Listen on loopback; `port` is the server's."""
        self.delay_s = 0.0  # each piece, in both directions
        self.drip_s = 0.0  # between two bytes of an answer
        self.connections = 0  # how many have been made in all
        self.holding = threading.Event()  # a request is being held back
        self._target = self._first = port
        self._marks: tuple[bytes, ...] = ()
        self._harm = ""
        self._mute: set[socket.socket] = set()  # both ends of connections on which nothing passes any more
        self._muting: set[socket.socket] = set()  # the servers' ends of those on which one more answer does
        self._closing = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._held: bytes | None = None
        self._released = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    def url(self, server_url: str) -> str:
        """Return the address of the proxy in the place of the server's."""
        return server_url.replace(f":{self._first}", f":{self.port}")

    def refuse(self) -> None:
        """Break what is open and refuse every new connection."""
        self._shut(self._listener)
        self.cut()

    def blackhole(self) -> None:
        """Take connections and bytes, and let nothing through."""
        self._open.clear()

    def hold(self, mark: bytes) -> None:
        """Keep back the next request that contains these bytes, until `release`."""
        self.holding.clear()
        self._released.clear()
        self._held = mark

    def harm(self, how: str, *marks: bytes) -> None:
        """From now on `close` a connection on which one of these is asked, or let nothing pass: `before` or `after`."""
        self._harm, self._marks = how, marks

    def release(self) -> None:
        """Let the held request go on its way."""
        self._released.set()

    def cut(self) -> None:
        """Break every connection that is open now."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for each in pair:
                self._shut(each)

    def switch(self, port: int) -> None:
        """Break what is open and lead to another server from now on, as a failover does."""
        self._target = port
        self.cut()

    def heal(self) -> None:
        """Pass everything on again."""
        self.delay_s = self.drip_s = 0.0
        self._marks = ()
        self._open.set()
        if self._listener.fileno() == -1:
            self._listener = self._listen(self.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._released.set()
        self._open.set()
        self._shut(self._listener)
        self.cut()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server((HOST, port), backlog=64)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection((HOST, self._target))
            except OSError:
                client.close()  # nobody is behind: as good as refused
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.append((client, server))
            for source, sink, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, answers), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                self._open.wait()
                if not answers and any(mark in data for mark in self._marks):
                    if self._harm == "close":
                        break
                    (self._mute if self._harm == "before" else self._muting).add(sink)
                if source in self._mute or sink in self._mute:
                    continue
                if answers and source in self._muting:
                    self._mute.add(source)
                if not answers and self._held is not None and self._held in data:
                    self._held = None
                    self.holding.set()
                    self._released.wait()
                if self.delay_s:
                    self._closing.wait(self.delay_s)
                if answers and self.drip_s:
                    self._drip(sink, data)
                else:
                    sink.sendall(data)
        for each in (source, sink):
            self._shut(each)

    def _drip(self, sink: socket.socket, data: bytes) -> None:
        for number in range(len(data)):
            sink.sendall(data[number : number + 1])
            self._closing.wait(self.drip_s)

    @staticmethod
    def _shut(line: socket.socket) -> None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()
