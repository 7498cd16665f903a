"""The published states: what a follower adopts, compiled when it is first asked for, swapped in wherever calls read it.

A state swap is the only mechanism: break-glass, not ready, stale, closed and after a fork are states like any other,
so nothing on the hot path asks for them. Handles and routes are handed each new state at once. Who asks by name
misses once after a change, and the slow path compiles: what a program never asks for costs it nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.compiled import (
    CompiledSplit,
    CompileInput,
    aged,
    constant_state,
    recount,
    with_fast_path,
    with_slow_path,
)
from graysplit.core.replica.adopted import Adopted
from graysplit.core.weights import FULL, PREVIEW
from graysplit.follower.port import Contact
from graysplit.forks import ProcessLock
from graysplit.router.call_counts import OLD, UNKNOWN, UNKNOWN_NAMES, CallCounts
from graysplit.router.declarations import Declaration
from graysplit.router.view import ChoiceKey, View, forget_zeroed, marks_of

if TYPE_CHECKING:
    from graysplit.core.counters import Measure
    from graysplit.core.decision import Reason
    from graysplit.core.fleet import Declared, Effect, Sweep
    from graysplit.core.guard.buffer import EvidenceBuffer
    from graysplit.core.replica.adoption import Parse
    from graysplit.core.split_state import SplitState
    from graysplit.events import Events
    from graysplit.follower.break_glass import BreakGlass
    from graysplit.router.compiler import StateCompiler
    from graysplit.router.effects import DeclaredSplits, StateEffects
    from graysplit.router.warmup import Warmup
    from graysplit.routes.wrap import Route

# Contact lost for longer than this makes decisions stale: a quick reconnect does not.
STALE_S: Final = 3.0

# The thread that follows turns four times a second. Where it has not for so long, decisions on the slow path look at
# the clock themselves, and whether it lives.
OVERDUE_S: Final = 1.0

CLOSE_WITHIN_S: Final = 1.0  # what closing waits for whoever is publishing

Phase: TypeAlias = Literal["asleep", "not_ready", "not_configured", "live", "closed"]


class PublishedStates:
    """All states of one router.

    A view is published by one assignment. The lock orders those who publish; no decision takes it, but for the first
    one, which wakes the router (it may be taken again by its owner: a signal handler may decide).
    """

    def __init__(
        self,
        events: Events,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Begin asleep: the first decision wakes the router."""
        self.declarations: dict[str, Declaration] = {}
        self.phase: Phase = "asleep"
        self.following = Contact()
        self.break_glass: BreakGlass | None = None
        self.warming: Warmup | None = None  # from the start on, where a store is followed
        self.notify: Callable[[float], None] | None = None  # the same, where there is somebody to tell
        self.readers: list[Callable[[dict[str, CompiledSplit]], None]] = []  # who reads states by name
        self.watchers: list[Callable[[], None]] = []  # asked at each turn of the thread that follows; they never raise
        self.instance = ""  # the name of this process's host, known from the start on
        self.view = View(Adopted(), {}, {}, {})
        self.counts = CallCounts()
        self.compiler: StateCompiler | None = None  # from the start on
        self._empty = False  # whether the store has answered since the start, and held nothing
        self._trusted = True  # False: what is held is so old that versions on trial stay at baseline
        self._born = float("inf")  # when following began; before that nothing ages
        self._age = 0.0  # seconds since the store was heard
        self._lost_since: float | None = None  # the last answer before contact was lost, while it is
        self._limits: set[int] = set()  # the ages at which some split falls to the baseline
        self._events = events
        self._clock = clock
        self.due = float("inf")  # the monotonic time by which the thread that follows lets time pass again
        self.records_goals = False  # whether any goal was recorded
        self._effects: StateEffects | None = None  # from the start on
        self._differing: tuple[View, dict[str, str]] | None = None  # baselines, as they were looked at last
        self._declared: DeclaredSplits | None = None  # from the first time on that it is asked for
        self._lock = ProcessLock()

    @property
    def held(self) -> Adopted:
        """What the published states are compiled from."""
        return self.view.held

    @property
    def stale(self) -> bool:
        """Return whether contact has been lost for so long that decisions say so."""
        return self._age > STALE_S

    # What the follower tells

    def publish(self, held: Adopted, splits: Collection[str]) -> None:
        """Publish what is held now; `splits` are those that it changes."""
        with self._lock:
            everything = not self._trusted or (self.phase == "not_ready" and held.loaded)
            before = forget_zeroed(self.view, held, None if everything else splits)
            self._trusted = True
            if self.phase == "not_ready" and held.loaded:
                self.phase = "live"
            if everything:
                self._publish_all(held, before)
            else:
                self._publish(held, {*splits, *_restaged(self.view.held, held)}, before)

    def contact(self, contact: Contact) -> None:
        """Take note of how the store is followed; the time of the last answer outlives a loss."""
        before = self.following
        if contact.mode == "lost":
            self._tell_loss(before, contact)
        elif (contact.mode, contact.mode_why) != (before.mode, before.mode_why):
            self._tell_mode(contact)
        self.following = contact._replace(since=contact.since or before.since)
        if self.phase == "not_ready" and contact.mode != "lost" and not self._empty:
            self._empty = True
            self.refresh()

    def _tell_loss(self, before: Contact, lost: Contact) -> None:
        """Log that contact is lost, at once where it has been so for a while already."""
        if self._lost_since is None:
            self._lost_since = before.since or self._born
        said = f"lost contact with the store: {lost.reason}. Keeping the last state."
        self._events.stands("contact", "lost", said, since=float("-inf") if lost.silent else None)

    def _tell_mode(self, contact: Contact) -> None:
        """Log how the store is followed, and for how long it was not: as loud as the loss was, and in its place."""
        from graysplit.core.fleet import PROMISES

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
        self.due = now + OVERDUE_S
        before, age = self._age, now - (self.following.since or self._born)
        self._age = age
        self._events.turn()
        if (before > STALE_S) != (age > STALE_S) or self._passes_limit(before, age):
            self.refresh()
        if self.notify is not None:
            self.notify(now)
        for watch in self.watchers:
            watch()
        if self.compiler is not None and self.compiler.guarded is not None:
            self.compiler.guarded.shed(now)
        return self.warming is not None and self.warming.turn(now)

    def _passes_limit(self, before: float, age: float) -> bool:
        return bool(self._limits) and any((before > limit) != (age > limit) for limit in self._limits)

    def knows(self, field: str) -> bool:
        """Return whether a field names everything, a split or a candidate of what is held."""
        split, slash, version = field.partition("/")
        known = split in self.view.held.definitions
        if field == "*" or not known or not slash:
            return field == "*" or known
        definition = self.compiler.definition(split, self.view.held) if self.compiler is not None else None
        return definition is not None and version in definition.names

    def buffers(self) -> list[EvidenceBuffer]:
        """Return the buffers of armed splits, and those from which something is still to be collected."""
        if self.compiler is None or self.compiler.guarded is None:
            return []
        with self._lock:
            live = self.compiler.guarded.live(self.view.table.copy(), self.state)
            self.counts.settle()
            return live

    def measures(self) -> list[Measure]:
        """Return what has been counted so far of every version of every split that was asked for or declared."""
        from graysplit.router.measures import measures

        return measures(self.view.held, self.counts, self.state)

    def refresh(self) -> None:
        """Publish all states anew."""
        with self._lock:
            self._publish_all(self.view.held)

    def declared(self) -> dict[str, Declared]:
        """Return the splits that the code declares; the same object while nothing of them has changed."""
        if self._declared is None:
            from graysplit.router.effects import DeclaredSplits

            self._declared = DeclaredSplits(self.declarations, self.counts)
        return self._declared.now(records_goals=self.records_goals)

    def asked(self) -> dict[str, int]:
        """Return how often each split that the code declares was asked."""
        return self.counts.asked(self.declarations.copy())

    def effects(self, fields: Iterable[str]) -> dict[str, Effect]:
        """Return what candidates' fields do here now, as compiled, and the calls still running on them."""
        with self._lock:
            return self._effects.of(fields, self.view) if self._effects is not None else {}

    def sweeps(self, changes: Mapping[str, Mapping[str, str]]) -> dict[str, Sweep]:
        """Return what changes of many fields, each by its id with the weights it wrote, do here now, as compiled."""
        with self._lock:
            return self._effects.sweeps(changes, self.view) if self._effects is not None else {}

    def baselines(self) -> dict[str, str]:
        """Return the splits whose baseline is another one in the code than in the store, and how they differ."""
        with self._lock:
            if self.compiler is None:
                return {}
            if self._differing is None or self._differing[0] is not self.view:
                self._differing = self.view, self.compiler.baselines.differing(self.view.held)
            return self._differing[1]

    # What the code declares

    def declare(self, split: str, change: Callable[[Declaration], None]) -> None:
        """Change what the code declares for a split, all or nothing, and publish its state anew."""
        with self._lock:
            declaration = self._changed(split, change)
            declaration.settle()
            self.declarations[split] = declaration
            self._publish(self.view.held, (split,))
        if declaration.aside:
            self._events.warning(
                f"signature_differs {split}",
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
            self.watchers.extend(library.watchers)
            library.declarations.clear()
            library.readers.clear()
            library.watchers.clear()
            self._publish_all(self.view.held)

    def present(self, split: str) -> CompiledSplit:
        """Return the state that a handle or route begins with."""
        return self._for_code(split, self.state(split))

    def _for_route(self, route: Route) -> CompiledSplit:
        """Return the state that a route reads: versions of which others alone have a function are absent there."""
        declaration = self.declarations.get(route.split)
        missing = frozenset(declaration.places if declaration is not None else ()).difference(route.own)
        if not missing:
            return self.present(route.split)
        return self._for_code(route.split, self._in_force(route.split, self.view, missing))

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
            if parse is not None:
                self._make_compiler(parse)
            self.phase = phase
            self._empty = False
            self.due = float("inf")
            self._publish_all(self.view.held)

    def _make_compiler(self, parse: Parse) -> None:
        """Make what compiles, and what tells the fleet of it; evidence that is still to be collected stays."""
        from graysplit.router.compiler import StateCompiler
        from graysplit.router.effects import StateEffects

        before, compiler = self.compiler, StateCompiler(self.declarations, self.counts, parse, self._events)
        compiler.guarded = before.guarded if before is not None else None
        self.compiler = compiler
        self._effects = StateEffects(self.declarations, self.counts, compiler.baselines, self.state)

    def expect_turns(self) -> None:
        """Begin to look on the slow path whether the thread that follows is overdue."""
        self.due = self._clock.monotonic() + OVERDUE_S

    def abandon(self) -> None:
        """Fall asleep where nobody follows any more: everybody gets the baseline until a decision starts it again."""
        with self._lock:
            if self.phase in {"asleep", "closed"}:
                return
            self.following = self.following._replace(mode="lost", reason="the thread that follows has ended")
            self.enter("asleep", born=self._born)
        self._events.warning("thread_ended", "the thread that follows the store has ended: a decision starts it again")

    def close(self) -> None:
        """Send everybody to the baseline from now on. A signal handler may ask: it waits for nobody without end."""
        self.phase, self.due = "closed", float("inf")
        owned = self._lock.acquire(CLOSE_WITHIN_S)
        try:
            self._publish_all(self.view.held)
        finally:
            if owned:
                self._lock.release()

    def reopen(self) -> None:
        """Publish, after `close`, states that wake the router; what it had heard of the store is forgotten."""
        self.following = Contact()
        self.enter("asleep")

    def reset(self) -> None:
        """Begin again, asleep, with what the code declares and nothing else."""
        with self._lock:
            self.following, self.break_glass = Contact(), None
            self.warming = self.notify = self.compiler = self._effects = self._declared = None
            self._trusted, self._born, self._age, self._lost_since = True, float("inf"), 0.0, None
            self._limits.clear()
            self.due, self.instance, self.records_goals, self.phase = float("inf"), "", False, "asleep"
            self.counts.forget()
            self._hand_out(View(Adopted(), {}, {}, {}), self.declarations)

    def after_fork(self) -> None:
        """In a child: publish states that wake the router. No lock is taken and no thread started."""
        self.due = float("inf")
        if self.phase != "closed":
            self.phase = "asleep"
            self.following = self.following._replace(mode="starting")
        # The parent tells what is on its buffers, and its thread may hold their locks here for ever.
        if self.compiler is not None:
            self.compiler.guarded = None
        self.counts.forget()
        self._declared = None  # which attempts were its parent's
        self._publish_all(self.view.held)

    def inherit(self, held: Adopted, *, fresh: bool) -> None:
        """Begin with what is known without the store, unless its word is known; versions on trial only where fresh.

        A forked child does not count its parent's calls again.
        """
        with self._lock:
            if self.phase != "not_ready":
                return
            self.counts.forget()
            self._trusted = fresh
            self.phase = "live" if held.definitions else "not_ready"
            self._publish_all(held)

    # What calls ask

    def awakened(self, asleep: CompiledSplit) -> CompiledSplit:
        """Return the state in force now in the place of one that slept, counting where that one did."""
        return self._like(asleep, self.state(asleep.split))

    def timely(self, state: CompiledSplit, now: float) -> CompiledSplit:
        """Return a state, or at its limit the baseline's, where nobody has let time pass until `now`."""
        if state.limit is None or now - (self.following.since or self._born) <= state.limit:
            return state
        return self._like(state, self._constant(state.split, "stale"))

    def _like(self, before: CompiledSplit, state: CompiledSplit) -> CompiledSplit:
        """Return a state that counts where another one of its split did."""
        return self._for_code(before.split, state) if self.counts.is_routed(before.split, before.counts) else state

    def state(self, split: object) -> CompiledSplit:
        """Return the state in force of a split, compiled now unless it has been; takes no lock."""
        name = split if isinstance(split, str) else OLD
        view = self.view
        state = view.table.get(name)
        if state is None:
            state = self._in_force(name, view)
            # Into this view's table only: where another has been published meanwhile, the next call misses again.
            if self.phase != "asleep" and (name in view.held.definitions or name in self.declarations):
                view.table[name] = state
        return state

    def split_state(self, split: str) -> SplitState | None:
        """Return the state of a split by what is held; None where that has no such split."""
        return self.compiler.split_state(split, self.view.held) if self.compiler is not None else None

    # Compiling and publishing

    def _routed(self, split: str) -> bool:
        declaration = self.declarations.get(split)
        return declaration is not None and declaration.kind == "route"

    def _for_code(self, split: str, state: CompiledSplit) -> CompiledSplit:
        """Return the state that handles and routes read: a route counts its calls apart from choices by name."""
        if self._routed(split):
            state = recount(with_fast_path(state), self.counts.of(split, state.names, routed=True))
        if state.buffer is not None:
            state.counts.count_by(state.buffer.totals)
        return state

    def _own_names(self, split: str) -> tuple[str, ...]:
        """Return the versions that this process's code knows, else those last compiled, else `old`; at least two."""
        declaration = self.declarations.get(split)
        if declaration is not None and declaration.baseline is not None:
            return declaration.names if len(declaration.names) > 1 else (declaration.baseline, "new")
        mark = self.view.marks.get(split) or self.view.before.get(split)
        return mark.names if mark is not None else UNKNOWN_NAMES

    def is_known(self, split: str) -> bool:
        """Return whether code or store know a split, or the store has known it."""
        view = self.view
        known = (view.held.definitions, self.declarations, view.marks, view.before)
        return any(split in names for names in known)

    def _constant(self, split: str, reason: Reason, *, asleep: bool = False) -> CompiledSplit:
        names = self._own_names(split)
        counts = self.counts.of(split if self.is_known(split) else UNKNOWN, names)
        inputs = CompileInput(counts, object(), {}, None, self.view.held.revision)
        return constant_state(split, names, reason, inputs, asleep=asleep)

    def _in_force(self, split: str, view: View, missing: frozenset[str] = frozenset()) -> CompiledSplit:
        """Compile the state that calls of a split read in this phase."""
        if self.break_glass is not None and self.phase != "asleep" and self.break_glass.covers(split):
            return self._constant(split, "off")
        if self.phase != "live":
            return self._constant(split, self._unserved(), asleep=self.phase == "asleep")
        compiler = self.compiler
        split_state = compiler.split_state(split, view.held) if compiler is not None else None
        if compiler is None or split_state is None:
            return self._constant(split, "unknown_split")
        compiled = compiler.compiled(split_state, view, self._own_names(split), self.instance, missing)
        state = self._timely(compiled)
        return with_slow_path(state) if state.buffer is not None else state

    def _unserved(self) -> Reason:
        """Return why everybody gets the baseline in a phase in which nothing is served."""
        if self.phase == "closed" or self.phase == "not_configured":  # noqa: PLR1714 - so that checkers know which
            return self.phase
        return "empty_namespace" if self._empty and self.phase == "not_ready" else "not_ready"

    def _timely(self, state: CompiledSplit) -> CompiledSplit:
        """Return a compiled state as old as what is held."""
        if state.limit is not None:
            self._limits.add(state.limit)
            if self._age > state.limit:
                return self._constant(state.split, "stale")
        if not self._trusted and (_on_trial(state) or state.split in self.view.held.planned):
            return self._constant(state.split, "not_ready")
        return aged(state) if self.stale else state

    def _publish(self, held: Adopted, splits: Collection[str], before: Mapping[str, ChoiceKey] | None = None) -> None:
        """Publish a view in which these splits are compiled anew."""
        table = self.view.table.copy()
        for split in splits:
            table.pop(split, None)
        self._hand_out(View(held, table, marks_of(self.view) if before is None else before, {}), splits)

    def _publish_all(self, held: Adopted, before: Mapping[str, ChoiceKey] | None = None) -> None:
        self._hand_out(View(held, {}, marks_of(self.view) if before is None else before, {}), self.declarations)

    def _hand_out(self, view: View, splits: Collection[str]) -> None:
        """One assignment for those who ask by name; a swap for each handle and route."""
        self.view = view
        for read in self.readers:
            read(view.table)
        for split in splits:
            declaration = self.declarations.get(split)
            if declaration is None:
                continue
            for handle in declaration.handles:
                handle._swap(self.present(split))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] # not for users
            for route in declaration.routes:
                route.swap(self._for_route(route))


def _restaged(before: Adopted, after: Adopted) -> frozenset[str]:
    """Name the splits that have begun another release or stage, be their weights what they were."""
    from graysplit.core.releases import differing_releases
    from graysplit.core.replica.adoption import differing

    changed = differing_releases(before.begun, after.begun) | differing(before.since, after.since)
    splits = frozenset(map(split_of, changed))
    return splits | frozenset(after.definitions) if EVERYTHING in splits else splits


def _on_trial(state: CompiledSplit) -> bool:
    return any(weight == PREVIEW or 0 < weight < FULL for weight in state.weights)
