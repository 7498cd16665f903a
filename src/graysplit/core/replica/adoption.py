"""What of a reading is adopted: each key, each field and each split judged alone (laws 4, 8 and 9).

Weights and stops are adopted first, before any definition is looked at, so that a rollback never waits behind
parsing. Nothing is changed in place: each step gives a new `Adopted`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias, TypeVar

from graysplit.core.address import EVERYTHING, field_of, split_of, stops_touching
from graysplit.core.definition import Definition
from graysplit.core.in_force import wanted
from graysplit.core.lease import PREFIX, Lease, parse_lease
from graysplit.core.limits import NAME_AT_MOST, RECORD, escaped, is_too_long, shown
from graysplit.core.releases import PREFIX as RELEASE
from graysplit.core.releases import ReleaseIds, ReleaseTimes
from graysplit.core.replica.adopted import Adopted, Tripped
from graysplit.core.replica.record import SENTINEL, Breathe, Key, Load, nothing, paced
from graysplit.core.split_state import SplitState
from graysplit.core.waves import PREFIX as WAVE
from graysplit.core.waves import Wave, parse_wave
from graysplit.core.weights import Weight, parse_weight, rises
from graysplit.errors import BadDefinitionError, BadWeightError

# Caps before parsing: one huge value is a single C call that holds the interpreter.
MAX_DEFINITION: Final = RECORD
MAX_WEIGHT: Final = 32
MAX_STOP: Final = 10_000  # bytes that are kept of what a stop says; its presence alone counts
MAX_REASON: Final = 300  # what is told of a refusal, in logs and receipts too: a fault may quote what it found

_NOTHING: Final[Mapping[bytes, bytes]] = {}

Refused: TypeAlias = Mapping[tuple[str, str], str]  # (key, field) to the reason
F = TypeVar("F")
Parse: TypeAlias = Callable[[str, bytes], "Definition | None"]  # None: a tombstone


def text(raw: bytes) -> str:
    """Return raw bytes as text; what is not UTF-8 is escaped."""
    return raw.decode("utf-8", errors="backslashreplace")


def name_of(raw: bytes) -> str:
    """Return the name of a field as it may be shown; every name that graysplit takes stays what it is."""
    return shown(text(raw), NAME_AT_MOST)


def adopt_brakes(held: Adopted, load: Load, breathe: Breathe = nothing) -> tuple[Adopted, frozenset[str]]:
    """Adopt weights, stops and the revision; return also the splits whose state they change."""
    weights, refused = _weights(held, load.weights, breathe)
    news = _news(held, load.meta)
    releases, begun = _releases(held, load.meta, news)
    tripped = {
        field: trip for field, trip in held.tripped.items() if (begun.get(field) or trip.release) == trip.release
    }
    stops = _tripped(held, _stops(held, load.stops), tripped)
    leases = _leases(held, load.meta, news)
    waves, unread = _waves(held, load.meta, news)
    # A lease that is over stays so while its weight stands; any other weight has voided it.
    over = {field: weight for field, weight in held.lapsed.items() if _stands(leases.get(field), weights.get(field))}
    changed = differing(held.weights, weights) | differing(held.stops, stops) | differing(held.lapsed, over)
    changed |= {field for field in (*held.waves, *waves) if held.waves.get(field) != waves.get(field)}
    touched = frozenset(map(split_of, changed))
    if EVERYTHING in touched:
        touched |= frozenset(held.definitions)
    kept = {at: reason for at, reason in held.refused.items() if at[0] == "splits" and at[1] != EVERYTHING}
    kept |= {(key, EVERYTHING): reason for key, reason in load.excess.items()}
    adopted = held._replace(
        weights=weights,
        stops=stops,
        refused={**kept, **refused, **unread},
        lost=lost_keys(load),
        releases=releases,
        begun=begun,
        tripped=tripped,
        since=_since(
            held, load, frozenset(map(split_of, differing(held.weights, weights) | differing(held.stops, stops)))
        ),
        leases=leases,
        lapsed=over,
        planned=_planned(held, load.meta, news),
        waves=waves,
        revision=_number(load.meta.fields.get(b"revision")) or held.revision,
        seen={**held.seen, "weights": load.weights.fields, "stops": load.stops.fields, "meta": load.meta.fields},
    )
    return adopted, touched


def lowered(
    held: Adopted, weights: Mapping[bytes, bytes], stops: Mapping[bytes, bytes]
) -> tuple[Adopted, frozenset[str]]:
    """Adopt of some fields what lowers, and nothing else (law 6); return also the fields of what was lowered.

    They count as seen, so that the next reading is compared with them.
    """
    added = {name_of(field): text(raw[:MAX_STOP]) for field, raw in stops.items()}
    added = {field: words for field, words in added.items() if field not in held.stops}
    fallen: dict[str, Weight] = {}
    for field, raw in weights.items():
        weight = _if_good(raw)
        if weight is not None and _falls(held, name_of(field), weight):
            fallen[name_of(field)] = weight
    if not added and not fallen:
        return held, frozenset()
    new_weights = {field: raw for field, raw in weights.items() if name_of(field) in fallen}
    new_stops = {field: raw for field, raw in stops.items() if name_of(field) in added}
    found = held._replace(
        weights={**held.weights, **fallen},
        stops={**held.stops, **added},
        lapsed={field: weight for field, weight in held.lapsed.items() if field not in fallen},
        capped={field: capped for field, capped in held.capped.items() if field not in fallen},
        seen={
            **held.seen,
            "weights": {**held.seen.get("weights", _NOTHING), **new_weights},
            "stops": {**held.seen.get("stops", _NOTHING), **new_stops},
        },
    )
    return found, frozenset((*added, *fallen))


def _if_good(raw: bytes) -> Weight | None:
    try:
        return _weight(raw)
    except BadWeightError:
        return None


def _falls(held: Adopted, field: str, weight: Weight) -> bool:
    stands = held.lapsed.get(field, held.weights.get(field, 0))
    return weight != stands and not rises(stands, weight)


class JudgedDefinition(NamedTuple):
    """What one changed definition came to: good (definition and bytes), deleted (neither), or refused (a reason)."""

    split: str
    definition: Definition | None = None
    raw: bytes | None = None
    reason: str | None = None


def changed_definitions(held: Adopted, load: Load, breathe: Breathe = nothing) -> dict[str, bytes | None]:
    """Return the definitions that a reading changes, as bytes; None where one is gone without a tombstone."""
    if load.splits.lost is not None:
        return {}
    before, fields = held.seen.get("splits", _NOTHING), load.splits.fields
    if before == fields:
        return {}
    changed: dict[str, bytes | None] = {}
    if load.whole and not load.excess:  # at first all that is held counts as seen: it came from a file, or over a fork
        known = before.keys() or {name.encode() for name in held.definitions}
        changed |= dict.fromkeys(map(name_of, known - fields.keys()))
    for name, raw in paced(fields.items(), breathe):
        if name != SENTINEL and before.get(name) != raw:
            changed[name_of(name)] = raw
    return changed


def judge_definition(split: str, raw: bytes | None, parse: Parse) -> JudgedDefinition:
    """Judge one changed definition: nothing else is touched by what is wrong with it."""
    if raw is None:
        return JudgedDefinition(split, reason="deleted without a record; keeping the last definition")
    try:
        definition = _parsed(parse, split, raw)
    except BadDefinitionError as fault:
        return JudgedDefinition(split, reason=shown(str(fault), MAX_REASON))
    except Exception as fault:  # noqa: BLE001 - law 9: whatever a value does to a parser, it does to that split alone
        return JudgedDefinition(split, reason=shown(f"split '{split}': cannot be read ({type(fault).__name__})"))
    return JudgedDefinition(split, definition, raw if definition else None)


def adopt_definitions(held: Adopted, judged: Iterable[JudgedDefinition]) -> Adopted:
    """Adopt what was found of definitions; each refusal leaves the last good one in force."""
    definitions, refused = dict(held.definitions), dict(held.refused)
    for one in judged:
        refused.pop(("splits", one.split), None)
        if one.reason is not None:
            refused["splits", one.split] = one.reason
        elif one.raw is not None:
            definitions[one.split] = one.raw
        else:
            definitions.pop(one.split, None)
    return held._replace(definitions=definitions, refused=refused)


def note_definitions(held: Adopted, load: Load) -> Adopted:
    """Take note of which definitions have been looked at, good or bad."""
    if load.splits.lost is not None:
        return held
    seen = held.seen.get("splits", _NOTHING)
    fields = load.splits.fields if load.whole and not load.excess else {**seen, **load.splits.fields}
    return held._replace(seen={**held.seen, "splits": fields})


def state_of(held: Adopted, split: str, definition: Definition) -> SplitState:
    """Return a split's state from what is held."""
    fields = {version.name: field_of(split, version.name) for version in definition.candidates}
    said = ((name, field) for name, field in fields.items() if field in held.weights or field in held.lapsed)
    weights: dict[str, Weight] = {
        name: wanted(field, definition.baseline, held.weights, held.lapsed).weight for name, field in said
    }
    touching = stops_touching(split, definition.names)
    stops = {stop: held.stops[stop] for stop in touching if stop in held.stops}
    split_state = SplitState(split, definition, weights, stops)
    if definition.by == "unit":
        return split_state
    return split_state._replace(waves={v: held.waves[field] for v, field in fields.items() if field in held.waves})


