"""Two histories of one namespace, any order of faults: what is stopped stays stopped, and nobody else is disturbed.

Timelines by number: docs/design/lineage.md.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from graysplit import Control
from graysplit.codec import read_held, read_snapshot
from graysplit.core.address import split_of
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import text
from graysplit.core.replica.lineage import crossed, forked
from graysplit.core.replica.record import SENTINEL, Load
from graysplit.core.split_state import Snapshot
from graysplit.core.weights import Weight, parse_weight, rises, share
from graysplit.errors import BadWeightError, GraysplitError
from tests.clocks import MovedClock
from tests.model.histories import run
from tests.model.world import UNITS, Copy, Process, Store, copy_of, definition_of, ladder, put_back

PROCESSES_AT_MOST: Final = 4
SPLITS: Final = {"checkout": ("old", "new"), "ranking": ("a", "b", "c")}
FIELDS: Final = ("checkout/new", "ranking/b", "ranking/c")
STOPS: Final = (*FIELDS, *SPLITS, "*")
MISTYPED: Final = ("checkout", "ranking", "checkout/old", "ranking/a", "chekout/new", "Checkout/new", "x")
GOOD: Final = ("0", "5", "20", "50", "100", "12.5", "preview")
BAD: Final = (b"", b"null", b"1_0", b"101", b" 20 ", b"\xff\xfe", b"2e1", b"-1", b'{"w": 20')
DEFINITIONS: Final = (b"", b"null", b"{}", b"[]", b"{", b"\xff", b'{"versions": []}', b'{"tombstone": "by hand"}')
KEYS: Final = ("weights", "stops", "splits", "meta", "booked")

Lowering: TypeAlias = Callable[[Store, Control, str], object]
LOWERINGS: Final[dict[str, Lowering]] = {
    "rollback": lambda _, control, field: control.rollback(field),
    "rollback of the split": lambda _, control, field: control.rollback(split_of(field)),
    "rollback of everything": lambda _, control, __: control.rollback("*"),
    "set": lambda _, control, field: control.set(field, 0),
    "set lower": lambda _, control, field: control.set(field, 1, unstop=True),
    "HSET": lambda store, _, field: store.raw_set("weights", field, "0"),
    "HDEL": lambda store, _, field: store.raw_delete("weights", field),
    "a stop": lambda store, _, field: store.raw_set("stops", field, f"by hand {store._space.now_ms()}"),
    "a stop on the split": lambda store, _, field: store.raw_set(
        "stops", split_of(field), f"by hand {store._space.now_ms()}"
    ),
    "a stop on everything": lambda store, _, __: store.raw_set("stops", "*", f"by hand {store._space.now_ms()}"),
}

splits = st.sampled_from(sorted(SPLITS))
fields = st.sampled_from((FIELDS[0], FIELDS[0], *FIELDS))  # most often one: acts that never meet show nothing
units = st.sampled_from(UNITS[:6])
faults = st.sampled_from(("fallen back", "replaced", "a key lost"))
rarely = st.sampled_from((True, False, False, False))
whiches = st.integers(0, PROCESSES_AT_MOST - 1)


class TwoStores(RuleBasedStateMachine):
    """One store in force, copies of what it was, processes that follow it, and people with two kinds of tools."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.clock = MovedClock()
        self.store = Store(self.clock)
        self.minority: Store | None = None  # a primary that others have given up, and some still follow
        self.keys_get_lost = self.definitions_go_bad = self.people_mistype = False
        self.processes: list[Process] = []
        self.files: list[Process] = []  # the dead, whose last-known-good files remain
        self.prompt = True  # whether signals arrive: all who are connected read after every change
        self.moment = 0
        self.stopped_at: dict[str, tuple[int, str]] = {}  # a stop's text to when it was recorded, and in which change
        self.lifted_at: dict[str, int] = {}  # by candidate: when a person let somebody in last

    # -- the namespace begins ----------------------------------------------------------------------------------------

    @initialize(keys=st.booleans(), definitions=rarely, mistakes=rarely)
    def create_splits(self, keys: bool, definitions: bool, mistakes: bool) -> None:
        """Make two splits, and two processes that have read them; choose which of the rarer troubles this history has.

        Where all come at once they hide each other: with a key lost, nothing else can be written.
        """
        self.keys_get_lost, self.definitions_go_bad, self.people_mistype = keys, definitions, mistakes
        control = Control(self.store, actor="ann", confirm=True)
        self.store.keep_copy()
        for split, versions in SPLITS.items():
            control.create(split, versions)
            self.store.keep_copy()
        for _ in range(2):
            self.is_born()

    # -- people ------------------------------------------------------------------------------------------------------

    @contextmanager
    def person(self, where: Store | None = None) -> Generator[None]:
        """Note whom a person's act lets in, and what it does not write; in the store in force unless another is given.

        An act outlasts a millisecond of the server's clock.
        """
        store = where or self.store
        before = store.load()
        self.moment += 1
        self.clock.now += 0.001
        with suppress(GraysplitError):
            yield
        store.keep_copy()
        after = store.load()
        for field in FIELDS:
            if lets_in(before, after, field):
                self.lifted_at[field] = self.moment
        self.note_stops()
        self.signal()

    def signal(self) -> None:
        """Let everybody read who hears of a change, and the first of them book what was edited by hand."""
        if self.prompt:
            self.all_read()
            if any(process.feed.record_raw_edits("outside") for process in self.connected[:1]):
                self.store.keep_copy()
                self.note_stops()
                self.all_read()

    @rule()
    def signals_are_late(self) -> None:
        """Let nobody read by itself from now on, or everybody again."""
        self.prompt = not self.prompt
        self.signal()

    def note_stops(self) -> None:
        """Remember when each stop came into the history; one lost before that leaves no trace (timeline 3)."""
        for store in filter(None, (self.store, self.minority)):
            for entry in store.history(count=10):
                for where, value in entry.after.items():
                    if value is not None and where.startswith("stops "):
                        self.stopped_at.setdefault(value, (self.moment, entry.id))

    @property
    def control(self) -> Control:
        """Return the operator's hand."""
        return Control(self.store, actor="ann", confirm=True)

    @rule(field=fields, weight=st.sampled_from(GOOD))
    def sets(self, field: str, weight: str) -> None:
        """`graysplit set`: the next write wins everywhere, whatever was lost before."""
        written = False
        with self.person():
            self.control.set(field, weight, allow_needless=True, unstop=True)
            written = True
        if written and self.prompt:
            self.everybody_obeys(field, parse_weight(weight))

    def everybody_obeys(self, field: str, weight: Weight) -> None:
        """Hold everybody who hears the store, and reads the split as it does, to a weight that was just set."""
        split, _, version = field.partition("/")
        for process in self.connected:
            split_state = process.split_states().get(split)
            unlike = f"splits {split}" in process.replica.distrusted or any(
                split_of(at) == split for _, at in process.held.refused
            )
            if split_state is not None and not unlike:
                assert split_state.in_force(version) == weight

    @rule(field=fields, weight=st.sampled_from(GOOD), seconds=st.sampled_from((0.5, 5.0, 600.0)))
    def sets_for_a_time(self, field: str, weight: str, seconds: float) -> None:
        """`graysplit set --for`."""
        with self.person():
            self.control.set(field, weight, for_=seconds, allow_needless=True, unstop=True)

    @rule(at=st.sampled_from(STOPS))
    def rolls_back(self, at: str) -> None:
        """`graysplit rollback`."""
        with self.person():
            self.control.rollback(at)

    @rule(split=splits, force=st.booleans())
    def undoes(self, split: str, force: bool) -> None:
        """`graysplit undo`."""
        with self.person():
            self.control.undo(split, force=force)

    @rule(at=st.sampled_from(STOPS))
    def unstops(self, at: str) -> None:
        """`graysplit unstop`."""
        with self.person():
            self.control.unstop(at)

    @rule(split=splits, unit=units, to=st.sampled_from((0, 1, "deny", "unpin")))
    def pins(self, split: str, unit: str, to: int | str) -> None:
        """`graysplit pin`, or `unpin`."""
        with self.person():
            if to == "unpin":
                self.control.unpin(split, unit)
            elif to == "deny":
                self.control.pin(split, unit, deny=True)
            else:
                self.control.pin(split, unit, SPLITS[split][int(to)])

    @precondition(lambda self: self.definitions_go_bad)
    @rule(split=splits)
    def deletes(self, split: str) -> None:
        """`graysplit delete`."""
        with self.person():
            self.control.delete(split)

    @precondition(lambda self: self.definitions_go_bad)
    @rule(split=splits, turned=st.booleans())
    def creates(self, split: str, turned: bool) -> None:
        """`graysplit create`, at times with another baseline."""
        with self.person():
            self.control.create(split, SPLITS[split][::-1] if turned else SPLITS[split])

    # -- people with redis-cli ---------------------------------------------------------------------------------------

    @rule(field=fields, weight=st.sampled_from(GOOD))
    def writes_a_weight(self, field: str, weight: str) -> None:
        """`HSET weights`."""
        with self.person():
            self.store.raw_set("weights", field, weight)

    @precondition(lambda self: self.people_mistype)
    @rule(field=st.sampled_from((*FIELDS, *MISTYPED)), weight=st.sampled_from((*(w.encode() for w in GOOD), *BAD)))
    def mistypes_a_weight(self, field: str, weight: bytes) -> None:
        """`HSET weights`, the field or the value mistyped."""
        with self.person():
            self.store.raw_set("weights", field, weight)

    @rule(field=st.sampled_from((*FIELDS, *FIELDS, *MISTYPED)))
    def takes_a_weight_away(self, field: str) -> None:
        """`HDEL weights`."""
        with self.person():
            self.store.raw_delete("weights", field)

    @rule(field=st.sampled_from((*STOPS, "checkout/old", "chekout")))
    def writes_a_stop(self, field: str) -> None:
        """`HSET stops`."""
        with self.person():
            self.store.raw_set("stops", field, f"by hand {self.moment}")

    @rule(field=st.sampled_from(STOPS))
    def takes_a_stop_away(self, field: str) -> None:
        """`HDEL stops`."""
        with self.person():
            self.store.raw_delete("stops", field)

    @precondition(lambda self: self.definitions_go_bad)
    @rule(split=splits, definition=st.sampled_from(DEFINITIONS))
    def writes_a_definition(self, split: str, definition: bytes) -> None:
        """`HSET splits`."""
        with self.person():
            self.store.raw_set("splits", split, definition)

    @precondition(lambda self: self.definitions_go_bad)
    @rule(split=splits)
    def takes_a_definition_away(self, split: str) -> None:
        """`HDEL splits`."""
        with self.person():
            self.store.raw_delete("splits", split)

    @precondition(lambda self: self.keys_get_lost)
    @rule(key=st.sampled_from(KEYS))
    def makes_a_lost_key_sound(self, key: str) -> None:
        """`HSET key _ 1`."""
        with self.person():
            self.store.raw_set(key, "_", "1")

    # -- faults ------------------------------------------------------------------------------------------------------

    @rule(writes=st.integers(1, 6))
    def lose_last_n_writes(self, writes: int) -> None:
        """Let the store fall back to an earlier copy; who is connected stays connected."""
        self.falls_back(self.store.ago(writes))

    @rule(writes=st.integers(0, 6))
    def fork_lineage(self, writes: int) -> None:
        """Let a second store take over, with a copy made some writes ago; all connect to it."""
        self.is_replaced(self.store.ago(writes))

    @rule(
        field=fields,
        weight=st.sampled_from(GOOD[1:]),
        how=st.sampled_from(sorted(LOWERINGS)),
        fault=faults,
        born=st.booleans(),
    )
    def a_lowering_is_lost(self, field: str, weight: str, how: str, fault: str, born: bool) -> None:
        """Raise, lower in one of the ways there are, and lose the lowering: what every other rule does by chance.

        Whoever is born then knows nothing of it.
        """
        with self.person():
            self.control.set(field, weight, allow_needless=True, unstop=True)
        before = copy_of(self.store)
        with self.person():
            LOWERINGS[how](self.store, self.control, field)
        known = self.in_force_where_known(field, before)
        if fault == "replaced":
            self.is_replaced(before)
        elif fault == "a key lost" and self.keys_get_lost:
            self.lose_a_key("stops" if "stop" in how else "weights")
        else:
            self.falls_back(before)
        for process, stood in known:
            split_state = process.split_state(split_of(field))
            assert split_state is None or not rises(stood, split_state.in_force(field.partition("/")[2]))
        if born and len(self.processes) < PROCESSES_AT_MOST:
            self.is_born()

    def in_force_where_known(self, field: str, copy: Copy) -> list[tuple[Process, Weight]]:
        """Return a weight as it is in force where the last change has been read, if that is not in a copy.

        Timeline 3.
        """
        newest = self.store.history(count=1)
        last = newest[0].id if newest else ""
        if not last or last in {entry.id for _, entry in copy.log}:
            return []
        split, _, version = field.partition("/")
        split_states = [(one, one.split_state(split)) for one in self.connected if last in one.replica.past.recent]
        return [
            (process, split_state.in_force(version)) for process, split_state in split_states if split_state is not None
        ]

    @precondition(lambda self: self.definitions_go_bad)
    @rule(split=splits, replaced=st.booleans())
    def a_shape_is_lost(self, split: str, replaced: bool) -> None:
        """Turn a split's sides, and lose that (timeline 7)."""
        before = copy_of(self.store)
        self.deletes(split)
        self.creates(split, turned=True)
        if replaced:
            self.is_replaced(before)
        else:
            self.falls_back(before)

    def falls_back(self, copy: Copy) -> None:
        """Put a copy in the place of what the store holds."""
        put_back(self.store, copy)
        self.store.keep_copy()
        self.signal()

    def is_replaced(self, copy: Copy) -> None:
        """Put a second store with a copy in the place of the first."""
        second = Store(self.clock)
        second.copies.extend(self.store.copies)
        put_back(second, copy)
        second.keep_copy()
        self.store = second
        for process in self.processes:
            if not process.apart:
                process.attach(second)
        self.signal()

    @precondition(lambda self: self.minority is None and len(self.processes) > 1)
    @rule(which=whiches, writes=st.integers(0, 2))
    def falls_apart(self, which: int, writes: int) -> None:
        """Let a second store take over while one process, and a person, stay with the first (timeline 8)."""
        self.minority = self.store
        self.processes[which % len(self.processes)].apart = True
        self.is_replaced(self.store.ago(writes))

    @precondition(lambda self: self.minority is None and len(self.processes) > 1)
    @rule(
        which=whiches,
        field=fields,
        weights=st.tuples(st.sampled_from(GOOD[1:]), st.sampled_from(GOOD[1:])),
        how=st.sampled_from(sorted(LOWERINGS)),
    )
    def a_lowering_apart_meets_a_raise(self, which: int, field: str, weights: tuple[str, str], how: str) -> None:
        """Let one side raise, then the other lower; the raise is the older of the two when they meet."""
        self.sets(field, weights[0])
        self.falls_apart(which, 0)
        self.sets(field, weights[1])
        self.lowers_apart(field, how)
        self.comes_together()

    @precondition(lambda self: self.minority is not None)
    @rule(field=fields, weight=st.sampled_from(GOOD))
    def sets_apart(self, field: str, weight: str) -> None:
        """`graysplit set`, heard by those alone who stayed with the first store."""
        assert self.minority is not None
        with self.person(self.minority):
            Control(self.minority, actor="bob", confirm=True).set(field, weight, allow_needless=True, unstop=True)
        self.hear_apart()

    @precondition(lambda self: self.minority is not None)
    @rule(field=fields, how=st.sampled_from(sorted(LOWERINGS)))
    def lowers_apart(self, field: str, how: str) -> None:
        """Lower in one of the ways there are, heard by those alone who stayed with the first store."""
        assert self.minority is not None
        with self.person(self.minority):
            LOWERINGS[how](self.minority, Control(self.minority, actor="bob", confirm=True), field)
        self.hear_apart()

    def hear_apart(self) -> None:
        """Let those read who stayed with the first store, and book what was edited by hand."""
        assert self.minority is not None
        for process in self.processes:
            if process.apart and process.connected and self.prompt:
                self.take(process)
                process.feed.record_raw_edits("outside")
                self.minority.keep_copy()
                self.note_stops()
                self.take(process)

    @precondition(lambda self: self.minority is not None)
    @rule()
    def comes_together(self) -> None:
        """Let all follow the second store: what was written to the first alone is lost."""
        self.minority = None
        for process in self.processes:
            if process.apart:
                process.apart = False
                process.attach(self.store)
        self.signal()

    @precondition(lambda self: self.keys_get_lost)
    @rule(key=st.sampled_from(KEYS))
    def lose_a_key(self, key: str) -> None:
        """`DEL key`, or an eviction."""
        self.store.raw_drop(key)
        self.store.keep_copy()
        self.signal()

    @rule(seconds=st.sampled_from((0.001, 1.0, 11.0, 400.0)))
    def time_passes(self, seconds: float) -> None:
        """Move the clocks; leases end by themselves, cut off or not."""
        self.clock.now += seconds
        for process in self.processes:
            process.turn()

    # -- processes ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.processes) < PROCESSES_AT_MOST)
    @rule()
    def is_born(self) -> None:
        """Start a process that knows nothing."""
        self.processes.append(Process(self.store, self.clock))
        self.signal()

    @precondition(lambda self: self.files and len(self.processes) < PROCESSES_AT_MOST)
    @rule(which=whiches)
    def is_born_with_a_file(self, which: int) -> None:
        """Start a process that begins with what another held when it died."""
        self.processes.append(Process(self.store, self.clock, self.files[which % len(self.files)].file()))
        self.signal()

    @precondition(lambda self: len(self.processes) > 1)
    @rule(which=whiches)
    def dies(self, which: int) -> None:
        """End a process; its file remains."""
        dead = self.processes.pop(which % len(self.processes))
        if dead.held.loaded:
            self.files.append(dead)

    @precondition(lambda self: len(self.connected) > 1)
    @rule(which=whiches)
    def is_cut_off(self, which: int) -> None:
        """Let a process miss signals from now on."""
        self.connected[which % len(self.connected)].connected = False

    @precondition(lambda self: not all(process.connected for process in self.processes))
    @rule()
    def come_back(self) -> None:
        """Let all who were cut off hear the store again."""
        for process in self.processes:
            process.connected = True
        self.signal()

    @property
    def connected(self) -> list[Process]:
        """Return those who hear the store in force."""
        return [process for process in self.processes if process.connected and not process.apart]

    @precondition(lambda self: self.processes)
    @rule(which=whiches)
    def reads(self, which: int) -> None:
        """Let a process take a reading: what is lower is adopted, whatever the reading is (law 6)."""
        self.take(self.processes[which % len(self.processes)])

    @precondition(lambda self: self.processes)
    @rule(which=whiches)
    def books(self, which: int) -> None:
        """Let a process write raw edits into the history, as one that may does within a quarter second."""
        process = self.processes[which % len(self.processes)]
        if process.connected:
            process.feed.record_raw_edits("outside")
            self.store.keep_copy()
            self.note_stops()
            self.signal()

    @rule()
    def all_read(self) -> None:
        """Let everybody who hears the store read, write back what it has lost, and read again."""
        connected = self.connected
        known = {id(process): dict(process.held.stops) for process in connected}
        for _ in range(2):
            for process in connected:
                self.take(process)
        self.nobody_runs_what_somebody_knows_stopped(connected, known)

    # -- what holds --------------------------------------------------------------------------------------------------

    def take(self, process: Process) -> None:
        """Read, if the store is heard; an adoption never raises, and whatever is lower is adopted."""
        if not process.connected:
            return
        load, before = process.load(), process.held
        unexplained = unexplained_shapes(process, load)
        process.read()
        self.store.keep_copy()
        self.note_stops()
        lowered_to(process, load)
        for split in unexplained:
            assert shape(split, process.held) == shape(split, before)
        agrees(process)

    def recorded(self, connected: list[Process], known: dict[int, dict[str, str]]) -> Iterator[tuple[str, str, int]]:
        """Return the stops in anybody's memory whose entry that process has read, with the time of the entry."""
        for process in connected:
            for stop, value in (known[id(process)] | dict(process.held.stops)).items():
                since, change = self.stopped_at.get(value, (0, ""))
                if change in process.replica.past.recent:
                    yield stop, value, since

    def nobody_runs_what_somebody_knows_stopped(
        self, connected: list[Process], known: dict[int, dict[str, str]]
    ) -> None:
        """Hold what a stop in anybody's memory covers to zero everywhere, until a person's change younger than it."""
        for stop, value, since in self.recorded(connected, known):
            for field in (f for f in FIELDS if covers(stop, f)):
                if self.lifted_at.get(field, -1) >= since:
                    continue
                for process in connected:
                    split_state = process.split_states().get(split_of(field))
                    version = field.partition("/")[2]
                    if split_state is None or version == split_state.definition.baseline:
                        continue
                    assert split_state.in_force(version) == 0, (
                        f"{field} is stopped by {stop} ({value}), and runs at {split_state.in_force(version)}"
                    )

    @invariant()
    def nobody_reaches_zero(self) -> None:
        """Hold what is at zero or stopped to nobody, pinned or kept in a request as they may be (law 4)."""
        for process in self.processes:
            for split, split_state in process.split_states().items():
                state = process.states.state(split)
                assert state.names[0] == split_state.definition.baseline
                closed = {v.name for v in split_state.definition.candidates if split_state.in_force(v.name) == 0}
                picked = process.picks(split)
                assert picked == ladder(split_state)
                assert not closed & {version for version, _ in picked}
                for unit in UNITS:
                    assert process.choose(split, unit, kept=True) not in closed


