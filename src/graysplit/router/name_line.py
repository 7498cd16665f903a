"""The straight line of a question by a split's name; a compiled core has it in C."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING

from graysplit.core.bucketing import hash32
from graysplit.core.compiled import NEAR, CompiledSplit, unpinned
from graysplit.core.decision import Decision
from graysplit.native import compiled_core
from graysplit.scope import MISSING, NOT_KEPT, scope_get

if TYPE_CHECKING:
    from graysplit.routes.port import Chooser
    from graysplit.routes.unit import AskedUnit

if TYPE_CHECKING or compiled_core is None:

    class NameLine:
        """What a router is asked; a table that has no state of a split leaves it to `_ask`."""

        _table: dict[str, CompiledSplit]
        _chooser: Chooser

        def choose(  # noqa: C901, PLR0911 - one story, told without calls between
            self,
            split: str,
            unit: AskedUnit = MISSING,
            attributes: Mapping[str, object] | None = None,
        ) -> str:
            """Return the version of a split for a unit, by default the context's. It never raises and never waits."""
            try:
                s = self._table[split]
                if s.special is None:
                    if (scope := scope_get()) is None:
                        cls = type(unit)  # an int left to `except` costs 25 times as much
                        hashed = hash32(
                            (unit.encode() if cls is str else b"%d" % unit if cls is int else None) or None,  # type: ignore[union-attr, str-format, arg-type] # narrowed by class
                            s.seed,
                        )
                        if hashed < s.threshold:
                            next(s.c_new)
                            return s.new
                        if s.runs is None:
                            next(s.c_old)
                            return s.old
                        near = s.near[hashed >> NEAR]
                        counter, name, _ = s.ends[near if near >= 0 else bisect_right(s.runs, hashed)]
                        next(counter)
                        return name
                    kept, index = scope.get(s.key, NOT_KEPT)
                    if kept is not unit and kept != unit:
                        index = self._chooser.draw(scope, s, unit)
                    if index == 1:
                        next(s.c_new)
                        return s.new
                    if index == 0:
                        next(s.c_old)
                        return s.old
                    if index is not None:
                        next(s.started[index])
                        return s.names[index]
                elif s.pinned is not None and scope_get() is None and (owner := unpinned(s, unit)) is not None:
                    next(owner.counter)
                    return owner.name
            except Exception:  # noqa: BLE001, S110 - everything that can raise stands before the count
                pass
            return self._ask(split, unit, attributes).version

        def decide(
            self,
            split: str,
            unit: AskedUnit = MISSING,
            attributes: Mapping[str, object] | None = None,
        ) -> Decision:
            """Return the whole decision: version, reason, revision, stale. As cheap as `choose`."""
            try:
                s = self._table[split]
                if s.special is None and scope_get() is None:
                    cls = type(unit)
                    hashed = hash32(
                        (unit.encode() if cls is str else b"%d" % unit if cls is int else None) or None,  # type: ignore[union-attr, str-format, arg-type] # narrowed by class
                        s.seed,
                    )
                    if hashed < s.threshold:
                        next(s.c_new)
                        return s.d_new
                    if s.runs is None:
                        next(s.c_old)
                        return s.d_old
                    near = s.near[hashed >> NEAR]
                    counter, _, decision = s.ends[near if near >= 0 else bisect_right(s.runs, hashed)]
                    next(counter)
                    return decision
            except Exception:  # noqa: BLE001, S110 - everything that can raise stands before the count
                pass
            return self._ask(split, unit, attributes)

        def _ask(self, split: str, unit: object, attributes: Mapping[str, object] | None) -> Decision:
            """Decide off the hot path."""
            raise NotImplementedError

else:
    NameLine = compiled_core.NameLine
