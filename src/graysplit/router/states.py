"""The published states: what a follower adopts, compiled when it is first asked for, swapped in wherever calls read it.

A state swap is the only mechanism: break-glass, not ready, stale, closed and after a fork are states like any other,
so nothing on the hot path asks for them. Handles and routes are handed each new state at once. Who asks by name
misses once after a change, and the slow path compiles: what a program never asks for costs it nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.core.address import EVERYTHING, field_of, split_of
from graysplit.core.bucketing import bucket_of, encode_unit
from graysplit.core.compiled import (
    BASELINE,
    CompiledSplit,
    CompileInput,
    aged,
    compile_state,
    constant_state,
    names_of,
    recount,
    with_fast_path,
    with_slow_path,
)
from graysplit.core.counters import Measure
from graysplit.core.decision import DRAWN, Decision, DecisionInput, Rung, answer, climb
from graysplit.core.fleet import PROMISES, Declared, Effect, Sweep
from graysplit.core.releases import differing_releases
from graysplit.core.replica.adoption import Adopted, Parse, differing, state_of
from graysplit.core.weights import FULL, PREVIEW, share
from graysplit.errors import GraysplitError
from graysplit.follower.port import Contact
from graysplit.router.baselines import Baselines
from graysplit.router.call_counts import OLD, UNKNOWN, UNKNOWN_NAMES, CallCounts
from graysplit.router.choice_keys import Lacking, forget_zeroed, key_of
from graysplit.router.declarations import Declaration
from graysplit.router.effects import StateEffects
from graysplit.router.explanation import Explanation
from graysplit.router.process_lock import ProcessLock
from graysplit.router.slow_path import expose, given, picked
from graysplit.router.view import ChoiceKey, View, marks_of
from graysplit.scope import scope_get

if TYPE_CHECKING:
    from graysplit.core.definition import Definition
    from graysplit.core.guard.buffer import EvidenceBuffer
    from graysplit.core.split_state import SplitState
    from graysplit.events import Events
    from graysplit.follower.break_glass import BreakGlass
    from graysplit.router.guarded_splits import GuardedSplits
    from graysplit.router.warmup import Warmup
    from graysplit.routes.wrap import Route

# Contact lost for longer than this makes decisions stale: a quick reconnect does not.
STALE_S: Final = 3.0

# The thread that follows turns four times a second. Where it has not for so long, decisions on the slow path look at
# the clock themselves, and whether it lives.
OVERDUE_S: Final = 1.0

UNKNOWN_AT_MOST: Final = 20  # splits that nobody knows, each told once; of more it is said that there are
MORE_UNKNOWN: Final = "more unknown splits are asked for"

CLOSE_WITHIN_S: Final = 1.0  # what closing waits for whoever is publishing

Phase: TypeAlias = Literal["asleep", "not_ready", "not_configured", "live", "closed"]

# Why the baseline answers without a choice. Where a context has answered so, that stands: it is said to be kept, and
# counted as what it was, for no hash has drawn it.
BEFORE_A_CHOICE: Final = frozenset(("not_ready", "unknown_split", "not_configured", "off", "stale", "baseline_differs"))

# The reason where the code's baseline is not the store's: the code's own answers every call (law 5).
DIFFERS: Final = "baseline_differs"


class PublishedStates:
    """All states of one router.

    A view is published by one assignment. The lock orders those who publish; no decision takes it, but for the first
    one, which wakes the router (it may be taken again by its owner: a signal handler may decide).
    """

    def __init__(
        self,
        events: Events,
        wake: Callable[[], None],
        look: Callable[[], None] = lambda: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Begin asleep: the first decision calls `wake`; `look` looks whether a thread that is overdue still lives."""
        self.declarations: dict[str, Declaration] = {}
        self.phase: Phase = "asleep"
        self.following = Contact()
        self.break_glass: BreakGlass | None = None
        self.warming: Warmup | None = None  # from the start on, where a store is followed
        self.notify: Callable[[float], None] | None = None  # the same, where there is somebody to tell
        self.readers: list[Callable[[dict[str, CompiledSplit]], None]] = []  # who reads states by name
        self.instance = ""  # the name of this process's host, known from the start on
        self._view = View(Adopted(), {}, {}, {})
        self._parse: Parse = _not_yet
        self._counts = CallCounts()
        self._trusted = True  # False: what is held is so old that versions on trial stay at baseline
        self._born = float("inf")  # when following began; before that nothing ages
        self._age = 0.0  # seconds since the store was heard
        self._lost_since: float | None = None  # the last answer before contact was lost, while it is
        self._limits: set[int] = set()  # the ages at which some split falls to the baseline
        self._events = events
        self._wake = wake
        self._look = look
        self._clock = clock
        self._due = float("inf")  # the monotonic time by which the thread that follows lets time pass again
        self._guarded: GuardedSplits | None = None  # once a split is armed
        self._baselines = Baselines(self.declarations, self._parsed)
        self._effects = StateEffects(self.declarations, self._counts, self._baselines, self.state)
        self._armed: tuple[View | None, tuple[CompiledSplit, ...]] = (None, ())  # of one view, for goals
        self._records_goals = False
        self._unknown: set[str] = set()  # splits that nobody knows, of which that was said
        self._lock = ProcessLock()

    @property
    def held(self) -> Adopted:
        """What the published states are compiled from."""
        return self._view.held

    @property
    def stale(self) -> bool:
        """Return whether contact has been lost for so long that decisions say so."""
        return self._age > STALE_S

    # What the follower tells

    def publish(self, held: Adopted, splits: Collection[str]) -> None:
        """Publish what is held now; `splits` are those that it changes."""
        with self._lock:
            everything = not self._trusted or (self.phase == "not_ready" and held.loaded)
            before = forget_zeroed(self._view, held, None if everything else splits)
            self._trusted = True
            if self.phase == "not_ready" and held.loaded:
                self.phase = "live"
            if everything:
                self._publish_all(held, before)
            else:
                self._publish(held, {*splits, *_restaged(self._view.held, held)}, before)

    def contact(self, contact: Contact) -> None:
        """Take note of how the store is followed; the time of the last answer outlives a loss."""
        before = self.following
        if contact.mode == "lost":
            self._tell_loss(before, contact)
        elif (contact.mode, contact.mode_why) != (before.mode, before.mode_why):
            self._tell_mode(contact)
        self.following = contact._replace(since=contact.since or before.since)

    def _tell_loss(self, before: Contact, lost: Contact) -> None:
        """Say that contact is lost, at once where it has been so for a while already."""
        if self._lost_since is None:
            self._lost_since = before.since or self._born
        said = f"lost contact with the store: {lost.reason}. Keeping the last state."
        self._events.stands("contact", "lost", said, since=float("-inf") if lost.silent else None)

    def _tell_mode(self, contact: Contact) -> None:
        """Say how the store is followed, and for how long it was not: as loud as the loss was, and in its place."""
        lost_since, self._lost_since = self._lost_since, None
        gone = "" if lost_since is None else f" again, {max(0.0, contact.since - lost_since):.1f} s without contact"
        why = f"; {contact.mode_why}" if contact.mode_why else ""
        promise = PROMISES.get(contact.mode, "")
        said = f"following the store{gone} (mode: {contact.mode}, {promise}{why})"
        level = "info" if lost_since is None and not contact.mode_why else "warning"
        self._events.stands("contact", f"{contact.mode} {contact.mode_why}", said, level=level)

    def turn(self, now: float) -> bool:
        """Let time pass: states become stale, and those with a limit fall to the baseline; contact ends both.

        Hooks that are due are handed over; True where it has changed which version is ready.
        """
        self._due = now + OVERDUE_S
        before, age = self._age, now - (self.following.since or self._born)
        self._age = age
        self._events.turn()
        if any((before > limit) != (age > limit) for limit in (STALE_S, *self._limits)):
            self.refresh()
        if self.notify is not None:
            self.notify(now)
        if self._guarded is not None:
            self._guarded.shed(now)
        return self.warming is not None and self.warming.turn(now)

    def knows(self, field: str) -> bool:
        """Return whether a field names everything, a split or a candidate of what is held."""
        split, slash, version = field.partition("/")
        raw = self._view.held.definitions.get(split)
        if field == "*" or raw is None or not slash:
            return field == "*" or raw is not None
        definition = self._parse(split, raw)
        return definition is not None and version in definition.names

    def tapes(self) -> list[EvidenceBuffer]:
        """Return the tapes of armed splits, and those from which something is still to be collected."""
        if self._guarded is None:
            return []
        with self._lock:
            live = self._guarded.live(self._view.table.copy(), self.state)
            self._counts.settle()
            return live

    def refresh(self) -> None:
        """Publish all states anew."""
        with self._lock:
            self._publish_all(self._view.held)

    def declared(self) -> dict[str, Declared]:
        """Return the splits that the code declares, with how often each was asked."""
        declarations = self.declarations.copy()
        asked, attempted = self._counts.asked(declarations)
        return {
            name: Declared(
                found.baseline or "",
                found.names,
                found.kind,
                asked[name],
                {version: hook.reason for version, hook in found.hooks.items()},
                found.by,
                found.kind == "route" or name in attempted or self._records_goals,
            )
            for name, found in declarations.items()
            if found.places  # what prepares a version declares none
        }

    def measures(self) -> list[Measure]:
        """Return what has been counted so far of every version of every split that was asked for or declared.

        All that neither code nor store knows is one (`(unknown)`). Nobody who publishes waits for it.
        """
        weights, found = self._view.held.weights, list[Measure]()
        for split, versions in self._counts.measured():
            state = self.state(split) if split != UNKNOWN else None
            candidates = state.names[1:] if state is not None else ()
            for version, (evaluations, failures, running) in versions.items():
                asked = actual = None
                if state is not None and version in candidates:
                    asked = share(weights.get(field_of(split, version), 0))
                    actual = share(state.weights[state.names.index(version)])
                if state is not None or any(evaluations.values()):
                    found.append(Measure(split, version, evaluations, failures, running, asked, actual))
        return found

    def effects(self, fields: Iterable[str]) -> dict[str, Effect]:
        """Return what candidates' fields do here now, as compiled, and the calls still running on them."""
        with self._lock:
            return self._effects.of(fields, self._view.held)

    def sweeps(self, changes: Mapping[str, Mapping[str, str]]) -> dict[str, Sweep]:
        """Return what changes of many fields, each by its id with the weights it wrote, do here now, as compiled."""
        with self._lock:
            return self._effects.sweeps(changes, self._view)

    def baselines(self) -> dict[str, str]:
        """Return the splits whose baseline is another one in the code than in the store, and how they differ."""
        with self._lock:
            return self._baselines.differing(self._view.held)

    # What the code declares

    def declare(self, split: str, change: Callable[[Declaration], None]) -> None:
        """Change what the code declares for a split, all or nothing, and publish its state anew."""
        with self._lock:
            declaration = self._changed(split, change)
            declaration.settle()
            self.declarations[split] = declaration
            self._publish(self._view.held, (split,))
        if declaration.aside:
            self._events.warning(
                f"aside {split}",
                f"split '{split}': {' and '.join(declaration.aside)} does not take the calls of the baseline as it is "
                "declared now, and is absent until it is declared again",
            )

    def _changed(self, split: str, change: Callable[[Declaration], None]) -> Declaration:
        """Return a changed copy of a declaration; what refuses the change leaves nothing of it behind."""
        known = self.declarations.get(split)
        declaration = known.copy() if known is not None else Declaration(split)
        change(declaration)
        return declaration

    def include(self, library: PublishedStates) -> None:
        """Take over a library's declarations, all or none, and serve whoever read its states, alone from now on."""
        with library._lock, self._lock:
            taken = {split: self._changed(split, theirs.copy_into) for split, theirs in library.declarations.items()}
            for declaration in taken.values():
                declaration.settle()
            self.declarations.update(taken)
            self.readers.extend(library.readers)
            library.declarations.clear()
            library.readers.clear()
            self._publish_all(self._view.held)

    def present(self, split: str) -> CompiledSplit:
        """Return the state that a handle or route begins with."""
        return self._for_code(split, self.state(split))

    def _for_route(self, route: Route) -> CompiledSplit:
        """Return the state that a route reads: versions of which others alone have a function are absent there."""
        declaration = self.declarations.get(route.split)
        missing = frozenset(declaration.places if declaration is not None else ()).difference(route.own)
        if not missing:
            return self.present(route.split)
        return self._for_code(route.split, self._in_force(route.split, self._view, missing))

    # Life

    def enter(
        self,
        phase: Phase,
        break_glass: BreakGlass | None = None,
        parse: Parse | None = None,
        born: float = float("inf"),
    ) -> None:
        """Change the phase, and with it every state; `born`: the monotonic time from which silence is counted."""
        with self._lock:
            self._born = born
            self.break_glass = break_glass or self.break_glass
            self._parse = parse or self._parse
            self.phase = phase
            self._due = float("inf")
            self._publish_all(self._view.held)

    def expect_turns(self) -> None:
        """Begin to look on the slow path whether the thread that follows is overdue."""
        self._due = self._clock.monotonic() + OVERDUE_S

    def abandon(self) -> None:
        """Fall asleep where nobody follows any more: everybody gets the baseline until a decision starts it again."""
        with self._lock:
            if self.phase in {"asleep", "closed"}:
                return
            self.following = self.following._replace(mode="lost", reason="the thread that follows has ended")
            self.enter("asleep", born=self._born)
        self._events.warning("thread", "the thread that follows the store has ended: a decision starts it again")

    def close(self) -> None:
        """Send everybody to the baseline from now on. A signal handler may ask: it waits for nobody without end."""
        self.phase, self._due = "closed", float("inf")
        owned = self._lock.acquire(CLOSE_WITHIN_S)
        try:
            self._publish_all(self._view.held)
        finally:
            if owned:
                self._lock.release()

    def after_fork(self) -> None:
        """In a child: publish states that wake the router. No lock is taken and no thread started."""
        self._due = float("inf")
        if self.phase != "closed":
            self.phase = "asleep"
            self.following = self.following._replace(mode="starting")
        # The parent tells what is on its tapes, and its thread may hold their locks here for ever.
        self._guarded = None
        self._counts.forget()
        self._publish_all(self._view.held)

    def inherit(self, held: Adopted, *, fresh: bool) -> None:
        """Begin with what is known without the store, unless its word is known; versions on trial only where fresh.

        A forked child does not count its parent's calls again.
        """
        with self._lock:
            if self.phase != "not_ready":
                return
            self._counts.forget()
            self._trusted = fresh
            self.phase = "live" if held.definitions else "not_ready"
            self._publish_all(held)

    # What calls ask

    def resolve(self, state: CompiledSplit, unit: object) -> tuple[CompiledSplit, int, Decision]:
        """Decide off the hot path, and count it; never raises (law 5)."""
        try:
            if state.asleep:
                self._wake()
                state = self._awakened(state)
            now = self._clock.monotonic()
            if now > self._due:
                state = self._overdue(state, now)
            index, reason = picked(state, unit, self._events)
            if reason == "unknown_split":
                self._tell_unknown(state.split)
            if state.tape is not None and not state.counts.routed and reason in DRAWN and reason != "kept":
                expose(state.tape, state, unit, index)
        except Exception as fault:  # noqa: BLE001 - in doubt, baseline: nothing of ours reaches the caller
            self._events.warning(f"error {state.split}", f"deciding '{state.split}' failed: {type(fault).__name__}")
            index, reason = BASELINE, "error"
        meter = state.counts.started[index] if reason in DRAWN else state.counts.other(index, reason)
        next(meter.count)
        told = "kept" if state.constant is None and reason in BEFORE_A_CHOICE else reason
        return state, index, Decision(state.split, state.names[index], told, state.revision, state.stale)

    def _tell_unknown(self, split: str) -> None:
        """Say once that a split is asked for that neither code nor store knows; a request may name any number."""
        told = self._unknown
        if split in told or len(told) > UNKNOWN_AT_MOST or self._is_known(split):
            return
        told.add(split)
        if len(told) > UNKNOWN_AT_MOST:
            self._events.warning("more unknown", f"{MORE_UNKNOWN}: each gets '{OLD}'. See: graysplit list")
            return
        asked = f"unknown split '{split}': neither this program nor the store knows it"
        self._events.warning(f"unknown {split}", f"{asked}: everybody gets '{OLD}'. See: graysplit list")

    def _overdue(self, state: CompiledSplit, now: float) -> CompiledSplit:
        """Return the state that counts while the thread that follows is late: it may have ended, or been stopped."""
        self._look()
        if self._due > now:  # it had ended
            state = self._awakened(state)
        if state.limit is None or now - (self.following.since or self._born) <= state.limit:
            return state
        return self._like(state, self._constant(state.split, "stale"))

    def _awakened(self, asleep: CompiledSplit) -> CompiledSplit:
        """Return the state in force now in the place of one that slept, counting where that one did."""
        return self._like(asleep, self.state(asleep.split))

    def _like(self, before: CompiledSplit, state: CompiledSplit) -> CompiledSplit:
        """Return a state that counts where another one of its split did."""
        return self._for_code(before.split, state) if self._counts.is_routed(before.split, before.counts) else state

    def record(self, goal: str, unit: object, value: float | None, at_most: float) -> None:
        """Note a goal for every armed split whose hash has drawn a version for the unit; never raises."""
        try:
            if self.phase == "asleep":
                self._wake()
            from graysplit.router.guarded_splits import note

            self._records_goals = True
            scope = scope_get()
            note(self._armed_states(), goal, lambda state: given(state, unit, scope), value, at_most)
        except GraysplitError as fault:
            self._events.warning("goal", f"a goal was not counted: {fault}")
        except Exception as fault:  # noqa: BLE001 - as for decisions: nothing of ours reaches the caller
            self._events.warning("goal", f"recording a goal failed: {type(fault).__name__}")

    def _armed_states(self) -> tuple[CompiledSplit, ...]:
        view = self._view
        if self._armed[0] is not view:
            splits = [split for split, raw in view.held.definitions.items() if b'"guard"' in raw]
            states = tuple(state for split in splits if (state := self.state(split)).tape is not None)
            self._armed = (view, states)
        return self._armed[1]

    def state(self, split: object) -> CompiledSplit:
        """Return the state in force of a split, compiled now unless it has been; takes no lock."""
        name = split if isinstance(split, str) else OLD
        view = self._view
        found = view.table.get(name)
        if found is None:
            found = self._in_force(name, view)
            # Into this view's table only: where another has been published meanwhile, the next call misses again.
            if self.phase != "asleep" and (name in view.held.definitions or name in self.declarations):
                view.table[name] = found
        return found

    def explain(self, split: str, unit: object) -> Explanation:
        """Return the ladder with the rung that answers. Counts nothing, keeps nothing."""
        state = self.state(split)
        scope = scope_get()
        encoded = encode_unit(given(state, unit, scope))
        standing = self._standing(split)
        drawn = standing is not None and standing.definition.by == "unit"
        bucket = bucket_of(encoded, standing.definition.seed) if standing is not None and drawn and encoded else None
        if scope is not None and scope.forced.get(split) in state.names:
            steps: tuple[Rung, ...] = (Rung("forced", "forced in this context", scope.forced[split]),)
        elif state.constant is not None or standing is None:
            reason = state.constant or "unknown_split"
            why = self._baselines.differs(split, self._view.held) if reason == DIFFERS else ""
            said = f"{why}: the code's answers" if why else "every call gets the baseline"
            steps = (Rung(reason, said, state.names[BASELINE]),)
        else:
            kept = scope.kept(state.key, encoded) if scope is not None and encoded else None
            answered = scope.baseline_for(split, encoded) if scope is not None and encoded else None
            declaration = self.declarations.get(split)
            present = frozenset(declaration.places) if declaration is not None and declaration.places else None
            case = DecisionInput(standing, encoded, {}, present, kept=None if kept is None else state.names[kept])
            case = case._replace(instance=self.instance)
            steps = climb(case)
            if kept is None and answered is not None:
                steps = (Rung("kept", f"answered in this request before ({answered})", state.names[BASELINE]),)
        version, reason = answer(steps)
        return Explanation(split, version, reason, bucket, self._view.held.revision, steps)

    def _parsed(self, split: str, raw: bytes) -> Definition | None:
        return self._parse(split, raw)  # which comes with the start

    def _standing(self, split: str, held: Adopted | None = None) -> SplitState | None:
        held = held or self._view.held
        raw = held.definitions.get(split)
        definition = self._parse(split, raw) if raw is not None else None
        return state_of(held, split, definition) if definition is not None else None

    # Compiling and publishing

    def _compile(self, standing: SplitState, view: View, missing: frozenset[str] = frozenset()) -> CompiledSplit:
        """Compile what is in force; `missing`: versions that a route alone cannot call, though others here can."""
        split, names, held = standing.split, names_of(standing), view.held
        declaration = self.declarations.get(split)
        present = frozenset(declaration.places) - missing if declaration is not None and declaration.places else None
        counts, key = self._counts.of(split, names), key_of(standing, names, view)
        # What others keep in a request is not what such a route calls.
        inputs = CompileInput(
            counts, Lacking(key, missing) if missing else key, {}, present, held.revision, instance=self.instance
        )
        own = self._own_names(split)
        if declaration is not None and declaration.baseline not in (None, standing.definition.baseline):
            self._events.warning(
                f"baseline {split}", f"'{split}': {self._baselines.differs(split, held)}: the code's answers"
            )
            return constant_state(split, own, DIFFERS, inputs._replace(counts=self._counts.of(split, own)))
        if present is not None and standing.definition.baseline not in present:
            return constant_state(split, own, "version_absent", inputs._replace(counts=self._counts.of(split, own)))
        tape = None if missing else self._tape(standing, held, present)
        return compile_state(standing, inputs._replace(tape=tape))

    def _tape(self, standing: SplitState, held: Adopted, present: frozenset[str] | None) -> EvidenceBuffer | None:
        """Return the tape of an armed split; None where none is armed."""
        if standing.definition.guard is None:
            return None
        if self._guarded is None:
            from graysplit.router.guarded_splits import GuardedSplits

            self._guarded = GuardedSplits(self._events)
        return self._guarded.tape(standing, held, present, self.instance)

    def _routed(self, split: str) -> bool:
        declaration = self.declarations.get(split)
        return declaration is not None and declaration.kind == "route"

    def _for_code(self, split: str, state: CompiledSplit) -> CompiledSplit:
        """Return the state that handles and routes read: a route counts its calls apart from choices by name."""
        if self._routed(split):
            state = recount(with_fast_path(state), self._counts.of(split, state.names, routed=True))
        if state.tape is not None:
            state.counts.count_by(state.tape)
        return state

    def _own_names(self, split: str) -> tuple[str, ...]:
        """Return the versions that this process's code knows, else those last compiled, else `old`; at least two."""
        declaration = self.declarations.get(split)
        if declaration is not None and declaration.baseline is not None:
            return declaration.names if len(declaration.names) > 1 else (declaration.baseline, "new")
        mark = self._view.marks.get(split) or self._view.before.get(split)
        return mark.names if mark is not None else UNKNOWN_NAMES

    def _is_known(self, split: str) -> bool:
        """Return whether code or store know a split, or the store has known it."""
        view = self._view
        known = (view.held.definitions, self.declarations, view.marks, view.before)
        return any(split in names for names in known)

    def _constant(self, split: str, reason: str, *, asleep: bool = False) -> CompiledSplit:
        names = self._own_names(split)
        counts = self._counts.of(split if self._is_known(split) else UNKNOWN, names)
        inputs = CompileInput(counts, object(), {}, None, self._view.held.revision)
        return constant_state(split, names, reason, inputs, asleep=asleep)

    def _in_force(self, split: str, view: View, missing: frozenset[str] = frozenset()) -> CompiledSplit:
        """Compile the state that calls of a split read in this phase."""
        if self.break_glass is not None and self.phase != "asleep" and self.break_glass.covers(split):
            return self._constant(split, "off")
        if self.phase != "live":
            reason = "not_configured" if self.phase == "not_configured" else "not_ready"
            return self._constant(split, reason, asleep=self.phase == "asleep")
        standing = self._standing(split, view.held)
        if standing is None:
            return self._constant(split, "unknown_split")
        state = self._timely(self._compile(standing, view, missing))
        return with_slow_path(state) if state.tape is not None else state

    def _timely(self, state: CompiledSplit) -> CompiledSplit:
        """Return a compiled state as old as what is held."""
        if state.limit is not None:
            self._limits.add(state.limit)
            if self._age > state.limit:
                return self._constant(state.split, "stale")
        if not self._trusted and (_on_trial(state) or state.split in self._view.held.planned):
            return self._constant(state.split, "not_ready")
        return aged(state) if self.stale else state

    def _publish(self, held: Adopted, splits: Collection[str], before: Mapping[str, ChoiceKey] | None = None) -> None:
        """Publish a view in which these splits are compiled anew."""
        table = self._view.table.copy()
        for split in splits:
            table.pop(split, None)
        self._hand_out(View(held, table, marks_of(self._view) if before is None else before, {}), splits)

    def _publish_all(self, held: Adopted, before: Mapping[str, ChoiceKey] | None = None) -> None:
        self._hand_out(View(held, {}, marks_of(self._view) if before is None else before, {}), self.declarations)

    def _hand_out(self, view: View, splits: Collection[str]) -> None:
        """One assignment for those who ask by name; a swap for each handle and route."""
        self._view = view
        for read in self.readers:
            read(view.table)
        for split, declaration in self.declarations.items():
            if split not in splits:
                continue
            for handle in declaration.handles:
                handle.swap(self.present(split))
            for route in declaration.routes:
                route.swap(self._for_route(route))


def _restaged(before: Adopted, after: Adopted) -> frozenset[str]:
    """Name the splits that have begun another release or stage, be their weights what they were."""
    changed = differing_releases(before.begun, after.begun) | differing(before.since, after.since)
    found = frozenset(map(split_of, changed))
    return found | frozenset(after.definitions) if EVERYTHING in found else found


def _on_trial(state: CompiledSplit) -> bool:
    return any(weight == PREVIEW or 0 < weight < FULL for weight in state.weights)


def _not_yet(split: str, raw: bytes) -> None:
    """Stand for the parser until the router starts: nothing is held before."""
