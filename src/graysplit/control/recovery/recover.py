"""After a store lost data: both sides of every field, and the change that writes the lower of the two.

A lost key is made whole from what the history knows of it, from what live processes run, and from a file. Every
field that a process holds against the store is named, so that each fence lifts (law 7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

from graysplit.codec import buried_baseline, dump_definition
from graysplit.control.freeze import check_thawed
from graysplit.control.reading import Reading
from graysplit.control.recovery.carried import Carried, Ground, carry
from graysplit.control.recovery.carried import guarded as protected_anywhere
from graysplit.control.recovery.definition_texts import is_bad, parsed, shape, with_units
from graysplit.control.recovery.recovery import RecoverRequest, Recovery, Sides
from graysplit.control.recovery.sources import Source, lowest
from graysplit.control.result import Result
from graysplit.core.address import EVERYTHING, field_of, split_of, stop_on, stops_over, version_of
from graysplit.core.definition import Definition
from graysplit.core.entry import Entry
from graysplit.core.freeze import FREEZES
from graysplit.core.lease import PREFIX, parse_lease
from graysplit.core.replica.record import SENTINEL
from graysplit.core.weights import FULL, Weight, format_weight, parse_weight, rises, total
from graysplit.errors import BadWeightError, RefusedError, UnknownSplitError
from graysplit.stores.port import Expect, KeyName, Write
from graysplit.stores.text.records import BRAKE, PLAN, exact, raw_of, stop_text
from graysplit.stores.text.splice import is_splice
from graysplit.stores.write_rules import HASHES

History: TypeAlias = Callable[[], Iterable[Entry]]
Moves: TypeAlias = Mapping[str, "tuple[Weight, Weight]"]  # by field: the weight in force before and after

# Beyond this many fields the change's own id confirms it: a receipt names only those changed last.
EXPECTED_AT_MOST: Final = 100
_SAID_AT_MOST: Final = 3


def recover(
    reading: Reading, fleet: Source, file: Source | None, history: History, request: RecoverRequest
) -> Recovery:
    """Return both sides, and the change that makes them one."""
    return _RecoveryWork(reading, fleet, file, history, request).recovery()


class _Left(NamedTuple):
    """Why nothing of a split is written."""

    why: str


class _RecoveryWork:
    """The sides of one recovery, worked out key by key: definitions, weights, stops, meta."""

    def __init__(
        self, reading: Reading, fleet: Source, file: Source | None, history: History, request: RecoverRequest
    ) -> None:
        self.reading, self.fleet, self.file, self.request = reading, fleet, file, request
        self.fresh = reading.empty
        self.lost: Mapping[str, str] = {} if self.fresh else reading.held.lost
        # Of these keys the store says nothing, and what processes run counts instead.
        self.gone = frozenset(HASHES if self.fresh and file is None else self.lost)
        self.entries = tuple(history()) if self.lost else ()
        self.books = _books(reading, self.entries) if self.lost else {}
        self.left: dict[str, str] = {}
        self._check()
        self.protected: set[str] = set()  # splits that are protected by another side than the one chosen
        self.redefined: dict[str, Sides] = {}  # by split: the definitions that are written
        self.definitions = dict(self._definitions())
        self.candidates = {
            field_of(split, version.name) for split, found in self.definitions.items() for version in found.candidates
        }
        self.weights = {side.field: side for side in self._weights()}
        self.stops = {side.field: side for side in self._stops()}
        self.stopped = {*map(exact, reading.load.stops.fields), *self.stops}

    def recovery(self) -> Recovery:
        """Put it together."""
        request = self.request
        sides = (*self.redefined.values(), *self.weights.values(), *self.stops.values())
        splits = {side.split for side in sides}
        one = splits.pop() if len(splits) == 1 and not (self.lost or self.fresh) else EVERYTHING
        weighed: Moves = {field: (self._before(field), self._after(field)) for field in self.weights}
        moved = {**weighed, **self._turned()}
        risen = [field for field, (before, after) in moved.items() if rises(before, after)]
        opened = {split_of(field) for field in self.candidates if self._after(field) != 0} & self.redefined.keys()
        raised = {*map(split_of, risen), *opened}
        check_thawed(self._freezes(), raised, self.reading.load.now_ms)
        carried = self._carried()
        written = {(write.key, write.field): write for write in (*self._meta(), *carried.writes)}
        writes = (*(Write(side.key, side.field, side.written) for side in sides), *written.values())
        return Recovery(
            source=(self.file or self.fleet).name,
            target=one if one != EVERYTHING else request.namespace,
            sides=sides,
            lost=self.lost,
            fresh=self.fresh,
            left=self.left,
            notes=tuple(self._notes()),
            ask=self._ask(moved),
            result=self._result(one, moved),
            expect=tuple(self._expect(writes, raises=bool(raised))),
            writes=writes,
            read_at_ms=self.reading.load.now_ms,
            raises=bool(raised),
            begins=tuple(
                field
                for field in risen
                if field in self.weights and self._begins(field) and field not in carried.releases
            ),
            carried=carried,
            id=request.id,
            guarded=tuple(sorted(split for split in raised if self._protected(split))),
        )

    def _carried(self) -> Carried:
        """Take what the file holds beside weights, stops and definitions."""
        if self.file is None:
            return Carried()

        def text(key: KeyName, field: str) -> str | None:
            taken = self.reading.text(key, field)
            return self.books.get(f"{key} {field}") if taken is None and key in self.lost else taken

        taken = carry(
            self.file,
            Ground(
                text,
                self._in_force,
                self._wanted,
                self.definitions,
                not self.request.splits,
                self._begins_here,
                self.request.actor,
                self.request.id,
                self.reading.load.now_ms,
            ),
        )
        said = (f"{split} is protected" for split in sorted(self.protected))
        return taken._replace(said=(*said, *taken.said))

    # what there is

    def _check(self) -> None:
        request = self.request
        if self.fresh and self.file is None and not self.fleet.told:
            unheard = self.fleet.unheard
            asked = f" (no answer from {_few(unheard)})" if unheard else ""
            raise RefusedError(
                f"the namespace '{request.namespace}' is empty, and no live process reports a split"
                f"{asked}. Give a file: graysplit recover --source FILE (a last-known-good file, an export, a "
                "bootstrap file); or start with: graysplit create"
            )
        if self.lost and request.splits:
            raise RefusedError(
                f"the key {', '.join(sorted(self.lost))} is lost and can only be repaired for all splits at once. "
                "Omit the names of splits: graysplit recover"
            )
        known = self._splits()
        for split in request.splits:
            if split not in known:
                raise UnknownSplitError(split, known)

    def _splits(self) -> set[str]:
        """Name the splits that any side knows."""
        found = {*self.reading.snapshot.splits, *self.reading.unread, *self.fleet.definitions, *self.fleet.disputed}
        found |= {split_of(field) for field in (*self.fleet.weights, *self.fleet.stops)}
        found |= {where.removeprefix("splits ") for where in self.books if where.startswith("splits ")}
        found |= self.fleet.told.keys()
        return (found | set(self.file.definitions if self.file else ())) - {EVERYTHING}

    def _wanted(self, split: str) -> bool:
        return split not in self.left and (not self.request.splits or split in self.request.splits)

    # definitions

    def _definitions(self) -> Iterator[tuple[str, Definition]]:
        """Return each split's definition as it will stand, and note those to be written."""
        for split in sorted(filter(self._wanted, self._splits())):
            raw = self.reading.text("splits", split)
            chosen = self._chosen(split, raw)
            if chosen is None:
                continue
            if isinstance(chosen, _Left):
                self.left[split] = chosen.why
                continue
            other = self._other_baseline(split, raw, chosen)
            if other:
                self.left[split] = other
                continue
            chosen = self._as_protected(split, raw, chosen)
            if chosen != raw:
                file = self.file.definitions.get(split) if self.file else None
                fleet = self.fleet.definitions.get(split, self.fleet.told.get(split))
                self.redefined[split] = Sides("splits", split, raw, fleet, file, chosen)
            definition = parsed(split, chosen)
            if definition is not None:
                yield split, definition

    def _as_protected(self, split: str, raw: str | None, chosen: str) -> str:
        """Keep a split protected that any side has protected: in doubt, a raise asks."""
        file = self.file.definitions.get(split) if self.file else None
        sides = [parsed(split, text) for text in (raw, self.fleet.definitions.get(split), file) if text is not None]
        definition = parsed(split, chosen)
        if definition is None or definition.protected or not protected_anywhere(sides):
            return chosen
        self.protected.add(split)
        return dump_definition(definition._replace(protected=True))

    def _chosen(self, split: str, raw: str | None) -> str | _Left | None:  # noqa: PLR0911 - one answer for each case
        """Return the definition that shall stand, None where there is none, or why the split is left as it is."""
        file = self.file.definitions.get(split) if self.file else None
        lost = "splits" in self.lost
        if file is not None and self.request.take == "source":
            return file
        if split in self.fleet.disputed:
            return _Left("processes have different definitions. Choose one: --source FILE --take source")
        if split in self.fleet.definitions:
            return with_units(split, self.fleet.definitions[split], raw)
        if raw is None and "splits" in self.gone:
            raw = self.books.get(f"splits {split}") or self.fleet.told.get(split)
        if raw is None:
            return file or (_Left("its definition is not known anywhere") if lost else None)
        if is_bad(split, raw):
            return file
        if parsed(split, raw) is None:
            return _Left("it has been deleted") if file is not None and not lost else raw
        if file is not None and shape(split, raw) != shape(split, file):
            return _Left("its baseline or versions differ from the file's. To use the file's: --take source")
        return raw

    def _other_baseline(self, split: str, raw: str | None, chosen: str) -> str:
        """Return why a definition is not written whose baseline is another one than the code's, or nothing.

        Where no code declares it, the last record of that name counts.
        """
        stored = parsed(split, raw) if raw is not None else None
        new, declared = parsed(split, chosen), self.fleet.baselines.get(split)
        if new is None or chosen == raw or (stored is not None and stored.baseline == new.baseline):
            return ""
        if declared and new.baseline not in declared:
            return f"its baseline would be '{new.baseline}', but in the running code it is {_quoted(declared)}"
        was = buried_baseline(raw_of(raw)) if raw is not None and not declared else None
        if was in new.names and was != new.baseline:
            return f"its baseline would be '{new.baseline}', but in its last record it was '{was}'"
        return ""

    def _turned(self) -> Moves:
        """Return the share of each version that becomes the baseline in the place of another."""
        found: dict[str, tuple[Weight, Weight]] = {}
        for split in self.redefined:
            before, after = self.reading.snapshot.splits.get(split), self.definitions.get(split)
            if before is not None and after is not None and before.definition.baseline != after.baseline:
                left = FULL - total(self._after(field_of(split, version.name)) for version in after.candidates)
                found[field_of(split, after.baseline)] = (before.reach(after.baseline), max(0, left))
        return found

    # weights

    def _weights(self) -> Iterator[Sides]:
        fields = {*self.candidates, *(field for field in self.fleet.weights if self._wanted(split_of(field)))}
        fields |= {field for split in self.redefined for field in self.reading.fields("weights", split)}
        if "weights" in self.lost:
            fields |= {where.removeprefix("weights ") for where in self.books if where.startswith("weights ")}
            fields |= {exact(raw) for raw in self.reading.load.weights.fields if raw != SENTINEL}
        for field in sorted(fields):
            side = self._weight_sides(field)
            if side is not None:
                yield side

    def _weight_sides(self, field: str) -> Sides | None:
        """Return a weight's sides, or None where they are one and nothing need be written."""
        raw, lost, split = self.reading.text("weights", field), "weights" in self.gone, split_of(field)
        store = raw if raw is not None or not lost else self.books.get(f"weights {field}")
        # What processes keep although it is absent is untold, not zero: no log that they know has said so (law 7).
        # Where nothing stands at all they keep nothing against it; what they said was said before it was emptied.
        untold = store is None and field in self.fleet.weights and not self.fresh
        stored = _weight(store) if lost or untold else _weight(store) or 0
        fleet = self._by_fleet(field, stored)
        file = self.file.weights.get(field, 0) if self.file and split in self.file.definitions else None
        written = self._settled(field, stored, fleet, file)
        made = raw is None and written is not None and (lost or untold or split in self.redefined)
        if not made and stored == written and fleet is None and file in {None, stored}:
            return None
        if not made and raw is None and not written and f"weights {field}" not in self.books:
            return None
        return Sides("weights", field, store, _text(fleet), _text(file), _text(written))

    def _by_fleet(self, field: str, stored: Weight | None) -> Weight | None:
        """Return what processes say of a weight: held, at zero by a stop written back, or of lost keys what runs."""
        brake = 0 if stored and _is_brake(self.reading.text("stops", field)) else None
        ran = self.fleet.effects.get(field) if {"weights", "stops"} & self.gone else None
        return lowest(self.fleet.weights.get(field), brake, ran)

    def _settled(self, field: str, stored: Weight | None, fleet: Weight | None, file: Weight | None) -> Weight | None:
        """Return the weight that shall stand: the lower, or the source's where that was asked for."""
        if split_of(field) in self.definitions and field not in self.candidates:
            return None
        source = fleet if self.file is None else file
        if self.request.take == "source" and source is not None:
            return source
        agreed = lowest(stored, fleet, file)
        booked = bool(self.entries) or self.reading.load.booked.lost is None
        unsure = "stops" in self.lost and not booked and fleet is file is None  # a stop that nobody remembers
        return 0 if unsure and agreed is not None else agreed

    # stops

    def _stops(self) -> Iterator[Sides]:
        booked = {where.removeprefix("stops "): text for where, text in self.books.items() if where[:6] == "stops "}
        known = booked if "stops" in self.lost else {}
        file: Mapping[str, str] = self.file.stops if self.file else {}
        for field in sorted({*known, *self.fleet.stops, *file}):
            said = (known.get(field), self.fleet.stops.get(field), file.get(field))
            wanted = not self.request.splits if field == EVERYTHING else self._wanted(split_of(field))
            if wanted and self.reading.text("stops", field) is None and any(word is not None for word in said):
                yield Sides("stops", field, *said, next(filter(None, said), None) or self._own_stop(field))

    def _own_stop(self, field: str) -> str:
        why, request = "stopped before the store lost it", self.request
        release = self.reading.snapshot.releases.get(field, "")
        return stop_text(why=why, who=request.actor, at_ms=self.reading.load.now_ms, change=request.id, release=release)

    # meta, and what the store is told

    def _meta(self) -> Iterator[Write]:
        if "meta" not in self.gone:
            for field, side in self.weights.items():
                if self.reading.text("meta", PREFIX + field) is not None and side.written != side.store:
                    yield Write("meta", PREFIX + field, None)  # another weight ends a lease
            yield from self._told_meta()
            return
        numbers = (*(entry.revision for entry in self.entries), self.fleet.revision, self.reading.snapshot.revision)
        yield Write("meta", "revision", str(max(numbers)))
        if not self.fresh:  # where all is new, the store writes these
            yield Write("meta", "schema", "1")
            yield Write("meta", "lineage", self.request.id)
        told = {f"meta {name}": text for name, text in self.fleet.meta.items() if self._goes_on(name)}
        for where, text in sorted({**told, **self.books}.items()):
            key, _, field = where.partition(" ")
            if key != "meta" or text is None or field in {"revision", "schema", "lineage"}:
                continue
            if not field.startswith(PREFIX) or self._runs(field.removeprefix(PREFIX), text):
                yield Write("meta", field, text)

    def _told_meta(self) -> Iterator[Write]:
        """Go on with the release, lease and wave of a weight that only the store had lost."""
        for name, words in sorted(self.fleet.meta.items()):
            side = self.weights.get(name.partition(":")[2])
            if side is None or side.store is not None or self.reading.text("meta", name) is not None:
                continue
            if self._goes_on(name) and (not name.startswith(PREFIX) or self._runs(side.field, words)):
                yield Write("meta", name, words)

    def _goes_on(self, name: str) -> bool:
        """Return whether what processes tell of `meta` goes on: not a plan, nor the release of what is at zero now."""
        kind, _, field = name.partition(":")
        if kind in {"release", "wave"}:
            return self._in_force(field) != 0
        return kind in {"lease", "finished", FREEZES}

    def _notes(self) -> Iterator[str]:
        if self.fleet.unheard:
            yield f"no data from: {_few(self.fleet.unheard)} (older library, or not reached)"
        over = [name.removeprefix(PLAN) for name in self.fleet.meta if name.startswith(PLAN)]
        if "meta" in self.gone and over:
            splits = _few(sorted(over))
            yield f"the plan is over and its weight stays, for: {splits}. Start it again with: graysplit ramp"

    def _runs(self, field: str, text: str) -> bool:
        """Return whether a lease still belongs to the weight that will stand."""
        lease = parse_lease(text)
        return lease is not None and self._in_force(field) == lease.at

    def _in_force(self, field: str) -> Weight:
        side = self.weights.get(field)
        return _weight(side.written if side is not None else self.reading.text("weights", field)) or 0

    def _freezes(self) -> str | None:
        """Return what stands frozen, where `meta` is lost also by the history."""
        stored = self.reading.text("meta", FREEZES)
        return self.books.get(f"meta {FREEZES}") if stored is None and "meta" in self.lost else stored

    def _protected(self, split: str) -> bool:
        state = self.reading.snapshot.splits.get(split)
        found = (state and state.definition, self.definitions.get(split))
        return any(definition is not None and definition.protected for definition in found)

    def _expect(self, writes: Iterable[Write], *, raises: bool) -> Iterator[Expect]:
        """Rest on what is written over, and on the stops and releases that a weight's effect depends on."""
        places: dict[tuple[KeyName, str], None] = {(write.key, write.field): None for write in writes}
        if raises:
            places["meta", FREEZES] = None
        for field in self.weights:
            places |= {("stops", stop): None for stop in stops_over(field)}
            places["meta", f"release:{field}"] = None
        return (Expect(key, field, self.reading.text(key, field)) for key, field in places)

    def _before(self, field: str) -> Weight:
        """Return the weight in force by the store's word: a lost key lets nobody in."""
        state = self.reading.snapshot.splits.get(split_of(field))
        return state.in_force(version_of(field)) if state and "weights" not in self.lost else 0

    def _after(self, field: str) -> Weight:
        return self._in_force(field) if stop_on(field, self.stopped) is None else 0

    def _begins(self, field: str) -> bool:
        """Return whether a release begins: not where one goes on that only the store had lost."""
        release = f"release:{field}"
        known = self.reading.raw("meta", release) is not None or release in self.fleet.meta
        absent = "weights" in self.gone or self.reading.text("weights", field) is None
        return self._before(field) == 0 and not (known and absent)

    def _begins_here(self, field: str) -> bool:
        return field in self.weights and rises(self._before(field), self._after(field)) and self._begins(field)

    def _ask(self, moved: Moves) -> str | None:
        """Return what rises, against the store's word or against what processes hold."""
        risen: list[str] = []
        for field, (before, after) in moved.items():
            lower = lowest(before, self.fleet.weights.get(field)) or 0
            if rises(lower, after):
                risen.append(f"{field} {format_weight(lower)} -> {format_weight(after)}")
        if not risen:
            return None
        return f"this raises {_few(risen)}"

    def _result(self, split: str, moved: Moves) -> Result:
        known = {field: pair for field, pair in moved.items() if field in self.candidates}
        expected = {field: format_weight(after) for field, (_, after) in known.items()}
        return Result(
            cause="recover",
            split=split,
            moves={field: (format_weight(before), format_weight(after)) for field, (before, after) in known.items()},
            expected=expected if len(expected) <= EXPECTED_AT_MOST else {},
            dry_run=True,
        )


