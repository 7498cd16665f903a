"""Never backwards (law 7): whether the store's log is still the one a process knows, and what counts if not.

A process asks whether the last change it applied is still in the log, by the change's random id: numbers repeat
after a failover, and two servers can issue the same log position. While it is, the store's word counts, up and
down. If not, the log has forked, and a *fence* stands: a raise counts only where an entry newer than the common
ancestor explains it; what lowers is adopted from any source, always. Where the two logs share no entry at all (the
store was emptied, and somebody else began it anew), what is absent and named by no entry is *untold*, not zero: it
stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from graysplit.core.address import split_of, stops_over
from graysplit.core.definition import Definition
from graysplit.core.entry import Entry
from graysplit.core.lease import PREFIX as LEASE
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import Parse, judge_definition, name_of, text
from graysplit.core.replica.record import SENTINEL, Key, Load
from graysplit.core.waves import PREFIX as WAVE
from graysplit.core.waves import format_wave
from graysplit.core.weights import Weight, format_weight, parse_weight, rises
from graysplit.errors import BadWeightError

# Beyond so many digits neither Lua nor JSON counts exactly, and a hand has written it.
REVISION_DIGITS: Final = 15
# Change ids a process remembers, to find the ancestor that it shares with another log.
REMEMBERED: Final = 1_000

# In the text of a stop set by graysplit: the server's time. One set by hand has any text, or none.
_STOPPED_AT: Final = re.compile(r'"at": ?([0-9]{1,15})\b')


class Past(NamedTuple):
    """What a process knows of the log it follows."""

    position: str = ""  # of the last entry read; "" before the first
    recent: tuple[str, ...] = ()  # the last change ids applied, oldest first
    lineage: str = ""  # the namespace's random id
    explained: frozenset[str] | None = None  # while a fence stands: what newer entries name ("weights checkout/new")
    read_ms: int = 0  # the server's time of the last reading
    fork_ms: int = 0  # while a fence stands: the time of the last entry read before it
    untold: frozenset[str] = frozenset()  # what stands because a log that shares no entry says nothing of it
    highest: int = 0  # the highest revision ever followed

    @property
    def change(self) -> str:
        """The id of the last change applied, or ""."""
        return self.recent[-1] if self.recent else ""

    @property
    def fenced(self) -> bool:
        """Return whether a fence stands."""
        return self.explained is not None


class Fenced(NamedTuple):
    """A reading behind the fence: what may be believed of it, and what is held instead of the store's word."""

    load: Load
    back: Mapping[str, str]  # "weights checkout/new" to what the store says and is not believed
    zeros: Mapping[str, int]  # known to stand at zero here, to be written back as stops; when that was known


def forked(past: Past, load: Load) -> bool:
    """Return whether the last change applied is no longer where this process read it.

    Where it has read none, another lineage says as much.
    """
    if past.change == "":
        return past.lineage != "" and lineage_in(load) not in {"", past.lineage}
    return past.change != load.anchor


def followed(past: Past, load: Load) -> Past:
    """Go on in the same log."""
    explained = past.explained
    if explained is not None:
        explained |= named_by(load.entries)
    return _after(past, load, explained)._replace(untold=_still_untold(past.untold, load))


def crossed(past: Past, load: Load, held: Adopted = Adopted()) -> Past:
    """Go over to a log that has forked: `load` brings its newest entries, to look for the ancestor in.

    The logs may have gone on side by side: an entry outweighs a stop only if it is younger than the last one read here,
    and in doubt, at the same millisecond, it is not (law 6).
    """
    newer = newer_than_ancestor(past, load)
    youngest = named_by(entry for entry in newer if entry.at_ms > _last_ms(past))
    explained = frozenset(where for where in named_by(newer) if where in youngest or not _stopped(held, where))
    untold = _still_untold(_untold(past, load, held), load)
    return _after(past, load, explained)._replace(fork_ms=_last_ms(past), untold=untold)


def _untold(past: Past, load: Load, held: Adopted) -> Iterable[str]:
    """Name what a log may say nothing of: all that is held, where it shares no entry with what is known here.

    A stop is named by each candidate that it holds, so that it holds nothing that a person has begun since.
    """
    lineage = lineage_in(load)
    if ancestor(past, load) is not None:
        return past.untold if lineage in {"", past.lineage} else ()  # another: the log of before is back
    if goes_on(past, load, held):
        return past.untold
    stopped = (field for field in held.weights if not held.stops.keys().isdisjoint(stops_over(field)))
    names = {"weights": held.weights, "stops": stopped, "splits": held.definitions}
    return {f"{key} {field}" for key, fields in names.items() for field in fields}


