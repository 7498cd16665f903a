"""Decide a call that no straight line has answered: forced, kept in its context, or by the state in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graysplit.core.bucketing import encode_unit
from graysplit.core.compiled import BASELINE
from graysplit.scope import MISSING, scope_get

if TYPE_CHECKING:
    from graysplit.core.compiled import CompiledSplit
    from graysplit.core.guard.buffer import EvidenceBuffer
    from graysplit.events import Events
    from graysplit.scope import Scope


def picked(state: CompiledSplit, unit: object, events: Events) -> tuple[int, str]:
    """Return the version's index and the reason, and keep in an open context what was answered."""
    scope = scope_get()
    if scope is not None and state.split in scope.forced:
        forced = scope.forced[state.split]
        scope.met[state.split] = state.names
        if forced in state.names:
            return state.names.index(forced), "forced"
        events.warning(f"forced {state.split}", f"'{forced}' is forced, but '{state.split}' has no such version")
    meant = given(state, unit, scope)
    encoded = encode_unit(meant) if state.constant is None or scope is not None else None
    if state.constant is not None:
        if scope is not None and encoded is not None:
            scope.keep_baseline(state.split, encoded, state.constant)
        return BASELINE, state.constant
    if encoded is None:
        events.warning(*_no_unit(state.split, meant))
        return BASELINE, "no_unit"
    return state.pick(encoded) if scope is None else _keep(scope, state, unit, encoded)


def _no_unit(split: str, unit: object) -> tuple[str, str]:
    """Return what is said, once for each type, of what is no unit: never its value."""
    if unit is MISSING or unit is None or isinstance(unit, (str, bytes)):
        return f"no unit {split}", f"split '{split}' was asked without a usable unit"
    kind = type(unit)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    said = f"split '{split}' was asked with a {name}, which is not a valid unit: everybody gets the baseline. Pass text"
    return f"no unit {split} {name}", f"{said}, an int, bytes or a UUID: str(...) or int(...) of it"


def expose(tape: EvidenceBuffer, state: CompiledSplit, unit: object, index: int) -> None:
    """Note a choice by name for the guard of an armed split."""
    from graysplit.router.guarded_splits import expose as note

    encoded = encode_unit(given(state, unit, scope_get()))
    if encoded is not None:
        note(tape, state, encoded, index)


def given(state: CompiledSplit, unit: object, scope: Scope | None) -> object:
    """Return the unit that is meant: the one named, else the context's, else this instance where those cross over."""
    if unit is MISSING and scope is not None:
        unit = scope.unit
    return state.here if unit is MISSING else unit


def _keep(scope: Scope, state: CompiledSplit, unit: object, encoded: bytes) -> tuple[int, str]:
    """Answer as this context has answered before; else choose, and keep that."""
    kept = scope.kept(state.key, encoded)
    if kept is not None:
        return kept, "kept"
    answered = scope.baseline_for(state.split, encoded)
    if answered is not None:
        return BASELINE, answered
    index, reason = state.pick(encoded)
    scope.keep(state.key, unit, encoded, index)
    if state.tape is not None and reason == "bucket":
        scope.keep(state.tape, unit, encoded, index)
    return index, reason
