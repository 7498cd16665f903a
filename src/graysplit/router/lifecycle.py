"""The life of one router: asleep, started once, followed by one thread, woken again in a forked child, closed."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Final

from graysplit.errors import ConfigurationError
from graysplit.events import Events
from graysplit.forks import Latch, is_master
from graysplit.log_writer import WRITER
from graysplit.router.decisions import Decisions
from graysplit.router.jobs import Jobs
from graysplit.router.settings import Settings
from graysplit.router.states import PublishedStates

if TYPE_CHECKING:
    from _thread import LockType

    from graysplit.clock import Clock
    from graysplit.core.counters import Measure
    from graysplit.follower.follower import Follower
    from graysplit.notices.notifier import Notices
    from graysplit.router.start import Made
    from graysplit.router.status import Status
    from graysplit.stores.port import Store

GOODBYE_S: Final = 0.5
AGAIN_S: Final = 1.0  # between two attempts of decisions to start what could not be started
START_WITHIN_S: Final = 2.0  # what `start` waits for a start in another thread


LIVING: Final = weakref.WeakSet["Lifecycle"]()  # of this process, for tests of programs


class Lifecycle:
    """What stands behind a router, and behind the libraries' routers that it includes."""

    def __init__(self, clock: Clock) -> None:
        """Begin asleep: nothing is read, opened or started."""
        self.clock = clock
        self.events = Events(clock)
        self.states = PublishedStates(self.events, clock)
        self.decisions = Decisions(self.states, self.wake, self._look, self.events, clock)
        self.jobs = Jobs(self.events)
        self.settings = Settings()
        self.movers: list[
            Callable[[Lifecycle], None]
        ] = []  # hand another lifecycle to each router that this one serves
        self._store: Store | None = None
        self._given: Store | None = None  # made by the program, not of an address
        self._follower: Follower | None = None
        self._starting = Lock()  # whoever has it starts; nobody waits for it without end
        self._starter = 0  # the thread that had it last
        self._again_at = 0.0
        self._closed = False
        self._notices: Notices | None = None
        self._refused = False  # whether the system gave no thread
        self._hears_forks = False
        self._hooked_in = 0  # the process in which the hooks were last looked after
        self._hears_sigterm = False
        LIVING.add(self)

    @property
    def started(self) -> bool:
        """Return whether it has ever been started, be it in a parent process."""
        return self._follower is not None or self.states.phase != "asleep"

    @property
    def place(self) -> str:
        """The phase, and the store by its printable name once there is one."""
        return self.states.phase if self._store is None else f"{self.states.phase}, {self._store.name}"

    def configure(self, store: Store | None, settings: Settings) -> None:
        """Set what has not been said; once it is started, that is too late."""
        if self.started:
            raise ConfigurationError(
                "this router has started already: call configure() before the first decision, start() or wait_ready()"
            )
        self._store = self._given = store or self._store
        self.settings = settings.over(self.settings)

    def instance(self) -> str:
        """Return the name of this process's host; the environment is read for it where nothing has started yet."""
        if not self.states.instance:
            self.states.instance = self.settings.resolved().instance or ""
        return self.states.instance

    def start(self) -> None:
        """Start, unless that has been done. Never waits for the store; raises `ConfigurationError`.

        Where the system gives no thread it stays asleep, and the next decision tries again.
        """
        starting, interrupted = self._starting, self._starting.locked() and self._starter == get_ident()
        # A signal handler that interrupts a start in its own thread must not wait for it.
        if not starting.acquire(timeout=0 if interrupted else START_WITHIN_S):
            return
        try:
            self._starter = get_ident()
            self._begin()
            if self._follower is not None and self._hears_sigterm:
                self._hear_sigterm()  # a decision may have started it from a thread that cannot
        finally:
            _release(starting)

    def wake(self) -> None:
        """Start from within a decision: whoever finds somebody starting already does not wait, and gets a baseline."""
        starting = self._starting
        if self.clock.monotonic() < self._again_at or not starting.acquire(blocking=False):
            return
        try:
            self._starter = get_ident()
            self._begin()
        except ConfigurationError as fault:
            self.events.warning("configuration", str(fault))
            if self._store is None:  # the address: it is not another one in a second
                self.states.enter("not_configured")
        except Exception as fault:  # noqa: BLE001 - law 5: nothing of ours reaches the caller
            self._tell_refused(fault)
        finally:
            _release(starting)

    def wait_ready(self, timeout_s: float) -> bool:
        """Start and wait until the store has answered; False if that takes longer, or where there is no store.

        An answer may be "nothing there": a namespace that was never used keeps no program waiting.
        """
        until = monotonic() + timeout_s
        self.start()
        while self._refused and self.states.phase == "asleep" and (left := until - monotonic()) > 0:
            Latch().wait(min(left, AGAIN_S))
            self.start()
        if self._follower is None or self.states.phase in {"asleep", "not_configured"}:
            return False
        return self._follower.ready.wait(until - monotonic())

    def close(self) -> None:
        """Say goodbye and stop following; may be called twice, and from a signal handler at any moment.

        A start that is under way ends by closing what it has made.
        """
        self._closed = True
        self.states.close()
        self.jobs.close()
        if self._follower is not None:
            self._follower.stop()
        if self._store is not None:
            self._store.close()

    def follows(self, url: str) -> bool:
        """Return whether it follows the store of this address, once it is started."""
        return self._given is None and self.settings.resolved().url == url

    def reopen(self) -> None:
        """Fall asleep after `close`, to be started again: test clients run a program's lifespan many times."""
        if self.states.phase != "closed":
            return
        self._closed, self._follower = False, None
        self.jobs.reopen()
        self.states.reopen()

    def retire(self, heir: Lifecycle) -> None:
        """Stop following where another serves what was declared here; a store that both were given stays open."""
        if self._store is heir._store:
            self._store = None
        self.close()

    def reset(self) -> None:
        """Fall asleep as if nothing had ever started it, and make another store of its address; for tests."""
        follower, store = self._follower, self._store
        if follower is None and store is self._given and self.states.phase == "asleep":
            return
        self.jobs.close()
        if follower is not None:
            follower.stop(0)
            getattr(store, "wake", int)()  # the memory store's: its feeds wait inside this process
            follower.wait_ended(1.0)
        if store is not None:
            store.close()
        self._store, self._follower, self._notices = self._given, None, None
        self._closed, self._again_at, self._starting = False, 0.0, Lock()
        self.jobs.reopen()
        self.events.forget()
        self.decisions.forget()
        self.states.reset()

    def status(self) -> Status:
        """Return how it is now."""
        from graysplit.router.status import status_of

        age_s = self.clock.monotonic() - self.states.following.since if self.states.following.since else None
        return status_of(self.states, self._follower, self._notices, self._store, self.events, age_s)

    def measures(self) -> list[Measure]:
        """Return what has been counted so far, with the durations that a guard has timed."""
        counted = self.states.measures()
        times = self._follower.watch.times.copy() if self._follower is not None else {}
        if not times:
            return counted
        from graysplit.router.measures import with_durations

        return with_durations(counted, times)

    def _begin(self) -> None:
        """Start all, or leave all asleep: half a start is not a start."""
        if self.states.phase != "asleep":
            return
        self._again_at = self.clock.monotonic() + AGAIN_S
        self._hear_forks()
        self._refused = False
        try:
            self._start()
        except RuntimeError as fault:  # "can't start new thread"
            self._refused = True
            self._tell_refused(fault)
        finally:
            if self._closed:
                self.close()  # somebody did meanwhile, in another thread or a signal handler

    def _tell_refused(self, fault: Exception) -> None:
        told = f"this router could not start; a decision tries again after a second: {fault}"
        self.events.warning("not_started", f"{told}. Until then everybody gets the baseline")

    def _start(self) -> None:
        if is_master():
            self._again_at = 0.0  # the worker that is forked from here inherits it
            return
        from graysplit.router import start

        WRITER.start()  # here, and not with the first line: that may come from a signal handler
        settings = self.settings.resolved()
        self.states.instance = settings.instance or ""
        self._hears_sigterm = settings.sigterm is not False
        self._store = self._store or start.make_store(settings)
        if self._store is None:
            self.events.warning("configuration", "no store: set GRAYSPLIT_URL. Every answer is the baseline")
        made = start.make(self._store, settings, self.states, self.events, self.clock, self._follower)
        self._hook_life()
        try:
            if self._store is not None or settings.off_file is not None:
                made.follower.start()
            self._enter(made, settings)
        except BaseException:  # also Ctrl-C: no state is left that nobody follows
            made.follower.stop(0)
            self._fall_asleep()
            raise

    def _enter(self, made: Made, settings: Settings) -> None:
        """Publish what a start begins with, now that its thread lives, and let that follow."""
        from graysplit.router import start
        from graysplit.router.warmup import Warmup

        follower, now = made.follower, self.clock.monotonic()
        if self._closed:
            return
        if self._store is None:
            self.states.enter("not_configured", made.break_glass, made.parse)
        else:
            self.states.enter("not_ready", made.break_glass, made.parse, now)
            if made.inherited:
                self.states.inherit(follower.replica.adopted, fresh=made.fresh)
            if made.inherited and made.fresh:
                follower.ready.set()
            self.states.warming = Warmup(self.states.declarations, self.jobs)
            self.states.warming.turn(now)
            self._notify(
                start.make_notices(self._store, settings, follower, self.jobs, self.events, self.clock), follower
            )
        self._follower = follower
        self.states.expect_turns()
        follower.go()

    def _fall_asleep(self) -> None:
        self.states.warming = self.states.notify = None
        if self.states.phase not in {"asleep", "closed"}:
            self.states.enter("asleep")

    def _look(self) -> None:
        """Look whether the thread that follows still lives; where it does not, start another."""
        if self._follower is not None and self._follower.dead:
            self.states.abandon()
            self.wake()

    def _notify(self, notices: Notices | None, follower: Follower) -> None:
        """Have the follower's thread look, at each of its turns, whether there is something to tell."""
        self._notices = notices
        if notices is None:
            self.states.notify = None
            return
        turn, replica = notices.turn, follower.replica
        self.states.notify = lambda now: turn(now, replica.past.position)

    def _hook_life(self) -> None:
        """Say goodbye at exit; once, without keeping this alive."""
        before, self._hooked_in = self._hooked_in, os.getpid()
        if before == self._hooked_in:
            return
        from graysplit.router.process_end import hear_end

        hear_end(_weakly(self._say_goodbye), first=not before)
        if self._hears_sigterm:
            self._hear_sigterm()

    def _hear_forks(self) -> None:
        """Publish restart states in forked children, also in one that is forked while this starts."""
        if not self._hears_forks and hasattr(os, "register_at_fork"):
            self._hears_forks = True
            os.register_at_fork(after_in_child=_weakly(self._after_fork))

    def _hear_sigterm(self) -> None:
        from graysplit.router.process_end import hear_sigterm

        hear_sigterm()

    def _say_goodbye(self) -> None:
        """Leave the fleet, or every deployment would leave processes that count as silent for ten minutes.

        Decisions stay as they are for whatever else still ends; Redis gone costs half a second at most, and no job is
        begun any more.
        """
        self.jobs.close()
        if self._follower is not None:
            from graysplit.router.process_end import time_left

            self._follower.stop(time_left(GOODBYE_S))
            # Where `close` asked before, `stop` does not wait: SIGTERM may come amid that goodbye.
            self._follower.wait_ended(time_left(GOODBYE_S))

    def _after_fork(self) -> None:
        """Only publish: no lock is taken, no thread started. The next decision in this child wakes the router."""
        self._starting = Lock()
        self._again_at = 0.0
        self.jobs.after_fork()
        self.states.after_fork()


def _release(starting: LockType) -> None:
    """Let others start; in a child that was forked meanwhile nobody has that lock."""
    with suppress(RuntimeError):
        starting.release()


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls a method as long as its object lives."""
    alive = weakref.WeakMethod(method)

    def call() -> None:
        living = alive()
        if living is not None:
            living()

    return call
