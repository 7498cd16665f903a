"""The life of one router: asleep, started once, followed by one thread, woken again in a forked child, closed."""

from __future__ import annotations

import os
import weakref
from threading import Lock
from typing import TYPE_CHECKING, Final

from graysplit.core.adoption import Held, Parse
from graysplit.errors import ConfigurationError
from graysplit.events import Events
from graysplit.follower import BreakGlass, Follower
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
        """Start and wait until something is loaded; False if that takes longer, or where there is no store."""
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
        held = follower.held if follower is not None else Held()
        contact = board.following
        return Status(
            phase=board.phase,
            mode=contact.mode,
            store=self._store.name if self._store is not None else None,
            age_s=self._clock.monotonic() - contact.since if contact.since else None,
            revision=held.revision,
            splits=len(board.states),
            refused={f"{key} {field}": reason for (key, field), reason in held.refused.items()},
            lost=dict(held.lost),
            off=tuple(sorted(board.glass.names)) if board.glass is not None else (),
            reason=contact.reason,
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
        self.board.enter("not_configured" if store is None else "not_ready", glass, parse)
        follower = Follower(
            store,
            self.board,
            glass,
            self.events,
            parse,
            library=__version__,
            held=parent.held if parent is not None else Held(),
            clock=self._clock,
        )
        self._follower = follower
        if parent is not None and parent.held.loaded:
            fresh = self._clock.monotonic() - self.board.following.since < FRESH_S
            self.board.inherit(fresh=fresh)
            if fresh:
                follower.ready.set()
        self._hook_forks()
        if store is not None or settings.off_file is not None:
            follower.start()

    def _hook_forks(self) -> None:
        """Publish restart states in forked children; once, and without keeping this router alive."""
        if self._hooked or not hasattr(os, "register_at_fork"):
            return
        self._hooked = True
        alive = weakref.WeakMethod(self._after_fork)

        def in_child() -> None:
            after_fork = alive()
            if after_fork is not None:
                after_fork()

        os.register_at_fork(after_in_child=in_child)

    def _after_fork(self) -> None:
        """Only publish: no lock is taken, no thread started. The next decision in this child wakes the router."""
        self._starting = Lock()
        if self.board.phase not in ("asleep", "closed"):
            self.board.after_fork()


def _parse_definition() -> Parse:
    """Make the parser ready in the caller's thread (about 100 ms, once), not in the follower's."""
    from graysplit.codec import parse_definition, parser

    parser()
    return parse_definition


def _nothing_to_parse(split: str, raw: bytes) -> None:
    """Stand for the parser where there is no store, so that pydantic need not be imported."""
