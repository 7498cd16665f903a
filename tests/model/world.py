"""A process and a store without threads and without time that passes: what a model steps through one by one."""

# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false
from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Final, NamedTuple

from graysplit.codec import parse_definition
from graysplit.core.compiled import CompiledSplit
from graysplit.core.decision import DecisionInput, decide
from graysplit.core.definition import Definition
from graysplit.core.entry import Entry
from graysplit.core.fleet import Receipt
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import state_of
from graysplit.core.replica.lineage import Past
from graysplit.core.replica.record import Load
from graysplit.core.split_state import SplitState
from graysplit.errors import ConflictError, StoreCorruptError
from graysplit.events import Events
from graysplit.follower.known_good import KnownGoodContent, _encode, decode
from graysplit.follower.replica import Adoption, Replica
from graysplit.follower.submissions import fork_entry
from graysplit.router.decisions import Decisions
from graysplit.router.states import PublishedStates
from graysplit.scope import Scope, _scope
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Report, Written
from graysplit.stores.text.records import new_id
from tests.clocks import MovedClock

UNITS: Final = tuple(f"u-{n}" for n in range(12))

Answers = tuple[tuple[str, str], ...]  # version and reason, by unit

_LADDER: Final[OrderedDict[str, Answers]] = OrderedDict()
_LADDER_AT_MOST: Final = 10_000


def ladder(split_state: SplitState) -> Answers:
    """Return what the readable law says to each unit.

    It is a function of the state alone, and histories come to the same states again and again: each is asked once.
    """
    key = repr(split_state)
    known = _LADDER.get(key)
    if known is None:
        decisions = [decide(DecisionInput(split_state, unit.encode(), {}, None)) for unit in UNITS]
        known = _LADDER[key] = tuple((decision.version, decision.reason) for decision in decisions)
        if len(_LADDER) > _LADDER_AT_MOST:
            _LADDER.popitem(last=False)
    return known


@lru_cache(maxsize=1_000)
def definition_of(split: str, raw: bytes) -> Definition | None:
    """Read a definition, the same bytes once."""
    return parse_definition(split, raw)


class Copy(NamedTuple):
    """All that a memory store holds at one moment."""

    hashes: dict[str, dict[bytes, bytes]]
    log: tuple[tuple[str, Entry], ...]
    answers: dict[str, Written]
    last: tuple[int, int]


def copy_of(store: MemoryStore) -> Copy:
    """Take a copy, as a dump or a replica would be."""
    space = store._space
    hashes = {name: dict(fields) for name, fields in space.hashes.items()}
    return Copy(hashes, tuple(space.log), dict(space.answers), space._last)


def put_back(store: MemoryStore, copy: Copy) -> None:
    """Let a store hold what a copy holds, and nothing else."""
    space = store._space
    space.hashes = {name: dict(fields) for name, fields in copy.hashes.items()}
    space.log = deque(copy.log, maxlen=space.log.maxlen)
    space.answers = OrderedDict(copy.answers)
    space._last = copy.last
    space.signals += 1


