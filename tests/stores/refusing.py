"""A proxy that speaks Redis's protocol and refuses commands by itself, as managed services and other proxies do."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from tests.stores.relay import Relay

# Put before a script, so that it may touch only the keys that it was told of.
_DECLARED_ONLY: Final = b"""
local own = {}
for _, key in ipairs(KEYS) do own[key] = true end
local bare = { TIME = true, INFO = true, ROLE = true }
local function first(...)
  local command, key = ...
  if not bare[string.upper(command)] and not own[key] then
    return 'ERR script tried accessing undeclared key'
  end
end
local real = redis
local redis = setmetatable({
  call = function(...)
    local fault = first(...)
    if fault then error(fault) end
    return real.call(...)
  end,
  pcall = function(...)
    local fault = first(...)
    if fault then return { err = fault } end
    return real.pcall(...)
  end,
}, { __index = real })
"""


class Profile(NamedTuple):
    """What a service lacks, and in which words it says so."""

    refused: frozenset[str] = frozenset()  # CONFIG, CLIENT TRACKING, XREAD BLOCK
    words: str = "ERR unknown command '{command}', with args beginning with: "
    closes: bool = False  # ends the connection instead of saying anything
    spoils: bool = True  # a refusal inside a MULTI spoils it, as a server's own does; a proxy's does not
    declared_only: bool = False  # scripts may touch only the keys that they declare

    def refuses(self, command: Sequence[bytes]) -> bool:
        """Return whether a command is refused: by its name, or by its name and a word of it."""
        name, *rest = (word.upper().decode("latin-1") for word in command[:6])
        return name in self.refused or any(f"{name} {word}" in self.refused for word in rest)

    def answer(self, command: Sequence[bytes]) -> bytes:
        """Return the refusal as it is sent."""
        return b"-" + self.words.format(command=command[0].decode("latin-1").lower()).encode() + b"\r\n"


class RefusingProxy(Relay):
    """Passes commands on one by one, but for those that its profile refuses."""

    def __init__(self, port: int, profile: Profile) -> None:
        """Listen on loopback; `port` is the server's."""
        super().__init__(port)
        self.profile = profile
        self.asked: list[bytes] = []  # the names of all commands, in their order

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        self._start(partial(self._pass_on, _Pair(self, client, server).run, client, server))


class _Pair:
    """One client's connection and the server's behind it."""

    def __init__(self, proxy: RefusingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._profile = proxy, proxy.profile
        self._client, self._server = client, server
        self._asked, self._said = b"", b""
        self._in_multi = False

    def run(self) -> None:
        """Pass on until one of them ends."""
        while True:
            ready, _, _ = select.select((self._client, self._server), (), ())
            if self._server in ready:
                self._said += _received(self._server)
                while frame := self._frame():
                    self._client.sendall(frame)
            if self._client in ready:
                self._asked += _received(self._client)
                while command := self._command():
                    self._pass_on(command)

    def _command(self) -> list[bytes]:
        end = _end(self._asked, 0)
        if end is None:
            return []
        whole, self._asked = self._asked[:end], self._asked[end:]
        return list(_words(whole))

    def _frame(self) -> bytes:
        end = _end(self._said, 0)
        if end is None:
            return b""
        frame, self._said = self._said[:end], self._said[end:]
        return frame

    def _pass_on(self, command: list[bytes]) -> None:
        name = command[0].upper()
        self._proxy.asked.append(name)
        if self._profile.refuses(command):
            if self._profile.closes:
                raise OSError("it ends the connection")
            if self._in_multi and self._profile.spoils:
                self._answered([b"GET"])  # of the wrong arity
            self._client.sendall(self._profile.answer(command))
            return
        self._in_multi = name == b"MULTI" or (self._in_multi and name not in {b"EXEC", b"DISCARD"})
        if self._profile.declared_only and name == b"EVALSHA":
            self._client.sendall(b"-NOSCRIPT No matching script. Please use EVAL.\r\n")
            return
        if self._profile.declared_only and name == b"EVAL":
            command[1] = _DECLARED_ONLY + command[1]
        self._client.sendall(self._answered(command))

    def _answered(self, command: list[bytes]) -> bytes:
        """Have the server answer one command; pushes before the answer go on their way."""
        packed = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in command)
        self._server.sendall(b"*%d\r\n" % len(command) + packed)
        while True:
            frame = self._frame()
            if not frame:
                self._said += _received(self._server)
            elif frame.startswith(b">"):
                self._client.sendall(frame)
            else:
                return frame


def _received(source: socket.socket) -> bytes:
    data = source.recv(65_536)
    if not data:
        raise OSError("it has ended")
    return data


def _end(data: bytes, start: int) -> int | None:
    """Return where the frame that begins at `start` ends, or None where not all of it is there."""
    line = data.find(b"\r\n", start)
    if line < 0:
        return None
    kind, count, end = data[start : start + 1], data[start + 1 : line], line + 2
    if kind in b"$=!":
        end += max(0, int(count) + 2) if int(count) >= 0 else 0
        return end if end <= len(data) else None
    parts = int(count) * (2 if kind in b"%|" else 1) if kind in b"*%~>|" else 0
    for _ in range(parts):
        inner = _end(data, end)
        if inner is None:
            return None
        end = inner
    return end


def _words(command: bytes) -> Iterator[bytes]:
    at = command.index(b"\r\n") + 2
    while at < len(command):
        line = command.index(b"\r\n", at)
        size = int(command[at + 1 : line])
        yield command[line + 2 : line + 2 + size]
        at = line + 4 + size
