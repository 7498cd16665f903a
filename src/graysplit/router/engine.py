"""The life of one router: asleep, started once, followed by one thread, woken again in a forked child, closed."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.adoption import Held, Parse
from graysplit.core.bucketing import hash32
from graysplit.core.lineage import Past
from graysplit.errors import ConfigurationError
from graysplit.events import Events
from graysplit.follower import BreakGlass, Follower, Keeper, KnownGood
from graysplit.router.board import Board
from graysplit.router.explanation import Status
from graysplit.router.settings import Settings
from graysplit.stores.url import store_from_url
from graysplit.version import __version__

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.stores.port import Store

# A child uses the inherited snapshot while its parent's last contact is younger than this.
FRESH_S: Final = 2.0
GOODBYE_S: Final = 0.5


class Known(NamedTuple):
    """What is known before the store has been asked, and whether versions on trial may run by it."""

    held: Held
    past: Past
    fresh: bool


class Engine:
    """What stands behind a router, and behind the libraries' routers that it includes."""

    def __init__(self, clock: Clock) -> None:
        """Begin asleep: nothing is read, opened or started."""
        self.events = Events(clock)
        self.board = Board(self.events, self.wake)
        self.settings = Settings()
        self._clock = clock
        self._store: Store | None = None
        self._follower: Follower | None = None
        self._starting = Lock()
        self._hooked = False

    @property
    def started(self) -> bool:
        """Say whether it has ever been started, be it in a parent process."""
        return self._follower is not None or self.board.phase != "asleep"

    def configure(self, store: Store | None, settings: Settings) -> None:
        """Set what has not been said; once it is started, that is too late."""
        if self.started:
            raise ConfigurationError(
                "this router has started already: call configure() before the first decision, start() or wait_ready()"
            )
        self._store = store or self._store
        self.settings = settings.over(self.settings)

    def start(self) -> None:
        """Start, unless that has been done. Never waits for the store; raises `ConfigurationError`."""
        with self._starting:
            if self.board.phase == "asleep":
                self._start()

    def wake(self) -> None:
        """Start from within a decision: whoever finds somebody starting already does not wait, and gets a baseline."""
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self.board.phase == "asleep":
                self._start()
        except ConfigurationError as fault:
            self.events.warning("configuration", str(fault))
            self.board.enter("not_configured")
        finally:
            self._starting.release()

    def wait_ready(self, timeout_s: float) -> bool:
        """Start and wait until the store has answered; False if that takes longer, or where there is no store.

        An answer may be "nothing there": a namespace that was never used keeps no program waiting.
        """
        self.start()
        if self._follower is None or self.board.phase == "not_configured":
            return False
        return self._follower.ready.wait(timeout_s)

    def close(self) -> None:
        """Say goodbye and stop following; may be called twice."""
        with self._starting:
            self.board.enter("closed")
            if self._follower is not None:
                self._follower.stop()
            if self._store is not None:
                self._store.close()

    def status(self) -> Status:
        """Say how it stands."""
        board, follower = self.board, self._follower
        held = follower.keeper.held if follower is not None else Held()
        contact = board.following
        return Status(
            phase=board.phase,
            mode=contact.mode,
            store=self._store.name if self._store is not None else None,
            age_s=self._clock.monotonic() - contact.since if contact.since else None,
            revision=held.revision,
            splits=len(held.definitions),
            refused={f"{key} {field}": reason for (key, field), reason in held.refused.items()},
            held=dict(follower.keeper.back) if follower is not None else {},
            lost=dict(held.lost),
            off=tuple(sorted(board.glass.names)) if board.glass is not None else (),
            reason=contact.reason,
            stale=board.stale,
            boot=follower.boot if follower is not None else None,
        )

    def _start(self) -> None:
        settings = self.settings.resolved()
        glass = BreakGlass(settings.off or "", settings.off_file)
        if self._store is None and settings.url:
            self._store = store_from_url(settings.url, namespace=settings.namespace or "default")
        store, parent = self._store, self._follower
        parse = _parse_definition() if store is not None else _nothing_to_parse
        if store is None:
            self.events.warning("configuration", "no store: set GRAYSPLIT_URL. Every answer is the baseline")
        born = self._clock.monotonic() if store is not None else float("inf")
        self.board.enter("not_configured" if store is None else "not_ready", glass, parse, born)
        file = self._file(settings) if store is not None else None
        known = self._known(parent, file, settings)
        keeper = Keeper(self.board, self.events, parse, known.held, known.past)
        self._follower = Follower(
            store, keeper, self.board, glass, self.events, file=file, library=__version__, clock=self._clock
        )
        if known.held.loaded:
            self.board.inherit(known.held, fresh=known.fresh)
        if known.fresh:
            self._follower.ready.set()
        self._hook_life()
        if store is not None or settings.off_file is not None:
            self._follower.start()

    def _file(self, settings: Settings) -> KnownGood | None:
        """Give the last-known-good file of this store and namespace, where one is kept."""
        if not settings.cache_dir or self._store is None:
            return None
        mark = hash32(self._store.name.encode(), 0)
        return KnownGood(
            Path(settings.cache_dir) / f"graysplit-{settings.namespace}-{mark:08x}.json", self.events, self._clock
        )

    def _known(self, parent: Follower | None, file: KnownGood | None, settings: Settings) -> Known:
        """Give what is known before the store is asked: inherited over a fork, else from file, else bootstrap."""
        if parent is not None and parent.keeper.held.loaded:
            fresh = self._clock.monotonic() - self.board.following.since < FRESH_S
            return Known(parent.keeper.held, parent.keeper.past, fresh)
        kept = file.read() if file is not None else None
        if file is not None and kept is not None:
            return Known(kept.held, kept.past, file.trusted(kept))
        if self._store is not None and settings.bootstrap:
            return Known(self._bootstrapped(settings.bootstrap), Past(), True)  # noqa: FBT003 - named by its field
        return Known(Held(), Past(), False)  # noqa: FBT003 - as above

    def _bootstrapped(self, path: str) -> Held:
        from graysplit.codec import read_bootstrap

        return read_bootstrap(Path(path))

    def _hook_life(self) -> None:
        """Publish restart states in forked children, and say goodbye at exit; once, without keeping this alive."""
        if self._hooked:
            return
        self._hooked = True
        atexit.register(_weakly(self._say_goodbye))
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_weakly(self._after_fork))

    def _say_goodbye(self) -> None:
        """Leave the fleet, or every deployment would leave processes that count as silent for ten minutes.

        Decisions stay as they are for whatever else still ends; Redis gone costs half a second at most.
        """
        if self._follower is not None:
            self._follower.stop(GOODBYE_S)

    def _after_fork(self) -> None:
        """Only publish: no lock is taken, no thread started. The next decision in this child wakes the router."""
        self._starting = Lock()
        if self.board.phase not in ("asleep", "closed"):
            self.board.after_fork()


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Give a function that calls a method as long as its object lives."""
    alive = weakref.WeakMethod(method)

    def call() -> None:
        found = alive()
        if found is not None:
            found()

    return call


def _parse_definition() -> Parse:
    """Make the parser ready in the caller's thread (about 100 ms, once), not in the follower's."""
    from graysplit.codec import parse_definition, parser

    parser()
    return parse_definition


def _nothing_to_parse(split: str, raw: bytes) -> None:
    """Stand for the parser where there is no store, so that pydantic need not be imported."""
