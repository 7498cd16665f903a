"""gevent, patched early, late, after the start, and not at all: decides, follows, ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

import pytest

import graysplit
from tests.faults.followers import ROOT
from tests.support import eventually, skip_or_fail

SEEN_WITHIN_S: Final = 10.0
STARTED_WITHIN_S: Final = 30.0
# A native thread that was started before threading itself was patched is not found again by it: any thread says this,
# with or without where, as the program ends. The follower is one, and what writes the log another.
THREADINGS_OWN: Final = "Exception ignored in thread started by"
ENDS_WITHIN_S: Final = 4.0  # the promise is one second; a busy machine gets room


@pytest.mark.parametrize("when", ["early", "late", "too late", "never"])
def test_a_program_of_greenlets_decides_follows_and_ends(
    redis_url: str, namespace: str, when: str, record_property: Callable[[str, object], None]
) -> None:
    """Twenty greenlets see ten changes and a rollback; then the program ends at once, and we have said nothing."""
    if find_spec("gevent") is None:
        skip_or_fail("gevent is not installed here: its greenlets are not tried")
    slowest = 0.0
    with graysplit.Control(redis_url, namespace=namespace) as control:
        control.create("checkout")
        control.set("checkout", 5)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.runtimes.greenlets", when],
            cwd=ROOT,
            env={**os.environ, "GRAYSPLIT_URL": redis_url, "GRAYSPLIT_NAMESPACE": namespace},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        said: list[str] = []
        hearing = threading.Thread(target=said.extend, args=(process.stdout,))
        hearing.start()
        try:
            eventually(lambda: said == ["5\n"] or process.poll() is not None, STARTED_WITHIN_S)
            for weight in range(10, 60, 5):
                receipts = control.wait_confirmed(control.set("checkout", weight)).receipts
                assert (receipts.confirmed, receipts.processes) == (1, 1), process.stderr.read()
                slowest = max(slowest, receipts.seconds)
                eventually(lambda weight=weight: said[-1] == f"{weight}\n", SEEN_WITHIN_S)  # type: ignore[misc]
            control.rollback("checkout")
            code = process.wait(SEEN_WITHIN_S)
            hearing.join()
            took = time.monotonic() - float(said[-1].split()[2])
            noise = process.stderr.read()
            assert code == 7
            own = when == "too late" and noise.startswith(THREADINGS_OWN) and "graysplit/" not in noise
            assert not noise or own, noise
        finally:
            process.kill()
            process.wait()
            hearing.join()
            process.stdout.close()
            process.stderr.close()
        assert [int(line) for line in said[:-1]] == [5, *range(10, 60, 5)]
        assert said[-1].split()[:2] == ["0", "True"]
        assert took < ENDS_WITHIN_S
        assert control.fleet().processes == (), "who ends says goodbye"
    record_property("slowest confirmation s", slowest)
    record_property("ended after s", round(took, 2))
