"""Pools of processes, however they are started: every child follows without a call, and says goodbye at its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from graysplit import embedded
from tests.faults.followers import ROOT
from tests.runtimes.pools import CHILDREN

METHODS = ("fork", "spawn", "forkserver")


def pool(method: str, rounds: int) -> float:
    """Have a program with a pool follow its own changes; return the slowest confirmation in seconds."""
    with embedded.server() as own:
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.runtimes.pools", method, str(rounds)],
            cwd=ROOT,
            env={**os.environ, "GRAYSPLIT_URL": own.url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    weights = [20 + number % 60 if number % 3 else 0 for number in range(rounds)]
    slowest = said.pop("slowest")
    assert said == {"wrong": [], "mine": [10, *weights], "counted": CHILDREN + 1, "left": True}
    return float(slowest)


@pytest.mark.parametrize("method", METHODS)
def test_all_children_follow_and_say_goodbye(method: str, record_property: Callable[[str, object], None]) -> None:
    """Ten changes: once confirmed no child decides otherwise; after the pool's end only the parent is counted."""
    record_property("slowest confirmation s", pool(method, 10))


@pytest.mark.soak
@pytest.mark.parametrize("method", METHODS)
def test_all_children_follow_five_hundred_changes(method: str) -> None:
    """The same five hundred times."""
    pool(method, 500)
