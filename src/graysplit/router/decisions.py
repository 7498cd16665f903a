"""Decide a call that no straight line has answered: forced, kept in its context, or by the state in force."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.clock import Clock
from graysplit.core.bucketing import encode_unit, hash32
from graysplit.core.compiled import BASELINE, NEAR, CompiledSplit
from graysplit.core.decision import DRAWN, Decision, Reason
from graysplit.core.weights import FULL
from graysplit.errors import GraysplitError
from graysplit.native import compiled_core
from graysplit.router.call_counts import OLD
from graysplit.scope import KEPT_AT_MOST, MISSING, Scope, scope_get

if TYPE_CHECKING:
    from graysplit.core.guard.buffer import EvidenceBuffer
    from graysplit.events import Events
    from graysplit.router.states import PublishedStates
    from graysplit.router.view import View

UNKNOWN_AT_MOST: Final = 20  # splits that nobody knows, each told once; of more it is said that there are
MORE_UNKNOWN: Final = "more unknown splits are asked for"

# Why the baseline answers without a choice. Where a context has answered so, that stands: it is said to be kept, and
# counted as what it was, for no hash has drawn it.
BEFORE_A_CHOICE: Final = frozenset(
    (
        "not_ready",
        "empty_namespace",
        "closed",
        "unknown_split",
        "not_configured",
        "off",
        "stale",
        "baseline_differs",
    )
)


MARKED: Final = 0x6D61726B  # the seed of marks: no split's buckets have to do with them


class Taking(NamedTuple):
    """A version that a context has taken, as its listeners are told: never for whom."""

    split: str
    version: str
    names: tuple[str, ...]  # all versions, the baseline first
    reason: str
    revision: int
    settled: bool  # whether everybody gets it: a weight at 100 %, or all at zero
    mark: int | None  # 32 bits that the same unit always has; to sample and count by, never to be exported


Listener = Callable[[Taking], None]


class Decisions:
    """The decisions of one router off the hot path, and the goals that are recorded for them."""

    def __init__(
        self,
        states: PublishedStates,
        wake: Callable[[], None],
        look: Callable[[], None],
        events: Events,
        clock: Clock,
    ) -> None:
        """Take the states; the first decision calls `wake`; `look` looks whether an overdue thread still lives."""
        self._states = states
        self._wake = wake
        self._look = look
        self._events = events
        self._clock = clock
        self.listeners: tuple[Listener, ...] = ()  # told once of each version that a context takes
        self._unknown: set[str] = set()  # splits that nobody knows, of which that was said
        self._armed: tuple[View | None, tuple[CompiledSplit, ...]] = (None, ())  # of one view, for goals

    def forget(self) -> None:
        """Begin again with nothing said, and no split known as armed."""
        self._unknown.clear()
        self._armed = (None, ())

    def listen(self, *listeners: Listener) -> None:
        """Tell these too of each version that a context takes."""
        self.listeners += tuple(new for new in listeners if new not in self.listeners)
        if compiled_core is not None and self.listeners:
            compiled_core.listen(True)  # noqa: FBT003 - a function in C takes it by position

    def draw(self, scope: Scope, state: CompiledSplit, unit: object) -> int | None:
        """Return the version's index for a question that no entry of a context answers; None: climb the ladder.

        The straight line, where a hash says all: it is kept, and the caller counts it. Raises whatever an unusable unit
        raises; then nothing is kept. A context's first question looks whether the thread that follows is late.
        """
        if not scope.is_plain or state.buffer is not None or self.listeners:
            return None
        if not scope and self._clock.monotonic() > self._states.due:
            return None
        if unit is MISSING:
            text, encoded = unit, scope.own or scope.encoded(unit)
        else:
            text = unit if unit.__class__ is str else str(unit) if unit.__class__ is int else None
            encoded = text.encode() or None  # type: ignore[union-attr] # of None it raises
        hashed = hash32(encoded, state.seed)  # type: ignore[arg-type] # as above
        if state.runs is None:
            index = 1 if hashed < state.threshold else BASELINE
        else:
            near = state.near[hashed >> NEAR]
            branch = state.branches[near if near >= 0 else bisect_right(state.runs, hashed)]
            if branch.decision.reason != "bucket":
                return None
            index = branch.number
        kept = None if scope.has_others else scope.setdefault(state.key, (text, index))
        if kept is not None and (kept[0] is text or kept[0] == text):
            index = kept[1]
        else:
            index = scope.keep(state.key, text, encoded, index)  # type: ignore[arg-type] # as above
        if scope.taken is not None:
            scope.taken.note(state.split, state.names[index], scope.unit if unit is MISSING else unit)
        if compiled_core is not None and scope.straight is None:
            scope.straighten()
        return index

    def resolve(self, state: CompiledSplit, unit: object) -> tuple[CompiledSplit, int, Decision]:
        """Decide off the hot path, and count it; never raises (law 5)."""
        try:
            if state.asleep:
                self._wake()
                state = self._states.awakened(state)
            now = self._clock.monotonic()
            if now > self._states.due:
                state = self._overdue(state, now)
            index, reason = picked(state, unit, self._events)
            if reason == "unknown_split":
                self._tell_unknown(state.split)
            if (scope := scope_get()) is not None and scope.taken is not None:
                scope.taken.note(state.split, state.names[index], scope.unit if unit is MISSING else unit)
            if self.listeners and scope is not None:
                self._tell_listeners(scope, state, unit, index, reason)
            if state.buffer is not None and not state.counts.routed and reason in DRAWN and reason != "kept":
                expose(state.buffer, state, unit, index)
        except Exception as fault:  # noqa: BLE001 - in doubt, baseline: nothing of ours reaches the caller
            self._events.warning(
                f"decision_failed {state.split}", f"deciding '{state.split}' failed: {type(fault).__name__}"
            )
            index, reason = BASELINE, "error"
        meter = state.counts.started[index] if reason in DRAWN else state.counts.other(index, reason)
        next(meter.count)
        told: Reason = "kept" if state.constant is None and reason in BEFORE_A_CHOICE else reason
        return state, index, Decision(state.split, state.names[index], told, state.revision, state.stale)

    def _tell_listeners(self, scope: Scope, state: CompiledSplit, unit: object, index: int, reason: str) -> None:
        """Tell each listener of a version, once in a context; what one of them raises is said and harms nobody."""
        told = scope.told
        if told is None:
            told = scope.told = {}
        version = state.names[index]
        if (state.split, version) in told or len(told) >= KEPT_AT_MOST:
            return
        told[state.split, version] = None
        encoded = encode_unit(given(state, unit, scope))
        settled = FULL in state.weights or not any(state.weights)
        taking = Taking(
            state.split,
            version,
            state.names,
            reason,
            state.revision,
            settled,
            hash32(encoded, MARKED) if encoded else None,
        )
        for listen in self.listeners:
            try:
                listen(taking)
            except Exception as fault:  # noqa: BLE001 - it is told beside a decision, which stands
                self._events.warning("listener_failed", f"telling of a version failed: {type(fault).__name__}")

    def _tell_unknown(self, split: str) -> None:
        """Warn once that a split is asked for that neither code nor store knows; a request may name any number."""
        told = self._unknown
        if split in told or len(told) > UNKNOWN_AT_MOST or self._states.is_known(split):
            return
        told.add(split)
        if len(told) > UNKNOWN_AT_MOST:
            self._events.warning("unknown_splits", f"{MORE_UNKNOWN}: each gets '{OLD}'. See: graysplit list")
            return
        asked = f"unknown split '{split}': neither this program nor the store knows it"
        self._events.warning(f"unknown_split {split}", f"{asked}: everybody gets '{OLD}'. See: graysplit list")

    def _overdue(self, state: CompiledSplit, now: float) -> CompiledSplit:
        """Return the state that counts while the thread that follows is late: it may have ended, or been stopped."""
        self._look()
        if self._states.due > now:  # it had ended
            state = self._states.awakened(state)
        return self._states.timely(state, now)

    def record(self, goal: str, unit: object, value: float | None, at_most: float) -> None:
        """Note a goal for every armed split whose hash has drawn a version for the unit; never raises."""
        try:
            if self._states.phase == "asleep":
                self._wake()
            from graysplit.router.guarded_splits import note

            self._states.records_goals = True
            scope = scope_get()
            note(self._armed_states(), goal, lambda state: given(state, unit, scope), value, at_most)
        except GraysplitError as fault:
            self._events.warning("goal_not_counted", f"a goal was not counted: {fault}")
        except Exception as fault:  # noqa: BLE001 - as for decisions: nothing of ours reaches the caller
            self._events.warning("goal_not_counted", f"recording a goal failed: {type(fault).__name__}")

    def _armed_states(self) -> tuple[CompiledSplit, ...]:
        view, state_of = self._states.view, self._states.state
        if self._armed[0] is not view:
            splits = [split for split, raw in view.held.definitions.items() if b'"guard"' in raw]
            states = tuple(state for split in splits if (state := state_of(split)).buffer is not None)
            self._armed = (view, states)
        return self._armed[1]


def picked(state: CompiledSplit, unit: object, events: Events) -> tuple[int, Reason]:
    """Return the version's index and the reason, and keep in an open context what was answered."""
    scope = scope_get()
    if scope is not None and state.split in scope.forced:
        forced = scope.forced[state.split]
        scope.met[state.split] = state.names
        if forced in state.names:
            return state.names.index(forced), "forced"
        events.warning(
            f"forced_unknown {state.split}", f"'{forced}' is forced, but '{state.split}' has no such version"
        )
    asked = given(state, unit, scope)
    encoded = encode_unit(asked) if state.constant is None or scope is not None else None
    if state.constant is not None:
        if scope is not None and encoded is not None:
            scope.keep_baseline(state.split, encoded, state.constant)
        return BASELINE, state.constant
    if encoded is None:
        events.warning(*_no_unit(state.split, asked))
        return BASELINE, "no_unit"
    return state.pick(encoded) if scope is None else _keep(scope, state, unit, encoded)


