"""A store that comes and goes: each state is known and told in time, the last word is what is so, the lines are few."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import pytest

import graysplit
from graysplit import embedded
from graysplit.events import AT_ONCE, QUIET_S, SETTLE_S
from tests.faults.proxy import Proxy
from tests.faults.shares import following
from tests.support import eventually

KNOWN_WITHIN_S: Final = 5.0  # the promise is 2 s; a busy machine gets room
FLAPPING_S: Final = float(os.environ.get("SOAK", "600"))


class CursorReading(NamedTuple):
    """How long after a fault or its end something was so."""

    known: float
    said: float


class Lines(logging.Handler):
    """What the log says of contact, with the time of each line."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        super().__init__()
        self.heard: list[tuple[float, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        line = record.getMessage()
        if line.startswith(("lost contact", "following the store")):
            self.heard.append((time.monotonic(), line))

    @property
    def says_lost(self) -> bool:
        """Say what the last word is."""
        return bool(self.heard) and self.heard[-1][1].startswith("lost contact")


def agrees(router: graysplit.Router, lines: Lines, *, lost: bool) -> bool:
    """Return whether status and the log's last word are what is so."""
    return (router.status().mode == "lost") is lost and lines.says_lost is lost


def held(router: graysplit.Router, lines: Lines, *, lost: bool) -> CursorReading:
    """Wait until a state is known, and then told; return how long each took."""
    begun = time.monotonic()
    eventually(lambda: (router.status().mode == "lost") is lost, KNOWN_WITHIN_S, message=f"known, lost: {lost}")
    known = time.monotonic() - begun
    eventually(lambda: agrees(router, lines, lost=lost), KNOWN_WITHIN_S, message=f"told, lost: {lost}")
    return CursorReading(known, time.monotonic() - begun)


def most(of: list[float]) -> float:
    """Return the most, for a report."""
    return round(max(of), 2)


@pytest.mark.parametrize(
    "flapping_s", [4.0, pytest.param(FLAPPING_S, marks=[pytest.mark.soak, pytest.mark.timeout(FLAPPING_S + 300)])]
)
def test_a_store_that_flaps_is_told_as_promised(
    server: embedded.Server, namespace: str, flapping_s: float, record_property: Callable[[str, object], None]
) -> None:
    """In short and long turns, refusing and in silence; whatever stands for two seconds is in the log's last line."""
    lines, chance = Lines(), random.Random(17)
    logger = logging.getLogger("graysplit")
    logger.addHandler(lines)
    downs: list[CursorReading] = []
    ups: list[CursorReading] = []
    flaps = 0
    try:
        with (
            Proxy(server.port) as proxy,
            graysplit.Control(server.url, namespace=namespace) as control,
            following(proxy.url(server.url), namespace) as router,
        ):
            control.create("checkout")
            begun = time.monotonic()
            while time.monotonic() - begun < flapping_s:
                for _ in range(chance.randrange(1, 12)):  # too fast to be told
                    proxy.cut()
                    flaps += 1
                    pause(chance.uniform(0.02, 0.6))
                proxy.refuse() if flaps % 2 else proxy.blackhole()
                downs.append(held(router, lines, lost=True))
                proxy.heal()
                ups.append(held(router, lines, lost=False))
            took_s = time.monotonic() - begun
            control.set("checkout", 20)
            eventually(lambda: router.status().revision == control.show("checkout").revision, 10)
            eventually(lambda: agrees(router, lines, lost=False), KNOWN_WITHIN_S)
    finally:
        logger.removeHandler(lines)
    for name, found in (("down", downs), ("up", ups)):
        record_property(f"{name}: known after s", most([told.known for told in found]))
        record_property(f"{name}: told after s", most([told.said for told in found]))
    bound = 2 * AT_ONCE * (1 + took_s / QUIET_S) + took_s / SETTLE_S
    record_property("seconds", round(took_s))
    record_property("flaps", flaps + len(downs))
    record_property("lines", len(lines.heard))
    record_property("at most", round(bound))
    assert len(lines.heard) <= bound
    assert all(" s without contact (mode: " in line for _, line in lines.heard if "again" in line)
    assert any("more like this since" in line for _, line in lines.heard)


def pause(seconds: float) -> None:
    """Let a fault or its end last for a moment."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= until, seconds + 1)
