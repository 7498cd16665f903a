"""A program's own service, under uvicorn with two worker processes, from where the block begins to where it ends."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

import httpx

WORKERS: Final = 2


@contextlib.contextmanager
def service(program: str, url: str, **environment: str) -> Generator[str]:
    """Open a program's `app` on a free port, with the store at `url`, and return its address once it answers."""
    here = Path(program).resolve()
    uvicorn = [sys.executable, "-m", "uvicorn", f"{here.stem}:app", "--app-dir", str(here.parent)]
    with subprocess.Popen(  # noqa: S603 - the program itself
        [*uvicorn, "--workers", str(WORKERS), "--port", "0", "--no-access-log", "--no-use-colors"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GRAYSPLIT_URL": url, **environment},
    ) as process:
        said = process.stderr or iter(())
        address = next(found[1] for line in said if (found := re.search(r"running on (http://\S+)", line)))
        listener = threading.Thread(target=lambda: [*said])  # a pipe that nobody reads would hold the workers up
        listener.start()
        try:
            _answers(address)
            yield address
        finally:
            process.terminate()
            listener.join()


def _answers(address: str) -> None:
    """Wait until somebody answers: uvicorn names its address before its workers listen."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.ConnectError):
            httpx.get(address, timeout=30)
            return
        time.sleep(0.02)
    raise TimeoutError(address)
