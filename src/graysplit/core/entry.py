"""An entry of the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

_PLAN: Final = "meta plan:"  # before a split's name: the mark of its plan, in an entry


class Entry(NamedTuple):
    """One entry of the history. `before` and `after` hold the raw values of every field that changed."""

    id: str  # the change's random id, the only proof of lineage
    revision: int
    split: str
    cause: str  # the verb: create, set, rollback, edited outside, ...
    actor: str
    why: str
    at_ms: int  # server time
    before: Mapping[str, str | None]  # "weights checkout/new" to its text, None for absent
    after: Mapping[str, str | None]

    @property
    def ended_plans(self) -> tuple[str, ...]:
        """Name the splits whose plan was over with it."""
        marks = sorted(where for where in self.after if where.startswith(_PLAN) and self.before.get(where) is not None)
        return tuple(where.removeprefix(_PLAN) for where in marks if self.after[where] != self.before[where])
