"""A private store for one test: every router of the process begins anew with it, and nothing of it is left behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from graysplit.clock import SystemClock
from graysplit.errors import ConfigurationError
from graysplit.scope import scope_get, scope_set
from graysplit.server_access import without_servers

if TYPE_CHECKING:
    from graysplit.control import Control
    from graysplit.router.lifecycle import Lifecycle
    from graysplit.testing.forced_versions import Forced

WITHIN_S: Final = 5.0
# What a developer's shell says of stores, files and hooks is for the program, not for its tests.
UNSET: Final = ("NAMESPACE", "OFF", "OFF_FILE", "CACHE_DIR", "BOOTSTRAP", "NOTIFY_URL")


class StoreClock(SystemClock):
    """The private store's clock: the machine's, and put forward by tests of plans and leases."""

    def __init__(self, moved: Callable[[], None]) -> None:
        """Begin with the machine's time; `moved` is called when it was put forward."""
        self._ahead_s = 0.0
        self._moved = moved

    def time(self) -> float:
        """Return the store's time."""
        return super().time() + self._ahead_s

    def move(self, seconds: float = 0.0, *, minutes: float = 0.0, hours: float = 0.0) -> None:
        """Put it forward: what is due by then happens within a moment."""
        self._ahead_s += seconds + 60 * minutes + 3600 * hours
        self._moved()


class PrivateStore:
    """The store of one test, empty at its beginning, which every router of the process follows."""

    def __init__(self) -> None:
        """Choose a name that nobody has; nothing is opened yet."""
        self.url = f"memory://test-{uuid4().hex[:12]}"
        self.refused: list[str] = []  # servers that the test has tried to open

    def __repr__(self) -> str:
        """Return its address."""
        return f"<graysplit private store: {self.url}>"

    @cached_property
    def control(self) -> Control:
        """The verbs of operators on this store: `control.rollback("checkout")`."""
        from graysplit.control import Control

        return Control(self.url, actor="test", confirm=True)

    @cached_property
    def clock(self) -> StoreClock:
        """The store's clock: `clock.move(minutes=10)`."""
        from graysplit.stores.memory import MemoryStore

        store = MemoryStore(self.url.partition("://")[2])
        clock = StoreClock(store.wake)
        store.use_clock(clock)
        return clock

    def set(self, split: str, weight: float | str) -> None:
        """Set a candidate's weight ("checkout", or "checkout/v3"), and wait until each router of this store follows it.

        A split that the store does not know yet is created as the program declares it.
        """
        from graysplit.testing.paths import versions_of

        name = split.partition("/")[0]
        for lifecycle in _living():
            if lifecycle.follows(self.url) and lifecycle.states.declarations and lifecycle.states.phase != "closed":
                lifecycle.wait_ready(WITHIN_S)
        if name not in self.control.names().defined:
            self.control.create(name, versions=versions_of(name) or None)
        self.control.wait_confirmed(self.control.set(split, weight))

    def forced(self, **versions: str) -> Forced:
        """Force versions, as `graysplit.testing.forced`."""
        from graysplit.testing import forced

        return forced(**versions)

    def refuse(self, name: str) -> None:
        """Refuse a server; raises `ConfigurationError` with the way to ask for one."""
        self.refused.append(name)
        raise ConfigurationError(told_server(name))


def told_server(name: str) -> str:
    """Return what is said of a test that opens a server without having asked for one."""
    return (
        f"this test opens {name}, and tests have a private store. If it is meant: mark it with "
        "@pytest.mark.graysplit_server, or run: pytest --graysplit-server"
    )


@contextmanager
def private_store() -> Generator[PrivateStore]:
    """Let every router of this process follow a store of its own in a block, empty, and take all of it back afterwards.

    Raises `ConfigurationError` where the block opens a server. In unittest:
    `self.store = self.enterContext(private_store())` in `setUp`.
    """
    store = PrivateStore()
    variables = {"GRAYSPLIT_URL": store.url, **{f"GRAYSPLIT_{name}": None for name in UNSET}}
    with _environment(variables), _fresh_memory(), without_servers(store.refuse), same_scope():
        fresh_routers()
        try:
            yield store
        finally:
            fresh_routers()


@contextmanager
def same_scope() -> Generator[None]:
    """End the contexts that a block has opened and not closed."""
    outer = scope_get()
    try:
        yield
    finally:
        if scope_get() is not outer:
            scope_set(outer)


def fresh_routers() -> None:
    """Let every router of this process fall asleep as if nothing had started it."""
    for lifecycle in _living():
        lifecycle.reset()


def _living() -> list[Lifecycle]:
    module = sys.modules.get("graysplit.router.lifecycle")
    return list(module.LIVING) if module is not None else []


@contextmanager
def _fresh_memory() -> Generator[None]:
    """Forget the shared memory stores that a block has made."""
    module = sys.modules.get("graysplit.stores.memory")
    before: frozenset[tuple[str, str]] = module.shared() if module is not None else frozenset()
    try:
        yield
    finally:
        module = sys.modules.get("graysplit.stores.memory")
        if module is not None:
            module.forget_shared(before)


@contextmanager
def _environment(variables: Mapping[str, str | None]) -> Generator[None]:
    before = {name: os.environ.get(name) for name in variables}
    _put(variables)
    try:
        yield
    finally:
        _put(before)


def _put(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
