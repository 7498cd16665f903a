"""What guards say of all candidates that run, read a few at a time: no page waits for a hundred of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.control.operator import Operator

if TYPE_CHECKING:
    from graysplit.control.guard.verdicts import Heard
    from graysplit.control.reading import Reading

AT_MOST_S: Final = 0.04  # of one look, for further ones; one is read in any case
FRESH_S: Final = 1.0  # a guard judges once a second


class KeptVerdict(NamedTuple):
    """A verdict, of which release at which weight it is, and when it was read."""

    heard: Heard
    release: str
    weight: int
    read_at: float


class KeptVerdicts:
    """The verdicts read last; one of another release, or at another weight, counts as none."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[str, KeptVerdict] = {}

    def read(self, operator: Operator, reading: Reading) -> Mapping[str, Heard]:
        """Return by field what is said of the candidates above zero; the oldest are read again."""
        splits = reading.snapshot.splits
        if not any(splits[name].definition.guard is not None for name in splits):
            return {}
        from graysplit.control.guard.verdicts import heard, watched

        wanted = {field: (split, weight) for split, field, weight in watched(reading, sorted(splits))}
        releases = reading.snapshot.releases
        self._kept = {
            field: kept
            for field, kept in self._kept.items()
            if field in wanted and (kept.release, kept.weight) == (releases.get(field, ""), wanted[field][1])
        }
        began = time.monotonic()
        oldest = sorted(wanted, key=lambda field: self._kept[field].read_at if field in self._kept else 0.0)
        for number, field in enumerate(oldest):
            now, kept = time.monotonic(), self._kept.get(field)
            if (number and now - began > AT_MOST_S) or (kept is not None and now - kept.read_at < FRESH_S):
                break
            split, weight = wanted[field]
            said = heard(reading, operator.store.tally, split, field, weight)
            self._kept[field] = KeptVerdict(said, releases.get(field, ""), weight, now)
        return {field: self._kept[field].heard for field in wanted if field in self._kept}
