"""A push that is dead on arrival: the next lesser way is taken, said, and the better one tried again each minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest

import graysplit
from graysplit import embedded
from graysplit.core.fleet import PROMISES
from tests.faults.proxy import Proxy
from tests.faults.shares import Watch, following, watching
from tests.support import eventually

KNOWN_WITHIN_S = 4.0  # the promise is 2 s; a busy machine gets room
LEFT_WITHIN_S = 30.0  # about ten for three ways that all hang
TRACKING = b"TRACKING"
XREAD = b"XREAD"


@pytest.mark.parametrize(
    ("how", "marks", "mode"),
    [
        ("close", (TRACKING,), "log"),
        ("close", (TRACKING, XREAD), "poll"),
        ("before", (TRACKING, XREAD), "poll"),
        ("after", (TRACKING,), "log"),
    ],
)
def test_a_push_that_is_dead_on_arrival_is_followed_by_a_lesser_way(
    server: embedded.Server,
    namespace: str,
    how: str,
    marks: tuple[bytes, ...],
    mode: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """It is known to be lost within two seconds, changes are heard again soon, and each change of mode is said once."""
    monkeypatch.setattr("graysplit.stores.redis.ladder.AGAIN_S", 4.0)
    with (
        Proxy(server.port) as proxy,
        graysplit.Control(server.url, namespace=namespace) as control,
        caplog.at_level("INFO", "graysplit"),
    ):
        control.create("checkout")
        control.set("checkout", 20)
        with following(proxy.url(server.url), namespace) as router, watching(router) as watch:
            watch.when(20)
            assert router.status().mode == "tracking"
            proxy.harm(how, *marks)
            begun = time.monotonic()
            proxy.cut()
            eventually(lambda: router.status().mode == "lost" or router.status().mode == mode, KNOWN_WITHIN_S)
            record_property("known after s", round(time.monotonic() - begun, 2))
            eventually(lambda: router.status().mode == mode, LEFT_WITHIN_S)
            record_property("followed after s", round(time.monotonic() - begun, 2))
            _hears(control, watch, 30)
            status = router.status()
            assert status.promise == PROMISES[mode]
            assert "tracking does not work (" in status.mode_why
            assert "is tried again each minute" in status.mode_why
            last = caplog.messages[-1]
            assert f"(mode: {mode}, {PROMISES[mode]}; tracking does not work" in last

            proxy.heal()
            eventually(lambda: router.status().mode == "tracking", 30)
            assert router.status().mode_why == ""
            _hears(control, watch, 40)
            eventually(lambda: "(mode: tracking, " in caplog.messages[-1])
            said = [line for line in caplog.messages if "following the store" in line]
            assert all(one != other for one, other in pairwise(said)), said
            assert watch.shares == [20, 30, 40]


def test_a_server_that_is_gone_says_nothing_against_its_push(server: embedded.Server, namespace: str) -> None:
    """A server that comes and goes is followed by tracking whenever it is there."""
    with Proxy(server.port) as proxy, graysplit.Control(server.url, namespace=namespace) as control:
        control.create("checkout")
        with following(proxy.url(server.url), namespace) as router:
            for _ in range(4):
                proxy.refuse()
                eventually(lambda: router.status().mode == "lost")
                proxy.heal()
                eventually(lambda: router.status().mode != "lost", 20)
                assert (router.status().mode, router.status().mode_why) == ("tracking", "")


def _hears(control: graysplit.Control, watch: Watch, weight: int) -> None:
    control.set("checkout", weight)
    watch.when(weight, 10)
