"""The evidence buffer of an armed split: what one process records of one stage, until it is sent in batches.

Calls write on the page of the second in which they begin, without a lock: `append` to a deque and a step of a
count are atomic. The follower's thread turns the pages and collects what is on them:

    tape.turn(second)               at each new second of the server's time
    tape.collect(second)            -> list[Batch], one per candidate that has something to tell; once a second or less,
                                    and whenever a tape is `overfull`; `collecting` does it in slices
    tape.full                       looked at as often as can be: whether the page has too many calls
    tape.gathering(second)          takes them, in slices, and tells nothing yet

Once a second has too many calls, another page begins in it of which some users are kept, by their hash, and the calls
of the others are only counted. What follows a second of very many calls begins so. Who collects the page leaves the
others out; where it was looked at so late that it has grown too long, the calls themselves do it (`thinned`), and begin
pages of still fewer users by themselves. Failed calls, and those cut short, are told of all users up to a bound, and
then of some: what is left out vetoes `safe`.

A weight, release or guard that changes makes a new tape. The old one goes on until its calls have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from math import ceil
from operator import countOf
from typing import Final, NamedTuple, TypeVar, cast

from graysplit.core.bucketing import hash32
from graysplit.core.guard.batch import Collected, WatchedCandidate, add, batch_of, portions, tells
from graysplit.core.guard.marks import Mark, hashed
from graysplit.core.guard.second_buffer import SLICE, SecondBuffer, Sheets, same, slices
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import Batch, duration_bucket
from graysplit.core.guard.thinned import KEPT, NEVER, Thinning

# The calls of one second in so many are timed, those of all versions: to ask of each call would cost four times as
# much. Each process takes other seconds, so that a fleet always times some, and minutes do not beat with 17.
EACH: Final = 17
CLOSED_S: Final = 120  # from then on, if the deadline has passed, a second's calls are only counted while they run
QUIET_S: Final = 3  # a second of which no call runs any more is closed then
UNCOLLECTED_S: Final = 60.0  # what nobody collects for so long is dropped
TOLD_AT_MOST: Final = 65_536  # units that are remembered as told
GOALS_AT_MOST: Final = 16_384
# Calls that wait to be collected on one page. From then on it is thinned: a page follows that is kept of some users
# alone, by bits of the hash that say nothing about the side.
FULL: Final = 16_384
TIMED: Final = 2_048  # timed calls after which a page is gathered: each is a list, and the collector looks at them
# What the calls on one page may take until it was looked at too late: four megabytes of the sixteen that a tape may
# take, with all that is told of it. A call is a number, and a place in two lists.
LATE_BYTES: Final = 4_000_000
CALL_BYTES: Final = 64
LATE: Final = LATE_BYTES // CALL_BYTES
# More than there are seconds until a page closes: a server's clock that is put back leaves pages that never grow old.
PAGES_MORE: Final = 20
UNKNOWN: Final = -1  # a page's second before the first turn


_T = TypeVar("_T")


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

    def __init__(self, terms: Terms, tape_id: str, lock: AbstractContextManager[object], bits: int = 0) -> None:
        """Begin with an empty page, whose second the first turn tells; thinned by so many bits, as another tape was."""
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
        self._second = UNKNOWN
        self._opened: list[SecondBuffer] = []  # pages that writers have begun within a second
        self._collecting = False
        self._found: Collected | None = None  # what has been gathered and is not told
        self.calls = 0  # of the second before
        self.page = self._blank(UNKNOWN, bits, by_calls=bits > 0)  # nobody looks at it before its first turn
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

    @property
    def bits(self) -> int:
        """Return how many bits of a unit's hash must be zero for its calls to be written down at present."""
        return self.page.sheets.mask.bit_length()

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
            for one in (*self._pages, *self._opened):
                one.second = second - 1
            self._left = page.second if self._left == UNKNOWN else self._left
        self.calls = self._calls_of(page.second)
        self._second = second
        self.page = fresh = self._blank(second, bits_for(self.calls))
        with self._lock:
            self._pages.append(fresh)

    def _calls_of(self, second: int) -> int:
        """Return how many calls began in a second."""
        with self._lock:
            sheets = [page.sheets for page in (*self._pages, *self._opened) if page.second == second]
            return sum(one.calls(index) + one.requests(index) for one in sheets for index in range(len(self.names)))

    def collect(self, second: int) -> list[Batch]:
        """Take what has been written; one batch for each candidate that has something to tell.

        `second` is the server's present one. A batch with calls under way comes each time: from a process that is
        silent they are charged.
        """
        return _ended(self.collecting(second))

    def collecting(self, second: int) -> Generator[None, None, list[Batch]]:
        """Do so in slices of work; between two of them whoever collects may do something else, but not begin anew."""
        self._unread_since = None
        self._collecting = True
        try:
            found = yield from self._take(second)
            self._found = None
            batches: list[Batch] = []
            for candidate in self.terms.candidates:
                if (batch := self._batch(candidate, found)) is not None:
                    batches += portions(batch)
                    self._numbers[candidate] = batches[-1].number
                    yield
        finally:
            self._collecting = False
        away_s = second - self._left if self._left is not None else 0
        self._over = away_s > self._closed_s or (away_s > QUIET_S and not self._under_way())
        return batches

    def gathering(self, second: int) -> Iterator[None]:
        """Take what has been written in slices, and keep it until it is told."""
        self._unread_since = None
        self._collecting = True
        try:
            yield from self._gather(second, tells=False)
        finally:
            self._collecting = False

    @property
    def full(self) -> bool:
        """Return whether so much is written that it is to be gathered; of a whole page fewer users are kept then."""
        page = self.page
        sheets = page.sheets
        waiting, blamed = sheets.waiting, sheets.blamed
        if len(sheets.sampled) > FULL // 2:
            page.timed = False  # decided as each call begins, whichever side it is on
        if waiting > LATE or blamed > LATE:
            page.timed = False
            self._open(page, max(1, bits_for(waiting)), by_calls=True)
        elif waiting > FULL and not sheets.mask:
            page.timed = False
            self._open(page, bits_for(waiting), by_calls=False)
        return waiting + blamed + sum(map(len, sheets.ended)) > FULL or len(sheets.sampled) > TIMED

    def _open(self, page: SecondBuffer, bits: int, *, by_calls: bool) -> None:
        """Begin another page of the same second, for fewer users; by whoever finds it full, once."""
        if self.page is not page:
            return
        timed = None if by_calls else page.timed
        fresh = self._blank(page.second, bits, by_calls=by_calls, timed=timed)
        self._opened.append(fresh)
        self.page = fresh
        if self._second not in (fresh.second, UNKNOWN):  # a second has begun meanwhile
            self._opened.append(later := self._blank(self._second, bits, by_calls=by_calls))
            self.page = later

    def shed(self, now: float) -> None:
        """Drop what nobody has collected for a minute (monotonic seconds); counts of calls stay exact."""
        if self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > UNCOLLECTED_S and not self._collecting:
            self._unread_since = now
            found, self._found = _ended(self._take(max(self.page.second, 0))), None
            self.dropped += sum(found.calls.values()) + len(found.exposed) + len(found.goals)
            self._over = self._left is not None

    def _blank(self, second: int, bits: int = 0, *, by_calls: bool = False, timed: bool | None = None) -> SecondBuffer:
        """Return an empty page of the users whose hash ends in so many zero bits; timed by its second unless given."""
        if timed is None:
            timed = self.guard.every_call or (second != UNKNOWN and second % EACH == self._phase)
        mask = (1 << bits) - 1
        if not by_calls:
            return SecondBuffer(len(self.names), second, timed=timed, mask=mask)
        page: SecondBuffer
        thinning = Thinning(bits, self.terms.seed, lambda: self._open(page, bits + 1, by_calls=True))
        page = SecondBuffer(len(self.names), second, timed=timed, mask=mask, thinning=thinning)
        return page

    def _under_way(self) -> bool:
        return any(any(page.sheets.running) or page.sheets.sampled for page in (*self._pages, *self._opened))

    def _sheets(self) -> list[Sheets]:
        return [*(page.sheets for page in (*self._pages, *self._opened)), self._late]

    def _take(self, second: int) -> Generator[None, None, Collected]:
        """Take what is on all pages, and close those that are old or quiet."""
        found, pages = yield from self._gather(second, tells=True)
        late = self._late
        ended = self._ends(late)
        yield from self._fail(found, late, UNKNOWN, set())
        yield from self._cut(found, late, UNKNOWN)
        yield from self._drain(found, late, UNKNOWN, ended)
        late.sampled.clear()
        found.goals = [self._goals.popleft() for _ in range(len(self._goals))]
        kept = [page for page in pages if not page.closed]
        more = sum(page.sheets.mask > 0 for page in kept)  # several in one second
        most = self._closed_s + PAGES_MORE + more
        for place, page in enumerate(kept):
            if page is not self.page and (self._is_done(page, second) or place < len(kept) - most):
                page.close(late)
        for index, running in enumerate(self._stuck):
            if running + late.running[index] > 0:
                add(found.running, (self._stuck_since, index), running + late.running[index])
        with self._lock:
            # Whoever found the page open a moment ago still writes on it: it is read once more, then dropped.
            gone = [page for page in pages if page.closed and page not in kept]
            for page in gone:
                self._remember(page)
            self._pages = [page for page in self._pages if page not in gone]
        self.dropped += found.unblamed + found.unexposed
        return found

    def _gather(self, second: int, *, tells: bool) -> Generator[None, None, tuple[Collected, list[SecondBuffer]]]:
        """Take what is on all pages; what was gathered before it comes with it."""
        if self._found is None:
            self._found = Collected(len(self.names))
        with self._lock:
            some = self._opened[:]
            self._pages = [*self._pages, *some]
            del self._opened[: len(some)]
        pages = self._pages[:]
        waiting = max(page.sheets.waiting for page in pages)
        self._mask = (1 << bits_for(waiting)) - 1  # for both sides, before any unit is looked at
        for page in pages:
            if page.sheets.idle or not (tells or page.sheets.waiting + page.sheets.blamed):
                continue
            yield from self._read(self._found, page, second, tells=tells)
        return self._found, pages

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

    def _read(self, found: Collected, page: SecondBuffer, second: int, *, tells: bool) -> Iterator[None]:
        sheets = page.sheets
        at = page.second if page.second != UNKNOWN else second
        # Ends first, beginnings last: a failure never comes without its call, and what ends meanwhile seems to run.
        ended = self._ends(sheets)
        overdue = self._deadline_s is not None and second - at >= self._deadline_s
        failed = set[int]()
        yield from self._time(found, sheets, at, overdue=overdue)
        yield from self._fail(found, sheets, at, failed)
        yield from self._cut(found, sheets, at)
        yield from self._drain(found, sheets, at, ended)
        for index, running in enumerate(sheets.running) if tells else ():
            if running > 0:
                add(found.running, (at, index), running)
                if not sheets.charged:
                    yield from self._go_on(found, sheets, (at, index), None if not overdue else failed)
        sheets.charged = sheets.charged or (overdue and tells)

    def _ends(self, sheets: Sheets) -> list[tuple[int, int]]:
        """Return, by side, how many ends are to be taken, and how many there have been."""
        with self._lock:
            return [(len(sheets.ended[index]), sheets.ends(index)) for index in range(len(self.names))]

    def _drain(self, found: Collected, sheets: Sheets, at: int, ended: list[tuple[int, int]]) -> Iterator[None]:
        """Take the calls begun, and the units that were not known: all sides at one moment, or one would be ahead."""
        sides = range(len(self.names))
        with self._lock:
            places = [(len(sheets.begun[index]), len(sheets.asked[index])) for index in sides]
            begun = [sheets.calls(index) + sheets.requests(index) for index in sides]
            self.dropped += sum(map(sheets.passed, sides))
        for index in sides:
            yield from self._pair_off(found, sheets, index, (*places[index], ended[index][0]), follows=at != UNKNOWN)
            sheets.running[index] = begun[index] - ended[index][1]
            if at != UNKNOWN and begun[index] > sheets.seen[index]:
                add(found.calls, (at, index), begun[index] - sheets.seen[index])
            sheets.seen[index] = begun[index]
        for some in slices(sheets.exposed):
            for known, index in some:
                self._expose(found, index, (known,), sheets.mask)
            yield
        if sheets.blame is not None:
            self.dropped += sheets.since(sheets.blame.unexposed)

    def _pair_off(
        self, found: Collected, sheets: Sheets, index: int, places: tuple[int, int, int], *, follows: bool
    ) -> Iterator[None]:
        """Take calls begun (on the straight lines, and elsewhere) and ended, so many of each, and keep what is left."""
        begun, asked, ended = places
        straight = sheets.begun[index] if begun else sheets.asked[index]
        # One after the other: the usual case.
        while ended and not (begun and asked) and not sheets.open[index]:
            size = min(SLICE, ended, begun or asked)
            if not size or not same(straight[:size], sheets.ended[index][:size]):
                break
            taken, gone = (size, 0) if begun else (0, size)
            self._expose(found, index, self._taken(sheets, index, (taken, gone, size)), sheets.mask)
            begun, asked, ended = begun - taken, asked - gone, ended - size
            yield
        while begun or asked:
            taken = min(SLICE, begun)
            gone = 0 if taken else min(SLICE, asked)
            marks = self._taken(sheets, index, (taken, gone, 0))
            if taken:
                self._expose(found, index, marks, sheets.mask)
            if follows:
                sheets.follow(index, self._kept(sheets, marks))
            begun, asked = begun - taken, asked - gone
            yield
        while ended:
            size = min(SLICE, ended)
            sheets.end(index, self._kept(sheets, sheets.ended[index][:size]))
            self._taken(sheets, index, (0, 0, size))
            ended -= size
            yield

    def _kept(self, sheets: Sheets, marks: list[Mark]) -> list[Mark]:
        """Return the calls of the users whom a page keeps."""
        if not sheets.mask or sheets.thinning is not None:
            return marks
        known = ((mark, hashed(mark, self.terms.seed)) for mark in marks)
        return [mark for mark, unit in known if unit is not None and not unit & sheets.mask]

    def _taken(self, sheets: Sheets, index: int, sizes: tuple[int, int, int]) -> list[Mark]:
        """Take so many calls begun, begun elsewhere, and ended, and return those that began."""
        begun, asked, ended = sizes
        marks = sheets.begun[index][:begun] + sheets.asked[index][:asked]
        with self._lock:
            del sheets.begun[index][:begun], sheets.asked[index][:asked], sheets.ended[index][:ended]
            sheets.taken[index] += begun
            sheets.requested[index] += asked
            sheets.left[index] += ended
        return marks

    def _expose(self, found: Collected, index: int, marks: Sequence[Mark], mask: int) -> None:
        """Tell who met the split, unless that was told before; of a page of some users these alone."""
        mask = self._mask | mask
        if mask:
            known = [mark for mark in marks if isinstance(mark, int) and not mark & mask]
            self.dropped += countOf(map(type, marks), int) - len(known)
        else:
            known = [mark for mark in marks if isinstance(mark, int)]
        fresh = set(known) - self._told
        found.expose(index, fresh)
        if len(self._told) + len(fresh) > TOLD_AT_MOST:
            self._told.clear()
        self._told |= fresh

    def _go_on(
        self, found: Collected, sheets: Sheets, where: tuple[int, int], failed: set[int] | None
    ) -> Iterator[None]:
        """Charge the calls that have not ended by the deadline, each once; before it (None) tell the units of some."""
        at, index = where
        running, left = sheets.open[index], SLICE
        for place, mark in running.items():
            known = self._unit(mark)
            if failed is not None and place not in failed:
                found.overdue[index] += 1
                self._err(found, known, where)
            elif known is not None and failed is None:
                found.hang((at, known, index))
            left -= 1
            if not left:
                left = SLICE
                yield
        if failed is not None and sheets.mask:
            short = max(0, sheets.running[index] - len(running))  # of users who are not written down
            found.overdue[index] += short
            found.unblamed += short

    def _time(self, found: Collected, sheets: Sheets, at: int, *, overdue: bool) -> Iterator[None]:
        """Take the timed calls that have ended, and those past the deadline."""
        for some in slices(sheets.sampled):
            for record in some:
                since, index, mark = cast("tuple[float, int, Mark]", record)
                if since <= 0:
                    ns = round(-since * 1e9)
                    add(found.durations[index], duration_bucket(ns))
                    self._judge(found, (at, index), mark, ns)
                elif overdue:
                    self._judge(found, (at, index), mark, round((self._deadline_s or 0) * 1e9))
                else:
                    sheets.sampled.append(record)
            yield

    def _judge(self, found: Collected, where: tuple[int, int], mark: Mark, ns: int) -> None:
        """Count a timed call, and its unit where it was slow."""
        add(found.timed, where)
        if self.slow_ns is not None and ns >= self.slow_ns and (known := self._unit(mark)) is not None:
            found.blame(found.slow, (where[0], known, where[1]))

    def _fail(self, found: Collected, sheets: Sheets, at: int, failed: set[int]) -> Iterator[None]:
        """Take the failed calls, and note their marks; past the deadline they have been charged."""
        for some in slices(sheets.failing):
            for index, mark, name in some:
                found.failures[index] += 1
                failed.add(id(mark))
                if name is not None:
                    add(found.named.setdefault(name, {}), index)
                if at != UNKNOWN and not sheets.charged:
                    self._err(found, self._unit(mark), (at, index))
            yield
        for index, meter in sheets.blame.failures.copy().items() if sheets.blame is not None else ():
            found.failures[index] += (calls := sheets.since(meter))
            found.unblamed += calls

    def _err(self, found: Collected, known: int | None, where: tuple[int, int]) -> None:
        """Count a unit's failed call."""
        at, index = where
        if known is not None:
            found.blame(found.errors, (at, known, index))

    def _cut(self, found: Collected, sheets: Sheets, at: int) -> Iterator[None]:
        """Take the calls cut short, by unit where a second is known, and those that returned with their work undone."""
        for indexes in slices(sheets.unfinished):
            for index in indexes:
                found.unfinished[index] += 1
            yield
        for some in slices(sheets.cut):
            for index, mark in some:
                found.cuts[index] += 1
                if at != UNKNOWN and (known := self._unit(mark)) is not None:
                    found.blame(found.cut, (at, known, index))
            yield
        for index, meter in sheets.blame.cuts.copy().items() if sheets.blame is not None else ():
            found.cuts[index] += (calls := sheets.since(meter))
            found.unblamed += calls

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


def bits_for(calls: int) -> int:
    """Return how many bits of a hash must be zero for a unit to be kept, where so many calls come in a second."""
    return (calls // KEPT).bit_length() if calls > FULL else 0


def _ended(taking: Generator[None, None, _T]) -> _T:
    """Go on to the end, and return what came of it."""
    while True:
        try:
            next(taking)
        except StopIteration as ended:
            return cast("_T", ended.value)
