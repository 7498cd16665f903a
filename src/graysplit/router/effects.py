"""What this process tells the fleet: what the code declares, and what changes do here now, as compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import is_
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.address import parse_address
from graysplit.core.compiled import BASELINE, CompiledSplit
from graysplit.core.fleet import Declared, Effect, Sweep
from graysplit.core.weights import format_weight
from graysplit.router.declarations import Declaration
from graysplit.router.view import View, weight_in

if TYPE_CHECKING:
    from graysplit.core.counters import Counts
    from graysplit.core.replica.adopted import Adopted
    from graysplit.router.call_counts import CallCounts
    from graysplit.router.compiler import Baselines

IDLE_EVERY: Final = 20  # heartbeats after which a change on which no call ran is looked at again
ATTEMPTS_AT_ONCE: Final = 50  # splits that are looked at for a first attempt with each heartbeat
UNLIKE_AT_MOST: Final = 100  # fields that a receipt names of those that a change of many has not reached


class DeclaredSplits:
    """The splits that the code declares, as the fleet is told of them: made anew only where something has changed."""

    def __init__(self, declarations: dict[str, Declaration], counts: CallCounts) -> None:
        """Take what the code declares, and what is counted of it."""
        self._declarations = declarations
        self._counts = counts
        self._made_from: dict[str, Declaration] = {}
        self._made: dict[str, Declared] = {}
        self._unmeasured: list[str] = []  # the splits that had no attempt
        self._looked = 0  # how many of them were looked at, of more than one look takes

    def now(self, *, records_goals: bool) -> dict[str, Declared]:
        """Return them without how often each was asked; the same object as before while nothing has changed."""
        declarations = self._declarations.copy()
        measured = set(declarations) if records_goals else self._first_attempts()
        if measured.isdisjoint(self._unmeasured) and self._is_as_before(declarations):
            return self._made
        made = {
            name: self._of(name, one, measured=name in measured) for name, one in declarations.items() if one.places
        }
        self._made_from = declarations
        self._unmeasured = [name for name, one in made.items() if not one.measured]
        if made != self._made:
            self._made = made
        return self._made

    def _is_as_before(self, declarations: dict[str, Declaration]) -> bool:
        """Return whether no declaration was replaced, and none has a hook: its reason changes by itself."""
        same = len(declarations) == len(self._made_from)
        same = same and all(map(is_, declarations.values(), self._made_from.values()))
        return same and not any(one.hooks for one in declarations.values())

    def _of(self, name: str, declaration: Declaration, *, measured: bool) -> Declared:
        known = self._made.get(name)
        was_measured = known is not None and known.measured
        unchanged = self._made_from.get(name) is declaration and not declaration.hooks
        if known is not None and unchanged and was_measured >= measured:
            return known
        return Declared(
            declaration.baseline or "",
            declaration.names,
            declaration.kind,
            warm={version: hook.reason for version, hook in declaration.hooks.items()},
            by=declaration.by,
            measured=measured or was_measured or declaration.kind == "route",
        )

    def _first_attempts(self) -> set[str]:
        """Look for first attempts at splits that had none: of very many at some each time."""
        first = self._looked if self._looked < len(self._unmeasured) else 0
        self._looked = first + ATTEMPTS_AT_ONCE
        return self._counts.attempted(self._unmeasured[first : first + ATTEMPTS_AT_ONCE])


class JudgedChange(NamedTuple):
    """What a change of many fields does by one view's states, and the calls that ran on it when it was looked last."""

    view: View
    unlike: dict[str, Effect]
    more: int
    running: int = 0


class JudgedField(NamedTuple):
    """What a candidate's field does by one view's states, and who counts the calls on it."""

    effect: Effect
    counts: Counts
    version: int


