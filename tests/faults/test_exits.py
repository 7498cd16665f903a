"""A program that ends, ends: with its own exit code, silently and at once, whatever has become of Redis."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

import graysplit
from graysplit import embedded
from tests.faults.followers import ROOT
from tests.faults.proxy import Proxy

CODE: Final = 7
# The promise is one second; a busy machine gets room.
ENDS_WITHIN_S: Final = 4.0
STATES: Final = ("up", "refused", "blackholed")
HOWS: Final = ("plain", "exception", "closed", "never waited", "busy thread")


@contextmanager
def address(server: embedded.Server, state: str) -> Iterator[str]:
    """Give the address of a server in a certain state."""
    with Proxy(server.port) as proxy:
        if state == "refused":
            proxy.refuse()
        elif state == "blackholed":
            proxy.blackhole()
        yield proxy.url(server.url)


def ends(url: str, how: str, namespace: str = "exits") -> None:
    """Run the program, and look at its end."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.exits", url, how],
        cwd=ROOT,
        env={**os.environ, "GRAYSPLIT_NAMESPACE": namespace},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    took = time.monotonic() - float(done.stdout)
    assert done.stderr == b"", done.stderr.decode()
    assert done.returncode == (1 if how == "exception" else CODE)
    assert took < ENDS_WITHIN_S, f"{took:.1f} s"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("how", HOWS)
def test_a_program_ends_with_its_own_code_in_silence(server: embedded.Server, state: str, how: str) -> None:
    """Exit code kept, stderr empty, and soon: with Redis up, refusing, and swallowing everything."""
    with address(server, state) as url:
        ends(url, how)


def test_a_program_that_ends_leaves_the_fleet(redis_url: str, namespace: str) -> None:
    """It says goodbye: nobody is counted as silent for ten minutes after every deployment."""
    with graysplit.Control(redis_url, namespace=namespace) as control:
        ends(redis_url, "plain", namespace)
        assert control.fleet().processes == ()


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("state", STATES)
def test_two_hundred_programs_end(server: embedded.Server, state: str) -> None:
    """The same, many times."""
    with address(server, state) as url:
        for number in range(67):
            ends(url, HOWS[number % len(HOWS)])
