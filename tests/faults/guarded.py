"""A routed function under traffic, whose new path fails for some users on command."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

import graysplit
from tests.support import eventually

FIELD: Final = "checkout/new"
PAUSE_S: Final = 0.002


class TroubleError(Exception):
    """What a path raises."""


class Service:
    """A process's worth of traffic: users who come one after the other, each once."""

    def __init__(self, url: str, namespace: str, users: Iterable[int] | None = None) -> None:
        """Follow a store; no traffic yet. Each user comes once, unless they are named."""
        self.gray = graysplit.Router(url, namespace=namespace)
        self._users = itertools.count() if users is None else users
        self.broken = False  # the new path fails for a third of its users
        self.outage = False  # both do
        self.calls = {"old": 0, "new": 0}
        self.failed = {"old": 0, "new": 0}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)

        @self.gray.route("checkout", unit="user")
        def checkout(user: str) -> str:
            return self._answer("old", user, fails=self.outage)

        @checkout.version("new")
        def checkout_new(user: str) -> str:
            return self._answer("new", user, fails=self.broken or self.outage)

        self.checkout = checkout
        self.versions = (checkout, checkout_new)

    def __enter__(self) -> Self:
        """Let users in."""
        assert self.gray.wait_ready(10)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the last one out."""
        self._over.set()
        self._thread.join(10)
        self.gray.close()

    def serves(self, version: str, calls: int = 20) -> None:
        """Wait until a version has been called so often more."""
        before = self.calls[version]
        eventually(lambda: self.calls[version] >= before + calls, 20)

    def spares(self, version: str) -> None:
        """Wait until nobody gets a version any more, while others do."""

        def gone() -> bool:
            before, others = self.calls[version], sum(self.calls.values())
            eventually(lambda: sum(self.calls.values()) > others + 100, 20)
            return self.calls[version] == before

        eventually(gone, 40)

    def _answer(self, version: str, user: str, *, fails: bool) -> str:
        self.calls[version] += 1
        if fails and int(user) % 3 == 0:
            self.failed[version] += 1
            raise TroubleError
        return version

    def _serve(self) -> None:
        for number in self._users:
            if self._over.wait(PAUSE_S):
                return
            try:
                self.checkout(str(number))
            except TroubleError:
                continue
