"""A web application for `gunicorn --preload`, as WSGI (`wsgi`) and ASGI (`asgi`): answers with its process and share.

Its master follows too: a thread there writes each change of its share to the file that MASTER_SEES names.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import graysplit
from tests.faults.shares import share, units

gray = graysplit.Router()
units("checkout")
gray.wait_ready(20)


def tell_of_the_master() -> None:
    """Write what the master decides whenever it changes; threads do not live on in forked workers."""
    file, last = Path(os.environ["MASTER_SEES"]), -1
    while True:
        now = share(gray)
        if now != last:
            fresh = file.with_suffix(".fresh")
            fresh.write_text(str(now))
            fresh.replace(file)
            last = now
        threading.Event().wait(0.01)


threading.Thread(target=tell_of_the_master, daemon=True).start()


def answer() -> bytes:
    """Say who answers, and what it decides."""
    return b"%d %d" % (os.getpid(), share(gray))


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:  # Any: WSGI's
    """Answer whatever is asked."""
    body = answer()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


Receive = Callable[[], Awaitable[dict[str, Any]]]  # Any: ASGI's
Send = Callable[[object], Awaitable[None]]


async def asgi(scope: dict[str, Any], receive: Receive, send: Send) -> None:  # Any: ASGI's
    """Answer whatever is asked; the goodbye is not its business."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer()})
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
