"""A small HTTP server that records what it is sent, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Recorder:
    """What arrived, in order; `answer` gives the status, and may take its time."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        """Begin with nothing recorded, and 204 for everybody."""
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.answer: Callable[[dict[str, Any]], int] = lambda _: 204

    @property
    def changes(self) -> list[str]:
        """The ids of the changes that arrived."""
        return [body["change"] for body in self.bodies]


@contextmanager
def recording(port: int = 0) -> Iterator[Recorder]:
    """Serve until the end, on any port or on this one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            recorder.headers.append(dict(self.headers.items()))
            recorder.paths.append(self.path)
            recorder.bodies.append(body)
            self.send_response(recorder.answer(body))
            self.send_header("Location", f"{recorder.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            """Serve; whoever left before the answer is no trouble."""
            try:
                super().handle()
            except OSError:
                return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    recorder = Recorder(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
