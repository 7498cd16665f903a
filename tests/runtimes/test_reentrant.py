"""Decisions from signal handlers, finalizers, weakref callbacks and log handlers: no deadlock, no wrong answer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from graysplit import embedded
from tests.faults.followers import ROOT
from tests.support import bare_environment

WHERES = ("signal", "del", "weakref", "log")


def decide(where: str, count: int) -> None:
    """Have a program decide from there, and look at how it fared."""
    with embedded.server() as own:
        done = subprocess.run(
            [sys.executable, "-m", "tests.runtimes.reentrant", where, str(count)],
            cwd=ROOT,
            env={
                **bare_environment(),
                "GRAYSPLIT_URL": own.url,
            },  # coverage is not made for a collector that never rests
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"enough": True, "wrong": [], "share": 0, "confirmed": 1}


@pytest.mark.parametrize("where", WHERES)
def test_ten_thousand_decisions_from_where_nobody_expects_them(where: str) -> None:
    """Threads decide and an operator changes weights meanwhile; at the end the rollback is confirmed."""
    decide(where, 10_000)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("where", WHERES)
def test_a_hundred_thousand_decisions_from_where_nobody_expects_them(where: str) -> None:
    """The same, 100,000 times."""
    decide(where, 100_000)