def lets_in(before: Load, after: Load, field: str) -> bool:
    """Return whether an act took away a stop that covers a candidate, or gave it a weight to go by."""
    cleared = {text(stop) for stop in before.stops.fields.keys() - after.stops.fields.keys()}
    if any(covers(stop, field) for stop in cleared) or (before.stops.lost and not after.stops.lost):
        return True
    was, now = before.weights.fields.get(field.encode()), after.weights.fields.get(field.encode())
    return was != now and not any(covers(text(stop), field) for stop in after.stops.fields)


def covers(stop: str, field: str) -> bool:
    """Return whether a stop holds a candidate."""
    return stop in ("*", field, split_of(field))


def lowered_to(process: Process, load: Load) -> None:
    """Hold a process to what a reading lowers: stops stand, and no weight is above the one read (law 6)."""
    if not process.held.loaded:
        return
    for raw in load.stops.fields:
        assert raw == SENTINEL or text(raw) in process.held.stops
    for raw, value in load.weights.fields.items():
        if raw == SENTINEL:
            continue
        with suppress(BadWeightError):
            weight = parse_weight(text(value))
            assert not rises(weight, process.held.weights.get(text(raw), 0))
    for split, split_state in process.split_states().items():
        state = process.states.state(split)
        for name, weight in zip(state.names[1:], state.weights[1:], strict=True):
            assert share(weight) <= share(split_state.in_force(name))


