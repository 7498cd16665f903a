"""One split compiled for the hot path: what a call reads, once, and never changes after publication.

Rungs that a split does not use are absent from its state: the plain percentage is `special is None`, a hash and a
comparison. Break-glass, not ready, closed, stale and after a fork are states like any other (a state swap), so
that nothing on the hot path asks for them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.allocation import Run
from graysplit.core.bucketing import BUCKETS, HASHES, hash32, threshold
from graysplit.core.counters import Counts
from graysplit.core.decision import Decision, Reason
from graysplit.core.hot_state import HOT_FIELDS, CallTarget, HotState, Special, VersionFunction
from graysplit.core.weights import Weight
from graysplit.native import compiled_core

if TYPE_CHECKING:
    from graysplit.core.guard.buffer import EvidenceBuffer
    from graysplit.core.split_state import SplitState

BASELINE: Final = 0  # the baseline's index in every state

# With several candidates `near[hash >> NEAR]` answers for most hashes at half the cost of a bisect.
NEAR: Final = 25


class Branch(NamedTuple):
    """What the owner of a run answers with."""

    number: int  # the version's index
    name: str
    counter: count[int]
    decision: Decision


class CompiledSplit(HotState):
    """A split as the hot path sees it. Replaced whole, never changed; one reference read makes a call consistent."""

    __slots__ = (
        "asleep",
        "branches",
        "calls",
        "constant",
        "counts",
        "e_new",
        "f_new",
        "f_old",
        "here",
        "limit",
        "plain",
        "revision",
        "rungs",
        "stale",
        "weights",
    )

    f_old: VersionFunction | None  # the functions of the two sides of the single threshold
    f_new: VersionFunction | None
    e_new: count[int]  # of the ends of calls to the new side
    counts: Counts
    revision: int
    stale: bool
    rungs: Special | None  # asked before the hash, where the split uses more than a percentage
    constant: Reason | None  # the reason for which every call gets the baseline
    asleep: bool  # whether the next call must wake the router
    plain: bool  # whether a call that is not on the new side has but one line to take: one threshold, and no buffer
    branches: Sequence[Branch]  # the owners between the hashes at which the owner changes
    calls: Sequence[VersionFunction | None]  # the registered functions, by index
    here: str | None  # this instance's name, where instances cross over and not units: who names no unit is meant by it
    limit: int | None  # the seconds without contact after which everybody gets the baseline
    weights: Sequence[Weight]  # in force here, by index; 0 for the baseline, which takes what is left

    def pick(self, unit: bytes) -> tuple[int, Reason]:
        """Return the version's index and the reason for an encoded unit: the ladder from `denied` down."""
        if self.constant is not None:
            return BASELINE, self.constant
        if self.rungs is not None:
            rung = self.rungs(unit)
            if rung is not None:
                return rung
        hashed = hash32(unit, self.seed)
        if hashed < self.threshold:
            return 1, self.d_new.reason
        if self.runs is None:
            return BASELINE, self.d_old.reason
        branch = self.branches[bisect_right(self.runs, hashed)]
        return branch.number, branch.decision.reason


class CompileInput(NamedTuple):
    """What a process adds to a split's state when it compiles one."""

    counts: Counts  # for the split's version names, the baseline first
    key: object
    calls: Mapping[str, VersionFunction] = {}  # the registered functions of a routed split
    present: frozenset[str] | None = None  # the versions registered here; None: choose by name only
    revision: int = 0
    stale: bool = False
    instance: str = ""  # the name of this process's host
    buffer: EvidenceBuffer | None = None


def unpinned(state: CompiledSplit, unit: object) -> Branch | None:
    """Return the owner of a unit that no pin can name, by one look at its hash; None where the ladder must be climbed.

    Outside any context only. Raises whatever an unusable unit raises; nothing is counted.
    """
    if state.pinned is None or state.runs is None:
        return None
    cls = type(unit)
    hashed = hash32(
        (unit.encode() if cls is str else b"%d" % unit if cls is int else None) or None,  # type: ignore[attr-defined, str-format, arg-type] # narrowed by class
        state.seed,
    )
    if hashed in state.pinned:
        return None
    near = state.near[hashed >> NEAR]
    return state.branches[near if near >= 0 else bisect_right(state.runs, hashed)]


def names_of(split_state: SplitState) -> tuple[str, ...]:
    """Return the version names in the order of their indexes: the baseline, then candidates by place."""
    definition = split_state.definition
    return (definition.baseline, *(version.name for version in definition.candidates))


def compile_state(split_state: SplitState, inputs: CompileInput) -> CompiledSplit:
    """Compile a split's state: the same answers as `decision.decide`, which a property holds it to."""
    names = names_of(split_state)
    state = _blank(split_state.split, names, inputs)
    state.seed = split_state.definition.seed
    absent = frozenset(names) - inputs.present if inputs.present is not None else frozenset[str]()
    if split_state.definition.by == "instance":
        state.here = inputs.instance or None
        _lay_out(state, split_state, absent, _waved(split_state, inputs.instance))
    else:
        _lay_out(state, split_state, absent, split_state.runs())
    _pin(state, split_state, absent)
    state.limit = split_state.definition.stale_limit
    state.weights = (0, *(0 if name in absent else split_state.in_force(name) for name in names[1:]))
    state.buffer = inputs.buffer
    if state.buffer is not None:
        state.quick = state.buffer
    state.plain = state.runs is None and state.buffer is None
    return state


