"""Two histories of one namespace, any order of faults: what is stopped stays stopped, and nobody else is disturbed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from graysplit import Control
from graysplit.codec import read_held, read_snapshot
from graysplit.core.adoption import text
from graysplit.core.decision import Case, decide
from graysplit.core.record import SENTINEL, Load
from graysplit.core.weights import parse_weight, rises, share, split_of
from graysplit.errors import BadWeightError, GraysplitError
from tests.model.world import UNITS, FakeClock, Process, Store, put_back

PROCESSES_AT_MOST: Final = 4
SPLITS: Final = {"checkout": ("old", "new"), "ranking": ("a", "b", "c")}
FIELDS: Final = ("checkout/new", "ranking/b", "ranking/c")
STOPS: Final = (*FIELDS, *SPLITS, "*")
MISTYPED: Final = ("checkout", "ranking", "checkout/old", "ranking/a", "chekout/new", "Checkout/new", "x")
GOOD: Final = ("0", "5", "20", "50", "100", "12.5", "preview")
BAD: Final = (b"", b"null", b"1_0", b"101", b" 20 ", b"\xff\xfe", b"2e1", b"-1", b'{"w": 20')
DEFINITIONS: Final = (b"", b"null", b"{}", b"[]", b"{", b"\xff", b'{"versions": []}', b'{"tombstone": "by hand"}')
KEYS: Final = ("weights", "stops", "splits", "meta", "booked")

splits = st.sampled_from(sorted(SPLITS))
fields = st.sampled_from(FIELDS)
units = st.sampled_from(UNITS[:6])
whiches = st.integers(0, PROCESSES_AT_MOST - 1)


class TwoStores(RuleBasedStateMachine):
    """One store in force, copies of what it was, processes that follow it, and people with two kinds of tools."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.clock = FakeClock()
        self.store = Store(self.clock)
        self.processes: list[Process] = []
        self.files: list[Process] = []  # the dead, whose last-known-good files remain
        self.moment = 0
        self.stopped_at: dict[str, int] = {}  # a stop's text to when it was first seen in a store
        self.lifted_at: dict[str, int] = {}  # by candidate: when a person let somebody in last

    # -- the namespace begins ----------------------------------------------------------------------------------------

    @initialize()
    def create_splits(self) -> None:
        """Two splits, and one process that has read them."""
        control = Control(self.store, actor="ann")
        self.store.keep_copy()
        for split, versions in SPLITS.items():
            control.create(split, versions)
            self.store.keep_copy()
        self.processes.append(Process(self.store, self.clock))
        self.processes[0].read()

    # -- people ------------------------------------------------------------------------------------------------------

    @contextmanager
    def person(self) -> Iterator[None]:
        """Note whom a person's act lets in, and what it does not write."""
        before = self.store.load()
        self.moment += 1
        self.clock.now += 0.001
        with suppress(GraysplitError):
            yield
        self.store.keep_copy()
        after = self.store.load()
        for field in FIELDS:
            if lets_in(before, after, field):
                self.lifted_at[field] = self.moment
        self.note_stops()

    def note_stops(self) -> None:
        """Remember when each stop was first seen."""
        for field, value in self.store.load().stops.fields.items():
            if field != SENTINEL:
                self.stopped_at.setdefault(text(value), self.moment)

    @property
    def control(self) -> Control:
        """The operator's hand."""
        return Control(self.store, actor="ann")

    @rule(field=fields, weight=st.sampled_from(GOOD))
    def sets(self, field: str, weight: str) -> None:
        """`graysplit set`."""
        with self.person():
            self.control.set(field, weight, yes=True)

    @rule(field=fields, weight=st.sampled_from(GOOD), seconds=st.sampled_from((0.5, 5.0, 600.0)))
    def sets_for_a_time(self, field: str, weight: str, seconds: float) -> None:
        """`graysplit set --for`."""
        with self.person():
            self.control.set(field, weight, for_s=seconds, yes=True)

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

    @rule(split=splits)
    def deletes(self, split: str) -> None:
        """`graysplit delete`."""
        with self.person():
            self.control.delete(split)

    @rule(split=splits, turned=st.booleans())
    def creates(self, split: str, turned: bool) -> None:
        """`graysplit create`, at times with another baseline."""
        with self.person():
            self.control.create(split, SPLITS[split][::-1] if turned else SPLITS[split])

    # -- people with redis-cli ---------------------------------------------------------------------------------------

    @rule(field=st.sampled_from((*FIELDS, *MISTYPED)), weight=st.sampled_from((*(good.encode() for good in GOOD), *BAD)))
    def writes_a_weight(self, field: str, weight: bytes) -> None:
        """`HSET weights`, the field or the value mistyped at times."""
        with self.person():
            self.store.raw_set("weights", field, weight)

    @rule(field=st.sampled_from((*FIELDS, *MISTYPED)))
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

    @rule(split=splits, definition=st.sampled_from(DEFINITIONS))
    def writes_a_definition(self, split: str, definition: bytes) -> None:
        """`HSET splits`."""
        with self.person():
            self.store.raw_set("splits", split, definition)

    @rule(split=splits)
    def takes_a_definition_away(self, split: str) -> None:
        """`HDEL splits`."""
        with self.person():
            self.store.raw_delete("splits", split)

    @rule(key=st.sampled_from(KEYS))
    def makes_a_lost_key_sound(self, key: str) -> None:
        """`HSET key _ 1`."""
        with self.person():
            self.store.raw_set(key, "_", "1")

    # -- faults ------------------------------------------------------------------------------------------------------

    @rule(writes=st.integers(1, 6))
    def lose_last_n_writes(self, writes: int) -> None:
        """The store falls back to an earlier copy; who is connected stays connected."""
        put_back(self.store, self.store.ago(writes))
        self.store.keep_copy()

    @rule(writes=st.integers(0, 6))
    def fork_lineage(self, writes: int) -> None:
        """A second store, with a copy made some writes ago, takes over; all connect to it."""
        second = Store(self.clock)
        second.copies.extend(self.store.copies)
        put_back(second, self.store.ago(writes))
        second.keep_copy()
        self.store = second
        for process in self.processes:
            process.attach(second)

    @rule(key=st.sampled_from(KEYS))
    def lose_a_key(self, key: str) -> None:
        """`DEL key`, or an eviction."""
        self.store.raw_drop(key)
        self.store.keep_copy()

    @rule(seconds=st.sampled_from((0.001, 1.0, 11.0, 400.0)))
    def time_passes(self, seconds: float) -> None:
        """Only on the clocks; leases end by themselves, cut off or not."""
        self.clock.now += seconds
        for process in self.processes:
            process.turn()

    # -- processes ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.processes) < PROCESSES_AT_MOST)
    @rule()
    def is_born(self) -> None:
        """A process that knows nothing."""
        self.processes.append(Process(self.store, self.clock))

    @precondition(lambda self: self.files and len(self.processes) < PROCESSES_AT_MOST)
    @rule(which=whiches)
    def is_born_with_a_file(self, which: int) -> None:
        """A process that begins with what another held when it died."""
        self.processes.append(Process(self.store, self.clock, self.files[which % len(self.files)].file()))

    @precondition(lambda self: self.processes)
    @rule(which=whiches)
    def dies(self, which: int) -> None:
        """A process ends; its file remains."""
        dead = self.processes.pop(which % len(self.processes))
        if dead.held.loaded:
            self.files.append(dead)

    @precondition(lambda self: self.processes)
    @rule(which=whiches)
    def is_cut_off_or_comes_back(self, which: int) -> None:
        """A process misses signals from now on, or no longer."""
        process = self.processes[which % len(self.processes)]
        process.connected = not process.connected

    @precondition(lambda self: self.processes)
    @rule(which=whiches)
    def reads(self, which: int) -> None:
        """A process takes a reading: what is lower is adopted, whatever the reading is (law 6)."""
        self.take(self.processes[which % len(self.processes)])

    @precondition(lambda self: self.processes)
    @rule(which=whiches)
    def books(self, which: int) -> None:
        """A process that may writes raw edits into the history."""
        process = self.processes[which % len(self.processes)]
        if process.connected:
            process.feed.book("outside")
            self.store.keep_copy()

    @rule()
    def all_read(self) -> None:
        """Everybody who hears the store reads, writes back what it has lost, and reads again."""
        connected = [process for process in self.processes if process.connected]
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
        load = process.load()
        process.read()
        self.store.keep_copy()
        self.note_stops()
        lowered_to(process, load)
        agrees(process)

    def nobody_runs_what_somebody_knows_stopped(
        self, connected: list[Process], known: dict[int, dict[str, str]]
    ) -> None:
        """A stop in anybody's memory is at zero everywhere, until a person's change younger than it."""
        stops = [stop for process in connected for stop in (known[id(process)] | dict(process.held.stops)).items()]
        for stop, value in stops:
            for field in (f for f in FIELDS if covers(stop, f)):
                if self.lifted_at.get(field, -1) >= self.stopped_at.get(value, self.moment):
                    continue
                for process in connected:
                    standing = process.standings().get(split_of(field))
                    version = field.partition("/")[2]
                    if standing is None or version == standing.definition.baseline:
                        continue
                    assert standing.effective(version) == 0, (
                        f"{field} is stopped by {stop} ({value}), and runs at {standing.effective(version)}"
                    )

    @invariant()
    def nobody_reaches_zero(self) -> None:
        """At weight zero or stopped no unit reaches a version, pinned or kept in a request as it may be (law 4)."""
        for process in self.processes:
            for split, standing in process.standings().items():
                state = process.board.state(split)
                assert state.names[0] == standing.definition.baseline
                closed = {v.name for v in standing.definition.candidates if standing.effective(v.name) == 0}
                for unit in UNITS:
                    picked, reason = state.pick(unit.encode())
                    said = decide(Case(standing, unit.encode(), {}, None))
                    assert (state.names[picked], reason) == (said.version, said.reason)
                    assert state.names[picked] not in closed
                    assert process.choose(split, unit, kept=True) not in closed