def unexplained_shapes(process: Process, load: Load) -> set[str]:
    """Return the splits that must keep their shape in a reading: the log has forked, and nothing newer names them."""
    past, held = process.replica.past, process.held
    if not forked(past, load):
        return set()
    explained = crossed(past, process.feed.load("", whole=True), held).explained or frozenset()
    return {split for split in held.definitions if f"splits {split}" not in explained}


def shape(split: str, held: Adopted) -> object:
    """Return what a split's weights speak of (timeline 7)."""
    raw = held.definitions.get(split)
    definition = definition_of(split, raw) if raw is not None else None
    return definition and (definition.baseline, definition.names)


def agrees(process: Process) -> None:
    """Hold a process that holds nothing back to the store's word, raw edits included (law 7)."""
    load = process.load()
    held, back = process.held, process.replica.distrusted
    if back or held.lost or process.replica.past.fenced or not held.loaded:
        return
    said, unread, fresh = _read_anew(load)
    assert {at: why for at, why in fresh.refused.items() if at[0] == "weights"}.keys() <= held.refused.keys()
    assert dict(held.stops) == dict(fresh.stops)
    refused = {split_of(field) for _, field in held.refused} | unread.keys()
    mine = process.split_states()
    assert mine.keys() - refused == said.splits.keys() - refused
    for split in mine.keys() - refused:
        split_state = said.splits[split]
        assert process.states.state(split).weights[1:] == tuple(
            split_state.in_force(name) for name in process.states.state(split).names[1:]
        )
        assert [version for version, _ in process.choices(split)] == [version for version, _ in ladder(split_state)]


