"""Definitions and snapshots out of a store's bytes, and back: the one place that knows pydantic.

pydantic reads JSON straight into the core's tuples, so that there is one definition of each record. Build the
parser in the thread that starts something (`parser()`, about 100 ms once), never on a decision.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from pydantic import TypeAdapter, ValidationError

from graysplit.core.address import field_of
from graysplit.core.definition import OBJECT, Definition, Version, candidate, check_definition, define
from graysplit.core.lease import lapsed
from graysplit.core.releases import ReleaseIds
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import (
    Parse,
    adopt_brakes,
    adopt_definitions,
    changed_definitions,
    judge_definition,
    note_definitions,
    state_of,
)
from graysplit.core.replica.lazy_splits import Judgements, ReadableSplits, UnreadableSplits
from graysplit.core.replica.record import Load
from graysplit.core.split_state import Snapshot, SplitState, stops_by_split
from graysplit.core.weights import Weight, check_name, type_weight
from graysplit.errors import BadDefinitionError, ConfigurationError, UnknownVersionError, nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_TOMBSTONE: Final = "tombstone"
_WAS: Final = "was"  # in a tombstone: the baseline of the record that was deleted
_FIELDS: Final = (*Definition._fields, *Version._fields)


@cache
def parser() -> TypeAdapter[Definition]:
    """Return the parser of definitions, built once per process."""
    return TypeAdapter(Annotated[Definition, OBJECT])


def parse_definition(split: str, raw: bytes) -> Definition | None:
    """Read a definition; None for a tombstone, `BadDefinitionError` with field and reason for anything wrong.

    A field that this library does not know is refused: deciding without it would differ from the processes that do.
    """
    try:
        definition = parser().validate_json(raw)
    except ValidationError as fault:
        if _is_tombstone(raw):
            return None
        first = fault.errors(include_url=False, include_input=False, include_context=False)[0]
        raise BadDefinitionError(split, _path(first["loc"]), _reason(first)) from None
    try:
        _STRICT.decode(raw.decode())
    except BadDefinitionError as fault:
        raise BadDefinitionError(split, fault.field, fault.reason) from None
    check_definition(split, definition)
    return definition


def dump_definition(definition: Definition) -> str:
    """Write a definition as it stands in the store: one line of JSON, its keys in the record's order."""
    record: dict[str, Any] = definition._asdict()  # Any: JSON
    record["versions"] = [
        {key: value for key, value in version._asdict().items() if value is not None} for version in definition.versions
    ]
    unsaid = Definition._field_defaults
    kept = {key: value for key, value in record.items() if key not in unsaid or value != unsaid[key]}
    return json.dumps(kept, ensure_ascii=False)


def without_units(split: str, raw: bytes) -> str:
    """Return a definition without pins and denials, for where no unit may be told; "" for what is none."""
    try:
        definition = parse_definition(split, raw)
    except BadDefinitionError:
        return ""
    return "" if definition is None else dump_definition(definition._replace(pins={}, denied=()))


def tombstone(change_id: str, was: str | None = None) -> str:
    """Write what stands in the place of a deleted split: its name is free, and its absence no accident.

    `was` is the baseline of its last record, where that could be read.
    """
    return json.dumps({_TOMBSTONE: change_id} | ({_WAS: was} if was else {}))


def buried_baseline(raw: bytes) -> str | None:
    """Return the baseline that a tombstone remembers, or None."""
    was = json.loads(raw).get(_WAS) if _is_tombstone(raw) else None
    return was if isinstance(was, str) else None


def read_held(load: Load) -> Adopted:
    """Read everything a store holds, as a process would that starts now."""
    held, changed = _noted(load)
    return adopt_definitions(held, (judge_definition(name, raw, parse_definition) for name, raw in changed.items()))


def _noted(load: Load) -> tuple[Adopted, Mapping[str, bytes]]:
    """Return what a store holds but for its definitions, and those, which nobody has judged yet."""
    held, _ = adopt_brakes(Adopted(), load)
    changed = changed_definitions(held, load)
    return note_definitions(held, load), {name: raw for name, raw in changed.items() if raw is not None}


def read_snapshot(load: Load, only: Collection[str] | None = None) -> tuple[Snapshot, dict[str, str]]:
    """Read all splits, or those named, as values; return also the reason for each that cannot be read."""
    if only is not None:
        wanted = {name.encode() for name in only} | {b"_"}
        fields = {name: raw for name, raw in load.splits.fields.items() if name in wanted}
        load = load._replace(splits=load.splits._replace(fields=fields))
    snapshot, unread, _ = read_whole(load)
    return snapshot, dict(unread)