def lets_in(before: Load, after: Load, field: str) -> bool:
    """Say whether an act took away a stop that covers a candidate, or raised it from what may be zero."""
    cleared = {text(stop) for stop in before.stops.fields.keys() - after.stops.fields.keys()}
    if any(covers(stop, field) for stop in cleared) or (before.stops.lost and not after.stops.lost):
        return True
    return _open(after, field) and not _open(before, field)


def _open(load: Load, field: str) -> bool:
    if any(covers(text(stop), field) for stop in load.stops.fields):
        return False
    raw = load.weights.fields.get(field.encode(), b"0")
    try:
        return parse_weight(text(raw)) != 0
    except BadWeightError:
        return False


def covers(stop: str, field: str) -> bool:
    """Say whether a stop holds a candidate."""
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
    for split, standing in process.standings().items():
        state = process.board.state(split)
        for name, weight in zip(state.names[1:], state.weights[1:], strict=True):
            assert share(weight) <= share(standing.effective(name))


def agrees(process: Process) -> None:
    """Hold a process that holds nothing back to the store's word, raw edits included (law 7)."""
    load = process.load()
    held, back = process.held, process.keeper.back
    if back or held.lost or process.keeper.past.fenced or not held.loaded:
        return
    said, unread = read_snapshot(load)
    fresh = read_held(load)
    assert {at: why for at, why in fresh.refused.items() if at[0] == "weights"}.keys() <= held.refused.keys()
    assert dict(held.stops) == dict(fresh.stops)
    refused = {split_of(field) for _, field in held.refused} | unread.keys()
    mine = process.standings()
    assert mine.keys() - refused == said.splits.keys() - refused
    for split in mine.keys() - refused:
        standing = said.splits[split]
        assert process.board.state(split).weights[1:] == tuple(
            standing.effective(name) for name in process.board.state(split).names[1:]
        )
        for unit in UNITS:
            decision = decide(Case(standing, unit.encode(), {}, None))
            assert process.choose(split, unit) == decision.version


SOAK: Final = bool(os.environ.get("GRAYSPLIT_SOAK"))

TestTwoStores: Callable[..., object] = TwoStores.TestCase
TwoStores.TestCase.settings = settings(
    max_examples=5_000 if SOAK else 60,
    stateful_step_count=80 if SOAK else 40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
