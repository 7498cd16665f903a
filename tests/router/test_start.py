"""What a start costs: how often it waits for the server until this process is live, and who waits for imports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
from redis import Redis

import graysplit
from graysplit import embedded
from tests.stores.trip_relay import TripRelay
from tests.support import bare_environment, eventually

CHANGES = 60  # more than are read of the log with the first trips


@pytest.fixture
def relay(server: embedded.Server) -> Iterator[TripRelay]:
    """Return a relay before the server, that counts trips."""
    with TripRelay(server.port) as found:
        yield found


@pytest.fixture
def login(server: embedded.Server) -> Iterator[str]:
    """Return the login of a user who may do everything."""
    with Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "starter", "on", ">secret", "~*", "&*", "+@all")
        yield "starter:secret@"
        client.execute_command("ACL", "DELUSER", "starter")


@pytest.mark.parametrize("database", ["", "/3"])
def test_a_start_waits_four_times(
    relay: TripRelay, server: embedded.Server, namespace: str, login: str, database: str
) -> None:
    """Connect; ask what rests on no answer; join the fleet; read. A login, a database, a long log add nothing."""
    url = f"redis://{login}127.0.0.1:{server.port}{database}"
    with graysplit.Control(url, namespace=namespace) as control:
        control.create("checkout")
        for number in range(CHANGES):
            control.set("checkout", 1 + number % 2, allow_needless=True)
        with graysplit.Router(url, namespace=namespace) as first:
            first.wait_ready(5)  # from here on the server knows the script of heartbeats
    router = graysplit.Router(relay.url(url), namespace=namespace)
    with closing(router):
        router.start()
        eventually(lambda: router.status().phase == "live")
        trips = list(relay.trips)
    reading = next(number for number, trip in enumerate(trips, 1) if "HGETALL" in trip)
    assert reading <= 4, trips
    assert "XREVRANGE" not in trips, trips  # a page of the log by itself


# Asks in the main thread while another one starts; prints how often, and which modules of others that thread imported.
DECIDES = """
import json, sys, threading
import graysplit

gray = graysplit.Router(sys.argv[1], namespace=sys.argv[2])
checkout = gray.split("checkout", "old", "new")
imported, rest = [], threading.Event()
main = threading.get_ident()


def hear(event, arguments):
    if event == "import" and threading.get_ident() == main:
        imported.append(arguments[0].partition(".")[0])


starter = threading.Thread(target={"start": gray.start, "decision": lambda: checkout.choose("u")}[sys.argv[3]])
starter.start()
while "redis" not in sys.modules:
    rest.wait(0.001)
sys.addaudithook(hear)
answers = 0
while starter.is_alive():
    assert checkout.choose("u") == "old"
    answers += 1
    rest.wait(0.001)
while gray.choose("checkout", "u") != "new":
    rest.wait(0.001)
with graysplit.context("u"):
    checkout.choose()
    gray.decide("checkout")
print(json.dumps([answers, sorted({name for name in imported if name != "graysplit"})]))
gray.close()
"""


@pytest.mark.parametrize("starter", ["start", "decision"])
def test_a_decision_waits_for_no_import_while_another_thread_starts(
    redis_url: str, namespace: str, starter: str
) -> None:
    """Whoever starts has all imported in that thread; who asks meanwhile, and later, gets an answer at once."""
    with graysplit.Control(redis_url, namespace=namespace, confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 100)
    ended = subprocess.run(
        [sys.executable, "-c", DECIDES, redis_url, namespace, starter],
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answers, imported = json.loads(ended.stdout)
    assert answers > 5
    assert imported == []
