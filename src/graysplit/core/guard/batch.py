"""What one collection has found in an evidence buffer, and the batches that it is sent in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeVar

from mmh3 import mmh3_x64_128_uintdigest

from graysplit.core.bucketing import hash32
from graysplit.core.guard.tally import Batch, Begun, Exposed, Failed, Goal, Pair, Stage

_K = TypeVar("_K")

UNITS_AT_ONCE: Final = 2_000
HANGING_AT_MOST: Final = 500
EXPOSED_AT_MOST: Final = 20_000  # units in one collection
BITS_AT_MOST: Final = 32  # there are no more in a hash: one unit in many seconds is thinned by none


class WatchedCandidate(NamedTuple):
    """A candidate that a buffer watches."""

    number: int  # its index among the version names
    field: str
    release: str
    started_s: int  # when its release began
    stage: Stage


class Collected:
    """What one collection has found; by second and index (units: second, their 32 bits, index)."""

    def __init__(self, versions: int) -> None:
        """Begin with nothing."""
        self.bits = 0  # zero bits in which the hash of a failed unit that is told must end
        self._hanging_bits = self._exposed_bits = 0
        self.unexposed = 0  # units that had met the split and are not told
        self.unblamed = 0  # calls that failed, were slow, cut short or overdue, and whose unit is not told
        self.calls: dict[tuple[int, int], int] = {}
        self.timed: dict[tuple[int, int], int] = {}
        self.running: dict[tuple[int, int], int] = {}
        self.errors: dict[tuple[int, int, int], int] = {}
        self.slow: dict[tuple[int, int, int], int] = {}
        self.cut: dict[tuple[int, int, int], int] = {}
        self.hanging: dict[tuple[int, int, int], int] = {}
        self.failures = [0] * versions
        self.cuts = [0] * versions
        self.overdue = [0] * versions
        self.unfinished = [0] * versions
        self.durations: list[dict[int, int]] = [{} for _ in range(versions)]
        self.exposed: list[tuple[int, int]] = []
        self.named: dict[str, dict[int, int]] = {}
        self.goals: list[tuple[str, int, int, int]] = []

    def expose(self, index: int, units: Iterable[int]) -> None:
        """Note units that have met the split: of very many some, by such bits as below."""
        self.exposed += [(unit, index) for unit in units]
        while len(self.exposed) > EXPOSED_AT_MOST and self._exposed_bits < BITS_AT_MOST:
            self._exposed_bits += 1
            mask = (1 << self._exposed_bits) - 1
            kept = [one for one in self.exposed if not one[0] & mask]
            self.unexposed += len(self.exposed) - len(kept)
            self.exposed = kept

    def blame(self, counts: dict[tuple[int, int, int], int], where: tuple[int, int, int]) -> None:
        """Count a unit's call among the errors, slow ones or cuts: of very many units of some, and of these each call.

        By bits of the hash that say nothing about the side, and the same in all three.
        """
        if where[1] & ((1 << self.bits) - 1):
            self.unblamed += 1
            return
        add(counts, where)
        while len(counts) > UNITS_AT_ONCE and self.bits < BITS_AT_MOST:
            self.bits += 1
            for some in (self.errors, self.slow, self.cut):
                left_out = [one for one in some if one[1] & ((1 << self.bits) - 1)]
                self.unblamed += sum(some.pop(one) for one in left_out)

    def hang(self, where: tuple[int, int, int]) -> None:
        """Note a call under way by its unit: of very many some, by such bits."""
        if where[1] & ((1 << self._hanging_bits) - 1):
            return
        add(self.hanging, where)
        while len(self.hanging) > 4 * HANGING_AT_MOST and self._hanging_bits < BITS_AT_MOST:
            self._hanging_bits += 1
            mask = (1 << self._hanging_bits) - 1
            self.hanging = {one: calls for one, calls in self.hanging.items() if not one[1] & mask}


def batch_of(candidate: WatchedCandidate, collected: Collected, buffer_id: str, number: int) -> Batch:
    """Return what one candidate's books are told, with the baseline beside it."""
    sides = {0: False, candidate.number: True}
    seed = hash32(candidate.release.encode(), 0)

    def begun(counts: Mapping[tuple[int, int], int]) -> tuple[Begun, ...]:
        return tuple(Begun(at, sides[index], n) for (at, index), n in counts.items() if index in sides)

    def failed(counts: Mapping[tuple[int, int, int], int]) -> tuple[Failed, ...]:
        return tuple(
            Failed(at, unit64(unit, seed), sides[index], n) for (at, unit, index), n in counts.items() if index in sides
        )

    def pair(counts: Mapping[int, int]) -> Pair:
        return Pair(counts.get(0, 0), counts.get(candidate.number, 0))

    return Batch(
        candidate.field,
        candidate.release,
        candidate.started_s,
        buffer_id,
        number,
        candidate.stage,
        calls=begun(collected.calls),
        failures=pair(dict(enumerate(collected.failures))),
        errors=failed(collected.errors),
        timed=begun(collected.timed),
        slow=failed(collected.slow),
        exposed=tuple(Exposed(hashed, sides[index]) for hashed, index in collected.exposed if index in sides),
        durations=(collected.durations[0], collected.durations[candidate.number]),
        named={name: both for name, counts in collected.named.items() if (both := pair(counts)) != Pair()},
        goals=tuple(Goal(name, unit, micro) for name, unit, micro, index in collected.goals if index in sides),
        running=begun(collected.running),
        hanging=_some(failed(collected.hanging)),
        overdue=pair(dict(enumerate(collected.overdue))),
        unfinished=pair(dict(enumerate(collected.unfinished))),
        cuts=pair(dict(enumerate(collected.cuts))),
        cut=failed(collected.cut),
        unblamed=collected.unblamed,
    )


