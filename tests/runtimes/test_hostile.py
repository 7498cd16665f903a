"""A program's own code does its worst wherever graysplit calls it: rollbacks come, decisions answer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from graysplit import embedded
from tests.faults.followers import ROOT
from tests.support import bare_environment

PLACES = {"handler", "filter", "warm", "unit", "failed"}


def play(rounds: int, seed: int) -> dict[str, object]:
    """Have the program play so many rounds, and return what it says of them."""
    with embedded.server() as own:
        done = subprocess.run(
            [sys.executable, "-m", "tests.runtimes.hostile", str(rounds), str(seed)],
            cwd=ROOT,
            env={**bare_environment(), "GRAYSPLIT_URL": own.url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, object] = json.loads(done.stdout)
    sys.stdout.write(f"{found}\n")
    return found


def test_no_rollback_is_lost_in_a_hostile_program() -> None:
    """Twelve rounds of what raises, hangs, calls graysplit and forks, in seven places at once."""
    found = play(12, 7)
    assert found["wrong"] == []
    assert {*found["acted"]} >= PLACES  # type: ignore[misc] # names


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_two_hundred_rounds_in_a_hostile_program() -> None:
    """Each rollback within half a second, on a machine that is not busy with much else."""
    found = play(200, 1)
    assert found["wrong"] == []
    assert {*found["acted"]} >= PLACES  # type: ignore[misc] # names
    assert found["longest_ms"] < 500  # type: ignore[operator] # a number