# --- what the history knows, and definitions -------------------------------------------------------------------------


def _books(reading: Reading, entries: Iterable[Entry]) -> dict[str, str | None]:
    """Return each field's last value by the history: the books where they stand, the log for the rest."""
    found: dict[str, str | None] = {}
    for entry in entries:  # newest first
        for where, text in entry.after.items():
            found.setdefault(where, text)
    found = {where: None if is_splice(text) else text for where, text in found.items()}  # the whole of it is gone
    booked = reading.load.booked
    if booked.lost is None:
        rest = {where: text for where, text in found.items() if not where.startswith(("weights ", "stops "))}
        found = {**rest, **{exact(raw): exact(text) for raw, text in booked.fields.items() if raw != SENTINEL}}
    return found


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SAID_AT_MOST} more" if len(names) > _SAID_AT_MOST else ""
    return f"{', '.join(names[:_SAID_AT_MOST])}{more}"


def _weight(text: str | None) -> Weight | None:
    """Read a weight; what is none is zero, for its last good value is not known here."""
    try:
        return None if text is None else parse_weight(text)
    except BadWeightError:
        return 0


def _text(weight: Weight | None) -> str | None:
    return None if weight is None else format_weight(weight)


def _is_brake(stop: str | None) -> bool:
    """Return whether a stop is a zero that a process has written back."""
    import json

    try:
        decoded: object = json.loads(stop or "null")
    except (ValueError, RecursionError):
        return False
    return isinstance(decoded, dict) and cast("dict[str, object]", decoded).get("who") == BRAKE


def _quoted(names: Iterable[str]) -> str:
    return " and ".join(f"'{name}'" for name in sorted(names))
