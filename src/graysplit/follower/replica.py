"""What a process holds of its store: judge a reading, adopt what may be believed of it, have it published.

Three judges, in this order: is it an answer at all (law 8), is it still the log we know (law 7), is each value good
(law 9). Weights and stops are adopted and published before any definition is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.lease import lapsed
from graysplit.core.replica import fork as forks
from graysplit.core.replica.adopted import Adopted, Tripped
from graysplit.core.replica.adoption import (
    Parse,
    adopt_brakes,
    adopt_definitions,
    changed_definitions,
    differing,
    judge_definition,
    lost_keys,
    lowered,
    name_of,
    note_definitions,
)
from graysplit.core.replica.cap import as_said, below, only_falling
from graysplit.core.replica.lineage import Past, bare, crossed, fence, followed, forked, named_by
from graysplit.core.replica.record import Breathe, nothing, paced
from graysplit.core.weights import Weight, format_weight
from graysplit.stores.text.records import raw_of

if TYPE_CHECKING:
    from graysplit.core.entry import Entry
    from graysplit.core.replica.record import Brakes, Load
    from graysplit.events import Events
    from graysplit.follower.port import Audience

REGRESSED: Final = "SOURCE_REGRESSED"
PORTION: Final = 200  # definitions looked at together, at most
NAMED_AT_MOST: Final = 20  # in one line of the log
TOLD_AT_MOST: Final = 20  # fields of one reading that are told one by one: anybody may write any number
LONGEST: Final = 2_000  # characters of a stop or definition in a receipt; a longer one is only named


class Adoption(NamedTuple):
    """What came of a reading."""

    changed: frozenset[str] = frozenset()  # fields of weights and stops
    unexplained: bool = False  # whether an edit by hand may wait to be booked
    entries: tuple[Entry, ...] = ()  # of the log, those that it brought
    zeros: Mapping[str, int] = {}  # known to stand at zero here, lost by the store; when each release began (ms)


class Replica:
    """Holds the last good values; one thread calls `take`, anyone may read `held` and `back`."""

    def __init__(self, audience: Audience, events: Events, parse: Parse, held: Adopted, past: Past) -> None:
        """Begin with what is held already: inherited, from a file, or nothing."""
        self.adopted = held
        self.past = past
        self.distrusted: Mapping[str, str] = {}  # what the store says and is not believed
        self._audience = audience
        self._events = events
        self.parse = parse
        self.fork: forks.Fork | None = None  # one that the history does not know of yet
        self._met: tuple[str, bytes | None] = ("", None)  # the last change before a fork, and the lineage after it
        self._pending: dict[str, bytes | None] = {}  # definitions that changed and have not been looked at
        self._broken = False  # an adoption broke off: the next looks at everything again
        self._braked: list[Brakes] = []  # what was lowered since the reading began that is taken next

    @property
    def busy(self) -> bool:
        """Return whether definitions are waiting to be looked at: `go_on`."""
        return bool(self._pending)

    def begin(self) -> None:
        """Take note that a reading begins: it knows of all that has been lowered before."""
        self._braked.clear()

    def lower(self, brakes: Brakes) -> frozenset[str]:
        """Adopt what lowers, and nothing else, while a reading is under way, or is taken; return its fields.

        It is laid over that reading, which may be older.
        """
        if not self.adopted.loaded:
            return frozenset()
        self.adopted, fields = lowered(self.adopted, *brakes)
        if fields:
            self._braked.append(brakes)
            self._audience.publish(self.adopted, _touched(self.adopted, fields))
        return fields

    def apply(self, load: Load, again: Callable[[], Load], breathe: Breathe = nothing) -> Adoption:
        """Adopt a reading's weights and stops, and line up the definitions that it changes for `go_on`.

        A definition that changed together with its weights is looked at with them: neither is in force without the
        other. `again` reads once more, with the log's newest entries; `breathe` is called now and then meanwhile.
        """
        if not self._is_answer(load):
            return self._nothing(load)
        first, over = self.past.position == "", forked(self.past, load)
        if over:
            load = again()
            if not self._is_answer(load):  # the log was only the first to go
                return self._nothing(load)
        load, past, zeros = self._believed(load, over=over)
        before = self.adopted
        changed = self._adopt(load, breathe)
        self.past = past
        self._tell(before, changed, breathe)
        explained = {where.partition(" ")[2] for where in named_by(load.entries)} - _edited_since(load)
        edited = bool(changed - explained or self.distrusted or _rewritten(before, load) - explained)
        return Adoption(changed, not first and edited, load.entries, zeros)

    def go_on(self, enough: Callable[[], bool]) -> None:
        """Look at lined-up definitions until it is enough, and have what was found published together."""
        before, names = self.adopted, list[str]()
        held = self._look_at(before, as_said(before), (), self._until(enough, names))
        if names:
            self.adopted = held
            self._audience.publish(held, {*names, *map(split_of, before.capped)})
            self._tell(before, ())

    def trip(self, field: str, release: str, text: str) -> None:
        """Stop a candidate in this process alone, until its release ends or the store's word on it is another."""
        held = self.adopted
        self.adopted = held._replace(
            stops={**held.stops, field: text}, tripped={**held.tripped, field: Tripped(release, text)}
        )
        self._audience.publish(self.adopted, {split_of(field)})

    def pass_time(self, now_ms: int | None, set_back: Mapping[str, int] = {}) -> Mapping[str, Weight]:
        """End the leases that are over by the server's time (None: not known); return what stands lapsed now.

        `set_back`, by field: by how many ms the server's clock was set back while its lease ran.
        """
        held = self.adopted
        over = below(held, lapsed(held.leases, as_said(held).weights, now_ms, set_back))
        if over != held.lapsed:
            self.adopted = held._replace(lapsed=over)
            self._audience.publish(self.adopted, {split_of(field) for field in differing(held.lapsed, over)})
        return over

    def in_force(self, at_most: int) -> Mapping[str, str]:
        """Return what stands here instead of what is not believed of the store, the first of it; no units among it."""
        if not self.distrusted:
            return {}
        weights_first = sorted(self.distrusted, key=lambda where: (not where.startswith("weights "), where))
        return {where: self._word(where) for where in weights_first[:at_most]}

    def _word(self, where: str) -> str:
        key, _, field = where.partition(" ")
        if key == "weights":
            return format_weight(self.adopted.weights.get(field, 0))
        if key == "stops":
            word = self.adopted.stops.get(field, "")
        else:
            from graysplit.codec import without_units

            word = without_units(field, self.adopted.definitions.get(field, b""))
        return word if len(word) <= LONGEST else ""

    def _is_answer(self, load: Load) -> bool:
        """Law 8: an empty answer is an outage. A lost key still lowers, once anything is held."""
        lost = {"weights": load.weights.lost, "stops": load.stops.lost, "splits": load.splits.lost}
        for key, reason in lost.items():
            if reason is None:
                self._events.over(f"key_lost {key}", f"the key {key} is back")
            elif self.adopted.loaded or any(other is None for other in lost.values()):
                self._events.trouble(
                    f"key_lost {key}",
                    f"the key {key} is lost ({reason}): keeping its last content. See: graysplit doctor",
                )
        fields = (load.weights.fields, load.stops.fields, load.splits.fields)
        return not all(lost.values()) or (self.adopted.loaded and any(fields))

    def _nothing(self, load: Load) -> Adoption:
        """Note what is lost, and touch nothing else; nothing is kept against a store that says nothing."""
        self.adopted, self.distrusted = self.adopted._replace(lost=lost_keys(load)), {}
        return Adoption()

    def _believed(self, load: Load, *, over: bool) -> tuple[Load, Past, Mapping[str, int]]:
        """Law 7: believe a reading, unless the log has forked (`over`); then hold back what nothing explains."""
        said = as_said(self.adopted)
        if over:
            self._meet(load, said)
            past = crossed(self.past, load, said)
        else:
            past = followed(self.past, load)
            if self.fork is not None:
                self.fork = forks.untold(self.fork, load)
        if past.explained is None:
            self._hold_back({})
            return load, past, bare(said, load)
        load, back, zeros = fence(said, load, past.explained, self.parse, past.fork_ms, past.untold)
        self._hold_back(back)
        # Of a key that is lost nobody knows yet what it will say.
        stands = back or (past.untold and lost_keys(load))
        return load, past if stands else past._replace(explained=None, fork_ms=0, untold=frozenset()), zeros

    def _meet(self, load: Load, said: Adopted) -> None:
        """Tell of a fork, once; what only lowers too, and whatever is held of it.

        A lost `meta` says nothing of a history, and an empty log is met again with each reading.
        """
        met = (self.past.change, load.meta.fields.get(b"lineage"))
        if load.meta.lost is not None or (met == self._met and not load.entries):
            return
        self._met = met
        fork = forks.fork_of(self.past, load, said)
        self.fork = None if fork is None or forks.is_told(fork, self.past, load) else fork
        if fork is not None:
            self._events.again("fork")  # each fork has a line of its own
            self._events.warning("fork", f"{fork.line}. See: graysplit history")

    def _hold_back(self, back: Mapping[str, str]) -> None:
        if back and not self.distrusted:
            named = ", ".join(sorted(back)[:NAMED_AT_MOST])
            named += f" and {len(back) - NAMED_AT_MOST} more" if len(back) > NAMED_AT_MOST else ""
            self._events.trouble(
                "store_regressed",
                f"{REGRESSED}: the store has lost changes; held: {named}. Settle it with: graysplit recover",
            )
        elif not back:
            self._events.over("store_regressed", "no value is held any more: the store's values are in force")
        self.distrusted = back

    def _adopt(self, load: Load, breathe: Breathe) -> frozenset[str]:
        before = as_said(self.adopted)
        if self._broken:
            before = before._replace(seen={name: {} for name in before.seen})
        self._broken = True
        held, touched = adopt_brakes(before, load, breathe)
        self._pending |= changed_definitions(held, load, breathe)
        noted, names = note_definitions(held, load), [name for name in touched if name in self._pending]
        stood, after = self.adopted, self._look_at(self.adopted, noted, touched, names, breathe)
        moved = differing(stood.weights, after.weights) if stood.capped or after.capped else ()
        self.adopted, fields = self._braking(after)
        self._audience.publish(self.adopted, touched.union(map(split_of, moved), _touched(self.adopted, fields)))
        self._broken = False
        return frozenset(differing(before.weights, held.weights) | differing(before.stops, held.stops)) | fields

    def _braking(self, held: Adopted) -> tuple[Adopted, frozenset[str]]:
        """Lay what was lowered since the reading began over it; return its fields, also of what the reading knew."""
        fields = frozenset[str]()
        for brakes in self._braked:
            held, _ = lowered(held, *brakes)
            fields |= {name_of(field) for part in brakes for field in part}
        return held, fields

    def _until(self, enough: Callable[[], bool], names: list[str]) -> Iterator[str]:
        """Walk what is lined up until it is enough, and remember what was walked."""
        for name in tuple(islice(self._pending, PORTION)):
            names.append(name)
            yield name
            if enough():
                return

    def _look_at(
        self, before: Adopted, held: Adopted, touched: Iterable[str], names: Iterable[str], breathe: Breathe = nothing
    ) -> Adopted:
        """Look at definitions that are lined up, and at what may only fall by them: of these splits and of `touched`.

        Every `held` that comes from `as_said` goes through here before it counts.
        """
        judged = [judge_definition(name, self._pending.pop(name), self.parse) for name in names]
        if judged:
            held = adopt_definitions(held, judged)
        known = {one.split: one.definition for one in judged if one.definition is not None}
        splits = {*touched, *known, *map(split_of, before.capped), *(one.split for one in judged)}
        return only_falling(before, held, splits, self.parse, known, breathe)

    def _tell(self, before: Adopted, changed: Iterable[str], breathe: Breathe = nothing) -> None:
        new = [at for at, reason in self.adopted.refused.items() if before.refused.get(at) != reason]
        for key, field in new[:TOLD_AT_MOST]:
            reason = self.adopted.refused[key, field]
            self._events.trouble(
                f"value_refused {field} {key}", f"{key} {field}: {reason}. Keeping the last good value."
            )
        if len(new) > TOLD_AT_MOST:
            more = len(new) - TOLD_AT_MOST
            self._events.warning("values_refused", f"{more} more values are refused. See: graysplit doctor")
        for key, field in before.refused.keys() - self.adopted.refused.keys():
            self._events.over(f"value_refused {field} {key}", f"{key} {field}: the store's value is in force again")
        # What had a weight before was looked at then.
        fresh = (field for field in paced(changed, breathe) if field not in before.weights)
        unknown = [field for field in fresh if not self._audience.knows(field)]
        for field in unknown[:TOLD_AT_MOST]:
            self._events.warning(
                f"unknown_field {field}", f"unknown field '{field}': no such split or candidate. See: graysplit doctor"
            )
        if len(unknown) > TOLD_AT_MOST:
            more = len(unknown) - TOLD_AT_MOST
            self._events.warning("unknown_fields", f"{more} more unknown fields. See: graysplit doctor")


def _touched(held: Adopted, fields: Collection[str]) -> frozenset[str]:
    """Name the splits whose state fields of weights and stops change."""
    splits = frozenset(map(split_of, fields))
    return splits | frozenset(held.definitions) if EVERYTHING in splits else splits


def _rewritten(before: Adopted, load: Load) -> set[str]:
    """Name the weights and stops whose text differs, be it in force or not: `5.0` over `5`, or what is not a weight."""
    pairs = ((before.seen.get(name, {}), key) for name, key in (("weights", load.weights), ("stops", load.stops)))
    changed = ((seen, key.fields) for seen, key in pairs if key.lost is None and seen != key.fields)
    return {name_of(field) for seen, stands in changed for field in differing(seen, stands)}


def _edited_since(load: Load) -> set[str]:
    """Name the weights that stand at another value than the last entry about them says: edited by hand after it."""
    said = {where: text for entry in load.entries for where, text in entry.after.items()}
    weights = ((where.partition(" ")[2], text) for where, text in said.items() if where.startswith("weights "))
    stands = load.weights.fields
    return {field for field, text in weights if stands.get(raw_of(field)) != (None if text is None else raw_of(text))}
