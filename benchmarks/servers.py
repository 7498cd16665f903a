"""What a request costs a real server's process below a middleware, beside one below an empty one of its framework.

A gRPC interceptor is beside one that leaves each call to its handler as it is.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from typing import Final, NamedTuple

from benchmarks.processes import ROOT, surroundings
from benchmarks.report import Row
from benchmarks.setting import until

CHUNK: Final = 20
GOAL: Final = 1.15
USER: Final = "user-0000042"


def ratio_row(name: str, spent: list[tuple[int, int]], goal: float | None) -> Row:
    """Return the ratio of chunks below an empty middleware and below ours."""
    empty_us, ours_us = (sorted(chunks)[len(chunks) // 10] / CHUNK / 1000 for chunks in zip(*spent, strict=True))
    note = f"an empty one: {empty_us:.0f} us a request; ours adds {ours_us - empty_us:.1f}"
    return Row(name, ours_us / empty_us, goal, note=note)


class HttpClient:
    """One connection to a server of HTTP."""

    failures: tuple[type[Exception], ...] = (OSError, http.client.HTTPException)

    def __init__(self, port: int) -> None:
        """Connect with the first request."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path: str) -> bytes:
        """Return an answer."""
        self._connection.request("GET", f"/{path}", headers={"X-User": USER})
        return self._connection.getresponse().read()

    def close(self) -> None:
        """Disconnect; another request connects again."""
        self._connection.close()


class GrpcClient:
    """One channel to a gRPC server."""

    failures: tuple[type[Exception], ...] = ()  # its calls wait until the server is there

    def __init__(self, port: int) -> None:
        """Connect with the first call."""
        import grpc

        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._metadata = (("x-user", USER),)

    def get(self, path: str) -> bytes:
        """Return an answer."""
        call = self._channel.unary_unary(f"/shop/{path}")
        answer: bytes = call(b"", metadata=self._metadata, timeout=30, wait_for_ready=True)
        return answer

    def close(self) -> None:
        """Disconnect."""
        self._channel.close()


class Served(NamedTuple):
    """A real server: its command, what speaks to it, and the goal."""

    name: str
    words: list[str]
    client: type[HttpClient | GrpcClient] = HttpClient
    goal: float | None = None


SERVERS: Final = (
    Served(
        "ASGI: Starlette, uvicorn",
        ["uvicorn", "--log-level", "warning", "--factory", "benchmarks.served:make_asgi", "--port", "{port}"],
        goal=GOAL,
    ),
    Served(
        "WSGI: Flask, gunicorn",
        ["gunicorn", "--threads", "2", "--no-control-socket", "--log-level", "warning", "--keep-alive", "60",
         "benchmarks.served:make_wsgi()", "-b", "127.0.0.1:{port}"],
        goal=GOAL,
    ),
    Served("aiohttp, its own server", ["benchmarks.served", "aiohttp", "{port}"]),
    Served("gRPC: grpc.server", ["benchmarks.served", "grpc", "{port}"], GrpcClient),
    Served("gRPC: grpc.aio.server", ["benchmarks.served", "grpc.aio", "{port}"], GrpcClient),
)  # fmt: skip


def measure_served(served: Served, pairs: int) -> Row:
    """Return a middleware's ratio on a real server, by the CPU time of its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [word.format(port=port) for word in served.words]
    server = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, env=surroundings(None))
    client = served.client(port)

    def spent(path: str) -> int:
        before = int(client.get("cpu"))
        for _ in range(CHUNK):
            client.get(path)
        return int(client.get("cpu")) - before

    try:
        until(lambda: _answers(client), "the server answers")
        for path in ("ours", "empty"):
            spent(path)
        return ratio_row(served.name, [(spent("empty"), spent("ours")) for _ in range(pairs)], served.goal)
    finally:
        client.close()
        server.terminate()
        server.wait()


def _answers(client: HttpClient | GrpcClient) -> bool:
    try:
        return client.get("ours") == b"old"
    except client.failures:
        client.close()
        return False
