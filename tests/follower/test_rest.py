"""A process at rest: what it asks of its server, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from redis import Redis

from graysplit import Control, Router, embedded
from graysplit.follower import follower
from tests.support import eventually

LOOKED: str = "cmdstat_role"  # each full reading, and each look in its place, asks for it
READ: str = "cmdstat_hgetall"


@pytest.fixture
def redis_url() -> Iterator[str]:
    """Return the address of a server of its own: it counts what anybody asks, also a follower that a test has left."""
    with embedded.server() as own:
        yield own.url


@pytest.fixture
def split(redis_url: str, namespace: str) -> Control:
    """Return an operator, with one split created."""
    control = Control(redis_url, namespace=namespace, actor="ada@lab", confirm=True)
    control.create("checkout", ["old", "new"])
    return control


def commands(client: Redis) -> Mapping[str, int]:
    """Return how often each command was called."""
    found: Mapping[str, Any] = client.info("commandstats")  # Any: a server's figures are of every kind
    return {name: of["calls"] for name, of in found.items()}


@pytest.fixture
def router(
    redis_url: str, namespace: str, split: Control, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Router]:
    """Return a router at rest whose full readings are due several times a second."""
    monkeypatch.setattr(follower, "FULL_READ_S", 0.05)
    monkeypatch.setattr(follower, "READ_EVERY", 3)
    with Router(redis_url, namespace=namespace) as found:
        found.split("checkout", "old", "new")
        assert found.wait_ready(10)
        yield found


def test_a_full_reading_that_would_say_nothing_new_is_one_question(router: Router, client: Redis) -> None:
    """One in eight is made all the same, here one in three: it rests on nothing that the server says."""
    client.config_resetstat()
    eventually(lambda: commands(client).get(LOOKED, 0) >= 6, within=30)
    read, looked = commands(client)[READ] / 4, commands(client)[LOOKED]  # four hashes each
    assert 1 <= read <= looked / 3 + 1


def test_what_is_written_meanwhile_is_read(router: Router, client: Redis, namespace: str, split: Control) -> None:
    """By a push, and were there none by the question."""
    for weight, version in (("100", "new"), ("0", "old")):
        client.hset(f"graysplit:{{{namespace}}}:weights", "checkout/new", weight)
        eventually(lambda version=version: router.choose("checkout", "u") == version)


def test_a_receipt_that_says_nothing_new_is_not_sent(router: Router, client: Redis, namespace: str) -> None:
    """One that the server has lost is sent again, with all the rest."""
    receipts, (boot,) = (
        f"graysplit:{{{namespace}}}:fleet:receipts",
        client.hkeys(f"graysplit:{{{namespace}}}:fleet:about"),
    )
    eventually(lambda: client.hexists(receipts, boot))
    for lost in ("receipts", "about"):
        client.hdel(f"graysplit:{{{namespace}}}:fleet:{lost}", boot)
        eventually(lambda lost=lost: client.hexists(f"graysplit:{{{namespace}}}:fleet:{lost}", boot), within=15)
    before = client.hget(receipts, boot)
    seen = client.zscore(f"graysplit:{{{namespace}}}:fleet:seen", boot)
    client.config_resetstat()
    eventually(lambda: client.zscore(f"graysplit:{{{namespace}}}:fleet:seen", boot) != seen, within=15)
    assert commands(client).get("cmdstat_hset", 0) == 0
    assert client.hget(receipts, boot) == before


ENDS = """
import sys, time, graysplit
router = graysplit.Router(sys.argv[1], namespace=sys.argv[2])
router.split("checkout", "old", "new")
router.wait_ready(10)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_a_process_at_rest_says_goodbye_at_once(redis_url: str, client: Redis, namespace: str, split: Control) -> None:
    """Whoever ends it waits 0.3 s at most: it is woken, and has all of that for its goodbye."""
    seen = f"graysplit:{{{namespace}}}:fleet:seen"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", ENDS, redis_url, namespace], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        eventually(lambda: client.zcard(seen) == 1)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM
        process.stdout.close()
        assert client.zcard(seen) == 0