def goes_on(past: Past, load: Load, held: Adopted) -> bool:
    """Return whether a log is this one, and only its older entries are gone: within a lineage numbers order."""
    later = lineage_in(load) == past.lineage != "" and revision_in(load) >= held.revision
    return later and not any(0 < entry.revision <= held.revision for entry in load.entries)


def revision_in(load: Load) -> int:
    """Return the revision that a reading stands at; 0 where it says none, or one that only a hand can have written."""
    raw = load.meta.fields.get(b"revision", b"")
    return int(raw) if raw.isdigit() and len(raw) < REVISION_DIGITS else 0


def lineage_in(load: Load) -> str:
    """Return the lineage that a reading tells; "" where `meta` is lost."""
    return text(load.meta.fields.get(b"lineage", b"")) if load.meta.lost is None else ""


def _still_untold(places: Iterable[str], load: Load) -> frozenset[str]:
    """Leave out what the store holds by now, and what an entry has named: a weight, a stop, a definition's end."""
    if not places:
        return frozenset()
    named = named_by(load.entries)
    there = {f"{key} {name_of(raw)}" for key, found in _keys(load).items() for raw in found.fields}
    said = named | there
    begun = {split_of(where.partition(" ")[2]) for where in named if where.startswith("splits ")}

    def is_untold(place: str) -> bool:
        key, _, field = place.partition(" ")
        if key == "splits":
            return place not in said
        if f"weights {field}" in said or split_of(field) in begun:
            return False
        return key == "weights" or not any(f"stops {stop}" in said for stop in stops_over(field))

    return frozenset(filter(is_untold, places))


def _keys(load: Load) -> Mapping[str, Key]:
    return {"weights": load.weights, "stops": load.stops, "splits": load.splits}


def _last_ms(past: Past) -> int:
    return int(past.position.partition("-")[0] or 0)


def _stopped(held: Adopted, where: str) -> bool:
    return not held.stops.keys().isdisjoint(stops_over(where.partition(" ")[2]))


def ancestor(past: Past, load: Load) -> Entry | None:
    """Return the last entry that a log shares with what is known here; None where it is not among its newest."""
    known = frozenset(past.recent)
    return next((entry for entry in reversed(load.entries) if entry.id in known), None)


def newer_than_ancestor(past: Past, load: Load) -> Sequence[Entry]:
    """Return the entries that came after the last one both logs share.

    Where no ancestor is found the log was cut, is one of long ago, or was sown anew: what has come since the last entry
    read is newer, and nothing else. Of a log that another lineage kept beside this one nothing is: what was done there
    was not done to what this process holds.
    """
    shared = ancestor(past, load)
    if shared is not None:
        return load.entries[load.entries.index(shared) + 1 :]
    if _is_anothers(past, load):
        return ()
    return [entry for entry in load.entries if entry.at_ms > _last_ms(past)]


def _is_anothers(past: Past, load: Load) -> bool:
    """Return whether a log has another lineage, and was begun while this one could still be read.

    A lineage has the id of its first change, whatever its number: one that is sown again goes on counting.
    """
    lineage = text(load.meta.fields.get(b"lineage", b""))
    if not lineage or not past.lineage or lineage == past.lineage:
        return False
    first = next((entry for entry in load.entries if entry.id == lineage or entry.revision == 1), None)
    return first is None or first.at_ms <= max(past.read_ms, _last_ms(past))


def named_by(entries: Iterable[Entry]) -> frozenset[str]:
    """Return everything that entries explain: `weights checkout/new`, `stops checkout`, `splits checkout`."""
    return frozenset(where for entry in entries for where in entry.after)


