"""Whoever judges or tells is killed at any moment: evidence is neither lost beyond one batch nor counted twice."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

import pytest

from graysplit import embedded
from tests.faults.followers import ROOT
from tests.faults.judging import PER_BATCH
from tests.support import bare_environment

KILLS: Final = (40, pytest.param(200, marks=pytest.mark.soak))


@pytest.mark.parametrize("kills", KILLS)
def test_evidence_outlives_whoever_judges_and_whoever_tells(kills: int) -> None:
    """So many of each are killed: what was acknowledged is counted once, and of each notifier one batch more."""
    with embedded.server() as own:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.judging", own.url, str(kills)],
            cwd=ROOT,
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert said["judgements"] >= kills
    assert said["stages"] == 1
    assert said["judge"] == []  # nobody ever saw less than before
    for found in (said["calls"], said["failures"]):
        assert said["told"] <= found <= said["told"] + kills * PER_BATCH
    # In the long window all calls are there, and each is a user's first failure or a repeat, whoever was killed when.
    calls, failed, bits = said["windows"]["errors 21600"]
    assert calls == said["calls"]
    assert (failed, bits) == (calls, 0)
