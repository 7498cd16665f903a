"""What this process tells the fleet: what the code declares, and what changes do here now, as compiled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.address import parse_address
from graysplit.core.compiled import BASELINE, CompiledSplit
from graysplit.core.fleet import Declared, Effect, Sweep
from graysplit.core.weights import format_weight
from graysplit.router.declarations import Declaration
from graysplit.router.view import View, weight_in

if TYPE_CHECKING:
    from graysplit.core.replica.adopted import Adopted
    from graysplit.router.call_counts import CallCounts
    from graysplit.router.compiler import Baselines

UNLIKE_AT_MOST: Final = 100  # fields that a receipt names of those that a change of many has not reached


def declared(
    declarations: Mapping[str, Declaration], counts: CallCounts, *, records_goals: bool
) -> dict[str, Declared]:
    """Return the splits that the code declares, with how often each was asked."""
    asked, attempted = counts.asked(declarations)
    return {
        name: Declared(
            declaration.baseline or "",
            declaration.names,
            declaration.kind,
            asked[name],
            {version: hook.reason for version, hook in declaration.hooks.items()},
            declaration.by,
            declaration.kind == "route" or name in attempted or records_goals,
        )
        for name, declaration in declarations.items()
        if declaration.places  # what prepares a version declares none
    }


class JudgedChange(NamedTuple):
    """What a change of many fields does by one view's states."""

    view: View
    unlike: dict[str, Effect]
    more: int


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

    def of(self, fields: Iterable[str], held: Adopted) -> dict[str, Effect]:
        """Return what candidates' fields do here now, and the calls still running on them."""
        effects = {field: self._effect(field, held) for field in fields}
        return {field: effect for field, effect in effects.items() if effect is not None}

    def sweeps(self, changes: Mapping[str, Mapping[str, str]], view: View) -> dict[str, Sweep]:
        """Return what changes of many fields, each by its id with the weights it wrote, do here now."""
        known = self._counts.splits() | self._declarations.keys()
        judged = {
            change: self._sweeps[change]
            if change in self._sweeps and self._sweeps[change].view is view
            else JudgedChange(view, *self._unlike(words, known, view.held))
            for change, words in changes.items()
        }
        self._sweeps = judged
        running = self._counts.running_on(changes)
        return {change: Sweep(of.unlike, of.more, running.get(change, 0)) for change, of in judged.items()}

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
        running = self._counts.of(split, state.names, routed=self._routed(split)).running(index)
        stopped = "stopped by its guard" if field in held.tripped else ""
        capped = "its raise is not applied: graysplit doctor" if field in held.capped else ""
        return Effect(weight, running, state.constant or stopped or capped)

    def _unlike(self, words: Mapping[str, str], known: Collection[str], held: Adopted) -> tuple[dict[str, Effect], int]:
        """Find the fields that do not do what was written, the first of them by name, and the number of the others.

        What nobody here has asked for yet is judged by what is held: it is compiled from that when somebody asks.
        """
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