def _some(hanging: tuple[Failed, ...]) -> tuple[Failed, ...]:
    """Bound the calls under way that are told by unit: by bits that say nothing about the side."""
    if len(hanging) <= HANGING_AT_MOST:
        return hanging
    return tuple(sorted(hanging, key=lambda one: one.unit)[:HANGING_AT_MOST])


def portions(batch: Batch) -> list[Batch]:
    """Cut a batch of many users who met the split first into some that a server adds in a moment each.

    All else goes with the first; each tells again what is under way, and goals come when all are known. Each part has
    its share of both sides: a look between two of them must not find one side missing.
    """
    if len(batch.exposed) <= UNITS_AT_ONCE:
        return [batch]
    mixed = sorted(batch.exposed, key=lambda one: hash32(b"%d" % one.unit, 0))
    cuts = range(0, len(mixed), UNITS_AT_ONCE)
    parts = [
        Batch(
            batch.field,
            batch.release,
            batch.started_s,
            batch.buffer,
            batch.number + place,
            batch.stage,
            exposed=tuple(mixed[at : at + UNITS_AT_ONCE]),
            running=batch.running,
            hanging=batch.hanging,
        )
        for place, at in enumerate(cuts)
    ]
    parts[0] = batch._replace(exposed=parts[0].exposed, goals=())
    parts[-1] = parts[-1]._replace(goals=batch.goals)
    return parts


def without_running(batch: Batch) -> Batch:
    """Return a batch that tells of nothing under way."""
    return batch._replace(running=(), hanging=())


def parted(batch: Batch) -> Batch:
    """Return the last batch of a buffer whose process ends: of what is under way only old's calls are kept, as such."""
    return without_running(batch)._replace(abandoned=tuple(one for one in batch.running if not one.on_new))


def tells(batch: Batch) -> bool:
    """Return whether a batch holds anything but calls under way."""
    counted = (batch.calls, batch.errors, batch.timed, batch.slow, batch.cut, batch.exposed, batch.goals)
    sums = (*batch.durations, batch.failures, batch.cuts, batch.overdue, batch.unfinished)
    return any(counted) or any(map(any, sums)) or bool(batch.named)


def add(counts: dict[_K, int], key: _K, n: int = 1) -> None:
    """Add to one of several counts."""
    counts[key] = counts.get(key, 0) + n


def unit64(hashed: int, seed: int) -> int:
    """Return the 64 bits by which a unit is known in one release's books, from the 32 by which it is bucketed.

    All that is known of a call that never ended are those; a seed of the release's hides its side in them.
    """
    return mmh3_x64_128_uintdigest(hashed.to_bytes(4, "little"), seed) & 0xFFFF_FFFF_FFFF_FFFF
