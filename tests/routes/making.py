"""States, and a small chooser that stands in the router's place."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from graysplit.core.bucketing import encode_unit
from graysplit.core.compiled import BASELINE, CompiledSplit, CompileInput, compile_state
from graysplit.core.counters import Counts
from graysplit.core.decision import Decision
from graysplit.core.definition import define
from graysplit.core.split_state import SplitState
from graysplit.routes.wrap import Route, RouteOptions, route
from graysplit.scope import MISSING, Scope, scope_get

Function = Callable[..., Any]


class FakeChooser:
    """Climbs what rungs the tests need, and notes what it was asked."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self.asked: list[tuple[object, Mapping[str, object] | None]] = []
        self.said: list[tuple[str, str]] = []

    def resolve(
        self, state: CompiledSplit, unit: object, attributes: Mapping[str, object] | None
    ) -> tuple[CompiledSplit, int, Decision]:
        """Decide, count and keep as the router does."""
        self.asked.append((unit, attributes))
        index, reason = self._climb(state, unit)
        drawn = reason in {"bucket", "kept", "baseline", "stopped"}
        next((state.counts.started[index] if drawn else state.counts.other(index, reason)).count)
        return state, index, Decision(state.split, state.names[index], reason)

    def draw(self, scope: Scope, state: CompiledSplit, unit: object) -> int | None:
        """Climb the ladder."""

    def instance(self) -> str:
        """Return the host's name."""
        return "web-1"

    def warn(self, kind: str, message: str) -> None:
        """Keep what is said."""
        self.said.append((kind, message))

    def _climb(self, state: CompiledSplit, unit: object) -> tuple[int, str]:
        scope = scope_get()
        if state.constant is not None:
            return BASELINE, state.constant
        encoded = encode_unit(scope.unit if unit is MISSING and scope is not None else unit)
        if encoded is None:
            return BASELINE, "no_unit"
        if scope is None:
            return state.pick(encoded)
        kept = scope.kept(state.key, encoded)
        if kept is not None:
            return kept, "kept"
        index, reason = state.pick(encoded)
        scope.keep(state.key, unit, encoded, index)
        if state.buffer is not None and reason == "bucket":
            scope.keep(state.buffer, unit, encoded, index)
        return index, reason


def a_state(
    weights: Mapping[str, float],
    calls: Mapping[str, Function] | None = None,
    *,
    counts: Counts | None = None,
    key: object = None,
    pins: Mapping[str, str] | None = None,
    split: str = "checkout",
) -> CompiledSplit:
    """Compile a split with the baseline `old`; weights in percent."""
    names = ("old", *weights)
    definition = define(split, names)._replace(pins=pins or {})
    split_state = SplitState(split, definition, {name: round(weight * 1000) for name, weight in weights.items()})
    present = frozenset(calls) if calls is not None else None
    return compile_state(
        split_state,
        CompileInput(counts or Counts(names, routed=calls is not None), key or object(), calls or {}, present),
    )


def routed(
    old: Function,
    new: Function | None = None,
    *,
    weight: float = 100,
    chooser: FakeChooser | None = None,
    pins: Mapping[str, str] | None = None,
    **wishes: Any,
) -> tuple[Any, CompiledSplit]:
    """Route a function with one candidate (itself unless given) and give it with its state."""
    made, state = a_route(old, new, weight=weight, chooser=chooser, pins=pins, **wishes)
    return made.function, state


def a_route(
    old: Function,
    new: Function | None = None,
    *,
    weight: float = 100,
    chooser: FakeChooser | None = None,
    pins: Mapping[str, str] | None = None,
    **wishes: Any,
) -> tuple[Route, CompiledSplit]:
    """Route a function and return the route itself."""
    wishes.setdefault("unit", "unit")
    state = a_state({"new": weight}, {"old": old, "new": new or old}, pins=pins)
    made = route(old, RouteOptions("checkout", **wishes), state, chooser or FakeChooser(), lambda *_: None)
    made.take("new", new or old)
    made.swap(state)
    return made, state


def a_route_of(calls: Mapping[str, Function], state: CompiledSplit, chooser: FakeChooser | None = None) -> Route:
    """Route the function of `old` with the others as its candidates, reading a state."""
    made = route(calls["old"], RouteOptions("checkout", unit="unit"), state, chooser or FakeChooser(), lambda *_: None)
    for version, function in calls.items():
        made.take(version, function)
    made.swap(state)
    return made


def read(state: CompiledSplit) -> dict[str, list[int]]:
    """Return the counts by kind, each the baseline's first."""
    counts = state.counts
    kinds = {"started": counts.started, "finished": counts.finished, "failed": counts.failed}
    return {kind: [meter.read() for meter in meters] for kind, meters in kinds.items()}


def in_threads(work: Callable[[int], object], threads: int, meanwhile: Callable[[], object]) -> None:
    """Run work in threads that change places as often as they can, and something else until they have ended."""
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            meanwhile()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        disturber = threading.Thread(target=disturb)
        workers = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
        for thread in (disturber, *workers):
            thread.start()
        for thread in workers:
            thread.join()
        done.set()
        disturber.join()
    finally:
        sys.setswitchinterval(interval)
