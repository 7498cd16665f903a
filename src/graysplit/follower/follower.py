"""Follow a store: register, subscribe, load, adopt, report, and again on every signal. One daemon thread.

A signal never carries a value: it only means "read again". So what is lost, doubled or late among signals costs a
reading, never a wrong state; and a jittered full reading lies under it all.
"""

from __future__ import annotations

import os
from threading import Thread
from typing import TYPE_CHECKING, Final

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.core.address import field_of
from graysplit.core.fleet import BEAT_S
from graysplit.core.limits import shown
from graysplit.errors import GraysplitError, StoreUnreachableError
from graysplit.follower.backoff import chance, jittered, pause_s
from graysplit.follower.guard.reporter import GuardReporter
from graysplit.follower.heartbeat import Heartbeat, Sender
from graysplit.follower.history_writer import HistoryWriter
from graysplit.follower.memory import Memory
from graysplit.follower.plan_driver import PlanDriver, Verdicts
from graysplit.follower.port import Audience, Contact
from graysplit.follower.recent_changes import Recent
from graysplit.follower.server_time import ServerTime
from graysplit.forks import Latch
from graysplit.stores.port import Feed, Store

if TYPE_CHECKING:
    from graysplit.events import Events
    from graysplit.follower.break_glass import BreakGlass
    from graysplit.follower.known_good import KnownGood
    from graysplit.follower.replica import Replica

TURN_S: Final = 0.25  # the longest wait before closing and break-glass are looked at
CALM_S: Final = 0.62  # the same over a connection, where nothing waits for time to pass: it wakes once for its PING
FULL_READ_S: Final = 15.0  # +-25 %: the net under the net
# Of so many times one reads everything; at the others the server says whether anything was written.
READ_EVERY: Final = 8
SOON_S: Final = 2.0  # a partial reading is followed by a full one within this time
ANSWERED_S: Final = 1.0  # to 1.5: between attempts at a server that is there, and answers with errors
# A thread that has not turned for so long was stopped, or its machine slept: what it holds may be old.
LATE_S: Final = 1.5
STEADY_S: Final = 5.0  # a connection that lived for less counts as one more attempt: it may end at once each time
PATIENT_S: Final = 40.0  # +-25 %: between attempts that only a person can make succeed, so 30 s at least
WORK_S: Final = 0.001  # look at definitions for this long, then let others run
REST_S: Final = 0.0002
# Between two looks for a signal while definitions are lined up. Each call of the system lets others run, for 5 ms where
# another thread never waits: with a look behind each portion, looking at ten thousand took minutes there.
LISTEN_EVERY_S: Final = 0.05
ANSWER_S: Final = 0.02  # between two looks whether an answer that nobody waits for has come
# While very much is read, adopted or booked: how often it is asked whether anything was lowered, of how many fields.
LOOK_S: Final = 0.1
LOOKED_AT: Final = 1_000
# A reading that took longer is followed by as long a rest from readings, within a bound; what lowers is asked for.
LONG_S: Final = 0.1
REST_AT_MOST_S: Final = 1.0
# While raw edits are booked: as long as the reading, without a bound, or booking would never end where that takes long.
BOOKING_AT_LEAST_S: Final = 1.0


