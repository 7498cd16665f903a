"""User code that hangs in the second thread delays other user code, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import graysplit
from graysplit import embedded
from tests.faults.shares import following, watching
from tests.support import eventually

# The promise is 1.5 s for both; a busy machine gets room.
NOTICED_S: Final = 3.0
HEALED_S: Final = 4.0
HANGS_S: Final = 30.0


def test_a_job_that_hangs_delays_no_following(record_property: Callable[[str, object], None]) -> None:
    """A hung server is noticed and current again in time, a rollback is obeyed and confirmed, all while a job hangs."""
    begun, over = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        over.wait(HANGS_S)

    with embedded.server() as server, graysplit.Control(server.url) as control:
        control.create("checkout")
        control.set("checkout", 20)
        with following(server.url, "default") as router, watching(router) as watch:
            watch.when(20)
            jobs = router._lifecycle.jobs
            assert jobs.submit("warm checkout/new", hang)
            assert begun.wait(5)
            server.pause()
            paused = time.monotonic()
            eventually(lambda: router.status().mode == "lost", 20)
            noticed = time.monotonic() - paused
            assert noticed < NOTICED_S
            server.resume()
            resumed = time.monotonic()
            control.set("checkout", 30)
            healed = watch.when(30) - resumed
            assert healed < HEALED_S
            eventually(lambda: router.status().mode == "tracking", 5)
            receipts = control.wait_confirmed(control.rollback("checkout")).receipts
            assert (receipts.confirmed, receipts.processes) == (1, 1)
            watch.when(0)
            assert jobs.running == "warm checkout/new", "it hung throughout"
            over.set()
            eventually(lambda: jobs.running is None)
    record_property("noticed after s", round(noticed, 2))
    record_property("current again after s", round(healed, 2))
