"""What is published at one time: what is adopted, the states compiled from it, and the keys of choices kept by them.

Requests keep choices under a key; a split gets a new one wherever an old choice must not be found again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from graysplit.core.address import field_of, stop_on
from graysplit.core.compiled import BASELINE, CompiledSplit
from graysplit.core.replica.adopted import Adopted
from graysplit.core.weights import PREVIEW, Weight, share

if TYPE_CHECKING:
    from graysplit.core.split_state import SplitState


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


class Lacking(NamedTuple):
    """The key under which a route keeps choices that lacks versions which others of its split have."""

    key: object
    missing: frozenset[str]


def key_of(split_state: SplitState, names: tuple[str, ...], view: View) -> object:
    """Return the key under which requests keep choices: a new one where an old choice must not be found again.

    A choice belongs to the view that it was made in: whoever still compiles an older one, while another is
    published, leaves no mark in it, and keeps nothing under a key that it uses.
    """
    weights: tuple[Weight, ...] = (0, *(split_state.in_force(name) for name in names[1:]))
    finish = split_state.definition.in_flight == "finish"
    mark = view.before.get(split_state.split)
    if mark is not None and mark.names == names and finish:
        stopped = (True, *(split_state.stop_on(name) is not None for name in names[1:]))
        weights = _lingering(mark.weights, weights, stopped)
    if mark is None or mark.names != names or _lowers_to_zero(mark.weights, weights):
        mark = ChoiceKey(object(), names, weights)
    return view.marks.setdefault(split_state.split, mark._replace(weights=weights, finish=finish)).key


def forget_zeroed(view: View, held: Adopted, splits: Iterable[str] | None) -> Mapping[str, ChoiceKey]:
    """Return the marks for the next view: a new key for what falls to zero, be it asked for then or only later."""
    before = marks_of(view)
    zeroed: dict[str, ChoiceKey] = {}
    for split in before if splits is None else splits:
        mark = before.get(split)
        if mark is not None:
            weigh = partial(weight_in, held, split, mark.names[BASELINE])
            weights: tuple[Weight, ...] = (0, *map(weigh, mark.names[1:]))
            if mark.finish and split in held.definitions:
                stopped = (True, *(_is_stopped(held, split, name) for name in mark.names[1:]))
                weights = _lingering(mark.weights, weights, stopped)
            if _lowers_to_zero(mark.weights, weights):
                zeroed[split] = mark._replace(key=object(), weights=weights)
    return {**before, **zeroed} if zeroed else before


def weight_in(held: Adopted, split: str, baseline: str, version: str) -> Weight:
    """Return a candidate's weight in force by what is held, without its definition."""
    return held.in_force(field_of(split, version), baseline)


def _is_stopped(held: Adopted, split: str, version: str) -> bool:
    return stop_on(field_of(split, version), held.stops) is not None


def _lingering(before: Sequence[Weight], after: Sequence[Weight], stopped: Sequence[bool]) -> tuple[Weight, ...]:
    """Return the weights by which kept choices are judged: a plain zero leaves what was before it, a stop nothing."""
    return tuple(was if now == 0 and not stop else now for was, now, stop in zip(before, after, stopped, strict=True))


def _lowers_to_zero(before: Sequence[Weight], after: Sequence[Weight]) -> bool:
    """Return whether a choice kept in a request could reach a version that nobody may reach by hash any more."""
    pairs = zip(before, after, strict=True)
    return any((was != 0 and now == 0) or (share(was) > 0 and now == PREVIEW) for was, now in pairs)