class StateEffects:
    """The effects of one router's states; asked under the lock of whoever publishes them."""

    def __init__(
        self,
        declarations: Mapping[str, Declaration],
        counts: CallCounts,
        baselines: Baselines,
        state: Callable[[str], CompiledSplit],
    ) -> None:
        """Take what the code declares, what is counted of it, and who gives the state in force of a split."""
        self._declarations = declarations
        self._counts = counts
        self._baselines = baselines
        self._state = state
        self._sweeps: dict[str, JudgedChange] = {}  # by change id
        self._told = 0  # how often changes of many were told
        self._view: View | None = None  # that the fields were judged by
        self._fields: dict[str, JudgedField] = {}

    def of(self, fields: Iterable[str], view: View) -> dict[str, Effect]:
        """Return what candidates' fields do here now, and the calls still running on them."""
        if self._view is not view:
            self._view, self._fields = view, {}
        effects = {field: self._known(field) or self._effect(field, view.held) for field in fields}
        return {field: effect for field, effect in effects.items() if effect is not None}

    def sweeps(self, changes: Mapping[str, Mapping[str, str]], view: View) -> dict[str, Sweep]:
        """Return what changes of many fields, each by its id with the weights it wrote, do here now.

        A change on which no call ran is looked at again by a new view's states, and now and then.
        """
        before = {change: judged for change, judged in self._sweeps.items() if judged.view is view}
        judged = {
            change: before.get(change) or JudgedChange(view, *self._unlike(words, view.held))
            for change, words in changes.items()
        }
        self._told += 1
        due = self._told % IDLE_EVERY == 0
        again = {change: changes[change] for change, of in judged.items() if due or of.running or change not in before}
        running = self._counts.running_on(again)
        judged |= {change: judged[change]._replace(running=running.get(change, 0)) for change in again}
        self._sweeps = judged
        return {change: Sweep(of.unlike, of.more, of.running) for change, of in judged.items()}

    def _known(self, field: str) -> Effect | None:
        """Return what a field does by states that were asked before; None where they were not."""
        judged = self._fields.get(field)
        if judged is None:
            return None
        running = judged.counts.running(judged.version)
        return judged.effect if judged.effect.running == running else judged.effect._replace(running=running)

    def _effect(self, field: str, held: Adopted) -> Effect | None:
        split, version = parse_address(field)
        state = self._state(split)
        differs = self._baselines.differs(split, held)
        if differs:
            # The code's baseline may be a candidate in the store: it takes every call here.
            own = version == state.names[BASELINE]
            return Effect("100" if own else "0", self._counts.running(split, version), differs)
        if version not in state.names[1:]:
            return None
        index = state.names.index(version)
        weight = format_weight(state.weights[index])
        counts = self._counts.of(split, state.names, routed=self._routed(split))
        stopped = "stopped by its guard" if field in held.tripped else ""
        capped = "its raise is not applied: graysplit doctor" if field in held.capped else ""
        effect = Effect(weight, counts.running(index), state.constant or stopped or capped)
        self._fields[field] = JudgedField(effect, counts, index)
        return effect

    def _unlike(self, words: Mapping[str, str], held: Adopted) -> tuple[dict[str, Effect], int]:
        """Find the fields that do not do what was written, the first of them by name, and the number of the others.

        What nobody here has asked for yet is judged by what is held: it is compiled from that when somebody asks.
        """
        known = self._counts.splits() | self._declarations.keys()
        unlike: dict[str, Effect] = {}
        more = 0
        for field, word in words.items():
            split, version = parse_address(field)
            if split not in known and word == "0" and weight_in(held, split, "", version) == 0:
                continue
            answers = version == self._state(split).names[BASELINE]
            effect = self._effect(field, held) or Effect(
                "100" if answers else "0", 0, "the baseline here" if answers else ""
            )
            if effect.weight != word and len(unlike) < UNLIKE_AT_MOST:
                unlike[field] = effect
            elif effect.weight != word:
                more += 1
        return unlike, more

    def _routed(self, split: str) -> bool:
        declaration = self._declarations.get(split)
        return declaration is not None and declaration.kind == "route"
