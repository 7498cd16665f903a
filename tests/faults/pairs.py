"""Two servers for one namespace, an address that may lead to either, and what a process makes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import redis

import graysplit
from graysplit import embedded
from tests.faults.proxy import Proxy
from tests.faults.shares import following, share
from tests.support import eventually

FIELD: Final = "checkout/new"
BOOKED_S: Final = 0.4  # a raw edit is booked within a quarter of a second


class Side(NamedTuple):
    """One of two servers: an operator and a raw client of the test's namespace on it."""

    server: embedded.Server
    control: graysplit.Control
    client: redis.Redis
    prefix: str

    def hset(self, end: str, field: str, value: str) -> None:
        """Edit by hand."""
        self.client.hset(self.prefix + end, field, value)

    def booked(self, split: str | None = "checkout") -> None:
        """Wait until an edit by hand is the last entry of the history."""
        eventually(lambda: self.control.history(split, 1)[0].cause == "edited outside", 2)

    def definition(self) -> bytes:
        """Return the split's definition as it stands in the store."""
        found = self.client.hget(self.prefix + "splits", "checkout")
        assert isinstance(found, bytes)
        return found

    def swap(self) -> bytes:
        """Make the candidate the baseline by hand, and the old one the candidate at zero; give that definition."""
        other = self.definition().replace(b'"old"', b'"x"').replace(b'"new"', b'"old"').replace(b'"x"', b'"new"')
        self.client.hset(self.prefix + "splits", "checkout", other)
        self.hset("weights", "checkout/old", "0")
        self.client.hdel(self.prefix + "weights", FIELD)
        return other

    def dump(self) -> dict[bytes, bytes]:
        """Return the namespace as a replica would have it now."""
        return {key: self.client.dump(key) for key in self.client.keys(self.prefix.replace("{", "\\{") + "*")}

    def become(self, dump: dict[bytes, bytes]) -> None:
        """Hold what a replica had when its link broke."""
        for key in self.client.keys(self.prefix.replace("{", "\\{") + "*"):
            self.client.delete(key)
        for key, content in dump.items():
            self.client.restore(key, 0, content)


class Pair(NamedTuple):
    """Two servers, and the address of whichever is the primary."""

    one: Side
    two: Side
    proxy: Proxy
    url: str
    namespace: str

    def fail_over(self) -> None:
        """Make the second server the primary."""
        self.proxy.switch(self.two.server.port)

    def mark(self, router: graysplit.Router) -> None:
        """Write a change that the second server has not, and wait until a process has it."""
        self.one.control.create("marker")
        eventually(lambda: router.decide("marker", "user-1").reason != "unknown_split")

    def cut_off(self, router: graysplit.Router) -> None:
        """Let nobody reach a server, and wait until a process says so."""
        self.proxy.refuse()
        eventually(lambda: router.status().mode == "lost")

    def lose_a_rollback(self, *routers: graysplit.Router) -> None:
        """Bring these processes to zero, and lose that with its server; it stands as a stop on the second."""
        self.one.control.rollback("checkout")
        eventually(lambda: {share(router) for router in routers} == {0})
        self.fail_over()
        healed(self.two)

    def lose_a_lowering(self, *routers: graysplit.Router) -> None:
        """Bring these processes from 50 down to 10, and lose that with its server; they hold the 10."""
        self.one.control.set("checkout", 10)
        eventually(lambda: {share(router) for router in routers} == {10})
        self.fail_over()
        for router in routers:
            regressed(router)

    @contextmanager
    def given_a_backup(self) -> Iterator[graysplit.Router]:
        """Return a process at checkout 10 and search 40, whose store came back from a backup with 50 and 5."""
        self.one.control.create("search")
        self.one.control.set("search", 5)
        self.two.become(self.one.dump())
        with self.process() as router:
            self.one.control.set("checkout", 10)
            self.one.control.set("search", 40)
            eventually(lambda: (share(router), share(router, "search")) == (10, 40))
            self.fail_over()
            regressed(router)
            yield router

    @contextmanager
    def process(self, **settings: object) -> Iterator[graysplit.Router]:
        """Return a process that follows whichever is the primary."""
        with following(self.url, self.namespace, **settings) as router:
            yield router


def settled(router: graysplit.Router, expected: int, split: str = "checkout") -> None:
    """Wait until a share is in force and nothing is held any more."""
    eventually(lambda: share(router, split) == expected and not router.status().held, 10)


def regressed(router: graysplit.Router, where: str = f"weights {FIELD}") -> None:
    """Wait until a process says that it does not believe the store, and has looked for edits to book since."""
    eventually(lambda: where in router.status().held, 10, message=f"{where} is held")
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > BOOKED_S)
    assert where in router.status().held


def kept(control: graysplit.Control, held: dict[str, str]) -> None:
    """Wait until the processes' receipts name these values, and no others, as kept against the store."""
    eventually(lambda: [*filter(None, (p.receipt.held for p in control.fleet().live))] == [held] * bool(held), 10)


def healed(side: Side, stop: str = FIELD) -> None:
    """Wait until a zero that was lost stands as a stop."""
    eventually(lambda: side.client.hexists(side.prefix + "stops", stop), 10, message=f"a stop on {stop}")
    text = side.client.hget(side.prefix + "stops", stop)
    assert text is not None
    assert b"known to be at zero" in text
