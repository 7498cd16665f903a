"""What a store hands out, as bytes: nothing here has been believed yet. `adoption.py` says what is.

A long reading gives others a turn now and then; who they are is for the caller to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias, TypeVar

from graysplit.core.entry import Entry

T = TypeVar("T")
Breathe: TypeAlias = Callable[[], object]

EVERY: Final = 1_000  # items between two turns of others: some milliseconds

# Each hash carries this field (no name can be `_`); a key without it is lost, not empty (law 8).
SENTINEL: Final = b"_"


class Key(NamedTuple):
    """One hash as it was read, or the fault that kept it from being read."""

    fields: Mapping[bytes, bytes] = {}
    fault: str | None = None  # wrong type, no permission: in the store's words

    @property
    def lost(self) -> str | None:
        """Return why the key does not count as an answer, or None where it does."""
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
    role: str = "master"  # a replica is not a source
    booked: Key = Key()  # weights and stops as the history knows them ("weights checkout/new"); for editors only
    plans: Key = Key()  # each plan's progress and its driver's tick; for editors only
    excess: Mapping[str, str] = {}  # keys that hold more than is read, each with what of it is


def nothing() -> None:
    """Let nobody have a turn."""


def paced(items: Iterable[T], breathe: Breathe) -> Iterator[T]:
    """Return items one by one, and a turn to others after each thousand."""
    for number, item in enumerate(items, 1):
        yield item
        if number % EVERY == 0:
            breathe()
