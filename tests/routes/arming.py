"""Armed routes and handles, and what their buffers have to tell."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from graysplit.core.bucketing import seed_of
from graysplit.core.compiled import CompiledSplit, recount
from graysplit.core.guard.batch import WatchedCandidate
from graysplit.core.guard.buffer import EvidenceBuffer, Terms
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import Batch, Stage
from graysplit.routes.wrap import Route
from tests.routes.making import FakeChooser, a_route

NOW = 1_700_000_000


def a_buffer(names: tuple[str, ...] = ("old", "new"), **guard: Any) -> EvidenceBuffer:
    """Return a buffer on the part of `NOW`; every call is timed unless the guard says otherwise."""
    guard.setdefault("every_call", True)
    watched = tuple(
        WatchedCandidate(number, f"checkout/{name}", "r1", NOW, Stage(20_000, 80_000, 1))
        for number, name in enumerate(names[1:], 1)
    )
    buffer = EvidenceBuffer(Terms("checkout", names, watched, Guard(**guard), None, seed_of("checkout")), "t1", Lock())
    buffer.turn(NOW)
    return buffer


def armed_state(state: CompiledSplit, buffer: EvidenceBuffer | None) -> CompiledSplit:
    """Return a copy of a state that writes into a buffer, as published states compile it."""
    copy = recount(state, state.counts)
    copy.buffer = buffer
    copy.plain = copy.runs is None and buffer is None
    if buffer is not None:
        copy.quick = buffer
        state.counts.count_by(buffer.totals)
    return copy


def armed(
    old: Callable[..., Any],
    new: Callable[..., Any] | None = None,
    *,
    weight: float = 100,
    guard: dict[str, Any] | None = None,
    pins: dict[str, str] | None = None,
    chooser: FakeChooser | None = None,
    **wishes: Any,
) -> tuple[Any, CompiledSplit, EvidenceBuffer, Route]:
    """Route a function with one candidate, armed."""
    made, state = a_route(old, new, weight=weight, pins=pins, chooser=chooser, **wishes)
    buffer = a_buffer(**(guard or {}))
    state = armed_state(state, buffer)
    made.swap(state)
    return made.function, state, buffer, made


def told(buffer: EvidenceBuffer, second: int = NOW) -> Batch:
    """Collect what the first candidate has to tell."""
    return buffer.collect(second)[0]