def _no_unit(split: str, unit: object) -> tuple[str, str]:
    """Return what is said, once for each type, of what is not a unit: never its value."""
    if unit is MISSING or unit is None or isinstance(unit, (str, bytes)):
        return f"no_unit {split}", f"split '{split}' was asked without a usable unit"
    kind = type(unit)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    said = f"split '{split}' was asked with a {name}, which is not a valid unit: everybody gets the baseline. Pass text"
    return f"no_unit {split} {name}", f"{said}, an int, bytes or a UUID: str(...) or int(...) of it"


def expose(buffer: EvidenceBuffer, state: CompiledSplit, unit: object, index: int) -> None:
    """Note a choice by name for the guard of an armed split."""
    from graysplit.router.guarded_splits import expose as note

    encoded = encode_unit(given(state, unit, scope_get()))
    if encoded is not None:
        note(buffer, state, encoded, index)


def given(state: CompiledSplit, unit: object, scope: Scope | None) -> object:
    """Return the unit that is meant: the one named, else the context's, else this instance where those cross over."""
    if unit is MISSING and scope is not None:
        unit = scope.unit
    return state.here if unit is MISSING else unit


def _keep(scope: Scope, state: CompiledSplit, unit: object, encoded: bytes) -> tuple[int, Reason]:
    """Answer as this context has answered before; else choose, and keep that."""
    if scope:  # else this is the request's first question
        kept = scope.kept(state.key, encoded)
        if kept is not None:
            return kept, "kept"
        answered = scope.baseline_for(state.split, encoded)
        if answered is not None:
            return BASELINE, answered
    chosen, reason = state.pick(encoded)
    index = scope.keep(state.key, unit, encoded, chosen)
    if index != chosen:
        return index, "kept"
    if state.buffer is not None and reason == "bucket":
        scope.keep(state.buffer, unit, encoded, index)
    return index, reason
