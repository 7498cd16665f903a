"""What this process has counted of every split: choices by name and routed calls apart, by the names they had then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from graysplit.core.address import parse_address
from graysplit.core.counters import Counts, Measured
from graysplit.forks import ProcessLock

UNKNOWN: Final = "(unknown)"  # all splits together that neither code nor store knows: a request may name any number
OLD: Final = "old"  # the answer for a split that nobody declared
AT_ONCE: Final = 32  # splits that a reader measures in one turn
UNKNOWN_NAMES: Final = (OLD, "new")


class CallCounts:
    """The counts of all splits of one router. Threads that decide add to it at any moment: readers copy it first.

    Readers take turns, a few splits each: a meter has one at a time. Whoever publishes takes no turn.
    """

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._counts: dict[str, dict[tuple[tuple[str, ...], bool], Counts]] = {}
        self._reading = ProcessLock()

    def of(self, split: str, names: tuple[str, ...], *, routed: bool = False) -> Counts:
        """Return what is counted of a split whose versions have these names, made where it is not there yet."""
        own, key = self._counts.get(split) or self._counts.setdefault(split, {}), (names, routed)
        return own.get(key) or own.setdefault(key, Counts(names, routed=routed))

    def is_routed(self, split: str, counts: Counts) -> bool:
        """Return whether these are the counts of a split's routed calls."""
        return counts is self._counts.get(split, {}).get((counts.names, True))

    def splits(self) -> set[str]:
        """Return the splits that were asked for or declared."""
        return set(self._counts.copy())

    def asked(self, splits: Iterable[str]) -> dict[str, int]:
        """Return how often each of these splits was asked."""
        asked: dict[str, int] = {}
        for some in _portions(splits):
            with self._reading:
                asked |= {split: sum(counts.asked() for counts in self.of_split(split)) for split in some}
        return asked

    def attempted(self, splits: Iterable[str]) -> set[str]:
        """Return those of these splits for which an attempt was begun."""
        found = set[str]()
        for some in _portions(splits):
            with self._reading:
                found |= {split for split in some if any(counts.attempted() for counts in self.of_split(split))}
        return found

    def measured(self) -> Iterator[tuple[str, dict[str, Measured]]]:
        """Return what is counted of each version of each split that was asked for or declared, by version."""
        for some in _portions(self._counts.copy()):
            with self._reading:
                measured = [(split, self._measured(split)) for split in some]
            yield from measured

    def _measured(self, split: str) -> dict[str, Measured]:
        found: dict[str, Measured] = {}
        for counts in self.of_split(split):
            for version, one in zip(counts.names, counts.measured(), strict=True):
                found[version] = _added(found[version], one) if version in found else one
        return found

    def running(self, split: str, version: str) -> int:
        """Return how many calls of a candidate run, whichever names they were counted beside."""
        with self._reading:
            known = ((one, one.names.index(version)) for one in self.of_split(split) if version in one.names)
            return sum(counts.running(index) for counts, index in known if index)

    def running_on(self, changes: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
        """Return, by change, how many calls still run on what it wrote."""
        found = dict.fromkeys(changes, 0)
        for change, words in changes.items():
            for field in words:
                split, version = parse_address(field)
                if split in self._counts:
                    found[change] += self.running(split, version)
        return found

    def settle(self) -> None:
        """Take over what buffers have counted and will not count any more."""
        for split in self._counts.copy():
            with self._reading:
                for counts in self.of_split(split):
                    counts.settle()

    def forget(self) -> None:
        """Count anew from now on: a forked child does not count its parent's calls again."""
        for split in self._counts.copy():
            for counts in self.of_split(split):
                counts.forget()

    def of_split(self, split: str) -> list[Counts]:
        """Return all that is counted of a split, whatever its versions were called."""
        return list(self._counts[split].copy().values()) if split in self._counts else []


def _portions(splits: Iterable[str]) -> Iterator[list[str]]:
    names = list(splits)
    return (names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE))


def _added(before: Measured, more: Measured) -> Measured:
    evaluations = before.evaluations.copy()
    for reason, number in more.evaluations.items():
        evaluations[reason] = evaluations.get(reason, 0) + number
    return Measured(evaluations, before.failures + more.failures, before.running + more.running)