_last_read: list[tuple[Load, tuple[Snapshot, Mapping[str, str], Adopted]]] = []


def _read_anew(load: Load) -> tuple[Snapshot, Mapping[str, str], Adopted]:
    """Read a store as whoever starts now would; what several processes read at one moment is read for them once."""
    content = load._replace(entries=(), position="", anchor="")
    if not _last_read or _last_read[-1][0] != content:
        _last_read[:] = [(content, (*read_snapshot(content), read_held(content)))]
    return _last_read[-1][1]


def test_a_stop_by_hand_is_written_back_at_the_first_reading() -> None:
    """It says no time, and is younger than a raise on the other side: nobody runs that until somebody reads again."""
    model = TwoStores()
    model.create_splits(keys=False, definitions=False, mistakes=False)
    model.falls_apart(which=1, writes=0)
    model.sets("ranking/c", "20")
    model.lowers_apart("ranking/c", "a stop on everything")
    model.comes_together()
    assert [process.held.stops.keys() for process in model.processes] == [{"ranking/c"}, {"ranking/c"}]


@pytest.mark.timeout(600)  # of which a failure takes minutes to be made small
def test_what_is_stopped_stays_stopped() -> None:
    """In a hundred histories, the same in every run."""
    run(TwoStores, 100, 40, derandomize=True)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_what_is_stopped_stays_stopped_in_thousands_of_histories() -> None:
    """Other orders of events each time, and longer ones."""
    run(TwoStores, 2_000, 60, derandomize=False)
