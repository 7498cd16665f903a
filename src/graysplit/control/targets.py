"""Whether anybody knows what a rollback was aimed at, and what may have been meant by it. No parser is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

from graysplit.core.address import EVERYTHING, field_of, parse_address, split_of, stops_over
from graysplit.core.fleet import Fleet, Process
from graysplit.core.replica.adoption import text
from graysplit.core.replica.record import SENTINEL, Key, Load, is_new
from graysplit.errors import nearest
from graysplit.stores.text.records import raw_of
from graysplit.stores.write_rules import is_zero

ALL: Final = "all"  # what a person types who means `--all`


class Defined(NamedTuple):
    """What the store's record of a split says of its versions; both empty where it is not JSON."""

    baseline: str
    candidates: tuple[str, ...]


class Names(NamedTuple):
    """All that store and processes know by name, seen after a rollback."""

    defined: Mapping[str, Defined]
    weighed: frozenset[str]  # candidates with a weight that is not only what an earlier rollback left
    told: frozenset[str]  # splits and candidates that processes declare, or whose effect they tell
    followed: bool  # whether processes follow the namespace, or did within a day
    whole: bool  # whether everything could be read that may know a name

    def know(self, target: str) -> bool | None:
        """Return whether anybody knows a target; None where nobody seen does, and not everything could be read."""
        split, slash, _ = target.partition("/")
        if target == EVERYTHING:
            known = bool(self.defined or self.weighed or self.followed)
        else:
            known = target in (self.candidates if slash else self.splits)
        unread = slash and split in self.defined and not self.defined[split].baseline
        return known or (False if self.whole and not unread else None)

    def is_baseline(self, target: str) -> bool:
        """Return whether a target names the version that everybody goes back to."""
        split, version = parse_address(target)
        return bool(version) and split in self.defined and version == self.defined[split].baseline

    def nearest(self, target: str) -> str | None:
        """Return what may have been meant: `*` for `all`, the split for its baseline, else the most similar name."""
        if target == ALL:
            return EVERYTHING
        if self.is_baseline(target):
            return split_of(target)
        return nearest(target, sorted(self.candidates if "/" in target else self.splits))

    @property
    def candidates(self) -> set[str]:
        """All candidates, by their addresses."""
        listed = {field_of(split, name) for split, found in self.defined.items() for name in found.candidates}
        return listed | self.weighed | {name for name in self.told if "/" in name}

    @property
    def splits(self) -> set[str]:
        """All splits."""
        return {*self.defined, *map(split_of, self.weighed | self.told)}


def is_defined(target: str, record: str | None) -> bool:
    """Return whether the record of a target's split names it."""
    _, version = parse_address(target)
    defined = None if record is None else _defined(raw_of(record))
    return defined is not None and (not version or version in defined.candidates)


def names_of(load: Load, fleet: Fleet, before: Mapping[str, str | None]) -> Names:
    """Return the names known, where a rollback has just overwritten what `before` holds."""
    read = ((text(name), _defined(raw)) for name, raw in load.splits.fields.items() if name != SENTINEL)
    weighed = frozenset(_weighed(load, before))
    fresh = not weighed and is_new(Key(), Key(), load.splits, load.meta)  # its one write made the keys that stand
    whole = load.weights.fault is None and (fresh or load.splits.lost is None)
    heard = (*fleet.processes, *fleet.gone)
    told = frozenset(name for process in heard for name in _told(process))
    return Names({split: reading for split, reading in read if reading is not None}, weighed, told, bool(heard), whole)


def _defined(raw: bytes) -> Defined | None:
    """Read a record's versions; None for the tombstone of a deleted split."""
    try:
        decoded: object = json.loads(raw)
    except (ValueError, RecursionError):
        decoded = None
    record = cast("dict[str, Any]", decoded) if isinstance(decoded, dict) else {}  # Any: JSON
    if "tombstone" in record:
        return None
    listed = record.get("versions")
    rows = cast("list[object]", listed) if isinstance(listed, list) else []
    names = [cast("dict[str, object]", row).get("name") for row in rows if isinstance(row, dict)]
    baseline = str(record.get("baseline", ""))
    return Defined(baseline, tuple(name for name in names if isinstance(name, str) and name != baseline))


def _weighed(load: Load, before: Mapping[str, str | None]) -> Iterator[str]:
    """Return the candidates that had a weight; a zero under a stop of its own may be what a mistyped rollback wrote."""
    stood: dict[str, str | None] = {f"weights {text(f)}": text(w) for f, w in load.weights.fields.items()}
    stood |= {f"stops {text(f)}": "" for f in load.stops.fields}
    stood |= before
    for where, weight in stood.items():
        key, _, field = where.partition(" ")
        if key == "weights" and "/" in field and weight is not None:
            stopped = any(stood.get(f"stops {name}") is not None for name in stops_over(field)[:2])
            if not (stopped and is_zero(raw_of(weight))):
                yield field


def _told(process: Process) -> Iterator[str]:
    yield from process.receipt.effects
    for split, declared in process.declared.items():
        yield split
        yield from (field_of(split, name) for name in declared.versions if name != declared.baseline)
