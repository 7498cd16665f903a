"""A Celery application that routes inside its tasks; its router starts in the worker's parent, before the pool forks.

Told by the environment: GRAYSPLIT_URL, and BROKER for Celery's own traffic.
"""

from __future__ import annotations

import os
import threading
from typing import Final

import celery

import graysplit
from tests.faults.shares import share, units

# Long enough for every child to get a task of a handful, short enough to ask often.
TASK_TAKES_S: Final = 0.05

gray = graysplit.Router()
units("checkout")
gray.wait_ready(20)

app = celery.Celery("runtimes", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


@gray.route("checkout", unit="order")
def checkout(order: str) -> str:
    """Take the old path."""
    return "old"


@checkout.version("new")
def checkout_new(order: str) -> str:
    """Take the new path."""
    return "new"


@app.task  # type: ignore[untyped-decorator] # as above
def look() -> tuple[int, int]:
    """Say who runs this task, and what it decides."""
    threading.Event().wait(TASK_TAKES_S)
    return os.getpid(), share(gray)


@app.task  # type: ignore[untyped-decorator] # as above
def order(number: int) -> tuple[int, str]:
    """Say who runs this task, and the path that its routed call took."""
    return os.getpid(), checkout(f"order-{number}")


@app.task  # type: ignore[untyped-decorator] # as above
def wait_for(path: str) -> None:
    """Keep a child busy until a file is there."""
    while not os.path.exists(path):  # noqa: PTH110 - as cheap as can be
        threading.Event().wait(0.01)
