"""Run the command line as a process, as an operator does."""

from __future__ import annotations

import json
import os
from typing import Any, Final, NamedTuple

from tests import warm

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
    done = warm.run("graysplit.cli", *words, env=environment, timeout=RUNS_WITHIN_S)
    return Ran(done.returncode, done.stdout, done.stderr)