def constant_state(
    split: str, names: tuple[str, ...], reason: Reason, inputs: CompileInput, *, asleep: bool = False
) -> CompiledSplit:
    """Compile a state in which every call gets the baseline, for one reason."""
    state = _blank(split, names, inputs)
    state.constant = reason
    state.asleep = asleep
    state.special = state.rungs = lambda _unit: (BASELINE, reason)
    return state


def recount(state: CompiledSplit, counts: Counts) -> CompiledSplit:
    """Return a copy of a state that counts elsewhere: a route's calls are counted apart from choices by name."""
    copy = _copied(state)
    _count_in(copy, counts)
    _set_branches(copy, [_counted(branch, counts) for branch in state.branches])
    copy.target_of, copy.targets = _targets(copy)
    return copy


def with_slow_path(state: CompiledSplit) -> CompiledSplit:
    """Return a copy of an armed state in which every choice takes the slow path, where it is noted as an exposure."""
    copy = recount(state, state.counts)
    copy.special, copy.pinned = state.rungs or _none_above, None
    return copy


def with_fast_path(state: CompiledSplit) -> CompiledSplit:
    """Return a copy of a state for a route: its straight lines write down by themselves."""
    copy = recount(state, state.counts)
    copy.special = state.rungs
    return copy


def _none_above(_unit: bytes) -> None:
    """Stand for the rungs above the hash where there are none."""


def aged(state: CompiledSplit) -> CompiledSplit:
    """Return a copy of a state whose decisions say that contact with the store is lost."""
    copy = recount(state, state.counts)
    copy.stale = True
    copy.d_old, copy.d_new = state.d_old._replace(stale=True), state.d_new._replace(stale=True)
    _set_branches(copy, [branch._replace(decision=branch.decision._replace(stale=True)) for branch in state.branches])
    return copy


def with_calls(state: CompiledSplit, calls: Sequence[VersionFunction | None]) -> CompiledSplit:
    """Return a copy of a state that calls these functions, by index; the baseline's answers for missing ones."""
    copy = _copied(state)
    copy.calls = tuple(call or calls[BASELINE] for call in calls)
    copy.f_old, copy.f_new = copy.calls[BASELINE], copy.calls[1]
    copy.target_of, copy.targets = _targets(copy)
    if compiled_core is not None:
        bare = _copied(copy)  # what an outcome names: of the state itself there would be a circle
        copy.picks = tuple(
            (bare, index, function, counted, None, None, 0, index > BASELINE or not counted)
            for index, _, function, counted in copy.targets
        )
    return copy


_FIELDS: Final = (*HOT_FIELDS, *CompiledSplit.__slots__)
_values: Final = attrgetter(*_FIELDS)  # all in one call: a route that is declared copies some ten states


def _copied(state: CompiledSplit) -> CompiledSplit:
    copy = CompiledSplit()
    for field, value in zip(_FIELDS, _values(state), strict=True):
        setattr(copy, field, value)
    return copy


def _count_in(state: CompiledSplit, counts: Counts) -> None:
    state.counts = counts
    state.started = tuple(meter.count for meter in counts.started)
    state.finished = tuple(meter.count for meter in counts.finished)
    state.c_old, state.c_new = state.started[:2]
    state.e_new = state.finished[1]


def _set_branches(state: CompiledSplit, branches: Sequence[Branch]) -> None:
    state.branches = tuple(branches)
    state.ends = tuple((branch.counter, branch.name, branch.decision) for branch in branches)


def _counted(branch: Branch, counts: Counts) -> Branch:
    reason = branch.decision.reason
    meter = counts.started[branch.number] if reason == "bucket" else counts.other(branch.number, reason)
    return branch._replace(counter=meter.count)


def _blank(split: str, names: tuple[str, ...], inputs: CompileInput) -> CompiledSplit:
    state = CompiledSplit()
    state.split = split
    state.names = names
    _count_in(state, inputs.counts)
    state.key = state.quick = inputs.key
    state.revision = inputs.revision
    state.stale = inputs.stale
    state.calls = tuple(inputs.calls.get(name) for name in names)
    state.seed = state.threshold = 0
    state.special = state.rungs = state.pinned = state.constant = state.runs = None
    state.buffer = None
    state.pin_marks = b""
    state.plain = True
    state.asleep = False
    state.here = None
    state.limit = None
    state.branches = state.ends = state.near = state.picks = ()
    state.target_of, state.targets = _targets(state)
    state.weights = (0,) * len(names)
    _name_sides(state, BASELINE, 1, "baseline")
    return state


def _name_sides(state: CompiledSplit, old: int, new: int, reason: Reason) -> None:
    """Set what the two sides of the single threshold answer with."""
    state.old, state.new = state.names[old], state.names[new]
    state.f_old, state.f_new = state.calls[old], state.calls[new]
    state.d_old = _decision(state, old, reason)
    state.d_new = _decision(state, new, reason)


