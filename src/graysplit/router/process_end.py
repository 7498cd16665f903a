"""Hear that this process ends, in whichever way, and say goodbye: or it would count as silent for ten minutes.

| how it ends | what hears it |
|---|---|
| in the ordinary way, or by an exception | `atexit` |
| a child of `multiprocessing` (it ends by `os._exit`) | `multiprocessing.util.Finalize` |
| a child of Celery's pool (it ends by `os._exit`) | the signal `worker_process_shutdown` |
| by SIGTERM that nobody handles | a handler, set only where the disposition is the default |
| uvicorn, which sends itself SIGTERM again once it has shut down | its server's `shutdown` |

A handler that the program has set is never replaced, and one that it sets later replaces ours. Nothing here hears
SIGKILL, or a process without memory: such a one is told by its connection (`graysplit.core.fleet`).
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, TypeAlias, cast

Goodbye: TypeAlias = Callable[[], object]

_ShutDown: TypeAlias = Callable[..., Awaitable[object]]

# How long whoever sent SIGTERM waits for us where Redis is gone.
TERM_WITHIN_S: Final = 0.3


class _Server(Protocol):
    """What is used of uvicorn's server; the package itself is not needed here."""

    shutdown: _ShutDown


# Of all routers of this process, and of its parents: those are weak, and say nothing once their process has ended.
_goodbyes: list[Goodbye] = []


# Of the process that is ending: its id, and when the first of its routers began to say goodbye.
_ending: dict[int, float] = {}
_LEAST_S: Final = 0.05


def time_left(within_s: float) -> float:
    """Return how long this goodbye may take: all routers of a process share the time; a live server needs little."""
    now = time.monotonic()
    return max(_LEAST_S, _ending.setdefault(os.getpid(), now) + within_s - now)


def hear_end(goodbye: Goodbye, *, first: bool) -> None:
    """Have a goodbye said when this process ends; `first`: no parent of it has asked, for most of it is inherited."""
    if (multiprocessing := sys.modules.get("multiprocessing.util")) is not None:
        multiprocessing.Finalize(None, goodbye, exitpriority=0)
    if not first:
        return
    _goodbyes.append(goodbye)
    atexit.register(goodbye)
    if (celery := sys.modules.get("celery.signals")) is not None:
        celery.worker_process_shutdown.connect(_say_all, weak=False, dispatch_uid="graysplit")


def hear_sigterm() -> None:
    """Have the goodbyes said on SIGTERM: by uvicorn, or by a handler of ours where nobody else has one.

    Only the main thread may set one; from another nothing is done, and the next start from the main thread does it.
    """
    handler = signal.getsignal(signal.SIGTERM)
    is_main = threading.current_thread() is threading.main_thread()
    if handler is signal.SIG_DFL and is_main and not _is_caught_in_c():
        with suppress(ValueError):  # a second interpreter in this process
            signal.signal(signal.SIGTERM, _on_sigterm)
    if (uvicorn := sys.modules.get("uvicorn.server")) is not None:
        server = getattr(handler, "__self__", None)
        if isinstance(server, uvicorn.Server):
            _follow_uvicorn(cast("_Server", server))


def _is_caught_in_c() -> bool:
    """Return whether a handler is set that Python knows nothing of, as uWSGI's is."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123 - no pathlib here
            caught = next(line.split()[1] for line in status if line.startswith("SigCgt:"))
    except (OSError, StopIteration):
        return "uwsgi" in sys.modules
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def _on_sigterm(number: int, frame: object) -> None:  # noqa: ARG001 - the signature of handlers
    """Say goodbye, for so long at most, and end by the signal as if nobody had heard it.

    The main thread may hold any lock at this moment, so another thread speaks; it is made without `threading`, whose
    own locks may be among them. A second signal meanwhile changes nothing: a parent that ends its daemonic children
    (hypercorn, any of `multiprocessing`) sends two, and the time is short.
    """
    signal.signal(signal.SIGTERM, _heard_already)
    try:
        said = _thread.allocate_lock()
        said.acquire()
        _thread.start_new_thread(_say_and_release, (said,))
        said.acquire(timeout=TERM_WITHIN_S)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


def _heard_already(number: int, frame: object) -> None:
    """Do nothing; no SIG_IGN, which a program started meanwhile would inherit."""


def _say_and_release(said: _thread.LockType) -> None:
    try:
        _say_all()
    finally:
        said.release()


def _say_all(**_: object) -> None:
    for goodbye in tuple(_goodbyes):
        with suppress(Exception):
            goodbye()


def _follow_uvicorn(server: _Server) -> None:
    """Have the goodbyes said as the last of what a server shuts down: after its requests and the lifespan."""
    if isinstance(vars(server).get("shutdown"), partial):
        return
    with suppress(AttributeError):  # a version of another build: its processes are told by their connection
        server.shutdown = partial(_shut_down, server.shutdown)


async def _shut_down(shutdown: _ShutDown, *arguments: object, **named: object) -> None:
    try:
        await shutdown(*arguments, **named)
    finally:
        _say_all()
