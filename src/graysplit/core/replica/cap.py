"""Weights that may only fall: while a split's definition is refused here, or its weights are over 100 % together.

A raise that came with a definition which this process refuses was meant for that definition: followed under the last
good one it would give a user another answer here than elsewhere. Of weights over 100 % nobody can say whom they mean.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from graysplit.core.address import field_of, split_of
from graysplit.core.definition import Definition
from graysplit.core.replica.adopted import Adopted, Capped
from graysplit.core.replica.adoption import Parse, judge_definition, state_of
from graysplit.core.replica.record import Breathe, nothing, paced
from graysplit.core.split_state import SplitState
from graysplit.core.weights import FULL, Weight, format_weight, rises, share, total

FEW: Final = 50  # splits whose fields are found by how they begin


def as_said(held: Adopted) -> Adopted:
    """Return what is held with the store's own word in the place of what stands instead of a raise."""
    if not held.capped:
        return held
    said = {field: capped.said for field, capped in held.capped.items()}
    refused = {at: reason for at, reason in held.refused.items() if at[0] != "weights" or at[1] not in held.capped}
    return held._replace(weights={**held.weights, **said}, refused=refused, capped={})


def only_falling(  # noqa: PLR0913, PLR0917 - what is held before and after, and of what to look at it
    before: Adopted,
    held: Adopted,
    splits: Iterable[str],
    parse: Parse,
    known: Mapping[str, Definition] = {},
    breathe: Breathe = nothing,
) -> Adopted:
    """Return what is held with no weight of these splits above the one in force before, where none may be.

    `held` comes from `as_said`: each split that was capped is to be among the splits, or its raise is followed. Those
    that are `known` are not parsed once more.
    """
    capped: dict[str, Capped] = {}
    weights: dict[str, Weight] = {}
    for split in _suspects(held, tuple(splits), known, breathe):
        after = _state_of(held, split, parse)
        if after is None or not (("splits", split) in held.refused or after.overfull()):
            continue
        was, reason = _state_of(before, split, parse) or SplitState(split, after.definition), _reason(held, after)
        for version in after.definition.candidates:
            stood, said = was.in_force(version.name), after.in_force(version.name)
            if rises(stood, said):
                field = field_of(split, version.name)
                weights[field] = stood
                capped[field] = Capped(held.weights.get(field, 0), f"{format_weight(said)} is not applied: {reason}")
    if not capped:
        return held
    refused = {**held.refused, **{("weights", field): one.reason for field, one in capped.items()}}
    return held._replace(weights={**held.weights, **weights}, refused=refused, capped=capped)


def _suspects(held: Adopted, splits: Collection[str], known: Mapping[str, Definition], breathe: Breathe) -> list[str]:
    """Return the splits that may have to be capped; whether they are is for their definitions to say."""
    totals: dict[str, int] | None = None
    found: list[str] = []
    for split in paced(splits, breathe):
        if ("splits", split) in held.refused:
            found.append(split)
        elif split in known:
            names = (field_of(split, version.name) for version in known[split].candidates)
            if total(held.weights.get(field, 0) for field in names) > FULL:
                found.append(split)
        else:
            totals = _totals(held, splits, breathe) if totals is None else totals
            if totals.get(split, 0) > FULL:
                found.append(split)
    return found


def _totals(held: Adopted, splits: Collection[str], breathe: Breathe) -> dict[str, int]:
    """Return what the weights of splits are together; of a few splits without a look at each field's split."""
    few = tuple(f"{split}/" for split in splits) if len(splits) <= FEW else ("",)
    totals: dict[str, int] = {}
    for field in paced([field for field in held.weights if field.startswith(few)], breathe):
        split = split_of(field)
        totals[split] = totals.get(split, 0) + share(held.weights[field])
    return totals


def below(held: Adopted, lapsed: Mapping[str, Weight]) -> dict[str, Weight]:
    """Return what leases leave behind, without what is above a weight that stands instead of a raise."""
    return {f: weight for f, weight in lapsed.items() if f not in held.capped or rises(weight, held.weights[f])}


def overfull_words(split_state: SplitState) -> str:
    """Return the words for weights of a split that are more than everybody."""
    together = format_weight(total(split_state.asked(version.name) for version in split_state.definition.candidates))
    said = f"the weights of '{split_state.split}' are {together} % together"
    return f"{said}, and until they are at most 100 %, they can only fall"


def _reason(held: Adopted, split_state: SplitState) -> str:
    split = split_state.split
    if ("splits", split) in held.refused:
        return f"the definition of '{split}' is refused here, and until it is valid, its weights can only fall"
    return overfull_words(split_state)


def _state_of(held: Adopted, split: str, parse: Parse) -> SplitState | None:
    definition = _definition(held, split, parse)
    return None if definition is None else state_of(held, split, definition)


def _definition(held: Adopted, split: str, parse: Parse) -> Definition | None:
    raw = held.definitions.get(split)
    return None if raw is None else judge_definition(split, raw, parse).definition