def unknown_fields(held: Adopted, known: Mapping[str, Collection[str]]) -> list[str]:
    """List the fields of weights and stops that name no split or candidate: mistyped, most likely."""
    fields = (field for field in (*held.weights, *held.stops) if field != EVERYTHING)
    return sorted({field for field in fields if not _is_known(field, known)})


def differing(before: Mapping[F, object], after: Mapping[F, object]) -> set[F]:
    """Return the fields whose value differs between two mappings."""
    return set() if before is after else {field for field, _ in before.items() ^ after.items()}


def _is_known(field: str, known: Mapping[str, Collection[str]]) -> bool:
    split, slash, version = field.partition("/")
    return split in known and (not slash or version in known[split])


def _weights(held: Adopted, key: Key, breathe: Breathe) -> tuple[Mapping[str, Weight], Refused]:
    # What a lost key held is not known to be in force, so that nothing counts as unchanged after it.
    before = held.seen.get("weights", _NOTHING) if "weights" not in held.lost else _NOTHING
    refused = {at: reason for at, reason in held.refused.items() if at[0] == "weights"}
    if key.lost is None and key.fields == before:
        return held.weights, refused
    weights, lost = dict(held.weights), key.lost is not None
    edited = [item for item in key.fields.items() if lost or before.get(item[0]) != item[1]]
    for raw_field, raw in paced(edited, breathe):
        if raw_field == SENTINEL:
            continue
        field = name_of(raw_field)
        refused.pop(("weights", field), None)
        try:
            weight = _weight(raw)
        except BadWeightError as fault:
            refused["weights", field] = str(fault)
            continue
        # Law 6: what lowers is obeyed even in a key that counts as lost.
        if not lost or not rises(weights.get(field, 0), weight):
            weights[field] = weight
    added = sum(name not in before for name, _ in edited)
    if not lost and not (before and len(before) + added == len(key.fields)):
        for field in _gone(before, key.fields) if before else _never_there(weights, refused, key.fields):
            weights.pop(field, None)
            refused.pop(("weights", field), None)
    return weights, refused


