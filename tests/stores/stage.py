"""A namespace with one split on a real server, as graysplit has it and past it, for tests of how much is in it."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from redis import Redis

from graysplit import Router
from graysplit.control.control import Confirm, Control
from graysplit.stores import store_from_url
from graysplit.stores.redis import RedisStore
from tests.support import eventually


class Stage(NamedTuple):
    """A namespace with one split, and a way past the library."""

    url: str
    namespace: str
    client: Redis
    store: RedisStore
    control: Control

    def key(self, end: str) -> str:
        """Return a key's full name."""
        return f"graysplit:{{{self.namespace}}}:{end}"

    def edit(self, count: int, value: str = "5") -> None:
        """Write weights past the library, each of a split of its own."""
        for first in range(0, count, 1000):
            numbers = range(first, min(count, first + 1000))
            self.client.hset(self.key("weights"), mapping={f"raw-{number:06}/new": value for number in numbers})

    def bytes_out(self) -> int:
        """Return how many bytes the server has sent."""
        info: Mapping[str, Any] = self.client.info("stats")  # Any: a server's figures are of every kind
        return int(info["total_net_output_bytes"])

    def log_bytes(self) -> int:
        """Return what the server needs for the log."""
        size = self.client.memory_usage(self.key("log"), samples=0)
        assert isinstance(size, int)
        return size

    def seconds_to_start(self) -> float:
        """Return how long a new process needs until it knows what stands."""
        router = Router(self.url, namespace=self.namespace)
        router.split("checkout", "old", "new")
        began = time.monotonic()
        with router:
            assert router.wait_ready(30)
            eventually(lambda: router.choose("checkout", "user-399") == "new", within=30)
            return time.monotonic() - began


@contextmanager
def staged(url: str, namespace: str, *, confirm: Confirm | None = None) -> Generator[Stage]:
    """Make the split; whoever asks `confirm` for it has every question of the control answered with yes."""
    store = store_from_url(url, namespace)
    assert isinstance(store, RedisStore)
    with Control(url, namespace=namespace, actor="ada@host", confirm=confirm) as control, Redis.from_url(url) as client:
        control.create("checkout", ("old", "new"))
        yield Stage(url, namespace, client, store, control)
    store.close()
