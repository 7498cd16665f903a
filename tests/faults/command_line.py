"""Run the command line as a process, as an operator does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final, NamedTuple

RUNS_WITHIN_S: Final = 30.0


class Ran(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # Any: JSON
        """Read what it printed."""
        return json.loads(self.out)


def graysplit_cli(url: str, namespace: str, *words: str) -> Ran:
    """Run `graysplit ...` against a namespace and wait for its end."""
    environment = {**os.environ, "GRAYSPLIT_URL": url, "GRAYSPLIT_NAMESPACE": namespace}
    done = subprocess.run(
        [sys.executable, "-m", "graysplit.cli", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUNS_WITHIN_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
