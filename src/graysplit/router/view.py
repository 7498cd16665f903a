"""What is published at one time: what is held, the states compiled from it, and the marks of choices kept by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from graysplit.core.compiled import CompiledSplit
from graysplit.core.replica.adoption import Adopted
from graysplit.core.weights import Weight


class ChoiceKey(NamedTuple):
    """What a split's last state is remembered by, to know whether choices kept in requests still count."""

    key: object
    names: tuple[str, ...]
    # In force; with `in_flight: finish` a plain zero leaves the weight before it, for a stop to take that away.
    weights: Sequence[Weight]
    finish: bool = False


class View(NamedTuple):
    """What is held, and the states compiled from it so far: replaced together, so that neither outlives the other."""

    held: Adopted
    table: dict[str, CompiledSplit]
    before: Mapping[str, ChoiceKey]  # by split, as the views before left them
    marks: dict[str, ChoiceKey]  # by split: those that this view's states keep choices under


def marks_of(view: View) -> Mapping[str, ChoiceKey]:
    """Return the marks that a view leaves to the next one."""
    return {**view.before, **view.marks} if view.marks else view.before
