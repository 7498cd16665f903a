"""A program that ends, ends: with its own exit code, silently and at once, whatever has become of Redis."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest

import graysplit
from graysplit import embedded
from tests import warm
from tests.faults.followers import ROOT
from tests.faults.proxy import Proxy

CODE: Final = 7
# From a program's last statement to its end, beyond what the interpreter's own end takes. A busy machine gets room in
# each run, and three of them.
PROMISED_S: Final = 1.0
ENDS_WITHIN_S: Final = 4.0
RUNS_AT_MOST: Final = 3
EACH: Final = 67  # 201 in all
STATES: Final = ("up", "refused", "blackholed")
WARNS: Final = "lost contact with the store: "  # printed by Python, as this program configures no logging
HOWS: Final = ("plain", "exception", "closed", "never waited", "busy thread")


@contextmanager
def address(server: embedded.Server, state: str) -> Iterator[str]:
    """Return the address of a server in a certain state."""
    with Proxy(server.port) as proxy:
        if state == "refused":
            proxy.refuse()
        elif state == "blackholed":
            proxy.blackhole()
        yield proxy.url(server.url)


def ends(url: str, how: str, namespace: str = "exits", *, up: bool = True, anew: bool = True) -> float:
    """Run the program, look at its end, and return the seconds from its last statement on.

    With its server `up` it says nothing; else nothing but that contact is lost. An interpreter that was forked, not
    started `anew`, ends in the same way.
    """
    environment = {**os.environ, "GRAYSPLIT_NAMESPACE": namespace}
    done = warm.run("tests.faults.exits", url, how, env=environment, cwd=ROOT, timeout=60, anew=anew)
    took = time.monotonic() - float(done.stdout)
    said = done.stderr.splitlines()
    assert not [line for line in said if up or not line.startswith(WARNS)], said
    assert done.returncode == (1 if how == "exception" else CODE)
    assert took < ENDS_WITHIN_S, f"{took:.1f} s"
    return took


def figures(seconds: list[float]) -> str:
    """Return the middle and the largest."""
    return f"p50 {statistics.median(seconds):.3f}, max {max(seconds):.3f}"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("how", HOWS)
def test_a_program_ends_with_its_own_code_and_no_traceback(server: embedded.Server, state: str, how: str) -> None:
    """Exit code kept, no word but a warning, within a second: with Redis up, refusing, and swallowing everything."""
    with address(server, state) as url:
        up = state == "up"

        def more() -> float:  # where Redis is up each way to end is that of a new interpreter; in the soak all are
            return ends(url, how, up=up, anew=up) - ends(url, "without", anew=up)

        took = more()
        for _ in range(RUNS_AT_MOST - 1):
            took = took if took < PROMISED_S else more()
    assert took < PROMISED_S, f"{took:.1f} s, {RUNS_AT_MOST} times"


def test_a_program_that_ends_leaves_the_fleet(redis_url: str, namespace: str) -> None:
    """It says goodbye: nobody is counted as silent for ten minutes after every deployment."""
    with graysplit.Control(redis_url, namespace=namespace) as control:
        ends(redis_url, "plain", namespace)
        assert control.fleet().processes == ()


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("state", STATES)
def test_two_hundred_programs_end(
    server: embedded.Server, state: str, record_property: Callable[[str, object], None]
) -> None:
    """The same, many times: none takes a second longer than a program beside it that started no router."""
    took: list[float] = []
    more: list[float] = []
    with address(server, state) as url:
        for number in range(EACH):
            beside = ends(url, "without")
            took.append(ends(url, HOWS[number % len(HOWS)], up=state == "up"))
            more.append(took[-1] - beside)
    record_property("exit s", figures(took))
    record_property("exit s beyond the interpreter's own", figures(more))
    assert max(more) < PROMISED_S, figures(more)
