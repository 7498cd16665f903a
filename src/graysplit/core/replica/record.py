"""What a store hands out, as bytes: nothing here has been believed yet. `adoption.py` says what is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

# Each hash carries this field (no name can be `_`); a key without it is lost, not empty (law 8).
SENTINEL: Final = b"_"


class Key(NamedTuple):
    """One hash as it was read, or the fault that kept it from being read."""

    fields: Mapping[bytes, bytes] = {}
    fault: str | None = None  # wrong type, no permission: in the store's words

    @property
    def lost(self) -> str | None:
        """Say why the key does not count as an answer, or None where it does."""
        if self.fault is not None:
            return self.fault
        if SENTINEL not in self.fields:
            return "missing" if not self.fields else "without its field _"
        return None


class Brakes(NamedTuple):
    """Some fields of weights and stops as they stand: of them what lowers is adopted, and nothing else."""

    weights: Mapping[bytes, bytes] = {}
    stops: Mapping[bytes, bytes] = {}


def is_new(weights: Key, stops: Key, splits: Key, meta: Key) -> bool:
    """Return whether a namespace was never used: it may hold what somebody lowered before there was anything."""
    keys = (weights, stops, splits, meta)
    unmarked = all(key.fault is None and SENTINEL not in key.fields for key in keys)
    return unmarked and not splits.fields and not meta.fields


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


class Load(NamedTuple):
    """One consistent reading of a store."""

    weights: Key = Key()
    stops: Key = Key()
    splits: Key = Key()
    meta: Key = Key()
    whole: bool = True  # False: `splits` holds only definitions that may have changed
    entries: tuple[Entry, ...] = ()  # the log since the position asked from, oldest first
    position: str = "0-0"  # of the log's last entry
    anchor: str = ""  # id of the entry that stands at the position asked from; "" where none does
    now_ms: int = 0  # server time
    role: str = "master"  # a replica is no source
    booked: Key = Key()  # weights and stops as the history knows them ("weights checkout/new"); for editors only
    plans: Key = Key()  # each plan's progress and its driver's tick; for editors only
    excess: Mapping[str, str] = {}  # keys that hold more than is read, each with what of it is
