"""The compiled core keeps nothing of what it was asked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from graysplit import __version__, native
from tests.conftest import TESTS

pytestmark = pytest.mark.skipif(native.compiled_core is None, reason=native.words)


def grown(calls: int) -> dict[str, int]:
    """Return by how much a process grows that asks so often."""
    command = [sys.executable, "-m", "tests.speed.leaks", str(calls)]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=True)
    first, *lines = done.stdout.splitlines()
    assert first == f"compiled {__version__}"
    return {name: int(value) for name, value in map(str.split, lines)}


def test_neither_memory_nor_references_are_left() -> None:
    """An object or a reference for each call of one kind would be more than a thousand."""
    found = grown(100_000)
    assert found["blocks"] < 500, found
    assert found["references"] < 500, found


@pytest.mark.soak
@pytest.mark.timeout(3_000)
def test_ten_million_calls_add_no_megabyte() -> None:
    """What the process has from the system grows by at most one."""
    found = grown(int(os.environ.get("SPEED_CALLS", "10_000_000")))
    assert found["bytes"] <= 1_000_000, found
    assert found["blocks"] < 500, found
    assert found["references"] < 500, found