class Follower:
    """One process's following of one store. `start` once; `stop` is bounded and may be called twice."""

    def __init__(  # noqa: PLR0913 - all that one thread needs, given once
        self,
        store: Store | None,
        replica: Replica,
        audience: Audience,
        break_glass: BreakGlass,
        events: Events,
        *,
        file: KnownGood | None = None,
        library: str,
        instance: str = "",
        zone: str = "",
        clock: Clock = SYSTEM_CLOCK,
        verdicts: Verdicts | None = None,
        stand_in: bool | None = None,
    ) -> None:
        """Take what to follow (None: only break-glass is watched), who keeps what is read, and whom to tell.

        `stand_in`: the adopted state is from a file, and is served once the store was asked and has not answered;
        True where versions on trial may run by it.
        """
        self.boot = os.urandom(8).hex()
        self.replica = replica
        self.ready = Latch()
        self._store = store
        self._audience = audience
        self._break_glass = break_glass
        self._judged: frozenset[str] | None = None  # the words of break-glass that were last compared with the splits
        self._events = events
        self._clock = clock
        self.server_time = ServerTime(clock)
        self._books = HistoryWriter(replica, events, clock, self.server_time)
        self._file = file
        self._stand_in = stand_in
        self.watch = GuardReporter(self.boot, replica, audience, events, clock)
        self._driver = PlanDriver(self.boot, replica, events, clock, verdicts or self.watch.verdict)
        self._stopping = Latch()
        self._may_go = Latch()
        self._ended = Latch()
        self._recent = Recent()
        self._memory = Memory()
        sender = Sender(self.boot, library, instance, zone)
        self._heartbeat = Heartbeat(sender, replica, audience, break_glass, self._recent, clock, self._books)
        self._loaded = False  # whether the present connection has been read from
        self._beat_at = 0.0
        self._look_at = 0.0  # when to ask again whether anything was lowered
        self._looked = 0  # how many fields were looked at, of more than one look takes
        self._feed: Feed | None = None  # the present connection
        self._rested = (0.0, 0.0)  # when the last reading ended, and how long it took
        self._turn_s = TURN_S  # the longest wait at present
        self._late = False  # whether this process stood still, and has not read since
        self._untouched = 0  # how often in turn nothing had been written when a full reading was due
        self._turned = (0.0, 0.0)  # when the thread turned last, monotonic and boot time
        self._born_s = clock.boottime()
        self._thread: Thread | None = None
        self._pid = 0

    def start(self) -> None:
        """Start the thread, which does nothing before `go`; raises `RuntimeError` where the system gives none."""
        thread = Thread(target=self._run, name="graysplit", daemon=True)
        thread.start()
        self._thread, self._pid = thread, os.getpid()

    def go(self) -> None:
        """Let the thread follow: what it tells is expected now."""
        self._may_go.set()

    @property
    def dead(self) -> bool:
        """Return whether its thread has ended although nobody asked it to, or belongs to another process."""
        thread = self._thread
        if thread is None or self._stopping.is_set():
            return False
        return self._pid != os.getpid() or not thread.is_alive()  # a fork in C tells no thread that it is gone

    def stop(self, timeout_s: float = 1.0) -> None:
        """Ask the thread to say goodbye and end, and wait for it no longer than this; who asks again does not wait.

        Takes no lock that the same thread may hold already: a signal handler may ask.
        """
        asked, thread = self._stopping.is_set(), self._thread
        self._stopping.set()
        if (feed := self._feed) is not None:
            feed.wake()
        if not asked and thread is not None and thread.is_alive():
            self._ended.wait(timeout_s)

    def wait_ended(self, timeout_s: float) -> bool:
        """Wait until the thread has ended; False where that takes longer."""
        if self._thread is None or not self._thread.is_alive():
            return True
        return self._ended.wait(timeout_s) or not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._may_go.is_set() and not self._stopping.is_set():
                self._may_go.wait(TURN_S)
            self._go_on_following()
        finally:
            self._ended.set()
            if not self._stopping.is_set():
                self._audience.abandon()

    def _go_on_following(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            try:
                attempt = self._live(attempt)
            except BaseException as fault:  # noqa: BLE001 - the thread outlives whatever it meets (a hook's SystemExit, too)
                self._events.warning("follower_failed", f"following failed: {type(fault).__name__}: {fault}")
                self._stopping.wait(TURN_S)

    def _live(self, attempt: int) -> int:
        """Serve one connection and rest after it; return the number of attempts that have failed since the last one."""
        if self._store is None:
            self._stopping.wait(REST_S if self.watch.collecting else TURN_S)
            self._turn()
            return 0
        self._loaded = patient = silent = answered = False
        began = self._clock.monotonic()
        try:
            self._follow(self._store.follow())
        except StoreUnreachableError as fault:
            patient, silent, answered = fault.patient, fault.silent, fault.answered
            self._lose(fault.reason, silent=fault.silent)
        except BaseException as fault:  # noqa: BLE001 - as above
            answered = True
            self._lose(f"{type(fault).__name__}: {fault}")
        else:
            return 0  # it was left for a better one, or the router closes
        steady = self._loaded and self._clock.monotonic() - began >= STEADY_S
        attempt = 0 if steady else attempt + 1
        soon = silent or self._loaded  # it refused nobody
        pause = jittered(PATIENT_S) if patient else pause_s(attempt, self._heartbeat.crowd, silent=soon)
        self._rest(max(pause, ANSWERED_S + chance() / 2) if answered and not steady else pause)
        return attempt

    def _follow(self, feed: Feed) -> None:
        """Serve one connection until it breaks or the router closes; who closes already does not join the fleet."""
        clock, self._heartbeat.joined, self._feed = self._clock, False, feed
        self._rested = (0.0, 0.0)
        feed.while_reading(lambda: self._look(feed))
        try:
            self._report(feed, about=True)  # registered before loading: whoever waits for receipts counts this process
            self._beat_at = clock.monotonic() + BEAT_S
            if not self._stopping.is_set():
                self._read(feed, whole=True)
            whole_s = 0.0
            full = clock.monotonic() + jittered(FULL_READ_S)
            self._beat_at = clock.monotonic() + BEAT_S
            self._books.book_soon()
            self._driver.connected()
            while not self._stopping.is_set() and not feed.outdone:
                signalled, late = self._listen(feed)
                if late:
                    self._books.end_leases(feed)  # that ran out meanwhile; the store's clock judges
                now, full = clock.monotonic(), 0.0 if late else self._full_at(feed, full, signalled=signalled)
                self._late = late
                due = signalled or now >= full
                resting = due and not late and self._rests(feed, now) and not self._look(feed)
                if resting:
                    self._go_on_resting(feed)
                elif due:
                    partial = not self._read(feed, whole=now >= full)
                    took_s = clock.monotonic() - now
                    whole_s = whole_s if partial else took_s
                    self._rested = (clock.monotonic(), took_s)
                    self._late = False
                    # A whole reading of very much takes at most a third of the time; a sixth while raw edits are
                    # booked, of which the log tells.
                    between_s = (5 if feed.unbooked else 2) * whole_s
                    soon = now + (max(SOON_S * chance(), between_s) if partial else took_s + jittered(FULL_READ_S))
                    full = min(full, soon) if now < full else soon
                    self._beat_at = now + BEAT_S
                elif now >= self._beat_at - self._turn_s / 2:  # at the nearest turn
                    self._report(feed, about=False)
                    self._beat_at = now + BEAT_S
                elif self.replica.busy:
                    self._go_on(feed)
                if not resting or feed.unbooked:  # what was signalled is read before anything is added to it
                    self._books.book_if_due(feed)
                self.watch.turn(feed)
                self._driver.turn(feed)
            if self._heartbeat.joined and self._stopping.is_set():
                self._leave(feed)
        finally:
            self._feed = None
            feed.close()

    def _full_at(self, feed: Feed, full: float, *, signalled: bool) -> float:
        """Return when everything is to be read: it is put off where that is due and would say nothing new."""
        due = not signalled and self._clock.monotonic() >= full
        return self._clock.monotonic() + jittered(FULL_READ_S) if due and self._is_untouched(feed) else full

    def _is_untouched(self, feed: Feed) -> bool:
        """Return whether a full reading would say nothing new; every eighth is made all the same."""
        replica, self._untouched = self.replica, self._untouched + 1
        unsettled = replica.adopted.lost or replica.distrusted or replica.fork is not None
        if unsettled or replica.busy or feed.unbooked or self._untouched >= READ_EVERY:
            return False
        now_ms = feed.untouched()
        if now_ms:
            self._tell_time(now_ms)
        return bool(now_ms)

    def _pause_s(self, feed: Feed) -> float:
        """Return how long to wait for a signal: long where only that and the next heartbeat are waited for."""
        watch, held = self.watch, self.replica.adopted
        if watch.calm:
            timed = self._break_glass.watched or held.leases or held.planned or feed.mode == "memory"
            self._turn_s = TURN_S if timed else CALM_S
            return 0.0 if self.replica.busy else max(0.0, self._books.left_s(self._turn_s))
        self._turn_s = TURN_S
        if self.replica.busy:
            return 0.0
        if watch.busy or watch.collecting:
            return REST_S
        left_s = min(watch.look_s, self._books.left_s(TURN_S), TURN_S)
        return max(0.0, min(left_s, ANSWER_S) if watch.waits else left_s)

    def _listen(self, feed: Feed) -> tuple[bool, bool]:
        """Wait for a signal and let time pass; return whether one came, and whether this process stood still.

        While definitions are lined up, it listens now and then: a rollback that comes behind ten thousand of them is
        read at once.
        """
        late = self._is_late(feed)
        if late:
            self._turn()  # before anything is asked: no answer may come
        pause_s = self._pause_s(feed)
        signalled = feed.wait(REST_S if late else pause_s)
        late = self._is_late(feed) or late
        if not late:
            self._audience.contact(self._contact(feed))
        self._turn()
        return signalled, late

    def _rests(self, feed: Feed, now: float) -> bool:
        """Return whether a look alone does instead of a reading: after a long one of very much, or while it books."""
        ended, took_s = self._rested
        if feed.unbooked:
            rest_s = max(took_s, BOOKING_AT_LEAST_S)
        else:
            rest_s = min(took_s, REST_AT_MOST_S) if took_s > LONG_S else 0.0
        return len(self.replica.adopted.weights) > LOOKED_AT and now < ended + rest_s

    def _go_on_resting(self, feed: Feed) -> None:
        """Look at definitions that are lined up, or let time pass until there is something to do."""
        if self.replica.busy:
            self._go_on(feed)
        pause_s = self._books.left_s(LOOK_S) if feed.unbooked else LOOK_S / 4
        self._stopping.wait(REST_S if self.replica.busy else max(0.0, pause_s))

    def _look(self, feed: Feed) -> bool:
        """Do what cannot wait while very much is read, adopted or booked: a heartbeat, and whatever lowers.

        True where something was lowered.
        """
        now = self._clock.monotonic()
        if now < self._look_at or self._stopping.is_set():
            return False
        self._look_at = now + LOOK_S
        self._turned = self._times()
        self.watch.relieve()
        if self._loaded and not self._late:
            self._audience.contact(self._contact(feed))
        if now >= self._beat_at:
            self._report(feed, about=False)
            self._beat_at = now + BEAT_S
        lowered = self.replica.lower(feed.brakes(self._run_here()))
        if lowered:
            self._books.book_soon()  # it may be an edit by hand, and the next reading finds nothing new in it
            self._recent.remember(lowered, self.replica.adopted.weights)
            self._keep()
            self._report(feed, about=False)
        return bool(lowered)

    def _run_here(self) -> list[str]:
        """Return the fields that give calls to a candidate here by their weights: of very many, some at each look."""
        weights = self.replica.adopted.weights
        fields = [
            field_of(split, name)
            for split, declaration in self._audience.declared().items()
            for name in declaration.versions
        ]
        own = [field for field in fields if weights.get(field)]
        first = self._looked if self._looked < len(own) else 0
        self._looked = first + LOOKED_AT
        return own[first : first + LOOKED_AT]

    def _times(self) -> tuple[float, float]:
        return self._clock.monotonic(), self._clock.boottime()

    def _is_late(self, feed: Feed) -> bool:
        """Return whether this process stood still since the last turn: stopped, frozen, or its machine asleep.

        Nothing says that what is held is of now, so the last contact is as long ago as it is, until the store has
        been read again.
        """
        (monotonic, boottime), self._turned = self._turned, self._times()
        awake_s, passed_s = self._turned[0] - monotonic, self._turned[1] - boottime
        if max(awake_s, passed_s) < LATE_S:
            return False
        slept_s = max(0.0, passed_s - awake_s)  # in which the monotonic clock stood
        self._audience.contact(self._contact(feed)._replace(since=monotonic - slept_s))
        return True

    def _read(self, feed: Feed, *, whole: bool) -> bool:
        """Load, adopt and report; say whether all definitions were read."""
        replica = self.replica
        replica.begin()
        self._untouched = 0
        self._look_at = self._clock.monotonic() + LOOK_S  # a short reading is over by then, and knows all of it
        load = feed.load(replica.past.position, whole=whole)
        self._turned = self._times()  # a long answer is not a standstill, a long pause after it is
        self._tell_time(load.now_ms)
        taken = replica.apply(load, lambda: feed.load("", whole=True), lambda: self._look(feed))
        self._loaded = True
        self._audience.contact(self._contact(feed)._replace(since=self._turned[0]))
        self._look(feed)  # the work on a very large reading is not a standstill either
        self._serve_file()  # where even this reading was no answer (law 8)
        self.ready.set()
        self._recent.remember(taken.changed, replica.adopted.weights)
        self._recent.remember_sweeps(taken.entries)
        self._keep()  # before the receipt
        self._look(feed)
        self._go_on(feed)
        if replica.busy:
            self._report(feed, about=False)  # what was lowered is in force, whatever else is still lined up
        for field, release_ms in taken.zeros.items():
            self._books.brake(feed, field, release_ms)
        if taken.unexplained or replica.fork is not None:
            self._books.book_soon()
        quiet = load.whole and not (taken.changed or feed.unbooked)
        self._memory.note(sum(map(len, replica.adopted.seen.values())), quiet=quiet)
        return load.whole

    def _tell_time(self, now_ms: int) -> None:
        """Note the server's time of a reading (0: not told), and tell once when this process was born by it."""
        self.server_time.note(now_ms)
        self._heartbeat.note_birth(self.server_time.at_ms(self._born_s))

    def _go_on(self, feed: Feed) -> None:
        """Look at some portions of the definitions that changed, and report where none is left."""
        listen_at = self._clock.monotonic() + LISTEN_EVERY_S
        while self._work() and self._clock.monotonic() < listen_at:
            if self._stopping.wait(REST_S):
                return
        if not self.replica.busy:
            self._heartbeat.note_applied()
            self._report(feed, about=False)

    def _work(self) -> bool:
        """Look at one portion of the definitions that changed; return whether more are waiting."""
        monotonic, until = self._clock.monotonic, self._clock.monotonic() + WORK_S
        self.replica.go_on(lambda: monotonic() >= until)
        return self.replica.busy

    def _report(self, feed: Feed, *, about: bool) -> None:
        """Send a heartbeat; who leaves does not join, and says no more than goodbye."""
        if not self._stopping.is_set():
            self._heartbeat.send(feed, about=about)

    def _keep(self) -> None:
        """Keep what is adopted in the file, so that what was lowered outlives this process."""
        if self._file is not None:
            self._heartbeat.durable = self._file.keep(self.replica.adopted, self.replica.past)

    def _leave(self, feed: Feed) -> None:
        try:
            self.watch.leave(feed)
            feed.leave(self.boot)
        except GraysplitError:
            return  # after ten minutes of silence it leaves the count by itself

    def _turn(self, *, alone: bool = False) -> None:
        """Look at what changes without the store: break-glass, the age of what is held, what was counted here."""
        if self._audience.turn(self._clock.monotonic()):
            self._beat_at = 0.0
        now_ms = self.server_time.at_ms(self._clock.boottime())
        # Without any server's time yet a process counts by its own: it has only its own counts then.
        counted_ms = int(1000 * self._clock.time()) if now_ms is None else now_ms
        if self.watch.pass_time(counted_ms, crowd=self._heartbeat.crowd, alone=alone):
            self._keep()
        leases = self.replica.adopted.leases
        if leases and self.replica.pass_time(now_ms, self.server_time.set_back(leases)):
            self._books.book_soon()
        if self._break_glass.poll():
            names = ", ".join(sorted(self._break_glass.names)) or "nothing"
            self._events.stands("off", names, f"break-glass: switched off now: {names}")
            self._audience.refresh()
            weights = self.replica.adopted.weights
            self._recent.remember(weights, weights)  # any of them may show another effect now
            self._beat_at = 0.0
        if self._break_glass.names is not self._judged and self.replica.adopted.loaded:
            self._judge_words()

    def _judge_words(self) -> None:
        """Warn of the words of break-glass that name nothing known: they switch nothing off."""
        self._judged, declared = self._break_glass.names, self._audience.declared()
        unknown = sorted(word for word in self._judged if word not in declared and not self._audience.knows(word))
        if unknown:
            named = shown(", ".join(repr(word) for word in unknown[:10]))
            more = f" and {len(unknown) - 10} more" if unknown[10:] else ""
            self._events.again("off_unknown")
            self._events.warning(
                "off_unknown",
                f"break-glass: no split is known here by the name {named}{more}, so that switches nothing off. "
                "See: graysplit list; everything: *",
            )

    def _contact(self, feed: Feed) -> Contact:
        return Contact(feed.mode, self._clock.monotonic(), self._heartbeat.refused, feed.mode_why)

    def _lose(self, reason: str, *, silent: bool = False) -> None:
        self._audience.contact(Contact("lost", 0.0, reason, silent=silent))
        if self._serve_file():
            self.ready.set()

    def _serve_file(self) -> bool:
        """Serve what a file holds, now that the store was asked; return whether versions on trial run by it."""
        fresh, self._stand_in = self._stand_in, None
        if fresh is not None:
            self._audience.inherit(self.replica.adopted, fresh=fresh)
        return bool(fresh)

    def _rest(self, seconds: float) -> None:
        """Wait before the next attempt."""
        until = self._clock.monotonic() + seconds
        while not self._stopping.is_set() and self._clock.monotonic() < until:
            pause_s = REST_S if self.watch.collecting else min(TURN_S, self.watch.look_s)
            self._stopping.wait(max(0.0, min(pause_s, until - self._clock.monotonic())))
            self._turn(alone=True)
