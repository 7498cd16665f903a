"""Run one program and return how it ended, within a time; what it has started ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from graysplit.notices.not_taken import NotTakenError


def run(command: Sequence[str], body: bytes, named: Mapping[str, str], within_s: float) -> int:
    """Run a program with a body on its standard input; raises `NotTakenError` where it does not end in time.

    Its standard error is the process's, its standard output nobody's.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the process's own configuration names it, and no shell reads it
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=os.environ | named,
            start_new_session=True,
        )
    except (OSError, ValueError) as fault:
        told = fault.strerror if isinstance(fault, OSError) else None
        raise NotTakenError(f"it cannot be started: {told or type(fault).__name__}") from None
    with process:
        try:
            process.communicate(body, within_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise NotTakenError(f"not done within {within_s:g} s, and killed") from None
        except BaseException:
            _kill(process)
            raise
    return process.returncode


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it has started in its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
