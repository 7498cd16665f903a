"""What this process has counted of every split: choices by name and routed calls apart, by the names they had then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graysplit.core.counting import Counts
from graysplit.core.weights import field_of


class CallCounts:
    """The counts of all splits of one router. Threads that decide add to it at any moment: readers copy it first."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._counts: dict[tuple[str, tuple[str, ...], bool], Counts] = {}

    def of(self, split: str, names: tuple[str, ...], *, routed: bool = False) -> Counts:
        """Return what is counted of a split whose versions have these names, made where it is not there yet."""
        key = (split, names, routed)
        return self._counts.get(key) or self._counts.setdefault(key, Counts(names, routed=routed))

    def is_routed(self, split: str, counts: Counts) -> bool:
        """Return whether these are the counts of a split's routed calls."""
        return counts is self._counts.get((split, counts.names, True))

    def of_split(self, split: str) -> list[Counts]:
        """Return all that is counted of a split, whatever its versions were called."""
        return [counts for (name, *_), counts in self._counts.copy().items() if name == split]

    def splits(self) -> set[str]:
        """Return the splits that were asked for or declared."""
        return {split for split, *_ in self._counts.copy()}

    def versions(self) -> Iterable[tuple[str, str]]:
        """Return each version of each split that was asked for or declared, once."""
        return dict.fromkeys((split, name) for split, names, _ in self._counts.copy() for name in names)

    def asked(self, splits: Iterable[str]) -> tuple[dict[str, int], set[str]]:
        """Return how often each of these splits was asked, and those of them for which an attempt was begun."""
        asked, attempted = dict.fromkeys(splits, 0), set[str]()
        for (split, *_), counts in self._counts.copy().items():
            if split in asked:
                asked[split] += counts.asked()
                attempted.update([split] if counts.attempted() else [])
        return asked, attempted

    def measured(self, split: str, version: str) -> tuple[dict[str, int], int, int]:
        """Return a version's evaluations by reason, its failures, and its calls that run."""
        evaluations: dict[str, int] = {}
        failures = running = 0
        for counts, index in self._with(split, version):
            for reason, number in counts.evaluations(index).items():
                evaluations[reason] = evaluations.get(reason, 0) + number
            failures += counts.failed[index].read()
            running += counts.running(index) if index else 0
        return evaluations, failures, running

    def running(self, split: str, version: str) -> int:
        """Return how many calls of a candidate run, whichever names they were counted beside."""
        return sum(counts.running(index) for counts, index in self._with(split, version) if index)

    def running_on(self, changes: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
        """Return, by change, how many calls still run on what it wrote."""
        found: dict[str, int] = {}
        for (split, names, _), counts in self._counts.copy().items() if changes else ():
            for index, name in enumerate(names[1:], 1):
                field = field_of(split, name)
                for change in [change for change, words in changes.items() if field in words]:
                    found[change] = found.get(change, 0) + counts.running(index)
        return found

    def settle(self) -> None:
        """Take over what tapes have counted and will not count any more."""
        for counts in self._counts.copy().values():
            counts.settle()

    def forget(self) -> None:
        """Count anew from now on: a forked child does not count its parent's calls again."""
        for counts in self._counts.values():
            counts.forget()

    def _with(self, split: str, version: str) -> Iterator[tuple[Counts, int]]:
        """Return each count that knows a version, and the version's place in it."""
        return ((counts, counts.names.index(version)) for counts in self.of_split(split) if version in counts.names)
