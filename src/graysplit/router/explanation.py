"""Say why a unit gets its version: the ladder down to the rung that answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graysplit.core.bucketing import bucket_of, encode_unit
from graysplit.core.compiled import BASELINE
from graysplit.core.decision import DecisionInput, Reason, Rung, answer, climb
from graysplit.router.compiler import DIFFERS
from graysplit.router.decisions import given
from graysplit.scope import scope_get

if TYPE_CHECKING:
    from graysplit.core.compiled import CompiledSplit
    from graysplit.core.split_state import SplitState
    from graysplit.router.states import PublishedStates
    from graysplit.scope import Scope


class Explanation(NamedTuple):
    """Why a unit gets its version: the ladder down to the rung that answered, and the bucket."""

    split: str
    version: str
    reason: Reason
    bucket: int | None  # None for what is not a unit, and where no definition is known
    revision: int
    ladder: tuple[Rung, ...]

    def __str__(self) -> str:
        """Print it as a table of rungs, without the unit."""
        rungs = "\n".join(f"  {step.reason:<10} {step.asked}" for step in self.ladder)
        return f"{self.split}: {self.version} ({self.reason})\n{rungs}"


def explain(states: PublishedStates, split: str, unit: object) -> Explanation:
    """Return the ladder with the rung that answers. Counts nothing, keeps nothing."""
    compiled, split_state, scope = states.state(split), states.split_state(split), scope_get()
    encoded = encode_unit(given(compiled, unit, scope))
    bucket = None
    if split_state is not None and split_state.definition.by == "unit" and encoded:
        bucket = bucket_of(encoded, split_state.definition.seed)
    if scope is not None and scope.forced.get(split) in compiled.names:
        steps: tuple[Rung, ...] = (Rung("forced", "forced in this context", scope.forced[split]),)
    elif compiled.constant is not None or split_state is None:
        steps = (_constant(states, split, compiled),)
    else:
        steps = _climbed(states, compiled, split_state, encoded, scope)
    version, reason = answer(steps)
    return Explanation(split, version, reason, bucket, states.held.revision, steps)


def _constant(states: PublishedStates, split: str, compiled: CompiledSplit) -> Rung:
    """Return the rung of a state in which every call gets the baseline."""
    reason = compiled.constant or "unknown_split"
    why = states.baselines().get(split, "") if reason == DIFFERS else ""
    said = f"{why}: the code's answers" if why else "every call gets the baseline"
    return Rung(reason, said, compiled.names[BASELINE])


def _climbed(
    states: PublishedStates,
    compiled: CompiledSplit,
    split_state: SplitState,
    encoded: bytes | None,
    scope: Scope | None,
) -> tuple[Rung, ...]:
    """Return the rungs of the ladder, or what this request was answered before there was a choice."""
    kept = scope.kept(compiled.key, encoded) if scope is not None and encoded else None
    answered = scope.baseline_for(compiled.split, encoded) if scope is not None and encoded else None
    if kept is None and answered is not None:
        return (Rung("kept", f"answered in this request before ({answered})", compiled.names[BASELINE]),)
    declaration = states.declarations.get(compiled.split)
    present = frozenset(declaration.places) if declaration is not None and declaration.places else None
    kept_name = None if kept is None else compiled.names[kept]
    return climb(DecisionInput(split_state, encoded, {}, present, kept=kept_name, instance=states.instance))
