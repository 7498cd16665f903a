"""Definitions that are lined up: how often the one thread that looks at them asks the system for anything else.

Each call of the system gives the interpreter away, and beside a thread that never waits it comes back after 5 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any, Final

import pytest
from redis import Redis

from graysplit import Control, Router
from graysplit.codec import dump_definition
from graysplit.core.definition import define
from graysplit.follower import follower
from graysplit.follower.replica import Replica
from graysplit.stores.redis.feed import RedisFeed
from tests.support import eventually

MANY: Final = 300
LAST: Final = f"s{MANY - 1:03d}"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what following does, in order: each portion looks at one definition."""
    monkeypatch.setattr(follower, "WORK_S", -1.0)
    found: list[str] = []

    def noted(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:  # Any: passed on as it is
        def act(*given: Any, **named: Any) -> Any:  # Any: as above
            found.append(name)
            return inner(*given, **named)

        return act

    monkeypatch.setattr(Replica, "go_on", noted("portion", Replica.go_on))
    monkeypatch.setattr(RedisFeed, "wait", noted("wait", RedisFeed.wait))
    return found


def test_what_is_lined_up_is_looked_at_without_a_wait_between(
    redis_url: str, namespace: str, client: Redis, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a look for signals behind each portion, ten thousand definitions took minutes beside a busy loop."""
    monkeypatch.setattr(follower, "LISTEN_EVERY_S", 60.0)
    change_all(redis_url, namespace, client)
    runs = [len(list(each)) for name, each in groupby(seen) if name == "portion"]
    assert max(runs) > MANY / 2, runs


def test_a_signal_is_looked_for_meanwhile(
    redis_url: str, namespace: str, client: Redis, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a rollback would wait for all of them."""
    monkeypatch.setattr(follower, "LISTEN_EVERY_S", 0.0)
    change_all(redis_url, namespace, client)
    runs = [len(list(each)) for name, each in groupby(seen) if name == "portion"]
    assert max(runs) <= 2, runs  # a reading's own, and the one behind it


def change_all(redis_url: str, namespace: str, client: Redis) -> None:
    """Change all definitions by one raw edit while a router follows, and wait until the last is in force."""
    splits = f"graysplit:{{{namespace}}}:splits"
    definitions = {name: define(name, ("old", "new")) for name in (f"s{number:03d}" for number in range(MANY))}
    Control(redis_url, namespace=namespace, actor="ada@lab").create(LAST, ["old", "new"])
    client.hset(splits, mapping={name: dump_definition(each) for name, each in definitions.items()})
    weights = {f"{name}/new": "1" for name in definitions}  # a pin on a version that gets nobody pins nobody
    client.hset(f"graysplit:{{{namespace}}}:weights", mapping=weights)
    with Router(redis_url, namespace=namespace) as router:
        assert router.wait_ready(10)
        eventually(lambda: router.status().splits == MANY, within=30)
        pinned = {name: each._replace(pins={"u": "new"}) for name, each in definitions.items()}
        client.hset(splits, mapping={name: dump_definition(each) for name, each in pinned.items()})
        eventually(lambda: all(router.choose(name, "u") == "new" for name in pinned), within=60)