def _gone(before: Mapping[bytes, bytes], now: Mapping[bytes, bytes]) -> Iterable[str]:
    return [name_of(raw_field) for raw_field in before.keys() - now.keys()]


def _never_there(weights: Mapping[str, Weight], refused: Refused, now: Mapping[bytes, bytes]) -> Iterable[str]:
    """List what is held of fields that the first sound reading after a lost one does not have."""
    return {*weights, *(field for _, field in refused)} - {name_of(raw_field) for raw_field in now}


def _weight(raw: bytes) -> Weight:
    if len(raw) > MAX_WEIGHT:
        raise BadWeightError(text(raw) if is_too_long(raw) else escaped(text(raw[:MAX_WEIGHT])) + "...")
    try:
        return parse_weight(raw.decode("ascii"))
    except UnicodeDecodeError:
        raise BadWeightError(escaped(text(raw))) from None


def _stops(held: Adopted, key: Key) -> Mapping[str, str]:
    """Presence counts, whatever the value; a lost key adds stops and clears none."""
    if key.lost is None and key.fields == held.seen.get("stops"):
        return held.stops
    read = {name_of(field): text(raw[:MAX_STOP]) for field, raw in key.fields.items() if field != SENTINEL}
    return read if key.lost is None else {**held.stops, **read}


def _parsed(parse: Parse, name: str, raw: bytes) -> Definition | None:
    if len(raw) > MAX_DEFINITION:
        raise BadDefinitionError(name, "", f"{len(raw)} bytes are more than the {MAX_DEFINITION} allowed")
    if is_too_long(raw):
        raise BadDefinitionError(name, "", text(raw))
    return parse(name, raw)


def lost_keys(load: Load) -> dict[str, str]:
    """Return the keys that do not count as an answer, each with the reason."""
    keys = {"weights": load.weights, "stops": load.stops, "splits": load.splits, "meta": load.meta}
    return {name: key.lost for name, key in keys.items() if key.lost is not None}


def _tripped(held: Adopted, stops: Mapping[str, str], tripped: Mapping[str, Tripped]) -> Mapping[str, str]:
    """Lay what this process has stopped by itself over the store's stops: they end with their releases alone."""
    own = {field: trip.text for field, trip in tripped.items() if field not in stops}
    return {**stops, **own} if own else _without_ended(held, stops, tripped)


def _without_ended(held: Adopted, stops: Mapping[str, str], tripped: Mapping[str, Tripped]) -> Mapping[str, str]:
    """Take away the own stops whose release is over, where the store's stops were not read anew."""
    over = {f for f, trip in held.tripped.items() if f not in tripped and stops.get(f) == trip.text}
    return {field: words for field, words in stops.items() if field not in over} if over else stops


