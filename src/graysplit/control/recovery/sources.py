"""What is known of a namespace beside its store: by the processes that follow it, or from a file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from graysplit.core.address import parse_address, split_of
from graysplit.core.fleet import Fleet
from graysplit.core.lease import PREFIX, Lease, lapsed, parse_lease
from graysplit.core.replica.adopted import Adopted
from graysplit.core.weights import Weight, parse_weight, rises
from graysplit.errors import BadDefinitionError, BadWeightError, ConfigurationError
from graysplit.stores.text.content import Content

_READ_AT_MOST = 1 << 28
_LACKS = ("freezes", "finished marks", "plans that run", "templates")


class Source(NamedTuple):
    """One side, as it is told apart from the store's."""

    name: str
    weights: Mapping[str, Weight] = {}  # by field
    stops: Mapping[str, str] = {}  # by field, with their text for people
    definitions: Mapping[str, str] = {}  # by split, as JSON
    disputed: frozenset[str] = frozenset()  # splits whose definition processes hold differently, or cannot tell
    effects: Mapping[str, Weight] = {}  # what runs, whether or not it is held against the store
    revision: int = 0
    # What processes told when they were asked, of the keys that the store has lost:
    told: Mapping[str, str] = {}  # by split: its definition as it stood in the store
    meta: Mapping[str, str] = {}  # releases, leases, waves, finished marks and freezes
    unheard: tuple[str, ...] = ()  # live processes that run on what they read last and did not tell it
    baselines: Mapping[str, frozenset[str]] = {}  # by split: the baselines that code declares
    # Of a file:
    kind: str = ""
    plans: Mapping[str, str] = {}  # how far plans were
    unread: Mapping[str, str] = {}  # "splits checkout": why it is not taken
    lacks: tuple[str, ...] = ()  # what this kind of file never holds


def lowest(*known: Weight | None) -> Weight | None:
    """Return the lowest of the weights that are known; a preview is lower than a share, and higher than zero."""
    found: Weight | None = None
    for weight in known:
        if weight is not None and (found is None or rises(weight, found)):
            found = weight
    return found


def of_fleet(fleet: Fleet, contents: Mapping[str, Content] = {}, lost: Collection[str] = ()) -> Source:
    """Return what live processes hold against the store, where they differ the lower, and what they run.

    `contents` is what they told when they were asked, by boot id: whole where the key is in `lost`.
    """
    live = {process.boot: process for process in fleet.live}
    heard = [contents[boot] for boot in live if boot in contents and contents[boot].revision]
    unheard = [p.label for p in fleet.live if p.boot not in contents and (p.receipt.revision or p.receipt.change)]
    weights, stops, definitions, disputed = _held(fleet)
    for content in heard:
        against = {where.partition(" ")[2] for where in content.held if where.startswith("weights ")}
        for field in against & content.weights.keys():
            weights[field] = lowest(weights.get(field), _weight(content.weights[field])) or 0
        for field, text in content.stops.items():
            if "stops" in lost or f"stops {field}" in content.held:
                stops.setdefault(field, text)
    told, differing = _agreed(heard) if "splits" in lost else ({}, frozenset[str]())
    kept, unsure = _agreed([content._replace(splits=_kept(content)) for content in heard])
    disputed = frozenset(split for split in disputed if split not in kept or unheard) | unsure
    return Source(
        "fleet",
        weights,
        stops,
        {**definitions, **kept},
        disputed | differing,
        _effects(fleet, contents, told_weights=bool({"weights", "stops"} & set(lost))),
        max((process.receipt.revision for process in fleet.processes), default=0),
        told,
        _meta(heard, weights, whole="meta" in lost),
        tuple(sorted(unheard)) if lost else (),
        _baselines(fleet),
    )


def _meta(heard: Sequence[Content], kept: Collection[str], *, whole: bool) -> Mapping[str, str]:
    """Return what processes told of `meta`: all of it where it is lost, else what belongs to weights that they keep."""
    if not heard:
        return {}
    told = _newest(heard).meta
    return told if whole else {name: words for name, words in told.items() if name.partition(":")[2] in kept}


def _kept(content: Content) -> Mapping[str, str]:
    """Return the definitions that a process keeps against the store, whole."""
    return {split: raw for split, raw in content.splits.items() if f"splits {split}" in content.held}


def _newest(heard: Iterable[Content]) -> Content:
    return max(heard, key=lambda content: content.revision)


def _agreed(heard: Sequence[Content]) -> tuple[dict[str, str], frozenset[str]]:
    """Return the definitions that processes told, and the splits of which they hold different ones.

    Within one lineage the numbers order: the latest that anybody read counts.
    """
    found: dict[str, str] = {}
    disputed: set[str] = set()
    for split in sorted({split for content in heard for split in content.splits}):
        known = [content for content in heard if split in content.splits]
        latest = _newest(known)
        rivals = {content.splits[split] for content in known if content.revision == latest.revision}
        if len(rivals) > 1 or len({content.lineage for content in known}) > 1 < len({c.splits[split] for c in known}):
            disputed.add(split)
        else:
            found[split] = latest.splits[split]
    return found, frozenset(disputed)


def _held(fleet: Fleet) -> tuple[dict[str, Weight], dict[str, str], dict[str, str], frozenset[str]]:
    """Return weights, stops and definitions that receipts name as kept, and the splits of which they differ."""
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
    definitions = {split: word for split, word in agreed.items() if word}
    return weights, stops, definitions, frozenset(split for split in told if not agreed.get(split))