def read_whole(load: Load, parse: Parse = parse_definition) -> tuple[Snapshot, Mapping[str, str], Adopted]:
    """Read all splits as values, the reason for each that cannot be read, and everything that the store holds.

    A definition is parsed when its split is first asked for: what is held has them as they stand, good or bad.
    """
    found, raws = _noted(load)
    held = found._replace(lapsed=lapsed(found.leases, found.weights, load.now_ms))
    touching = stops_by_split(held.stops)

    def judge(split: str, raw: bytes) -> SplitState | str | None:
        one = judge_definition(split, raw, parse)
        if one.definition is None:
            return one.reason
        return state_of(held, split, one.definition)._replace(stops=touching(split))

    judgements = Judgements(raws, judge)
    releases = ReleaseIds(load.meta.fields)
    snapshot = Snapshot(ReadableSplits(judgements), held.stops, releases, held.revision)
    return snapshot, UnreadableSplits(judgements), found._replace(definitions=raws)


def parse_but(held: Adopted, splits: Mapping[str, SplitState]) -> Parse:
    """Return a parser that takes a definition as it was read before where its bytes are still the same."""
    known = splits.so_far() if isinstance(splits, ReadableSplits) else splits

    def parse(split: str, raw: bytes) -> Definition | None:
        same = split in known and held.definitions.get(split) == raw
        return known[split].definition if same else parse_definition(split, raw)

    return parse


def read_bootstrap(path: Path) -> Adopted:
    """Read a file to start from where nothing else is known, JSON or (`.toml`) TOML; raises `ConfigurationError`.

    `{"splits": {"checkout": {"versions": ["old", "new"], "weights": {"new": 20}}}}`; `salt` may be given as well.
    """
    try:
        content = path.read_bytes()
        decoded = tomllib.loads(content.decode()) if path.suffix == ".toml" else json.loads(content)
        return _bootstrapped(decoded["splits"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, UnknownVersionError) as fault:
        raise ConfigurationError(
            f"the bootstrap file {path.name} cannot be used: {type(fault).__name__}: {fault}. It should look like "
            '{"splits": {"checkout": {"versions": ["old", "new"], "weights": {"new": 20}}}}'
        ) from None


def _bootstrapped(splits: dict[str, dict[str, Any]]) -> Adopted:  # Any: JSON, judged by whoever takes it
    weights: dict[str, Weight] = {}
    definitions: dict[str, bytes] = {}
    for split, record in splits.items():
        definition = define(check_name(split), record["versions"], salt=record.get("salt"))
        definitions[split] = dump_definition(definition).encode()
        for version, weight in record.get("weights", {}).items():
            found = candidate(split, definition, version)
            weights[field_of(split, found.name)] = type_weight(str(weight))
    return Adopted(weights=weights, definitions=definitions, seen={"weights": {}, "stops": {}, "splits": {}})


def _is_tombstone(raw: bytes) -> bool:
    try:
        decoded = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    said = cast("dict[str, object]", decoded) if isinstance(decoded, dict) else {}
    # With a field of a definition beside it, it is neither: nobody is deleted in doubt.
    return isinstance(said.get(_TOMBSTONE), str) and not said.keys() & set(Definition._fields)


def _check_keys(pairs: list[tuple[str, Any]]) -> None:  # Any: JSON
    """Refuse a key that stands twice in one object, of which pydantic takes the last; what is pinned is not named."""
    names = {name for name, _ in pairs}
    if len(names) != len(pairs):
        written = [name for name, _ in pairs]
        twice = next((name for name in _FIELDS if written.count(name) > 1), "pins")
        raise BadDefinitionError("", twice, "duplicate name")


def _check_number(text: str) -> float:
    """Refuse what is not a number in JSON, or none that a float can be: it could not be written again."""
    if isfinite(float(text)):
        return 0.0
    raise BadDefinitionError("", "", "NaN and infinity are not allowed")


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_check_keys, parse_float=_check_number, parse_constant=_check_number
)


def _reason(fault: ErrorDetails) -> str:
    """Return what is wrong with a field, in plain words; of an unknown one the known name that is nearest."""
    kind, words, where = fault["type"], fault["msg"].removeprefix("Value error, "), fault["loc"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        near = nearest(str(where[-1])[:100], Version._fields if len(where) > 1 else Definition._fields)
        return f"unknown field{f', did you mean {near!r}?' if near else ''}"
    if kind == "json_invalid":
        return f"not valid JSON: {words.removeprefix('Invalid JSON: ')}"
    return words.replace("Input should be", "expected", 1)


def _path(location: tuple[int | str, ...]) -> str:
    """Return a field's path; what stands below `pins` is a unit and is not named, and no name is long."""
    parts = [str(part)[:100] for part in location]
    if "pins" in parts:
        parts = parts[: parts.index("pins") + 1]
    return ".".join(parts)
