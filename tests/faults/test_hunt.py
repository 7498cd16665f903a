"""A hunt for lost updates: bursts by three kinds of writers at once, connections killed between, and one last value."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.errors import GraysplitError
from tests.faults.shares import following, share, watching
from tests.support import eventually

FIELD = "checkout/new"
WEIGHTS = "graysplit:{default}:weights"
BURST = 12
# A change that waits for the full reading comes after at least 11 s: then the signal was lost.
SEEN_WITHIN_S = 6.0


def by_command(url: str, weights: list[int]) -> None:
    """Write through the library; somebody faster is no loss."""
    with graysplit.Control(url, confirm=True) as control:
        for weight in weights:
            try:
                control.set("checkout", weight, unstop=True)
            except GraysplitError:
                continue


def by_hand(url: str, weights: list[int]) -> None:
    """Write as `redis-cli` does."""
    with redis.Redis.from_url(url) as client:
        for weight in weights:
            client.hset(WEIGHTS, FIELD, str(weight))


def in_a_transaction(url: str, weights: list[int]) -> None:
    """Write in `MULTI`, beside another field."""
    with redis.Redis.from_url(url) as client:
        for weight in weights:
            pipe = client.pipeline(transaction=True)
            pipe.hset(WEIGHTS, FIELD, str(weight))
            pipe.hset(WEIGHTS, "search/new", str(weight))
            pipe.execute()


WRITERS: tuple[Callable[[str, list[int]], None], ...] = (by_command, by_hand, in_a_transaction)


def hunt(rounds: int, seed: int) -> None:
    """Write in bursts, kill connections every tenth round, and expect the last value of each round in every process."""
    chance = random.Random(seed)
    with (
        embedded.server() as own,
        graysplit.Control(own.url, confirm=True) as control,
        redis.Redis.from_url(own.url) as client,
    ):
        control.create("checkout")
        control.create("search")
        with following(own.url, "default") as one, following(own.url, "default") as two:
            for number in range(rounds):
                writing = [
                    threading.Thread(target=writer, args=(own.url, [chance.randrange(1, 100) for _ in range(BURST)]))
                    for writer in WRITERS
                ]
                for thread in writing:
                    thread.start()
                if number % 10 == 0:
                    client.client_kill_filter(_type="normal", skipme=True)
                for thread in writing:
                    thread.join()
                last = chance.randrange(1, 100)
                client.hset(WEIGHTS, FIELD, str(last))
                message = f"round {number} of seed {seed} ends on {last}"
                eventually(lambda last=last: share(one) == share(two) == last, SEEN_WITHIN_S, message=message)  # type: ignore[misc]
            stands = int(client.hget(WEIGHTS, "search/new") or 0)
            assert share(one, "search") == share(two, "search") == stands
            with watching(one) as watch:
                control.rollback("checkout")
                watch.when(0)


def no_reset(thread: threading.ExceptHookArgs) -> None:
    """Pass over a writer whose own connection was killed in mid-burst: that is the round's point."""
    assert isinstance(thread.exc_value, (redis.ConnectionError, OSError)), thread.exc_value


@pytest.fixture(autouse=True)
def _killed_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", no_reset)


def test_no_update_is_lost() -> None:
    """Thirty rounds."""
    hunt(30, 1)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2, 6))
def test_no_update_is_lost_in_many_rounds(seed: int) -> None:
    """Five hundred rounds, four times."""
    hunt(500, seed)
