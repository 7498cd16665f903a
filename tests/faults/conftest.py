"""What fault tests have in common: a raw client, an operator, keys by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

import graysplit


@pytest.fixture
def key(namespace: str) -> Callable[[str], str]:
    """Give the name of a key of this test's namespace."""
    return lambda end: f"graysplit:{{{namespace}}}:{end}"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Give a client as `redis-cli` is one: it knows nothing of graysplit."""
    with redis.Redis.from_url(redis_url) as found:
        yield found


@pytest.fixture
def control(redis_url: str, namespace: str) -> Iterator[graysplit.Control]:
    """Give an operator of this test's namespace."""
    with graysplit.Control(redis_url, namespace=namespace, actor="operator") as found:
        yield found
