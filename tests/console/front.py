"""What stands before an application in production: it ends TLS, takes a prefix off, and adds a header or none."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support import skip_or_fail

HOST: Final = "127.0.0.1"


class Front:
    """A reverse proxy on loopback: each connection carries one request, and its answer as it comes."""

    def __init__(self, port: int, *, prefix: str = "", papers: Path | None = None, header: str = "") -> None:
        """Listen; `port` is the application's, `papers` the folder of `certified`."""
        self._port = port
        self._prefix = prefix
        self._header = header
        self._tls = None if papers is None else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self._tls is not None and papers is not None:
            self._tls.load_cert_chain(papers / "front.crt", papers / "front.key")
        self._listener = socket.create_server((HOST, 0), backlog=64)
        scheme = "http" if papers is None else "https"
        self.url = f"{scheme}://{HOST}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), closing(client):
            client = client if self._tls is None else self._tls.wrap_socket(client, server_side=True)
            with closing(client), closing(socket.create_connection((HOST, self._port))) as server:
                server.sendall(
                    self._request(client)
                )  # in one thread: two may not share what OpenSSL has of a connection
                while answer := server.recv(65_536):
                    client.sendall(answer)

    def _request(self, client: socket.socket) -> bytes:
        """Read a request, and return it with its path and its headers changed."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(client)
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        while len(body) < int(length[1] if length else 0):
            body += self._more(client)
        method, _, rest = head.partition(b" ")
        path = b"/" + rest.removeprefix(self._prefix.encode()).removeprefix(b"/")
        lines = [method + b" " + path, b"connection: close", *filter(None, [self._header.encode()])]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    @staticmethod
    def _more(client: socket.socket) -> bytes:
        data = client.recv(65_536)
        if not data:
            raise ConnectionResetError
        return data


def certified(folder: Path) -> ssl.SSLContext:
    """Make a certificate for loopback, and return what trusts it."""
    tool = shutil.which("openssl")
    if tool is None:
        skip_or_fail("TLS needs openssl: install Debian's package openssl")
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-subj", "/CN=front", "-addext", f"subjectAltName=IP:{HOST}")
    papers = ("-keyout", "front.key", "-out", "front.crt")
    subprocess.run([tool, *made, *names, *papers], cwd=folder, check=True, capture_output=True, timeout=60)
    return ssl.create_default_context(cafile=folder / "front.crt")