def fence(  # noqa: PLR0913, PLR0917 - what a process knows, and what the store says
    held: Adopted,
    load: Load,
    explained: frozenset[str],
    parse: Parse,
    fork_ms: int = 0,
    untold: frozenset[str] = frozenset(),
) -> Fenced:
    """Put what is held in the place of raises that nothing explains: each weight the lower of the two.

    Absent counts as 0, preview stands only if on both sides; a stop that was lost holds what the store would let in
    under it, and a split whose baseline or versions differ keeps the held definition whole. Where the store's own
    stops cover a weight nothing need be held: it is zero for everybody. A stop that says no time counts as one of
    `fork_ms`, for it was known by then. What is `untold` is laid over what the store says as it is held.
    """
    back: dict[str, str] = {}
    risen = _open_fields(held, load, explained)
    weights = _lower_weights(held, load.weights, risen, back)
    stops = _lost_stops(held, load.stops, risen, explained, back)
    splits = _held_shapes(held, load.splits, explained, parse, back)
    zeros = _zeros(held, risen, explained, back, fork_ms)
    meta = _held_releases(held, load.meta, zeros)
    found = load._replace(weights=weights, stops=stops, splits=splits, meta=meta)
    return Fenced(_with_untold(held, found, untold, back), back, zeros)


def _with_untold(held: Adopted, load: Load, untold: frozenset[str], back: dict[str, str]) -> Load:
    """Lay what the store says nothing of over it; a zero is what absent means, and need not be told.

    Where the key itself is lost its last content stands anyhow, and nothing is kept against what the store says.
    """
    keys = _keys(load)
    added: dict[str, dict[bytes, bytes]] = {"weights": {}, "stops": {}, "splits": {}, "meta": {}}
    for place in untold:
        key, _, field = place.partition(" ")
        if key == "weights" and field in held.weights:
            added[key][field.encode()] = format_weight(held.weights[field]).encode()
            added["meta"] |= _release_of(held, field)
        elif key == "stops":
            words = next((held.stops[stop] for stop in stops_over(field) if stop in held.stops), None)
            added[key] |= {} if words is None else {field.encode(): words.encode()}
        elif key == "splits" and field in held.definitions:
            added[key][field.encode()] = held.definitions[field]
        stands = keys[key].lost is None and field.encode() in added[key]
        if stands and (key != "weights" or held.weights[field] != 0):
            back[place] = "absent"
    return load._replace(
        weights=_laid(load.weights, added["weights"]),
        stops=_laid(load.stops, added["stops"]),
        splits=_laid(load.splits, added["splits"]),
        meta=_laid(load.meta, added["meta"]),
    )


def _laid(key: Key, added: Mapping[bytes, bytes]) -> Key:
    """Lay fields over a key; of a lost one the last content stands anyhow."""
    return key._replace(fields={**key.fields, **added}) if added and key.lost is None else key


def _release_of(held: Adopted, field: str) -> dict[bytes, bytes]:
    """Return what `meta` said of a candidate: its release, its lease, the instances that have crossed."""
    texts: dict[str, str] = {}
    if field in held.begun:
        texts[f"release:{field}"] = f"{held.begun[field]} {held.releases.get(field, 0)}"
    if field in held.leases:
        texts[f"{LEASE}{field}"] = str(held.leases[field])
    if field in held.waves:
        texts[f"{WAVE}{field}"] = format_wave(held.waves[field])
    return {name.encode(): words.encode() for name, words in texts.items()}


def bare(held: Adopted, load: Load) -> Mapping[str, int]:
    """Return what nothing but a stop holds at zero, where the key of the stops is lost: to be written back as stops.

    Who is born now knows of no stop (law 8 keeps the last content, and there was none). Where the weights are lost as
    well, not even of a zero: its last content may come from an older file.
    """
    if load.stops.lost is None or not held.stops:
        return {}
    there = {name_of(field) for field in load.stops.fields}
    found: Iterable[str] = _open_fields(held, load, frozenset())
    if load.weights.lost is not None:
        found = (field for field in held.weights if there.isdisjoint(stops_over(field)))
    stopped = (field for field in found if not held.stops.keys().isdisjoint(stops_over(field)))
    return {field: _known_since(held, field, 0) for field in stopped}


def _open_fields(held: Adopted, load: Load, explained: frozenset[str]) -> Mapping[str, Weight]:
    """Return the weights above zero that no newer entry explains and no stop of the store covers.

    Of a lost key the last content stands.
    """
    stops = {name_of(field) for field in load.stops.fields}
    found: Mapping[str, Weight] = held.weights
    if load.weights.lost is None:
        named = ((name, raw) for name, raw in load.weights.fields.items() if name.isascii() and name != SENTINEL)
        found = {name_of(name): _weight(raw) for name, raw in named}
    return {
        field: weight
        for field, weight in found.items()
        if weight != 0 and f"weights {field}" not in explained and stops.isdisjoint(stops_over(field))
    }


