"""Whatever stands in a store, nobody crashes, nobody moves, and everything beside it is followed (law 9).

The same with a real server, spoilt at random alone: `tests/faults/test_fuzz.py`.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import gc
import json
import logging
import random
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import pytest

from graysplit import Control
from graysplit.codec import dump_definition, parse_definition
from graysplit.core.allocation import PLACES
from graysplit.core.definition import Definition, Version, define
from graysplit.core.entry import Entry
from graysplit.core.fleet import Declared, Effect, Receipt
from graysplit.core.guard.settings import Guard, guard_record
from graysplit.core.replica.adoption import MAX_DEFINITION, text
from graysplit.core.weights import parse_weight
from graysplit.errors import BadDefinitionError, BadWeightError, GraysplitError
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Report
from graysplit.stores.text.records import about_text, entry_fields, read_entry, read_process, receipt_text
from tests.clocks import MovedClock
from tests.model.mutations import at_random, broken, one_by_one, places_of, written
from tests.model.world import UNITS, Process

CANARY: Final = "canary-4417"
SPOILT: Final = "checkout"
OTHERS: Final = tuple(f"split-{number}" for number in range(499))
SLOW_S: Final = 0.010  # of the processor, for one decision

# Every field that a definition has, each with a value of its own.
PLAN: Final[Mapping[str, object]] = {
    "version": "new",
    "steps": [{"weight": "30", "after": "10m", "until": "safe", "approve": True, "max_wait": "2h"}, {"weight": "100"}],
    "bake": "1h",
    "needs": 1,
}
FULL: Final = define(SPOILT, ("old", "new", "other"))._replace(
    pins={CANARY: "new", "u-1": "old"}, denied=("u-2", CANARY + "-2"), when_stale="baseline", max_stale=60,
    protected=True, in_flight="finish", plan=PLAN, guard=guard_record(Guard("pause", "strict", 0.5, at_ms=7, by="ann")),
)  # fmt: skip
RECORD: Final[dict[str, Any]] = {  # Any: JSON
    **json.loads(dump_definition(FULL)),
    "by": "unit",
    "versions": [{"name": "old"}, {"name": "new", "place": 0}, {"name": "other", "place": 1}],
}
BAD_WEIGHTS: Final = (
    "NaN", "-1", "101", "100.001", "1_0", " 20 ", "20\n", "2e1", "٢٠", "0x14", "20%", "20,5", "+20", "20.0001",
    ".5", "5.", "[]", "{}", "true",
    "previews", "Preview", "\x00", "9" * 5_000, "20" + "\x00" * 30, "[" * 100_000, "٢" * 1_000_000,
)  # fmt: skip


class World:
    """A store with 500 splits at 20 %, one process that follows it, and one split that is spoilt again and again."""

    def __init__(self) -> None:
        """Begin with everything good and read."""
        self.clock = MovedClock()
        self.store = MemoryStore(clock=self.clock)
        Control(self.store, actor="ann", confirm=True).create(SPOILT, ("old", "new", "other"))
        self.store.raw_set("splits", SPOILT, dump_definition(FULL))
        for field in (f"{SPOILT}/new", f"{SPOILT}/other"):
            self.store.raw_set("weights", field, "20")
        for split in OTHERS:
            self.store.raw_set("splits", split, dump_definition(define(split, ("old", "new"))))
        self.process = Process(self.store, self.clock)
        self.rounds = 0
        self.read(self.process)
        self.answers = self.asked(self.process)
        assert len(set(self.answers.values())) == 3

    def read(self, process: Process) -> None:
        """Change all others, and let a process read: they follow, whatever else is found."""
        self.rounds += 1
        self.clock.now += 61.0  # every line of the log is said anew
        weight = str(1 + self.rounds % 99)
        hashes = self.store._space.hashes
        hashes["weights"] |= {f"{split}/new".encode(): weight.encode() for split in OTHERS}
        process.read()
        followed = [process.held.weights.get(f"{split}/new") for split in OTHERS]
        assert followed == [int(weight) * 1000] * len(OTHERS)
        some = OTHERS[self.rounds % len(OTHERS)]
        assert process.states.state(some).weights == (0, int(weight) * 1000)

    def asked(self, process: Process) -> dict[str, str]:
        """Ask for every unit; none takes long, the garbage of thousands of other tests aside."""
        answers: dict[str, str] = {}
        gc.disable()
        try:
            for unit in (*UNITS, CANARY, CANARY + "-2"):
                before = time.thread_time()
                answers[unit] = process.choose(SPOILT, unit)
                assert time.thread_time() - before < SLOW_S
        finally:
            gc.enable()
        return answers

    def refuses(self, key: str, field: str, raw: bytes, named: str) -> None:
        """Write a bad value: it is refused by name, nobody moves, and it is so in a process born with the file too."""
        before = self.store._space.hashes[key].get(field.encode())
        self.store._space.hashes[key][field.encode()] = raw
        processes = [self.process]
        if self.rounds % 10 == 0:
            processes.append(Process(self.store, self.clock, self.process.file()))
            assert self.asked(processes[1]) == self.answers, named
        for process in processes:
            self.read(process)
            assert set(process.held.refused) == {(key, field)}, named
            reason = process.held.refused[key, field]
            assert SPOILT in reason or "invalid weight" in reason, named
            assert CANARY not in reason
            assert len(reason) < 400
            assert reason.isprintable()
            assert self.asked(process) == self.answers, named
        self.store._space.hashes[key][field.encode()] = before or b"0"

    def takes(self, raw: bytes, named: str) -> None:
        """Write a value that is a definition after all: it is taken, and nobody moves."""
        self.store._space.hashes["splits"][SPOILT.encode()] = raw
        self.read(self.process)
        assert not self.process.held.refused, named
        assert self.process.held.definitions[SPOILT] == raw, named
        assert self.asked(self.process) == self.answers, named

    def heals(self) -> None:
        """Read the good values again: nothing is refused any more."""
        self.read(self.process)
        assert not self.process.held.refused
        assert self.asked(self.process) == self.answers


@pytest.fixture
def world(caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    """Return a world; whatever was logged in it names no unit, and no line is long."""
    caplog.set_level(logging.DEBUG)
    yield World()
    for record in caplog.records:
        assert CANARY not in record.getMessage()
        assert len(record.getMessage()) < 1_000


def is_definition(raw: bytes) -> bool:
    """Return whether a spoilt value is a definition (or a tombstone) after all."""
    try:
        parse_definition(SPOILT, raw)
    except BadDefinitionError:
        return False
    return len(raw) <= MAX_DEFINITION


def is_weight(raw: bytes) -> bool:
    """Return whether a spoilt value is a weight after all."""
    try:
        parse_weight(text(raw))
    except BadWeightError:
        return False
    return True


def test_every_field_is_spoilt() -> None:
    """The record that is spoilt has all fields that there are, each with a value that says something."""
    assert set(RECORD) == set(Definition._fields), "give FULL a value for each new field"
    assert {key for version in RECORD["versions"] for key in version} == set(Version._fields)


# What may be absent or blank; whatever a plan or guard says is judged by whoever acts on it, and moves nobody itself.
OPTIONAL: Final = (
    "pins", "denied", "max_stale", "when_stale", "protected", "in_flight", "by", "plan", "guard", "('versions', 2",
)  # fmt: skip


def spoil_one_by_one(world: World, first: int, step: int) -> None:
    """Spoil each place of the record in each way (or in every so many), and then heal it."""
    everything = list(one_by_one(RECORD))
    assert len(everything) > 1_000
    good = {named: raw for named, raw in everything if is_definition(raw)}
    better = [named for named, raw in good.items() if parse_definition(SPOILT, raw) != FULL]
    assert not [named for named in better if not any(field in named for field in OPTIONAL)]
    assert not [named for named in better if "twice" in named]
    for named, raw in everything[first::step]:
        if named not in good:
            world.refuses("splits", SPOILT, raw, named)
        elif "('plan'" in named:
            world.takes(raw, named)
    world.store._space.hashes["splits"][SPOILT.encode()] = dump_definition(FULL).encode()
    world.heals()


def test_each_field_of_a_definition_spoilt_moves_nobody(world: World) -> None:
    """Blanked, nulled, absent, retyped, twice, too long, too deep, no text: refused, and the last good one stands."""
    spoil_one_by_one(world, 0, 4)


@pytest.mark.soak
def test_each_field_of_a_definition_spoilt_in_each_way_moves_nobody(world: World) -> None:
    """The same, for each field in each way."""
    spoil_one_by_one(world, 0, 1)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_spoilt_definitions_move_nobody(world: World, seed: int) -> None:
    """Up to three fields at once, and bytes flipped: 2,000 for each seed."""
    chance = random.Random(seed)
    refused = 0
    while refused < 2_000:
        raw = at_random(RECORD, chance)
        if not is_definition(raw):
            refused += 1
            world.refuses("splits", SPOILT, raw, f"{raw[:2_000]!r} (seed {seed})")
    world.heals()


def test_spoilt_weights_move_nobody(world: World) -> None:
    """Whatever is no weight is refused for that field alone, and its last good weight stands."""
    chance = random.Random(1)
    drawn = (broken(chance.choice((b"20", b"12.5", b"preview")), chance) for _ in range(200))
    for raw in (*(weight.encode() for weight in BAD_WEIGHTS), b"\xff\xfe", *drawn):
        if not is_weight(raw):
            world.refuses("weights", f"{SPOILT}/new", raw, repr(raw[:100]))
    world.heals()


# Made by their tests: some hold 600,000 units, and each worker loads this module.
OVER_THE_LIMITS: Final[Mapping[str, Callable[[], bytes]]] = {
    "bytes": lambda: dump_definition(FULL).encode() + b" " * (10 * MAX_DEFINITION),
    "versions": lambda: dump_definition(
        FULL._replace(versions=(Version("old"), *(Version(f"v{n}", n) for n in range(10 * PLACES))))
    ).encode(),
    "pins": lambda: dump_definition(FULL._replace(pins={f"{CANARY}-{n}": "new" for n in range(600_000)})).encode(),
    "denied": lambda: dump_definition(FULL._replace(denied=tuple(f"{CANARY}-{n}" for n in range(600_000)))).encode(),
    "name": lambda: dump_definition(FULL._replace(versions=(Version("old"), Version("n" * 1_000, 0)))).encode(),
    "salt": lambda: dump_definition(FULL._replace(salt="s" * 10 * MAX_DEFINITION)).encode(),
    "depth": lambda: b'{"versions": ' + b"[" * (MAX_DEFINITION - 100),
    "depth beyond all limits": lambda: b"[" * (10 * MAX_DEFINITION),
    "digits": lambda: dump_definition(FULL).encode().replace(b"60", b"9" * (MAX_DEFINITION - 1_000)),
    "a key's length": lambda: dump_definition(FULL).encode()[:-1] + b', "' + b"k" * (MAX_DEFINITION - 1_000) + b'": 1}',
}


@pytest.mark.parametrize("limit", OVER_THE_LIMITS)
def test_ten_times_a_limit_is_refused_at_no_cost(world: World, limit: str) -> None:
    """Refused like anything else; what it holds is not copied, and no decision waits for it."""
    raw = OVER_THE_LIMITS[limit]()
    world.store._space.hashes["splits"][SPOILT.encode()] = raw
    tracemalloc.start()
    try:
        before = time.thread_time()
        world.process.read()
        taken = time.thread_time() - before
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * MAX_DEFINITION + len(raw) // 10
    assert taken < 1.0
    world.refuses("splits", SPOILT, raw, limit)


def test_stops_hold_whatever_is_in_them(world: World) -> None:
    """Presence counts: no value of a stop is refused, and none lets anybody in."""
    process = world.process
    deep, strange = b"[" * 10_000, b'{"why": 1, "who": [], "at": "x"}'
    for raw in (b"", b"0", b"null", b"\xff\xfe", b"{", b"x" * 10_000, strange, deep):
        world.store._space.hashes["stops"][SPOILT.encode()] = raw
        world.read(process)
        assert set(world.asked(process).values()) == {"old"}
        Control(world.store, confirm=True).show(SPOILT)
    del world.store._space.hashes["stops"][SPOILT.encode()]
    world.heals()


def test_spoilt_marks_in_meta_move_nobody(world: World) -> None:
    """Revision, lineage, releases and leases of any bytes change no decision; a lease may lower, and does not here."""
    chance = random.Random(2)
    good = {b"revision": b"7", b"lineage": b"l-1", b"schema": b"1", b"release:checkout/new": b"r-1 1700000000000"}
    good[b"lease:checkout/new"] = b"20 1800000000000 5"
    bad = (
        b"", b" ", b"null", b"NaN", b"{}", b"\x00", b"\xff", b"-1", b"1.5", b"9" * 5_000, b"x y", b"999 1 1",
        b"20 x 5", b"20  5", b"20 -1 5", b"20 1 50 7", b"20 \xd9\xa2 5",
    )  # fmt: skip
    meta = world.store._space.hashes["meta"]
    spoilt = [(field, raw) for field in good for raw in bad]
    spoilt += [(field, broken(raw, chance)) for field, raw in good.items() for _ in range(9)]
    for field, raw in spoilt:
        if field.startswith(b"lease:") and raw.startswith(b"20 ") and raw.count(b" ") == 2:
            continue  # it may be one that is over
        before = dict(meta)
        meta[field] = raw
        world.read(world.process)
        assert world.asked(world.process) == world.answers, (field, raw)
        meta.clear()
        meta.update(before)
    world.heals()


def test_each_key_lost_or_emptied_moves_nobody(world: World) -> None:
    """Every hash without its field `_`, empty or missing, alone and together: the last content stands."""
    hashes = world.store._space.hashes
    whole = {name: dict(fields) for name, fields in hashes.items()}
    for lost in (
        ("weights",),
        ("stops",),
        ("splits",),
        ("meta",),
        ("weights", "stops"),
        ("splits", "meta"),
        tuple(whole),
    ):
        for content in ({}, {b"zzz": b"zzz"}):
            hashes.clear()
            hashes.update({name: dict(content if name in lost else fields) for name, fields in whole.items()})
            world.process.read()
            assert world.asked(world.process) == world.answers, (lost, content)
    hashes.clear()
    hashes.update(whole)
    world.heals()


# -- what people look at ----------------------------------------------------------------------------------------------


def looked_at(control: Control) -> str:
    """Return all that an operator can look at, as text; nothing of it crashes."""
    shown = [control.overview(), control.show(SPOILT), control.doctor(), control.history(), control.fleet()]
    exported = json.dumps(control.export(), allow_nan=False)
    assert SPOILT in json.loads(exported)["splits"]
    if parses(control):
        control.explain(SPOILT, "u-1")
    return repr([*shown[0:1], *shown[2:]])


def parses(control: Control) -> bool:
    """Return whether the spoilt split can be read."""
    return control.show(SPOILT).definition is not None


@pytest.fixture
def small() -> tuple[MemoryStore, Control]:
    """Return a store with one split and an operator of it."""
    store = MemoryStore(clock=MovedClock())
    control = Control(store, actor="ann", confirm=True)
    control.create(SPOILT, ("old", "new", "other"))
    control.create("search")
    return store, control


def spoil_what_people_look_at(store: MemoryStore, control: Control, found: Iterable[tuple[str, bytes]]) -> None:
    """Look at everything beside each spoilt definition; doctor names split and key, and no unit."""
    for named, raw in found:
        good = is_definition(raw)
        if good and "('plan'" not in named:
            continue
        store.raw_set("splits", SPOILT, raw)
        said = looked_at(control)
        assert CANARY not in said, named
        assert good or any(finding.where == f"splits {SPOILT}" for finding in control.doctor()), named
        assert all(finding.what.isprintable() and len(finding.what) < 500 for finding in control.doctor()), named


def test_people_can_look_at_spoilt_definitions(small: tuple[MemoryStore, Control]) -> None:
    """`list`, `show`, `doctor`, `history` and `export` stand whatever a definition is, and `rollback` goes through."""
    spoil_what_people_look_at(*small, [one for number, one in enumerate(one_by_one(RECORD)) if number % 4 == 0])
    assert small[1].rollback(SPOILT).revision


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_people_can_look_at_thousands_of_spoilt_definitions(small: tuple[MemoryStore, Control]) -> None:
    """Each field in each way, and 3,000 at random."""
    chance = random.Random(5)
    drawn = (("at random", at_random(RECORD, chance)) for _ in range(3_000))
    spoil_what_people_look_at(*small, (*one_by_one(RECORD), *drawn))


def test_what_was_no_text_can_be_deleted_and_that_undone_or_refused(small: tuple[MemoryStore, Control]) -> None:
    """Bytes that are no UTF-8 go through delete, history and undo without harm to whoever types them."""
    store, control = small
    for raw in (b"\xff", b"\xff\x00{", b"{"):
        store.raw_set("splits", "search", raw)
        control.delete("search")
        looked_at(control)
        with pytest.raises(GraysplitError):
            control.undo("search")


def test_people_can_look_at_spoilt_weights_and_stops(small: tuple[MemoryStore, Control]) -> None:
    """Any bytes as weight, stop, release, lease or revision are shown and never crash whoever looks."""
    store, control = small
    chance = random.Random(3)
    bad = [weight.encode() for weight in BAD_WEIGHTS] + [
        b"\xff\xfe",
        b"",
        *(broken(b"12.5", chance) for _ in range(40)),
    ]
    places = [("weights", f"{SPOILT}/new"), ("stops", SPOILT), ("stops", "\x1b[2J"), ("weights", "x" * 5_000)]
    places += [("meta", name) for name in ("revision", "lineage", f"release:{SPOILT}/new", f"lease:{SPOILT}/new")]
    for key, field in places:
        before = store._space.hashes[key].get(field.encode())
        for raw in bad:
            store.raw_set(key, field, raw)
            looked_at(control)
        store.raw_delete(key, field)
        if before is not None:
            store.raw_set(key, field, before)


REPORT: Final = Report(
    "boot-1",
    "web-1",
    7,
    "1.0",
    {SPOILT: Declared("old", ("old", "new"), "route", 3)},
    Receipt("c-1", 3, {f"{SPOILT}/new": Effect("20", 1, "off")}, "tracking", ("weights x/y: bad",)),
)
ENTRY: Final = Entry(
    "c-1", 3, SPOILT, "set", "ann", "why", 1, {f"weights {SPOILT}/new": None}, {f"weights {SPOILT}/new": "5"}
)


def spoilt_texts(good: str, seed: int, count: int) -> Iterator[bytes]:
    """Spoil a JSON text in each way, and at random."""
    chance = random.Random(seed)
    record = json.loads(good)
    yield from (raw for _, raw in one_by_one(record))
    yield from (at_random(record, chance) for _ in range(count))


@pytest.mark.parametrize("part", ["about", "receipt"])
def test_people_can_look_at_a_fleet_that_says_anything(small: tuple[MemoryStore, Control], part: str) -> None:
    """Whatever a process wrote about itself, `fleet`, `list` and `doctor` stand, and a rollback can be waited for."""
    store, control = small
    good = {"about": about_text(REPORT), "receipt": receipt_text(REPORT.receipt)}
    now_ms = store._space.now_ms()
    for raw in spoilt_texts(good[part], 4, 200):
        texts = {**{name: value.encode() for name, value in good.items()}, part: raw}
        process = read_process(b"boot-\xff", now_ms, texts["about"], texts["receipt"])
        store._space.processes = {"boot-1": process}
        said = looked_at(control)
        said.encode()
        control.wait_confirmed(control.rollback(SPOILT), timeout=0.0)


def test_people_and_processes_can_read_a_log_that_says_anything(small: tuple[MemoryStore, Control]) -> None:
    """Entries of any bytes are read as entries, shown, and followed."""
    store, control = small
    process = Process(store, MovedClock())
    process.read()
    chance = random.Random(6)
    fields = {name.encode(): value.encode() for name, value in entry_fields(ENTRY).items()}
    for number in range(600):
        name = chance.choice(list(fields))
        raw = at_random(json.loads(fields[name]), chance) if name in (b"from", b"to") else broken(fields[name], chance)
        if chance.random() < 0.2:
            raw = chance.choice((b"", b"\xff" * 10, b"9" * 5_000, b"-1", b"{}"))
        entry = read_entry(f"{number + 10**13}-0", {**fields, name: raw})
        with store._space.locked:
            store._space.log.append((f"{number + 10**13}-0", entry))
            store._space.signal("weights")
        looked_at(control)
        process.read()
        assert process.replica.past.position == f"{number + 10**13}-0"


def test_the_places_of_a_record() -> None:
    """Spoiling reaches every field, in every version and every pin."""
    found = set(places_of(RECORD))
    assert {("versions", 1, "place"), ("pins", CANARY), ("denied", 0), ("max_stale",), ()} <= found
    assert json.loads(written(RECORD)) == RECORD