def _baselines(fleet: Fleet) -> Mapping[str, frozenset[str]]:
    """Return the baselines that code declares, also that of processes that are silent now."""
    found: dict[str, frozenset[str]] = {}
    for process in fleet.processes:
        for split, declared in process.declared.items():
            if declared.baseline:
                found[split] = found.get(split, frozenset()) | {declared.baseline}
    return found


def of_file(path: Path) -> Source:
    """Read a last-known-good file, what `graysplit export` prints, or a bootstrap file.

    Raises `ConfigurationError` for what is none of them.
    """
    from graysplit.codec import read_bootstrap
    from graysplit.follower.known_good import decode

    found: Mapping[str, Any] = _object(path) if path.suffix != ".toml" else {}  # Any: JSON
    if "sum" in found:
        try:
            return _of_held(path.name, decode(found).held, "a last-known-good file", _LACKS)
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise _unusable(path, fault) from None
    if {"weights", "stops", "splits"} <= found.keys():
        try:
            return _of_export(path.name, found)
        except (ValueError, TypeError, AttributeError) as fault:
            raise _unusable(path, fault) from None
    return _of_held(path.name, read_bootstrap(path), "a bootstrap file", (*_LACKS, "stops", "waves"))


def _effects(fleet: Fleet, contents: Mapping[str, Content], *, told_weights: bool) -> Mapping[str, Weight]:
    """Return the lowest weight of each field: as receipts have it in force, and where it is wanted as it was told.

    A version that is absent from a process says nothing.
    """
    weights: dict[str, Weight] = {}
    for process in fleet.live:
        if told_weights and process.boot in contents:
            for field, word in contents[process.boot].weights.items():
                weights[field] = lowest(weights.get(field), _weight(word)) or 0
            continue
        for field, effect in process.receipt.effects.items():
            split, version = parse_address(field)
            declared = process.declared.get(split)
            absent = declared is not None and version not in declared.versions
            if not effect.why and not absent:
                weights[field] = lowest(weights.get(field), _weight(effect.weight)) or 0
    return weights


def _of_held(name: str, held: Adopted, kind: str, lacks: tuple[str, ...]) -> Source:
    from graysplit.core.lease import PREFIX as LEASE
    from graysplit.core.waves import PREFIX as WAVE
    from graysplit.core.waves import format_wave

    definitions = {split: raw.decode() for split, raw in held.definitions.items()}
    meta = {f"{LEASE}{field}": str(lease) for field, lease in held.leases.items()}
    meta |= {f"{WAVE}{field}": format_wave(wave) for field, wave in held.waves.items()}
    return Source(
        name,
        _after_leases(held.weights, held.leases),
        held.stops,
        definitions,
        revision=held.revision,
        meta=meta,
        kind=kind,
        lacks=lacks,
    )


def _after_leases(weights: Mapping[str, Weight], leases: Mapping[str, Lease]) -> Mapping[str, Weight]:
    """Return the weights after all leases: nobody knows how long ago the file was written."""
    found = dict(weights)
    found.update(lapsed(leases, weights, None))
    return found


def _of_export(name: str, found: Mapping[str, Any]) -> Source:  # Any: JSON
    weights: dict[str, Weight] = {field: _weight(word) for field, word in found["weights"].items()}
    meta: Mapping[str, str] = found.get("meta") or {}
    plans: Mapping[str, str] = found.get("plans") or {}
    unread: dict[str, str] = {}
    for field, word in found["weights"].items():
        if not _is_weight(word):
            unread[f"weights {field}"] = f"{str(word)[:40]!r} is taken as 0: invalid weight"
    definitions = dict(_definitions(found["splits"].items(), unread))
    for field in weights:
        if split_of(field) not in definitions and f"splits {split_of(field)}" not in unread:
            unread.setdefault(f"weights {field}", "the file does not define this split")
    leases = {name.removeprefix(PREFIX): parse_lease(word) for name, word in meta.items() if name.startswith(PREFIX)}
    return Source(
        name,
        _after_leases(weights, {field: lease for field, lease in leases.items() if lease}),
        {field: str(word) for field, word in found["stops"].items()},
        definitions,
        revision=int(found.get("revision") or 0),
        meta={field: str(word) for field, word in meta.items()},
        kind="an export",
        plans={field: str(word) for field, word in plans.items()},
        unread=unread,
    )


def _definitions(
    records: Iterable[tuple[str, Any]],  # Any: JSON
    unread: dict[str, str],
) -> Iterable[tuple[str, str]]:
    """Return the definitions that can be read, as they would stand in the store; note the others' faults."""
    from graysplit.codec import dump_definition, parse_definition

    for split, record in records:
        raw = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
        try:
            definition = parse_definition(split, raw.encode())
        except BadDefinitionError as fault:
            unread[f"splits {split}"] = f"it cannot be read: {fault}"
            continue
        if definition is not None:
            yield split, dump_definition(definition)


def _weight(word: object) -> Weight:
    """Read a weight; what is none is zero."""
    try:
        return parse_weight(str(word))
    except BadWeightError:
        return 0


def _is_weight(word: object) -> bool:
    try:
        parse_weight(str(word))
    except BadWeightError:
        return False
    return True


def _object(path: Path) -> Mapping[str, Any]:  # Any: JSON
    try:
        with path.open("rb") as file:
            decoded: object = json.loads(file.read(_READ_AT_MOST))
    except (OSError, ValueError, RecursionError) as fault:
        raise _unusable(path, fault) from None
    return cast("dict[str, Any]", decoded) if isinstance(decoded, dict) else {}


def _unusable(path: Path, fault: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the file {path.name} cannot be used: {type(fault).__name__}: {fault}. Use a process's last-known-good "
        "file, the output of graysplit export, or a bootstrap file"
    )
