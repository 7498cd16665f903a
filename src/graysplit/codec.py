"""Definitions and snapshots out of a store's bytes, and back: the one place that knows pydantic.

pydantic reads JSON straight into the core's tuples, so that there is one definition of each record. Build the
parser in the thread that starts something (`parser()`, about 100 ms once), never on a decision.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import TypeAdapter, ValidationError

from graysplit.core.adoption import (
    Held,
    adopt_brakes,
    adopt_definitions,
    changed_definitions,
    judge_definition,
    note_definitions,
    standing_of,
    text,
)
from graysplit.core.definition import OBJECT, Definition, candidate, check_definition, define
from graysplit.core.lease import lapsed
from graysplit.core.record import Load
from graysplit.core.snapshot import Snapshot, Standing
from graysplit.core.weights import Weight, check_name, field_of, type_weight
from graysplit.errors import BadDefinitionError, ConfigurationError, UnknownVersionError

_TOMBSTONE: Final = "tombstone"


@cache
def parser() -> TypeAdapter[Definition]:
    """Give the parser of definitions, built once per process."""
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
        raise BadDefinitionError(split, _path(first["loc"]), first["msg"]) from None
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


def tombstone(change_id: str) -> str:
    """Write what stands in the place of a deleted split: its name is free, and its absence no accident."""
    return json.dumps({_TOMBSTONE: change_id})


def read_held(load: Load) -> Held:
    """Read everything a store holds, as a process would that starts now."""
    held, _ = adopt_brakes(Held(), load)
    changed = changed_definitions(held, load)
    held = note_definitions(held, load)
    return adopt_definitions(held, (judge_definition(name, raw, parse_definition) for name, raw in changed.items()))


def read_snapshot(load: Load, only: Collection[str] | None = None) -> tuple[Snapshot, dict[str, str]]:
    """Read all splits, or those named, as values; give also the reason for each that cannot be read."""
    if only is not None:
        wanted = {name.encode() for name in only} | {b"_"}
        fields = {name: raw for name, raw in load.splits.fields.items() if name in wanted}
        load = load._replace(splits=load.splits._replace(fields=fields))
    held = read_held(load)
    held = held._replace(lapsed=lapsed(held.leases, held.weights, load.now_ms))
    splits: dict[str, Standing] = {}
    for name, raw in held.definitions.items():
        definition = parse_definition(name, raw)
        if definition is not None:
            splits[name] = standing_of(held, name, definition)
    releases = {
        text(field).removeprefix("release:"): text(value).partition(" ")[0]
        for field, value in load.meta.fields.items()
        if field.startswith(b"release:")
    }
    unread = {split: reason for (key, split), reason in held.refused.items() if key == "splits"}
    return Snapshot(splits, held.stops, releases, held.revision), unread


def read_bootstrap(path: Path) -> Held:
    """Read a file to start from where nothing else is known, JSON or (`.toml`) TOML; raises `ConfigurationError`.

    `{"splits": {"checkout": {"versions": ["old", "new"], "weights": {"new": 20}}}}`; `salt` may be given as well.
    """
    try:
        content = path.read_bytes()
        found = tomllib.loads(content.decode()) if path.suffix == ".toml" else json.loads(content)
        return _bootstrapped(found["splits"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, UnknownVersionError) as fault:
        raise ConfigurationError(
            f"the bootstrap file {path.name} cannot be used: {type(fault).__name__}: {fault}. It should look like "
            '{"splits": {"checkout": {"versions": ["old", "new"], "weights": {"new": 20}}}}'
        ) from None


def _bootstrapped(splits: dict[str, dict[str, Any]]) -> Held:  # Any: JSON, judged by whoever takes it
    weights: dict[str, Weight] = {}
    definitions: dict[str, bytes] = {}
    for split, record in splits.items():
        definition = define(check_name(split), record["versions"], salt=record.get("salt"))
        definitions[split] = dump_definition(definition).encode()
        for version, weight in record.get("weights", {}).items():
            found = candidate(split, definition, version)
            weights[field_of(split, found.name)] = type_weight(str(weight))
    return Held(weights=weights, definitions=definitions, seen={"weights": {}, "stops": {}, "splits": {}})


def _is_tombstone(raw: bytes) -> bool:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and _TOMBSTONE in found


def _path(location: tuple[int | str, ...]) -> str:
    """Give a field's path; what stands below `pins` is a unit and is not named."""
    parts = [str(part) for part in location]
    if "pins" in parts:
        parts = parts[: parts.index("pins") + 1]
    return ".".join(parts)
