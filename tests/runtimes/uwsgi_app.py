"""A web application for uWSGI: its router is asked to start before there are workers; says who answers, and what."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import graysplit
from tests.faults.shares import share, units

gray = graysplit.Router()
units("checkout")
gray.wait_ready(20)


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:  # Any: WSGI's
    """Answer whatever is asked."""
    body = b"%d %d" % (os.getpid(), share(gray))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
