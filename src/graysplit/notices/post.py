"""Send one request and return the status of its answer, within a time, and without a word of the address in any error.

The standard library's urllib: certificates are verified, proxies taken from the environment, no redirect followed.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Mapping
from typing import Final
from urllib import error, request

from graysplit.notices.not_taken import NotTakenError
from graysplit.version import __version__

_AGENT: Final = f"graysplit/{__version__}"


def post(url: str, body: bytes, headers: Mapping[str, str], within_s: float) -> int:
    """Send a body and return the answer's status; raises `NotTakenError` where none came in time."""
    asked = request.Request(url, body, {"User-Agent": _AGENT, **headers}, method="POST")  # noqa: S310 - http(s), checked
    try:
        with request.build_opener(_NoRedirect, _Plain, _Secure).open(asked, timeout=within_s) as answer:
            return int(answer.status)
    except error.HTTPError as answered:
        with answered:
            return answered.code
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise NotTakenError(_words(fault, within_s)) from None


class _NoRedirect(request.HTTPRedirectHandler):
    """Another host is told nothing, and a redirected POST arrives as an empty GET anyway."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow none."""


class _Reading(io.RawIOBase):
    """Reads from a socket until a moment: a timeout alone begins anew with each byte that drips in."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # narrower than any buffer
        self._sock.settimeout(max(0.001, self._until - time.monotonic()))
        return self._sock.recv_into(buffer)


class _Answer(http.client.HTTPResponse):
    """An answer that must have come within what its socket has left."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp.close()
        self.fp = io.BufferedReader(_Reading(sock, time.monotonic() + (sock.gettimeout() or 0.0)))


class _PlainConnection(http.client.HTTPConnection):
    response_class = _Answer

    def connect(self) -> None:
        begun = time.monotonic()
        super().connect()
        _shorten(self.sock, begun)


class _SecureConnection(http.client.HTTPSConnection):
    response_class = _Answer

    def connect(self) -> None:
        begun = time.monotonic()
        super().connect()
        _shorten(self.sock, begun)


def _shorten(sock: socket.socket, begun: float) -> None:
    """Take what connecting has cost from the time for the rest."""
    sock.settimeout(max(0.001, (sock.gettimeout() or 0.0) - (time.monotonic() - begun)))


class _Plain(request.HTTPHandler):
    def http_open(self, req: request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PlainConnection, req)


class _Secure(request.HTTPSHandler):
    def https_open(self, req: request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req)


def _words(fault: BaseException, within_s: float) -> str:
    """Return what went wrong; other texts than the system's own may quote the address."""
    inner = fault.reason if isinstance(fault, error.URLError) and isinstance(fault.reason, OSError) else fault
    if isinstance(inner, TimeoutError):
        return f"no answer within {within_s:g} s"
    verify = getattr(inner, "verify_message", "")
    if verify:
        return f"its certificate is not valid: {verify}"
    told = inner.strerror if isinstance(inner, OSError) and not isinstance(inner, error.URLError) else None
    return str(told or type(inner).__name__)