def _since(held: Adopted, load: Load, changed: Collection[str]) -> Mapping[str, int]:
    """Note with which change each split's weights or stops were last seen to change, also where they came back."""
    found = dict.fromkeys(changed, _number(load.meta.fields.get(b"revision")) or held.revision)
    for entry in load.entries:
        written = {split_of(at.partition(" ")[2]) for at in entry.after if at.startswith(("weights ", "stops "))}
        # A change of many splits is one of those that it has written, and of no other.
        for split in written if entry.split == EVERYTHING else {entry.split} if written else ():
            found[split] = max(entry.revision, found.get(split, 0))
    known, now = held.seen.get("splits", _NOTHING), load.splits.fields
    kept = {split: revision for split, revision in found.items() if split == EVERYTHING or _is_in(split, known, now)}
    return {**held.since, **kept} if kept else held.since


def _is_in(split: str, *fields: Mapping[bytes, bytes]) -> bool:
    """Return whether the store has a definition of a split; of others anybody may name any number."""
    name = split.encode()
    return any(name in each for each in fields)


def _news(held: Adopted, meta: Key) -> frozenset[bytes] | None:
    """Name the fields of `meta` that changed or are gone; None where nothing is known of before: all may have."""
    before = held.seen.get("meta", _NOTHING)
    if meta.lost is not None or meta.fields == before:
        return frozenset()
    if not before or "meta" in held.lost:
        return None
    changed = [name for name, raw in meta.fields.items() if before.get(name) != raw]
    added = sum(name not in before for name in changed)
    gone = before.keys() - meta.fields.keys() if len(before) + added > len(meta.fields) else ()
    return frozenset((*changed, *gone))


def _stand(news: frozenset[bytes] | None, prefix: bytes) -> bool:
    """Return whether no field of `meta` that begins so has changed."""
    return news is not None and not any(name.startswith(prefix) for name in news)


def _releases(held: Adopted, meta: Key, news: frozenset[bytes] | None) -> tuple[Mapping[str, int], Mapping[str, str]]:
    """Return when each candidate's release began, and its id; a lost `meta` keeps what is known."""
    if meta.lost is not None:
        return held.releases, held.begun
    before = held.begun if _stand(news, RELEASE) else None
    return ReleaseTimes(meta.fields), ReleaseIds(meta.fields, before)


def _leases(held: Adopted, meta: Key, news: frozenset[bytes] | None) -> Mapping[str, Lease]:
    """Read the leases; a lost `meta` keeps what is known, and what is not a lease is none."""
    if _stand(news, PREFIX.encode()):
        return held.leases
    texts = {name_of(name): text(raw) for name, raw in meta.fields.items() if name.startswith(PREFIX.encode())}
    leases = {name.removeprefix(PREFIX): parse_lease(words) for name, words in texts.items()}
    return {field: lease for field, lease in leases.items() if lease is not None}


def _planned(held: Adopted, meta: Key, news: frozenset[bytes] | None) -> Mapping[str, str]:
    """Read which plans run; a lost `meta` keeps what is known."""
    prefix = b"plan:"
    if _stand(news, prefix):
        return held.planned
    return {
        name_of(name.removeprefix(prefix)): name_of(raw) for name, raw in meta.fields.items() if name.startswith(prefix)
    }


def _waves(held: Adopted, meta: Key, news: frozenset[bytes] | None) -> tuple[Mapping[str, Wave], Refused]:
    """Read the waves; a lost `meta` keeps what is known, and one that is lost alone has sent nobody across."""
    refused = {at: reason for at, reason in held.refused.items() if at[0] == "meta"}
    if _stand(news, WAVE.encode()):
        return held.waves, refused
    before, waves = held.seen.get("meta", _NOTHING), dict[str, Wave]()
    refused.clear()
    for name, raw in meta.fields.items():
        if not name.startswith(WAVE.encode()):
            continue
        field = name_of(name.removeprefix(WAVE.encode()))
        known = held.waves.get(field)
        wave = known if known is not None and before.get(name) == raw else parse_wave(text(raw))
        if wave is None:
            refused["meta", WAVE + field] = f"invalid wave of instances '{shown(text(raw), MAX_WEIGHT)}'"
        if (found := wave or known) is not None:
            waves[field] = found
    # What did not change is the same object, so that comparing it costs nothing.
    return (held.waves if waves == held.waves else waves), refused


def _stands(lease: Lease | None, weight: Weight | None) -> bool:
    return lease is not None and lease.at == weight


def _number(raw: bytes | None) -> int:
    try:
        return int(raw or b"0")
    except ValueError:
        return 0
