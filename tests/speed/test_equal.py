"""The compiled core decides, counts and writes down as pure Python does, whatever is published and asked."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from graysplit import __version__, native
from tests.conftest import TESTS

pytestmark = pytest.mark.skipif(native.compiled_core is None, reason=native.words)


def started(off: str, seed: int, decisions: int) -> subprocess.Popen[str]:
    """Start the fuzz with the compiled core or without."""
    environment = {**os.environ, "GRAYSPLIT_PURE": off}
    command = [sys.executable, "-m", "tests.speed.fuzz", str(seed), str(decisions)]
    return subprocess.Popen(
        command, cwd=TESTS.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def differ(seed: int, decisions: int) -> str:
    """Return the scenes in which both do not give the same, with what to type for one; an empty text for none."""
    compiled, pure = started("0", seed, decisions), started("1", seed, decisions)
    ended = [process.communicate() for process in (compiled, pure)]
    assert (compiled.returncode, pure.returncode) == (0, 0), ended
    ours, theirs = (out.splitlines() for out, _ in ended)
    assert (ours[0], theirs[0]) == (f"compiled {__version__}", "pure Python: GRAYSPLIT_PURE is set")
    assert len(ours) == len(theirs) >= 2
    scenes = [line.split()[0] for line, other in zip(ours[1:], theirs[1:], strict=True) if line != other]
    return f"differ: {scenes}: python -m tests.speed.fuzz {seed} {decisions} {scenes[0]}" if scenes else ""


def test_a_scene_is_equal() -> None:
    """Splits of every kind, changed meanwhile; units of every kind; each way of asking; contexts; armed ones."""
    assert not differ(18, 20_000)


@pytest.mark.soak
@pytest.mark.timeout(3_000)
def test_ten_million_decisions_are_equal() -> None:
    """Anew each time, the seed being in what fails."""
    assert not differ(random.randrange(2**32), int(os.environ.get("SPEED_DECISIONS", "10_000_000")))
