"""Follow a store: subscribe, load, adopt, report, and again on every signal. One daemon thread.

A signal never carries a value: it only means "read again". So what is lost, doubled or late among signals costs a
reading, never a wrong state; and a jittered full reading lies under it all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.core.adoption import Held, Parse, adopt_brakes, adopt_definitions, differing, settle
from graysplit.core.definition import Definition
from graysplit.core.fleet import BEAT_S, Declared, Receipt
from graysplit.core.weights import split_of
from graysplit.errors import GraysplitError, StoreUnreachableError
from graysplit.follower.port import Audience, Contact
from graysplit.stores.port import Feed, Report, Store

if TYPE_CHECKING:
    from graysplit.core.record import Load
    from graysplit.events import Events
    from graysplit.follower.glass import BreakGlass

TURN_S: Final = 0.25  # the longest wait before closing and break-glass are looked at
FULL_READ_S: Final = 15.0  # +-25 %: the net under the net
SOON_S: Final = 2.0  # a partial reading is followed by a full one within this time
BOOK_WITHIN_S: Final = 0.25  # a raw edit is booked after a random wait, so that one process does it
ABOUT_S: Final = 30.0  # how often a heartbeat tells again what hardly changes
BACKOFF_S: Final = (0.05, 1.0)
WORK_S: Final = 0.0005  # adopt for this long, then let others run
REST_S: Final = 0.0002
REMEMBERED: Final = 256  # fields whose effect a receipt shows: those changed last


class Follower:
    """One process's following of one store. `start` once; `stop` is bounded and may be called twice."""

    def __init__(  # noqa: PLR0913 - all that one thread needs, given once
        self,
        store: Store | None,
        audience: Audience,
        glass: BreakGlass,
        events: Events,
        parse: Parse,
        *,
        library: str,
        held: Held = Held(),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Take what to follow (None: only break-glass is watched), whom to tell, and what is held already."""
        self.boot = os.urandom(8).hex()
        self.held = held
        self.ready = Event()
        self._store = store
        self._audience = audience
        self._glass = glass
        self._events = events
        self._clock = clock
        self._library = library
        self._parse = parse
        self._random = Random(os.urandom(8))  # noqa: S311 - jitter
        self._stopping = Event()
        self._recent: dict[str, None] = {}
        self._told: dict[str, Declared] = {}
        self._tell_again = 0.0
        self._position = ""
        self._anew = True  # the next adoption compiles everything: the first, and one after a broken one
        self._loaded = False  # whether the present connection has been read from
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._run, name="graysplit", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Ask the thread to say goodbye and end, and wait for it no longer than this."""
        self._stopping.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(timeout_s)

    def _run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            if self._store is None:
                self._stopping.wait(TURN_S)
                self._watch_glass()
                continue
            try:
                self._follow(self._store.follow())
                attempt = 0
            except StoreUnreachableError as fault:
                attempt = 0 if self._loaded else attempt + 1
                self._lose(fault.reason)
            except Exception as fault:  # noqa: BLE001 - the thread outlives whatever it meets, and says so
                attempt += 1
                self._lose(f"{type(fault).__name__}: {fault}")
            self._rest(attempt)

    def _follow(self, feed: Feed) -> None:
        """Serve one connection until it breaks or the router closes."""
        clock, random = self._clock, self._random
        self._loaded = False
        try:
            self._report(feed, about=True)  # registered before loading: whoever waits for receipts counts this process
            self._read(feed, whole=True)
            now = clock.monotonic()
            beat, full = now + BEAT_S, now + FULL_READ_S * random.uniform(0.75, 1.25)
            book: float | None = now + random.uniform(0, BOOK_WITHIN_S)
            while not self._stopping.is_set():
                signalled = feed.wait(max(0.0, min(TURN_S, beat - clock.monotonic())))
                self._audience.contact(Contact(feed.mode, clock.monotonic()))
                self._watch_glass()
                now = clock.monotonic()
                if signalled or now >= full:
                    unexplained, partial = self._read(feed, whole=now >= full)
                    wait = SOON_S * random.random() if partial else FULL_READ_S * random.uniform(0.75, 1.25)
                    full = min(full, now + wait) if signalled and now < full else now + wait
                    if unexplained and book is None:
                        book = now + random.uniform(0, BOOK_WITHIN_S)
                    beat = now + BEAT_S
                elif now >= beat:
                    self._report(feed, about=False)
                    beat = now + BEAT_S
                if book is not None and now >= book:
                    book = None
                    self._book(feed)
            self._leave(feed)
        finally:
            feed.close()

    def _read(self, feed: Feed, *, whole: bool) -> tuple[bool, bool]:
        """Load, adopt and report; say whether something changed that no entry explains, and whether in part."""
        load = feed.load(self._position, whole=whole)
        known_log = self._position != ""
        changed = self._adopt(load)
        self._loaded = True
        self._audience.contact(Contact(feed.mode, self._clock.monotonic()))
        if self.held.loaded:
            self.ready.set()
        self._report(feed, about=False)
        explained = {name.partition(" ")[2] for entry in load.entries for name in entry.after}
        return known_log and bool(changed - explained), not load.whole

    def _adopt(self, load: Load) -> set[str]:
        """Adopt a reading, brakes first; give the fields of weights and stops that changed."""
        before = self.held
        if not self._believable(load):
            return set()
        held, touched = adopt_brakes(before, load)
        if self._anew:
            touched |= frozenset(held.definitions)
        self._anew = True
        changed = differing(before.weights, held.weights) | differing(before.stops, held.stops)
        self._remember(changed, held)
        raw = load.splits.fields if load.splits.lost is None else {}
        seen = before.seen.get("splits", {})
        settled = [name for name in touched if raw.get(name.encode()) in (None, seen.get(name.encode()))]
        self.held = held
        self._work(self._audience.adopt(held, self._definitions(held, settled)))
        self._adopt_definitions(held, load, touched)
        self._anew = False
        self._tell(before, changed)
        self._position = load.position
        return changed

    def _adopt_definitions(self, held: Held, load: Load, touched: frozenset[str]) -> None:
        definitions = dict(held.definitions)
        refused = {at: reason for at, reason in held.refused.items() if at[0] == "splits"}

        def standing_now() -> Iterator[tuple[str, Definition | None]]:
            for found in adopt_definitions(held, load, self._parse, first=touched):
                name = found.split
                refused.pop(("splits", name), None)
                if found.reason is not None:
                    refused["splits", name] = found.reason
                    if name in touched:
                        yield from self._definitions(held, [name])  # the last good one stands
                    continue
                if found.raw is not None:
                    definitions[name] = found.raw
                else:
                    definitions.pop(name, None)
                yield name, found.definition

        self._work(self._audience.adopt(held, standing_now()))
        self.held = settle(held, load, definitions, refused)
        self._audience.settle(self.held)

    def _definitions(self, held: Held, names: Iterable[str]) -> Iterator[tuple[str, Definition | None]]:
        for name in names:
            raw = held.definitions.get(name)
            if raw is not None:
                yield name, self._parse(name, raw)

    def _believable(self, load: Load) -> bool:
        """Law 8: an empty answer is an outage. Before anything is loaded it says nothing either."""
        lost = {"weights": load.weights.lost, "stops": load.stops.lost, "splits": load.splits.lost}
        for key, reason in lost.items():
            if reason is None:
                self._events.over(f"lost {key}")
            elif self.held.loaded or any(value is None for value in lost.values()):
                self._events.warning(
                    f"lost {key}", f"the key {key} is lost ({reason}): its last content stands. See: graysplit doctor"
                )
        fields = (load.weights.fields, load.stops.fields, load.splits.fields)
        return not all(lost.values()) or (self.held.loaded and any(fields))

    def _work(self, steps: Iterable[object]) -> None:
        """Go through steps in small portions, so that a busy event loop is never held up for long."""
        monotonic = self._clock.monotonic
        until = monotonic() + WORK_S
        for _ in steps:
            if monotonic() >= until:
                self._stopping.wait(REST_S)
                until = monotonic() + WORK_S

    def _remember(self, changed: Iterable[str], held: Held) -> None:
        """Keep the fields that changed last; a stop on a split changes all its candidates' fields."""
        for field in changed:
            split = split_of(field)
            names = [field] if "/" in field else [f for f in held.weights if split in ("*", split_of(f))]
            for name in names:
                self._recent.pop(name, None)
                self._recent[name] = None
        while len(self._recent) > REMEMBERED:
            del self._recent[next(iter(self._recent))]

    def _report(self, feed: Feed, *, about: bool) -> None:
        held = self.held
        receipt = Receipt(
            held.change,
            held.revision,
            self._audience.effects(self._recent),
            feed.mode,
            tuple(f"{key} {field}: {reason}" for (key, field), reason in held.refused.items()),
        )
        import socket

        declared = self._audience.declared()
        report = Report(self.boot, socket.gethostname(), os.getpid(), self._library, declared, receipt)
        # Code may declare more at any time; how often it was asked is told now and then.
        now, names = self._clock.monotonic(), {split: found._replace(calls=0) for split, found in declared.items()}
        about = about or names != self._told or now >= self._tell_again
        feed.report(report, about=about)
        if about:
            self._told, self._tell_again = names, now + ABOUT_S

    def _book(self, feed: Feed) -> None:
        try:
            feed.book("outside")
        except StoreUnreachableError:
            raise
        except GraysplitError as fault:
            self._events.warning("book", f"raw edits stay out of the history: {fault}")

    def _leave(self, feed: Feed) -> None:
        try:
            feed.leave(self.boot)
        except GraysplitError:
            return  # after ten minutes of silence it leaves the count by itself

    def _watch_glass(self) -> None:
        if self._glass.poll():
            names = ", ".join(sorted(self._glass.names)) or "nothing"
            self._events.warning(f"off {names}", f"break-glass: switched off now: {names}")
            self._audience.refresh()

    def _tell(self, before: Held, changed: Iterable[str]) -> None:
        for at, reason in self.held.refused.items():
            if before.refused.get(at) != reason:
                key, field = at
                self._events.warning(f"refused {key} {field}", f"{key} {field}: {reason}. The last good value stands.")
        for field in changed:
            if not self._audience.knows(field):
                self._events.warning(
                    f"unknown {field}", f"'{field}' names no split or candidate: mistyped? See: graysplit doctor"
                )

    def _lose(self, reason: str) -> None:
        self._events.warning("contact", f"lost contact with the store: {reason}. The last state stands.")
        self._audience.contact(Contact("lost", 0.0, reason))

    def _rest(self, attempt: int) -> None:
        """Wait before the next attempt: jittered after the cap, so that a fleet never comes back in step."""
        first, cap = BACKOFF_S
        delay = min(cap, first * 2 ** min(attempt, 10)) * self._random.uniform(0.5, 1.5)
        until = self._clock.monotonic() + delay
        while not self._stopping.is_set() and self._clock.monotonic() < until:
            self._stopping.wait(max(0.0, min(TURN_S, until - self._clock.monotonic())))
            self._watch_glass()

