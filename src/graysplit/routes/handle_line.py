"""The straight line of a handle; a compiled core has it in C."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING

from graysplit.core.bucketing import hash32
from graysplit.core.compiled import NEAR, CompiledSplit, unpinned
from graysplit.core.decision import Decision
from graysplit.native import compiled_core
from graysplit.routes.port import Chooser
from graysplit.routes.unit import AskedUnit
from graysplit.scope import MISSING, NOT_KEPT, scope_get

if TYPE_CHECKING or compiled_core is None:

    class HandleLine:
        """What a handle is asked. `choose` and `decide` never raise and never wait.

        They tell one story in two texts, because a call between them would cost a quarter of a decision; in both, all
        that can raise stands before the count, and the slow path outside the `try`.
        """

        __slots__ = ("_chooser", "_state")

        _state: CompiledSplit
        _chooser: Chooser

        def choose(self, unit: AskedUnit = MISSING, attributes: Mapping[str, object] | None = None) -> str:
            """Return the version's name for a unit, the context's unless given; counted as an exposure."""
            s = self._state
            try:
                if s.special is None and scope_get() is None:
                    cls = type(unit)  # an int left to `except` costs 25 times as much
                    h = hash32(
                        (unit.encode() if cls is str else b"%d" % unit if cls is int else None) or None,  # type: ignore[union-attr, str-format, arg-type] # narrowed by class
                        s.seed,
                    )
                    if h < s.threshold:
                        next(s.c_new)
                        return s.new
                    if s.runs is None:
                        next(s.c_old)
                        return s.old
                    k = s.near[h >> NEAR]
                    counter, name, _ = s.ends[k if k >= 0 else bisect_right(s.runs, h)]
                    next(counter)
                    return name
                if s.special is None:
                    scope = scope_get()
                    kept, index = scope.get(s.key, NOT_KEPT)  # type: ignore[union-attr] # one is open
                    if kept is not unit and kept != unit:
                        index = self._chooser.draw(scope, s, unit)  # type: ignore[arg-type] # as above
                    if index is not None:
                        next(s.started[index])
                        return s.names[index]
                elif s.pinned is not None and scope_get() is None and (owner := unpinned(s, unit)) is not None:
                    next(owner.counter)
                    return owner.name
            except Exception:  # noqa: BLE001, S110 - law 5: the slow path answers
                pass
            return self._chooser.resolve(s, unit, attributes)[2].version

        def decide(self, unit: AskedUnit = MISSING, attributes: Mapping[str, object] | None = None) -> Decision:
            """Return version, reason, revision and staleness; counted like `choose`, and as cheap outside a context."""
            s = self._state
            if s.special is None and scope_get() is None:
                try:
                    cls = type(unit)
                    h = hash32(
                        (unit.encode() if cls is str else b"%d" % unit if cls is int else None) or None,  # type: ignore[union-attr, str-format, arg-type] # narrowed by class
                        s.seed,
                    )
                    if h < s.threshold:
                        next(s.c_new)
                        return s.d_new
                    if s.runs is None:
                        next(s.c_old)
                        return s.d_old
                    k = s.near[h >> NEAR]
                    counter, _, decision = s.ends[k if k >= 0 else bisect_right(s.runs, h)]
                    next(counter)
                    return decision  # noqa: TRY300 - the line is straight
                except Exception:  # noqa: BLE001, S110 - law 5: the slow path answers
                    pass
            return self._chooser.resolve(s, unit, attributes)[2]

else:
    HandleLine = compiled_core.HandleLine
