"""A store that falls back, is replaced, or is emptied and sown anew by a bystander: everything is told.

No process leaves what it knows except downwards by a person's word, a tombstone, a stop, or by an entry; nothing is
held without being told; no revision means two things.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

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
from graysplit.core.address import field_of, split_of
from graysplit.core.replica.record import Load
from graysplit.core.weights import FULL, Weight, parse_weight, rises
from graysplit.errors import BadWeightError, GraysplitError
from graysplit.log_writer import WRITER
from tests.clocks import MovedClock
from tests.model.histories import run
from tests.model.world import Copy, Process, Store, put_back

SPLITS: Final = {"checkout": ("old", "new"), "ranking": ("a", "b", "c"), "settled": ("old", "new")}
FIELDS: Final = ("checkout/new", "ranking/b", "ranking/c", "settled/new")
WEIGHTS: Final = ("0", "5", "20", "50", "70")
NOTHING: Final = Copy({}, (), {}, (0, 0))

fields = st.sampled_from(FIELDS)
weights = st.sampled_from(WEIGHTS)
splits = st.sampled_from(sorted(SPLITS))
which = st.integers(0, 3)


class Lines(logging.Handler):
    """The lines that processes log."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.said.append(record.getMessage())


class Forks(RuleBasedStateMachine):
    """One store, processes that follow it, people, and a bystander who empties it and sows something of their own."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.clock = MovedClock()
        self.store = Store(self.clock)
        self.processes: list[Process] = []
        self.dead: list[Process] = []
        self.highest = 0  # that a process which has heard this store has followed
        self.numbers: dict[int, str] = {}  # revision to the change that some process has followed under it
        self.blind: set[str] = set()  # changes written while nobody who had followed more had been heard

    @initialize()
    def begin(self) -> None:
        """Make three splits, one of them finished at 100 %, and two processes that have read them."""
        control = self.control
        for split, versions in SPLITS.items():
            control.create(split, versions)
        control.set("settled", 100, allow_needless=True)
        control.finish("settled")
        self.store.keep_copy()
        for _ in range(2):
            self.is_born()

    @property
    def control(self) -> Control:
        """Return the operator's hand."""
        return Control(self.store, actor="ann", confirm=True)

    # -- people ------------------------------------------------------------------------------------------------------

    @contextmanager
    def written(self) -> Generator[None]:
        """Note what an act writes; each is above all that processes have told of."""
        self.clock.now += 0.002
        told, known = self.told, self.ids
        with suppress(GraysplitError):
            yield
        self.store.keep_copy()
        for _, entry in self.store._space.log:
            if entry.id not in known:
                assert entry.revision > told or entry.revision == 0
                if entry.revision <= self.followed:
                    self.blind.add(entry.id)

    @property
    def told(self) -> int:
        """Return the highest revision that this store has been told of."""
        return int(self.store._space.text("fleet:highest", "revision") or 0)

    @property
    def followed(self) -> int:
        """Return the highest revision that anybody has followed."""
        return max((process.replica.past.highest for process in (*self.processes, *self.dead)), default=0)

    @property
    def ids(self) -> frozenset[str]:
        """Name the changes in the log."""
        return frozenset(entry.id for _, entry in self.store._space.log)

    @rule(field=fields, weight=weights)
    def sets(self, field: str, weight: str) -> None:
        """`graysplit set`."""
        with self.written():
            self.control.set(field, weight, allow_needless=True, unstop=True)

    @rule(at=st.sampled_from((*FIELDS, *SPLITS, "*")))
    def rolls_back(self, at: str) -> None:
        """`graysplit rollback`."""
        with self.written():
            self.control.rollback(at)

    @rule(split=splits)
    def undoes(self, split: str) -> None:
        """`graysplit undo`."""
        with self.written():
            self.control.undo(split, force=True, unstop=True)

    @rule(split=splits)
    def deletes(self, split: str) -> None:
        """`graysplit delete`."""
        with self.written():
            self.control.delete(split)

    @rule(field=fields, weight=weights, booked=st.booleans())
    def writes_a_weight(self, field: str, weight: str, booked: bool) -> None:
        """`HSET weights`, booked at once or later."""
        with self.written():
            self.store.raw_set("weights", field, weight)
            if booked:
                self.store.follow().record_raw_edits("outside")

    # -- what a store does -------------------------------------------------------------------------------------------

    @rule(writes=st.integers(1, 6))
    def falls_back(self, writes: int) -> None:
        """Lose the last writes, and what had been told meanwhile; what is lost never comes back."""
        put_back(self.store, self.store.ago(writes))
        while len(self.store.copies) > 1 and writes:
            self.store.copies.pop()
            writes -= 1

    @rule(own=st.sampled_from(("", "checkout", "banner", "settled")), weight=weights, heard=st.booleans())
    def is_sown_anew(self, own: str, weight: str, heard: bool) -> None:
        """Empty it; a bystander begins it anew with a split of their own, before or after processes are heard."""
        self.clock.now += 0.002
        before = {id(p): dict(in_force(p)) for p in self.processes}
        put_back(self.store, NOTHING)
        self.store.copies.clear()
        if heard:
            for process in self.processes:
                process.report()
        self.store._space.processes.clear()  # a program that looks at the store alone
        for act in (
            (lambda: self.control.create(own), lambda: self.control.set(own, weight, allow_needless=True))
            if own
            else ()
        ):
            with self.written():
                act()
        self.store.keep_copy()
        self.all_read()
        for process in self.processes:
            for field, weight_before in before[id(process)].items():
                if split_of(field) != own and f"splits {split_of(field)}" in process.replica.past.untold:
                    assert in_force(process).get(field) == weight_before, "what nobody speaks of stands"

    # -- processes ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.processes) < 3)
    @rule()
    def is_born(self) -> None:
        """Start a process that knows nothing."""
        self.processes.append(Process(self.store, self.clock))
        self.take(self.processes[-1])

    @precondition(lambda self: self.dead and len(self.processes) < 3)
    @rule(one=which)
    def is_born_with_a_file(self, one: int) -> None:
        """Start a process that begins with what another held when it died."""
        self.processes.append(Process(self.store, self.clock, self.dead[one % len(self.dead)].file()))
        self.take(self.processes[-1])

    @precondition(lambda self: len(self.processes) > 1)
    @rule(one=which)
    def dies(self, one: int) -> None:
        """End a process; its file remains."""
        self.dead.append(self.processes.pop(one % len(self.processes)))

    @rule(one=which)
    def reads(self, one: int) -> None:
        """Let one take a reading."""
        self.take(self.processes[one % len(self.processes)])

    @rule()
    def all_read(self) -> None:
        """Let everybody read, and tell what they have met."""
        for _ in range(2):
            for process in self.processes:
                self.take(process)
        if self.store._space.key("meta").lost is None:
            assert all(process.replica.fork is None for process in self.processes), "each fork is in the history by now"
        assert self.told >= max(process.replica.past.highest for process in self.processes)

    # -- what holds --------------------------------------------------------------------------------------------------

    def take(self, process: Process) -> None:
        """Read; what is met is told, and what is left is left for a reason."""
        self.clock.now += 0.002
        before, split_state = process.held, dict(in_force(process))
        known, load = frozenset(process.replica.past.recent), process.load()
        forked = load.meta.lost is None and process.replica.past.change not in {"", load.anchor}
        with listening() as lines, self.written():
            process.read()
        told = [line for line in lines.said if line.startswith("the store has ")]
        assert len(told) == forked, f"a fork is told once: {lines.said}"
        if before.loaded:
            self.leaves_nothing_untold(process, load, split_state, known, forked)
        for _, entry in self.store._space.log:
            if entry.id in process.replica.past.recent and entry.id not in self.blind and entry.revision:
                assert self.numbers.setdefault(entry.revision, entry.id) == entry.id, "no number means two things"

    def leaves_nothing_untold(
        self, process: Process, load: Load, before: Mapping[str, Weight], known: frozenset[str], forked: bool
    ) -> None:
        """Hold each weight to what was in force, unless a person, a stop, a tombstone, or an entry speaks of it."""
        # With a common ancestor what the store has lost counts as zero: the lower of the two.
        shared = any(entry.id in known for _, entry in self.store._space.log)
        newer = [entry for _, entry in self.store._space.log if entry.id not in known and entry.cause != "fork"]
        explained = {where for entry in newer for where in entry.after}
        for field, now in in_force(process).items():
            was, split = before.get(field, 0), split_of(field)
            said = load.weights.fields.get(field.encode())
            stopped = any(stop.encode() in load.stops.fields for stop in (field, split, "*"))
            entered = {f"weights {field}", f"splits {split}", f"stops {field}", f"stops {split}", "stops *"} & explained
            if rises(was, now) and forked:
                assert entered, f"{field} rose over a fork from {was} to {now}, and no entry says so"
            if rises(now, was):
                assert said is not None or stopped or entered or shared, f"{field} fell from {was} to {now}"
            held = f"weights {field}" in process.replica.distrusted or f"stops {field}" in process.replica.distrusted
            held |= any(f"stops {stop}" in process.replica.distrusted for stop in (split, "*"))
            held |= f"splits {split}" in process.replica.distrusted or bool(process.held.lost)
            if not stopped and now != _weight(said) and not process.held.capped.get(field):
                assert held or now == 0, f"{field} is at {now}, the store says {said!r}, and nothing is told"

    @invariant()
    def nothing_is_over_100_percent(self) -> None:
        """Whatever was written by hand."""
        for process in self.processes:
            found: dict[str, int] = {}
            for field, weight in in_force(process).items():
                found[split_of(field)] = found.get(split_of(field), 0) + (weight if isinstance(weight, int) else 0)
            assert all(total <= FULL for total in found.values())


def in_force(process: Process) -> Mapping[str, Weight]:
    """Return the weights in force of all candidates of a process."""
    return {
        field_of(split, version.name): split_state.in_force(version.name)
        for split, split_state in process.split_states().items()
        for version in split_state.definition.candidates
    }


def _weight(raw: bytes | None) -> Weight:
    try:
        return parse_weight((raw or b"0").decode())
    except BadWeightError:
        return 0


@contextmanager
def listening() -> Iterator[Lines]:
    """Return the lines that are logged meanwhile."""
    lines, logger = Lines(), logging.getLogger("graysplit")
    logger.addHandler(lines)
    try:
        yield lines
    finally:
        assert WRITER.flush(10)
        logger.removeHandler(lines)


@pytest.mark.timeout(600)  # of which a failure takes minutes to be made small
def test_every_fork_is_told_and_no_number_means_two_things() -> None:
    """In some histories, the same in every run."""
    run(Forks, 15, 20, derandomize=True)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_every_fork_is_told_in_hundreds_of_histories() -> None:
    """Other orders of events each time, and longer ones."""
    run(Forks, 500, 40, derandomize=False)
