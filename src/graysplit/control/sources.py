"""What is known of a namespace beside its store: by the processes that follow it, or from a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from graysplit.core.adoption import Held
from graysplit.core.fleet import Fleet
from graysplit.core.lease import PREFIX, Lease, lapsed, parse_lease
from graysplit.core.weights import Weight, parse_weight, rises
from graysplit.errors import BadDefinitionError, BadWeightError, ConfigurationError

_READ_AT_MOST = 1 << 28


class Source(NamedTuple):
    """One side, as it is told apart from the store's."""

    name: str
    weights: Mapping[str, Weight] = {}  # by field
    stops: Mapping[str, str] = {}  # by field, with their text for people
    definitions: Mapping[str, str] = {}  # by split, as JSON
    disputed: frozenset[str] = frozenset()  # splits whose definition processes hold differently, or cannot tell
    effects: Mapping[str, Weight] = {}  # what runs, whether or not it is held against the store
    revision: int = 0


def lowest(*known: Weight | None) -> Weight | None:
    """Give the lowest of the weights that are known; a preview is lower than a share, and higher than zero."""
    found: Weight | None = None
    for weight in known:
        if weight is not None and (found is None or rises(weight, found)):
            found = weight
    return found


def of_fleet(fleet: Fleet) -> Source:
    """Give what live processes hold against the store, where they differ the lower, and what they run."""
    weights: dict[str, Weight] = {}
    stops: dict[str, str] = {}
    told: dict[str, set[str]] = {}
    for process in fleet.live:
        for where, word in process.receipt.held.items():
            key, _, field = where.partition(" ")
            if key == "weights":
                weights[field] = lowest(weights.get(field), _weight(word)) or 0
            elif key == "stops":
                stops[field] = stops.get(field) or word
            elif key == "splits":
                told.setdefault(field, set()).add(word)
    agreed = {split: next(iter(words)) for split, words in told.items() if len(words) == 1}
    return Source(
        "fleet",
        weights,
        stops,
        {split: word for split, word in agreed.items() if word},
        frozenset(split for split in told if not agreed.get(split)),
        _effects(fleet),
        max((process.receipt.revision for process in fleet.processes), default=0),
    )


def of_file(path: Path) -> Source:
    """Read a last-known-good file, what `graysplit export` prints, or a bootstrap file.

    Raises `ConfigurationError` for what is none of them.
    """
    from graysplit.codec import read_bootstrap
    from graysplit.follower.known_good import decode

    found: Mapping[str, Any] = _object(path) if path.suffix != ".toml" else {}  # Any: JSON
    if "sum" in found:
        try:
            return _of_held(path.name, decode(found).held)
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise _unusable(path, fault) from None
    if {"weights", "stops", "splits"} <= found.keys():
        try:
            return _of_export(path.name, found)
        except (ValueError, TypeError, AttributeError) as fault:
            raise _unusable(path, fault) from None
    return _of_held(path.name, read_bootstrap(path))


def _effects(fleet: Fleet) -> Mapping[str, Weight]:
    """Give the lowest weight in force of each field that live processes tell of; not where a version is absent."""
    found: dict[str, Weight] = {}
    for process in fleet.live:
        for field, effect in process.receipt.effects.items():
            split, _, version = field.partition("/")
            declared = process.declared.get(split)
            absent = declared is not None and version not in declared.versions
            if not effect.why and not absent:
                found[field] = lowest(found.get(field), _weight(effect.weight)) or 0
    return found


def _of_held(name: str, held: Held) -> Source:
    definitions = {split: raw.decode() for split, raw in held.definitions.items()}
    return Source(name, _after_leases(held.weights, held.leases), held.stops, definitions, revision=held.revision)


def _after_leases(weights: Mapping[str, Weight], leases: Mapping[str, Lease]) -> Mapping[str, Weight]:
    """Give the weights after all leases: nobody knows how long ago the file was written."""
    found = dict(weights)
    found.update(lapsed(leases, weights, None))
    return found


def _of_export(name: str, found: Mapping[str, Any]) -> Source:  # Any: JSON
    weights: dict[str, Weight] = {field: _weight(word) for field, word in found["weights"].items()}
    meta: Mapping[str, str] = found.get("meta") or {}
    leases = {name.removeprefix(PREFIX): parse_lease(word) for name, word in meta.items() if name.startswith(PREFIX)}
    return Source(
        name,
        _after_leases(weights, {field: lease for field, lease in leases.items() if lease}),
        {field: str(word) for field, word in found["stops"].items()},
        dict(_definitions(found["splits"].items())),
        revision=int(found.get("revision") or 0),
    )


def _definitions(records: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, str]]:  # Any: JSON
    """Give the definitions that can be read, as they would stand in the store."""
    from graysplit.codec import dump_definition, parse_definition

    for split, record in records:
        raw = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
        try:
            definition = parse_definition(split, raw.encode())
        except BadDefinitionError:
            continue
        if definition is not None:
            yield split, dump_definition(definition)


def _weight(word: object) -> Weight:
    """Read a weight; what is none is zero."""
    try:
        return parse_weight(str(word))
    except BadWeightError:
        return 0


def _object(path: Path) -> Mapping[str, Any]:  # Any: JSON
    try:
        with path.open("rb") as file:
            found: object = json.loads(file.read(_READ_AT_MOST))
    except (OSError, ValueError, RecursionError) as fault:
        raise _unusable(path, fault) from None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _unusable(path: Path, fault: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the file {path.name} cannot be used: {type(fault).__name__}: {fault}. Wanted is a process's last-known-good "
        "file, the output of graysplit export, or a bootstrap file"
    )
