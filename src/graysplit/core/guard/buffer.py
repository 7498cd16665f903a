"""The tape of an armed split: what one process writes down of one stage, until it is told in batches.

Calls write on the page of the second in which they begin, without a lock: `append` to a deque and a step of a
count are atomic. The follower's thread turns the pages and collects what is on them:

    tape.turn(second)               at each new second of the server's time
    tape.collect(second)            -> list[Batch], one per candidate that has something to tell; once a second or less,
                                    and whenever a page is `full`

A weight, release or guard that changes makes a new tape. The old one goes on until its calls have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from contextlib import AbstractContextManager
from math import ceil
from typing import Final, NamedTuple, cast

from graysplit.core.bucketing import hash32
from graysplit.core.guard.batch import Collected, WatchedCandidate, add, batch_of, portions, tells
from graysplit.core.guard.second_buffer import Mark, SecondBuffer, Sheets, emptied, hashed
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import Batch, duration_bucket

# The calls of one second in so many are timed, those of all versions: to ask of each call would cost four times as
# much. Each process takes other seconds, so that a fleet always times some, and minutes do not beat with 17.
EACH: Final = 17
CLOSED_S: Final = 120  # from then on, if the deadline has passed, a second's calls are only counted while they run
QUIET_S: Final = 3  # a second of which no call runs any more is closed then
UNCOLLECTED_S: Final = 60.0  # what nobody collects for so long is dropped
TOLD_AT_MOST: Final = 65_536  # units that are remembered as told
GOALS_AT_MOST: Final = 65_536
# Calls that wait to be collected on one page. From then on it is collected at once, times no more of them, and tells
# only units whose hash ends in enough zero bits: those bits say nothing about the side, and both sides have the same.
FULL: Final = 16_384
KEPT: Final = 4_096  # of so many calls these are looked at, about
# More than there are seconds until a page closes: a server's clock that is put back leaves pages that never grow old.
PAGES_MORE: Final = 20
NEVER: Final = 1 << 62
UNKNOWN: Final = -1  # a page's second before the first turn


class Terms(NamedTuple):
    """What a tape belongs to: as long as these are the same, so is the tape."""

    split: str
    names: tuple[str, ...]
    candidates: tuple[WatchedCandidate, ...]  # those with a share above zero
    guard: Guard = Guard()
    only: bytes | None = None  # whose failures all are, where the unit is the instance
    seed: int = 0  # by which units are bucketed


class EvidenceBuffer:
    """What one process writes down of one stage of a split.

    `turn`, `collect` and `shed` are called by one thread. `lock` orders it and whoever reads the totals; calls never
    take it.
    """

    def __init__(self, terms: Terms, tape_id: str, lock: AbstractContextManager[object]) -> None:
        """Begin with an empty page, whose second the first turn tells."""
        self.id = tape_id
        self.terms = terms
        self.split = terms.split
        self.names = terms.names
        self.guard = terms.guard
        self.slow_ns = None if terms.guard.slow_s is None else round(terms.guard.slow_s * 1e9)
        self._deadline_s = terms.guard.deadline_s
        self._closed_s = max(CLOSED_S, QUIET_S + ceil(self._deadline_s or 0))
        self._only = None if terms.only is None else hash32(terms.only, 0)
        self._phase = hash32(tape_id.encode(), 0) % EACH
        self._told: set[int] = set()
        self.page = self._blank(UNKNOWN)
        self._lock = lock
        self._pages = [self.page]
        self._late = Sheets(len(terms.names))
        self._begun, self._asked, self._ended = ([0] * len(terms.names) for _ in range(3))
        self._stuck = [0] * len(terms.names)  # calls of dropped pages that had not ended; those that do end come late
        self._stuck_since = NEVER
        self._numbers = dict.fromkeys(terms.candidates, 0)
        self._shown: dict[WatchedCandidate, tuple[object, object]] = {}  # what was told last of calls under way
        self._goals = deque["tuple[str, int, int, int]"](maxlen=GOALS_AT_MOST)
        self._left: int | None = None  # the second in which a state swap took it out
        self._unread_since: float | None = None
        self._over = False
        self.dropped = 0  # calls whose unit was not told, goals that were not kept; whoever collects takes them
        self._mask = 0  # of what is being collected: units with one of these bits are left out

    # What calls and the router do

    def record(self, name: str, hashed: int, micro: int, index: int) -> None:
        """Note what a unit did later: the 32 bits of its hash, a value in millionths, and the version drawn for it."""
        self.dropped += len(self._goals) == GOALS_AT_MOST
        self._goals.append((name, hashed, micro, index))

    def leave(self) -> None:
        """Take note that no state writes on it any more, but for the calls that are under way."""
        self._left = self.page.second

    def rejoin(self) -> None:
        """Take note that states write on it again."""
        self._left = None

    @property
    def over(self) -> bool:
        """Return whether it has left, and nothing more is to be collected."""
        return self._over

    def begun(self, index: int) -> int:
        """Return the calls begun on the straight lines so far."""
        with self._lock:
            return self._begun[index] + sum(sheets.calls(index) for sheets in self._sheets())

    def asked(self, index: int) -> int:
        """Return the calls begun elsewhere: the slow path, attempts."""
        with self._lock:
            return self._asked[index] + sum(sheets.requests(index) for sheets in self._sheets())

    def ended(self, index: int) -> int:
        """Return the calls that have ended."""
        with self._lock:
            return self._ended[index] + sum(sheets.ends(index) for sheets in self._sheets())

    @property
    def settled(self) -> bool:
        """Return whether it is over and every call has ended: its totals stand."""
        return self._over and all(
            self.begun(index) + self.asked(index) == self.ended(index) for index in range(len(self.names))
        )

    # What the follower's thread does

    def turn(self, second: int) -> None:
        """Open the page of a second of the server's time; the first page belongs to the second before the first."""
        page = self.page
        if second == page.second:
            return
        if page.second == UNKNOWN:
            page.second = second - 1
            self._left = page.second if self._left == UNKNOWN else self._left
        self.page = fresh = self._blank(second)
        with self._lock:
            self._pages.append(fresh)

    def collect(self, second: int) -> list[Batch]:
        """Take what has been written; one batch for each candidate that has something to tell.

        `second` is the server's present one. A batch with calls under way comes each time: from a process that is
        silent they are charged.
        """
        self._unread_since = None
        found = self._take(second)
        batches: list[Batch] = []
        for candidate in self.terms.candidates:
            if (batch := self._batch(candidate, found)) is not None:
                batches += portions(batch)
                self._numbers[candidate] = batches[-1].number
        away_s = second - self._left if self._left is not None else 0
        self._over = away_s > self._closed_s or (away_s > QUIET_S and not self._under_way())
        return batches

    @property
    def full(self) -> bool:
        """Return whether so much is written that it is to be collected at once; what follows is not timed then."""
        full = self._waiting() > FULL
        if full:
            self.page.timed = False  # decided as each call begins, whichever side it is on
        return full

    def _waiting(self) -> int:
        return sum(map(len, self.page.begun)) + sum(map(len, self.page.asked)) + len(self.page.sheets.exposed)

    def shed(self, now: float) -> None:
        """Drop what nobody has collected for a minute (monotonic seconds); counts of calls stay exact."""
        if self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > UNCOLLECTED_S:
            self._unread_since = now
            found = self._take(max(self.page.second, 0))
            self.dropped += sum(found.calls.values()) + len(found.exposed) + len(found.goals)
            self._over = self._left is not None

    def _blank(self, second: int) -> SecondBuffer:
        timed = self.guard.every_call or (second != UNKNOWN and second % EACH == self._phase)
        return SecondBuffer(len(self.names), second, timed=timed)

    def _under_way(self) -> bool:
        return any(any(page.sheets.running) or page.sheets.sampled for page in self._pages)

    def _sheets(self) -> list[Sheets]:
        return [*(page.sheets for page in self._pages), self._late]

    def _take(self, second: int) -> Collected:
        """Take what is on all pages, and close those that are old or quiet."""
        found = Collected(len(self.names))
        pages = self._pages
        waiting = max(sum(map(len, page.sheets.begun)) + len(page.sheets.exposed) for page in pages)
        bits = (waiting // KEPT).bit_length() if waiting > FULL else 0  # for both sides, before any unit is looked at
        self._mask = (1 << bits) - 1
        for page in pages:
            self._read(found, page, second)
        self._fail(found, self._late, UNKNOWN)
        self._cut(found, self._late, UNKNOWN)
        self._drain(found, self._late, UNKNOWN, self._ended_on(self._late))
        self._late.sampled.clear()
        found.goals = [self._goals.popleft() for _ in range(len(self._goals))]
        kept = [page for page in pages if not page.closed]
        most = self._closed_s + PAGES_MORE
        for place, page in enumerate(kept):
            if page is not self.page and (self._is_done(page, second) or place < len(kept) - most):
                page.close(self._late)
        for index, running in enumerate(self._stuck):
            if running + self._late.running[index] > 0:
                add(found.running, (self._stuck_since, index), running + self._late.running[index])
        with self._lock:
            # Whoever found the page open a moment ago still writes on it: it is read once more, then dropped.
            for page in pages:
                if page.closed and page not in kept:
                    self._remember(page)
            self._pages = [page for page in pages if not page.closed or page in kept]
        if len(self._told) > TOLD_AT_MOST:
            self._told.clear()
        return found

    def _remember(self, page: SecondBuffer) -> None:
        """Keep a page's totals, and count on for its calls that do not end: they may yet fail."""
        sheets = page.sheets
        if any(sheets.running):
            self._stuck_since = min(self._stuck_since, page.second)
        for index in range(len(self.names)):
            self._stuck[index] += sheets.running[index]
            self._begun[index] += sheets.calls(index)
            self._asked[index] += sheets.requests(index)
            self._ended[index] += sheets.ends(index)

    def _is_done(self, page: SecondBuffer, second: int) -> bool:
        age = second - page.second
        return age > self._closed_s or (age >= QUIET_S and not any(page.sheets.running) and not page.sheets.sampled)

    def _read(self, found: Collected, page: SecondBuffer, second: int) -> None:
        sheets = page.sheets
        at = page.second if page.second != UNKNOWN else second
        # Ends first, beginnings last: a failure never comes without its call, and what ends meanwhile seems to run.
        ended = self._ended_on(sheets)
        overdue = self._deadline_s is not None and second - at >= self._deadline_s
        self._time(found, sheets, at, overdue=overdue)
        failed = self._fail(found, sheets, at)
        self._cut(found, sheets, at)
        self._drain(found, sheets, at, ended)
        for index, running in enumerate(sheets.running):
            if running > 0:
                add(found.running, (at, index), running)
                if not sheets.charged:
                    self._go_on(found, sheets, (at, index), failed, overdue=overdue)
        sheets.charged = overdue

    def _ended_on(self, sheets: Sheets) -> list[list[Mark]]:
        with self._lock:
            return [sheets.take_ended(index) for index in range(len(self.names))]

    def _drain(self, found: Collected, sheets: Sheets, at: int, ended: list[list[Mark]]) -> None:
        """Take the calls begun, and the units that were not known: all sides at one moment, or one would be ahead."""
        sides = range(len(self.names))
        with self._lock:
            marks = [sheets.take(index) for index in sides]
            asked = [sheets.take_asked(index) for index in sides]
            begun = [sheets.taken[index] + sheets.requested[index] for index in sides]
        for index in sides:
            sheets.running[index] = begun[index] - sheets.left[index]
            if at != UNKNOWN:
                sheets.follow(index, marks[index] + asked[index], ended[index])
                if begun[index] > sheets.seen[index]:
                    add(found.calls, (at, index), begun[index] - sheets.seen[index])
            sheets.seen[index] = begun[index]
            self._expose(found, index, [mark for mark in marks[index] if isinstance(mark, int)])
        for known, index in emptied(sheets.exposed):
            self._expose(found, index, [known])

    def _expose(self, found: Collected, index: int, hashes: list[int]) -> None:
        if self._mask:
            mask, calls = self._mask, len(hashes)
            hashes = [known for known in hashes if not known & mask]
            self.dropped += calls - len(hashes)
        fresh = set(hashes) - self._told
        self._told |= fresh
        found.exposed += [(known, index) for known in fresh]

    def _go_on(
        self, found: Collected, sheets: Sheets, where: tuple[int, int], failed: Collection[int], *, overdue: bool
    ) -> None:
        """Charge the calls that have not ended by the deadline, each once; of the others tell the units."""
        at, index = where
        for place, mark in sheets.open[index].items():
            known = self._unit(mark)
            if overdue and place not in failed:
                found.overdue[index] += 1
                self._err(found, known, where)
            elif known is not None and not overdue:
                add(found.hanging, (at, known, index))

    def _time(self, found: Collected, sheets: Sheets, at: int, *, overdue: bool) -> None:
        """Take the timed calls that have ended, and those past the deadline."""
        for record in emptied(sheets.sampled):
            since, index, mark = cast("tuple[float, int, Mark]", record)
            if since <= 0:
                ns = round(-since * 1e9)
                add(found.durations[index], duration_bucket(ns))
                self._judge(found, (at, index), mark, ns)
            elif overdue:
                self._judge(found, (at, index), mark, round((self._deadline_s or 0) * 1e9))
            else:
                sheets.sampled.append(record)

    def _judge(self, found: Collected, where: tuple[int, int], mark: Mark, ns: int) -> None:
        """Count a timed call, and its unit where it was slow."""
        add(found.timed, where)
        if self.slow_ns is not None and ns >= self.slow_ns and (known := self._unit(mark)) is not None:
            add(found.slow, (where[0], known, where[1]))

    def _fail(self, found: Collected, sheets: Sheets, at: int) -> set[int]:
        """Take the failed calls, and return their marks; past the deadline they have been charged."""
        failed = emptied(sheets.failing)
        for index, mark, name in failed:
            found.failures[index] += 1
            if name is not None:
                add(found.named.setdefault(name, {}), index)
            if at != UNKNOWN and not sheets.charged:
                self._err(found, self._unit(mark), (at, index))
        return {id(mark) for _, mark, _ in failed}

    def _err(self, found: Collected, known: int | None, where: tuple[int, int]) -> None:
        """Count a unit's failed call."""
        at, index = where
        if known is not None:
            add(found.errors, (at, known, index))

    def _cut(self, found: Collected, sheets: Sheets, at: int) -> None:
        """Take the calls cut short, by unit where a second is known, and those that returned with their work undone."""
        for index in emptied(sheets.unfinished):
            found.unfinished[index] += 1
        for index, mark in emptied(sheets.cut):
            found.cuts[index] += 1
            if at != UNKNOWN and (known := self._unit(mark)) is not None:
                add(found.cut, (at, known, index))

    def _unit(self, mark: Mark) -> int | None:
        """Return the 32 bits of the unit that a call was for."""
        return hashed(mark, self.terms.seed) if self._only is None else self._only

    def _batch(self, candidate: WatchedCandidate, found: Collected) -> Batch | None:
        """Return what a candidate's books are told; None where that is nothing new."""
        batch = batch_of(candidate, found, self.id, self._numbers[candidate] + 1)
        shown = (batch.running, batch.hanging)
        if not tells(batch) and not any((*shown, *self._shown.get(candidate, ()))):
            return None
        self._shown[candidate] = shown
        return batch