class Process:
    """What a follower's thread does, one reading at a time: load, adopt, write zeros back."""

    def __init__(self, store: MemoryStore, clock: MovedClock, known: KnownGoodContent | None = None) -> None:
        """Begin as a router does: with what a file held, or with nothing."""
        self.boot = new_id()
        self.events = Events(clock)
        self.states = PublishedStates(self.events)
        self.decisions = Decisions(self.states, lambda: None, lambda: None, self.events, clock)
        self.states.enter("not_ready", None, parse_definition, clock.monotonic())
        held, past = (known.held, known.past) if known is not None else (Adopted(), Past())
        self.replica = Replica(self.states, self.events, definition_of, held, past)
        if held.loaded:
            self.states.inherit(held, fresh=True)
        self.connected = True
        self.apart = False  # whether it stayed with a primary that others have given up
        self.request = Scope()  # a request that stays open for the whole life
        self._clock = clock
        self._server_s: float | None = None
        self._asked: dict[tuple[str, str], tuple[CompiledSplit, Answers]] = {}
        self.attach(store)

    @property
    def held(self) -> Adopted:
        """What it holds."""
        return self.replica.adopted

    def attach(self, store: MemoryStore) -> None:
        """Follow this store from now on."""
        self.feed = store.follow()

    def load(self) -> Load:
        """Read the store, adopt nothing."""
        return self.feed.load(self.replica.past.position, whole=True)

    def read(self) -> Adoption:
        """Take one reading, look at all definitions that it changed, and write back what the store has lost."""
        self.report()
        load = self.load()
        taken = self.replica.apply(load, lambda: self.feed.load("", whole=True))
        while self.replica.busy:
            self.replica.go_on(lambda: True)
        for field, release_ms in taken.zeros.items():
            self.feed.stop_if_older(field, "known to stand at zero", release_ms)
        self.tell_fork()
        self.report()
        self._server_s = load.now_ms / 1000 - self._clock.now
        self.turn()
        return taken

    def report(self) -> None:
        """Tell the store that it is followed, and how far."""
        receipt = Receipt(self.replica.past.change, self.held.revision)
        highest = self.replica.past.highest
        self.feed.report(Report(self.boot, self.boot, 1, "1", {}, receipt, highest=highest), about=True)

    def tell_fork(self) -> None:
        """Write a fork into the history, where nobody has yet."""
        if self.replica.fork is not None:
            with suppress(ConflictError, StoreCorruptError):
                self.feed.submit(fork_entry(self.replica.fork))

    def turn(self) -> None:
        """End the leases that are over by this process's own reckoning."""
        self.replica.pass_time(None if self._server_s is None else int((self._clock.now + self._server_s) * 1000))

    def file(self) -> KnownGoodContent:
        """Return what its last-known-good file would hold, read again."""
        return decode(json.loads(_encode(self.held, self.replica.past, self._clock.time())))

    def split_state(self, split: str) -> SplitState | None:
        """Return a split as it stands in this process, by the readable law."""
        raw = self.held.definitions.get(split)
        definition = definition_of(split, raw) if raw is not None else None
        return state_of(self.held, split, definition) if definition is not None else None

    def split_states(self) -> dict[str, SplitState]:
        """Return all splits as they stand here."""
        found = {split: self.split_state(split) for split in self.held.definitions}
        return {split: split_state for split, split_state in found.items() if split_state is not None}

    def picks(self, split: str) -> Answers:
        """Return what the compiled state says to each unit."""

        def pick(state: CompiledSplit, unit: str) -> tuple[str, str]:
            index, reason = state.pick(unit.encode())
            return state.names[index], reason

        return self._of_state("pick", split, self.states.state(split), pick)

    def choices(self, split: str) -> Answers:
        """Return what calls outside a request are answered, each unit's."""

        def resolve(state: CompiledSplit, unit: str) -> tuple[str, str]:
            decision = self.decisions.resolve(state, unit)[2]
            return decision.version, decision.reason

        return self._of_state("resolve", split, self.states.present(split), resolve)

    def _of_state(
        self, how: str, split: str, state: CompiledSplit, ask: Callable[[CompiledSplit, str], tuple[str, str]]
    ) -> Answers:
        """Ask a state for each unit; one that is still published, and so has not changed, is not asked again."""
        known = self._asked.get((how, split))
        if known is None or known[0] is not state:
            known = self._asked[how, split] = state, tuple(ask(state, unit) for unit in UNITS)
        return known[1]

    def choose(self, split: str, unit: object, *, kept: bool = False) -> str:
        """Ask the published states as a call would; `kept`: inside the request that stays open."""
        state = self.states.present(split)
        token = _scope.set(self.request if kept else None)
        try:
            return self.decisions.resolve(state, unit)[2].version
        finally:
            _scope.reset(token)


class Store(MemoryStore):
    """A memory store that remembers what it held after each of its last writes."""

    def __init__(self, clock: MovedClock, most: int = 12) -> None:
        """Begin empty."""
        super().__init__(clock=clock)
        self.copies: deque[Copy] = deque(maxlen=most)

    def keep_copy(self) -> None:
        """Remember what it holds now, unless that is what it held last."""
        copy = copy_of(self)
        if not self.copies or self.copies[-1] != copy:
            self.copies.append(copy)

    def ago(self, writes: int) -> Copy:
        """Return what it held this many writes ago, or as far back as is known."""
        return self.copies[max(0, len(self.copies) - 1 - writes)]
