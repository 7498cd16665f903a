"""What fault tests have in common: a raw client, an operator, keys by name, two servers for one namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

import graysplit
from graysplit import embedded
from tests.faults.pairs import Pair, Side
from tests.faults.proxy import Proxy


@pytest.fixture
def key(namespace: str) -> Callable[[str], str]:
    """Return the name of a key of this test's namespace."""
    return lambda end: f"graysplit:{{{namespace}}}:{end}"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Return a client as `redis-cli` is one: it knows nothing of graysplit."""
    with redis.Redis.from_url(redis_url) as found:
        yield found


@pytest.fixture
def control(redis_url: str, namespace: str) -> Iterator[graysplit.Control]:
    """Return an operator of this test's namespace."""
    with graysplit.Control(redis_url, namespace=namespace, actor="operator", confirm=True) as found:
        yield found


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[embedded.Server, embedded.Server]]:
    """Return two servers."""
    with embedded.server() as one, embedded.server() as two:
        yield one, two


@pytest.fixture
def pair(servers: tuple[embedded.Server, embedded.Server], namespace: str) -> Iterator[Pair]:
    """Return two servers with a split at 50 % on the first."""
    sides = [
        Side(
            server,
            graysplit.Control(server.url, namespace=namespace, actor=f"operator-{number}", confirm=True),
            redis.Redis.from_url(server.url),
            f"graysplit:{{{namespace}}}:",
        )
        for number, server in enumerate(servers, 1)
    ]
    sides[0].control.create("checkout")
    sides[0].control.set("checkout", 50)
    with Proxy(servers[0].port) as proxy:
        yield Pair(sides[0], sides[1], proxy, proxy.url(servers[0].url), namespace)
    for side in sides:
        side.control.close()
        side.client.close()