def _decision(state: CompiledSplit, index: int, reason: Reason) -> Decision:
    return Decision(state.split, state.names[index], reason, state.revision, state.stale)


def _waved(split_state: SplitState, instance: str) -> tuple[Run, ...]:
    """Assign all buckets to the candidate to which this instance has crossed; none is drawn without a weight."""
    version = split_state.crossed_to(instance)
    if version is not None:
        return (Run(0, BUCKETS, version),)
    return (Run(0, 0, split_state.definition.candidates[0].name),) if split_state.runs() else ()


def _lay_out(state: CompiledSplit, split_state: SplitState, absent: frozenset[str], runs: Sequence[Run]) -> None:
    """Set threshold, runs and branches from the buckets in force."""
    if not runs:
        stopped = any(split_state.stop_on(version.name) for version in split_state.definition.candidates)
        _name_sides(state, BASELINE, 1, "stopped" if stopped and _all_zero(split_state) else "baseline")
        return
    _name_sides(state, BASELINE, 1, "bucket")
    first = runs[0]
    # With pins the owner is looked up in the runs: `unpinned` tells its story once for all.
    plain = not absent and not _has_pins(split_state)
    if plain and len(runs) == 1 and first.start == 0 and first.version == state.names[1]:
        state.threshold = threshold(first.end)
        return
    bounds: list[int] = []
    branches = [_branch(state, BASELINE, "bucket")]
    for run in runs:
        index = state.names.index(run.version)
        branch = (
            _branch(state, BASELINE, "version_absent") if run.version in absent else _branch(state, index, "bucket")
        )
        bounds += (threshold(run.start), threshold(run.end))
        branches += (branch, _branch(state, BASELINE, "bucket"))
    state.runs = tuple(bounds)
    _set_branches(state, branches)
    state.near = _near(bounds)
    state.target_of, state.targets = _targets(state)


def _near(bounds: Sequence[int]) -> tuple[int, ...]:
    """Return for each value of a hash's top bits what `bisect_right(bounds, hash)` gives, or -1 where that differs."""
    places: list[int] = []
    for place, bound in enumerate(bounds):
        cell, inside = divmod(bound, 1 << NEAR)
        places += [place] * (cell - len(places))
        if inside and len(places) == cell:
            places.append(-1)
    return (*places, *[len(bounds)] * ((HASHES >> NEAR) - len(places)))


def _targets(state: CompiledSplit) -> tuple[tuple[int, ...], tuple[CallTarget, ...]]:
    """Return what routed calls off the straight lines read: each branch's target, and the targets."""
    stands_in = len(state.names)  # the target of absent versions comes after all others
    target_of = tuple(branch.number if branch.decision.reason == "bucket" else stands_in for branch in state.branches)
    baseline = state.calls[BASELINE]
    if baseline is None:
        return target_of, ()
    started = state.counts.started
    targets: list[CallTarget] = [(i, started[i].count, call or baseline, True) for i, call in enumerate(state.calls)]
    if stands_in in target_of:
        counter = state.counts.other(BASELINE, "version_absent").count
        targets.append((BASELINE, counter, baseline, False))
    return target_of, tuple(targets)


def _branch(state: CompiledSplit, index: int, reason: Reason) -> Branch:
    branch = Branch(index, state.names[index], state.counts.started[index].count, _decision(state, index, reason))
    return _counted(branch, state.counts)


def _all_zero(split_state: SplitState) -> bool:
    return all(split_state.in_force(version.name) == 0 for version in split_state.definition.candidates)


def _has_pins(split_state: SplitState) -> bool:
    return bool(split_state.definition.pins or split_state.definition.denied)


def _pin(state: CompiledSplit, split_state: SplitState, absent: frozenset[str]) -> None:
    """Set what the rungs above the bucket need, where this split uses them."""
    definition, names = split_state.definition, state.names
    if not _has_pins(split_state):
        return
    if _all_zero(split_state) and any(split_state.stop_on(version.name) for version in definition.candidates):
        return  # the rung `stopped` answers before any pin
    answers: dict[bytes, tuple[int, Reason]] = {}
    for unit, version in definition.pinned.items():
        if version != definition.baseline and split_state.in_force(version) == 0:
            continue
        found: tuple[int, Reason] = (BASELINE, "version_absent") if version in absent else (names.index(version), "pin")
        answers[unit.encode()] = found
    for unit in definition.barred:
        answers[unit.encode()] = (BASELINE, "denied")
    state.special = state.rungs = answers.get
    state.pinned = frozenset(hash32(unit, state.seed) for unit in answers)
    if compiled_core is not None:
        state.pin_marks = _marked(state.pinned)


def _marked(hashes: Collection[int]) -> bytes:
    """Return a field of bits in which that of each hash is set, by its low bits; thirty are clear for each that is."""
    places = 1 << max(3, (len(hashes) * 31).bit_length())
    marks = bytearray(places // 8)
    for hashed in hashes:
        place = hashed % places
        marks[place // 8] |= 1 << place % 8
    return bytes(marks)