def _zeros(
    held: Adopted, risen: Mapping[str, Weight], explained: frozenset[str], back: Mapping[str, str], fork_ms: int
) -> Mapping[str, int]:
    """Return what is known to stand at zero here and not in the store, with the time at which its release began.

    Not where the shape differs: under another baseline a zero says something else.
    """

    def stands_at_zero(field: str) -> bool:
        stopped = any(stop in held.stops and f"stops {stop}" not in explained for stop in stops_over(field))
        return stopped or held.weights.get(field, 0) == 0

    return {
        field: _known_since(held, field, fork_ms)
        for field in risen
        if stands_at_zero(field) and f"splits {split_of(field)}" not in back
    }


def _known_since(held: Adopted, field: str, untold_ms: int) -> int:
    """Return when a candidate's release began or a stop put an end to it: what began later is not stopped."""
    stops = (_STOPPED_AT.search(held.stops[stop]) for stop in stops_over(field) if stop in held.stops)
    return max(held.releases.get(field, 0), *(int(found[1]) if found else untold_ms for found in stops), 0)


def _held_releases(held: Adopted, key: Key, zeros: Iterable[str]) -> Key:
    """Keep the release that is known to stand at zero: the store's is not what was stopped, at the next reading too."""
    if key.lost is not None:
        return key
    fields, seen = dict(key.fields), held.seen.get("meta", {})
    for field in zeros:
        name = f"release:{field}".encode()
        fields[name] = seen.get(name, str(held.releases.get(field, 0)).encode())
    return key._replace(fields=fields)


def _after(past: Past, load: Load, explained: frozenset[str] | None) -> Past:
    return Past(
        load.position,
        (*past.recent, *(entry.id for entry in load.entries))[-REMEMBERED:],
        text(load.meta.fields.get(b"lineage", b"")) or past.lineage,
        explained,
        load.now_ms or past.read_ms,
        past.fork_ms,
        past.untold,
        max(past.highest, revision_in(load)),
    )


def _lower_weights(held: Adopted, key: Key, risen: Mapping[str, Weight], back: dict[str, str]) -> Key:
    fields = dict(key.fields)
    for field, weight in risen.items():
        known = held.weights.get(field, 0)
        if rises(known, weight):
            back[f"weights {field}"] = format_weight(weight)
            fields[field.encode()] = format_weight(known).encode()
    return key._replace(fields=fields)


def _weight(raw: bytes) -> Weight:
    try:
        return parse_weight(text(raw))
    except BadWeightError:
        return 0  # judged, and refused, where it is adopted


def _lost_stops(
    held: Adopted, key: Key, risen: Mapping[str, Weight], explained: frozenset[str], back: dict[str, str]
) -> Key:
    """Keep a stop that the store has lost, field by field, on what would rise without it."""
    if key.lost is not None:
        return key
    fields = dict(key.fields)
    for field in risen:
        for stop in stops_over(field):
            if stop in held.stops and f"stops {stop}" not in explained:
                back[f"stops {stop}"] = "cleared"
                fields[field.encode()] = held.stops[stop].encode()
    return key._replace(fields=fields)


def _held_shapes(held: Adopted, key: Key, explained: frozenset[str], parse: Parse, back: dict[str, str]) -> Key:
    if key.lost is not None:
        return key
    fields = dict(key.fields)
    for split, good in held.definitions.items():
        raw = fields.get(split.encode())
        if raw is None or raw == good or f"splits {split}" in explained:
            continue
        judged, known = judge_definition(split, raw, parse), judge_definition(split, good, parse)
        if judged.reason is not None or known.reason is not None:
            continue  # what cannot be read is refused where it is adopted: the last good one stands all the same
        if _shape(judged.definition) != _shape(known.definition):
            back[f"splits {split}"] = "another baseline or other versions"
            fields[split.encode()] = good
    return key._replace(fields=fields)


def _shape(definition: Definition | None) -> object:
    return definition and (definition.baseline, definition.versions, definition.seed)
