"""The program's logging fails at every line: rollbacks are obeyed, decisions answer, and the loss is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import redis

import graysplit
from graysplit.log_writer import WRITER
from tests.faults.shares import following, share
from tests.support import eventually
from tests.test_log_writer import fails, handling

IN_FORCE_WITHIN_S = 5  # measured in milliseconds on a quiet machine; a handler that held it up would take longer


@pytest.mark.parametrize("fault", [OSError("collector"), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_a_handler_that_raises_stops_no_rollback(
    control: graysplit.Control,
    client: redis.Redis,
    key: Callable[[str], str],
    redis_url: str,
    namespace: str,
    fault: BaseException,
) -> None:
    """Each bad value makes the follower's thread say something; after it, it still follows."""
    control.create("checkout")
    control.set("checkout", 20)
    lost = WRITER.lost
    with handling(fails(fault)) as handler, following(redis_url, namespace) as router:
        client.hset(key("weights"), "checkout/new", "nonsense")
        eventually(lambda: any("nonsense" in line or "checkout/new" in line for line in handler.seen))
        control.rollback("checkout")
        eventually(lambda: share(router, "checkout") == 0, IN_FORCE_WITHIN_S)
        status = router.status()
        assert (status.mode, status.stale) == ("tracking", False)
        eventually(lambda: WRITER.lost - lost == len(handler.seen))
        assert router.status().unlogged == WRITER.lost


def test_a_handler_that_hangs_delays_no_rollback(
    control: graysplit.Control,
    client: redis.Redis,
    key: Callable[[str], str],
    redis_url: str,
    namespace: str,
) -> None:
    """While a handler waits for its collector, weights go to zero and up again."""
    go_on, hangs = threading.Event(), threading.Event()

    def act() -> None:
        hangs.set()
        go_on.wait(60)

    control.create("checkout")
    control.set("checkout", 20)
    with handling(act), following(redis_url, namespace) as router:
        try:
            client.hset(key("weights"), "checkout/new", "nonsense")
            assert hangs.wait(10)
            control.rollback("checkout")
            eventually(lambda: share(router, "checkout") == 0, IN_FORCE_WITHIN_S)
            control.set("checkout", 40, unstop=True)
            eventually(lambda: share(router, "checkout") == 40, IN_FORCE_WITHIN_S)
        finally:
            go_on.set()
