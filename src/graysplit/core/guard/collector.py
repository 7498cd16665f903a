"""Take what the calls of one second have recorded, in slices of work, as a batch tells it.

Writers go on meanwhile, without a lock: ends are taken first and beginnings last, all sides at one moment, so that no
failure comes without its call and no side is ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from operator import countOf
from typing import Final, cast

from graysplit.core.guard.batch import Collected, add
from graysplit.core.guard.marks import Mark, hashed
from graysplit.core.guard.second_buffer import NO_SECOND, SLICE, PartRecords, SecondBuffer, same, slices
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import duration_bucket

TOLD_AT_MOST: Final = 65_536  # units that are remembered as told


class Collector:
    """Reads the records of one evidence buffer into a `Collected`; used by one thread."""

    def __init__(
        self,
        lock: AbstractContextManager[object],
        versions: int,
        guard: Guard,
        seed: int,
        only: int | None,
    ) -> None:
        """Read under the buffer's lock; `only` is the hash of the instance, where that is the unit of all calls."""
        self._lock = lock
        self._sides = range(versions)
        self._seed = seed
        self._only = only
        self._deadline_s = guard.deadline_s
        self._slow_ns = None if guard.slow_s is None else round(guard.slow_s * 1e9)
        self._told: set[int] = set()
        self.mask = 0  # units with one of these bits in their hash are left out at present

    def read(self, collected: Collected, part: SecondBuffer, second: int, *, tells: bool) -> Iterator[None]:
        """Take what a part holds; with `tells` also its calls under way, and those past the deadline."""
        records = part.records
        at = part.second if part.second != NO_SECOND else second
        # Ends first, beginnings last: a failure never comes without its call, and what ends meanwhile seems to run.
        ended = self._ends(records)
        overdue = self._deadline_s is not None and second - at >= self._deadline_s
        failed = set[int]()
        yield from self._time(collected, records, at, overdue=overdue)
        yield from self._fail(collected, records, at, failed)
        yield from self._cut(collected, records, at)
        yield from self._drain(collected, records, at, ended)
        for index, running in enumerate(records.running) if tells else ():
            if running > 0:
                add(collected.running, (at, index), running)
                if not records.charged:
                    yield from self._go_on(collected, records, (at, index), None if not overdue else failed)
        records.charged = records.charged or (overdue and tells)

    def read_late(self, collected: Collected, late: PartRecords) -> Iterator[None]:
        """Take what ended after its part was closed: of these calls the second is not known."""
        ended = self._ends(late)
        yield from self._fail(collected, late, NO_SECOND, set())
        yield from self._cut(collected, late, NO_SECOND)
        yield from self._drain(collected, late, NO_SECOND, ended)
        late.sampled.clear()

    def _ends(self, records: PartRecords) -> list[tuple[int, int]]:
        """Return, by side, how many ends are to be taken, and how many there have been."""
        with self._lock:
            return [(len(records.ended[index]), records.ends(index)) for index in self._sides]

    def _drain(
        self, collected: Collected, records: PartRecords, at: int, ended: list[tuple[int, int]]
    ) -> Iterator[None]:
        """Take the calls begun, and the units that were not known: all sides at one moment, or one would be ahead."""
        sides = self._sides
        with self._lock:
            places = [(len(records.begun[index]), len(records.asked[index])) for index in sides]
            begun = [records.calls(index) + records.requests(index) for index in sides]
            collected.unexposed += sum(map(records.passed, sides))
        for index in sides:
            yield from self._pair_off(
                collected, records, index, (*places[index], ended[index][0]), follows=at != NO_SECOND
            )
            records.running[index] = begun[index] - ended[index][1]
            if at != NO_SECOND and begun[index] > records.seen[index]:
                add(collected.calls, (at, index), begun[index] - records.seen[index])
            records.seen[index] = begun[index]
        for some in slices(records.exposed):
            for known, index in some:
                self._expose(collected, index, (known,), records.mask)
            yield
        if records.blame is not None:
            collected.unexposed += records.since(records.blame.unexposed)

    def _pair_off(
        self, collected: Collected, records: PartRecords, index: int, places: tuple[int, int, int], *, follows: bool
    ) -> Iterator[None]:
        """Take calls begun (on the straight lines, and elsewhere) and ended, so many of each, and keep what is left."""
        begun, asked, ended = places
        straight = records.begun[index] if begun else records.asked[index]
        # One after the other: the usual case.
        while ended and not (begun and asked) and not records.open[index]:
            size = min(SLICE, ended, begun or asked)
            if not size or not same(straight[:size], records.ended[index][:size]):
                break
            taken, gone = (size, 0) if begun else (0, size)
            self._expose(collected, index, self._taken(records, index, (taken, gone, size)), records.mask)
            begun, asked, ended = begun - taken, asked - gone, ended - size
            yield
        while begun or asked:
            taken = min(SLICE, begun)
            gone = 0 if taken else min(SLICE, asked)
            marks = self._taken(records, index, (taken, gone, 0))
            if taken:
                self._expose(collected, index, marks, records.mask)
            if follows:
                records.follow(index, self._kept(records, marks))
            begun, asked = begun - taken, asked - gone
            yield
        while ended:
            size = min(SLICE, ended)
            records.end(index, self._kept(records, records.ended[index][:size]))
            self._taken(records, index, (0, 0, size))
            ended -= size
            yield

    def _kept(self, records: PartRecords, marks: list[Mark]) -> list[Mark]:
        """Return the calls of the users whom a part keeps."""
        if not records.mask or records.thinning is not None:
            return marks
        known = ((mark, hashed(mark, self._seed)) for mark in marks)
        return [mark for mark, unit in known if unit is not None and not unit & records.mask]

    def _taken(self, records: PartRecords, index: int, sizes: tuple[int, int, int]) -> list[Mark]:
        """Take so many calls begun, begun elsewhere, and ended, and return those that began."""
        begun, asked, ended = sizes
        marks = records.begun[index][:begun] + records.asked[index][:asked]
        with self._lock:
            del records.begun[index][:begun], records.asked[index][:asked], records.ended[index][:ended]
            records.taken[index] += begun
            records.requested[index] += asked
            records.left[index] += ended
        return marks

    def _expose(self, collected: Collected, index: int, marks: Sequence[Mark], mask: int) -> None:
        """Tell who met the split, unless that was told before; of a part of some users these alone."""
        mask = self.mask | mask
        if mask:
            known = [mark for mark in marks if isinstance(mark, int) and not mark & mask]
            collected.unexposed += countOf(map(type, marks), int) - len(known)
        else:
            known = [mark for mark in marks if isinstance(mark, int)]
        fresh = set(known) - self._told
        collected.expose(index, fresh)
        if len(self._told) + len(fresh) > TOLD_AT_MOST:
            self._told.clear()
        self._told |= fresh

    def _time(self, collected: Collected, records: PartRecords, at: int, *, overdue: bool) -> Iterator[None]:
        """Take the timed calls that have ended, and those past the deadline."""
        for some in slices(records.sampled):
            for record in some:
                since, index, mark = cast("tuple[float, int, Mark]", record)
                if since <= 0:
                    ns = round(-since * 1e9)
                    add(collected.durations[index], duration_bucket(ns))
                    self._judge(collected, (at, index), mark, ns)
                elif overdue:
                    self._judge(collected, (at, index), mark, round((self._deadline_s or 0) * 1e9))
                else:
                    records.sampled.append(record)
            yield

    def _judge(self, collected: Collected, where: tuple[int, int], mark: Mark, ns: int) -> None:
        """Count a timed call, and its unit where it was slow."""
        add(collected.timed, where)
        if self._slow_ns is not None and ns >= self._slow_ns and (known := self._unit(mark)) is not None:
            collected.blame(collected.slow, (where[0], known, where[1]))

    def _fail(self, collected: Collected, records: PartRecords, at: int, failed: set[int]) -> Iterator[None]:
        """Take the failed calls, and note their marks; past the deadline they have been charged."""
        for some in slices(records.failing):
            for index, mark, name in some:
                collected.failures[index] += 1
                failed.add(id(mark))
                if name is not None:
                    add(collected.named.setdefault(name, {}), index)
                if at != NO_SECOND and not records.charged:
                    self._err(collected, self._unit(mark), (at, index))
            yield
        for index, meter in records.blame.failures.copy().items() if records.blame is not None else ():
            collected.failures[index] += (calls := records.since(meter))
            collected.unblamed += calls

    def _cut(self, collected: Collected, records: PartRecords, at: int) -> Iterator[None]:
        """Take the calls cut short, by unit where a second is known, and those that returned with their work undone."""
        for indexes in slices(records.unfinished):
            for index in indexes:
                collected.unfinished[index] += 1
            yield
        for some in slices(records.cut):
            for index, mark in some:
                collected.cuts[index] += 1
                if at != NO_SECOND and (known := self._unit(mark)) is not None:
                    collected.blame(collected.cut, (at, known, index))
            yield
        for index, meter in records.blame.cuts.copy().items() if records.blame is not None else ():
            collected.cuts[index] += (calls := records.since(meter))
            collected.unblamed += calls

    def _go_on(
        self, collected: Collected, records: PartRecords, where: tuple[int, int], failed: set[int] | None
    ) -> Iterator[None]:
        """Charge the calls that have not ended by the deadline, each once; before it (None) tell the units of some."""
        at, index = where
        running, left = records.open[index], SLICE
        for place, mark in running.items():
            known = self._unit(mark)
            if failed is not None and place not in failed:
                collected.overdue[index] += 1
                self._err(collected, known, where)
            elif known is not None and failed is None:
                collected.hang((at, known, index))
            left -= 1
            if not left:
                left = SLICE
                yield
        if failed is not None and records.mask:
            short = max(0, records.running[index] - len(running))  # of users who are not written down
            collected.overdue[index] += short
            collected.unblamed += short

    def _err(self, collected: Collected, known: int | None, where: tuple[int, int]) -> None:
        """Count a unit's failed call."""
        at, index = where
        if known is not None:
            collected.blame(collected.errors, (at, known, index))

    def _unit(self, mark: Mark) -> int | None:
        """Return the 32 bits of the unit that a call was for."""
        return hashed(mark, self._seed) if self._only is None else self._only
