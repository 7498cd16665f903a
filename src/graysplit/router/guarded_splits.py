"""The buffers of one router's armed splits, and the goals that are noted on them. Imported once a guard is armed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from threading import Lock
from typing import TYPE_CHECKING

from graysplit.core.bucketing import encode_unit, hash32
from graysplit.core.guard.buffer import EvidenceBuffer, Terms
from graysplit.core.guard.settings import BadGuardError, parse_guard
from graysplit.core.guard.stage import terms_of
from graysplit.core.guard.tally import MICRO
from graysplit.core.weights import check_name
from graysplit.errors import BadValueError
from graysplit.scope import scope_get

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graysplit.core.compiled import CompiledSplit
    from graysplit.core.replica.adopted import Adopted
    from graysplit.core.split_state import SplitState
    from graysplit.events import Events


class GuardedSplits:
    """All buffers of one router: of its armed splits, and of stages that are left until all is collected."""

    def __init__(self, events: Events) -> None:
        """Begin with none."""
        self._events = events
        self._buffers: dict[Terms, EvidenceBuffer] = {}

    def buffer(
        self, split_state: SplitState, held: Adopted, present: frozenset[str] | None, instance: str
    ) -> EvidenceBuffer | None:
        """Return the buffer of an armed split's stage: the same as long as the stage is; None where none is armed.

        Takes no lock: whoever compiles the same state meanwhile gets the same buffer.
        """
        split = split_state.split
        try:
            guard = parse_guard(split_state.definition.guard or {})
        except BadGuardError as fault:
            self._events.warning(f"guard_unreadable {split}", f"cannot read the guard of '{split}': {fault}")
            return None
        only = instance.encode() if split_state.definition.by == "instance" else None
        terms = terms_of(split_state, held, guard, present, only)
        if not terms.candidates:
            return None
        if (known := self._buffers.get(terms)) is not None:
            return known
        bits = max((buffer.bits for buffer in self._buffers.copy().values() if buffer.split == split), default=0)
        return self._buffers.setdefault(terms, EvidenceBuffer(terms, os.urandom(8).hex(), Lock(), bits))

    def live(self, states: Mapping[str, CompiledSplit], state: Callable[[str], CompiledSplit]) -> list[EvidenceBuffer]:
        """Return the buffers that states write on, and those from which something is still to be collected."""
        for found in states.values():
            if found.buffer is not None:
                self._buffers.setdefault(found.buffer.terms, found.buffer)
        for terms, buffer in self._buffers.copy().items():
            if state(buffer.split).buffer is buffer:
                buffer.rejoin()
            elif buffer.over:
                del self._buffers[terms]
            else:
                buffer.leave()
        return list(self._buffers.values())

    def shed(self, now: float) -> None:
        """Drop what nobody has collected for a minute (monotonic seconds)."""
        for buffer in self._buffers.copy().values():
            buffer.shed(now)


def expose(buffer: EvidenceBuffer, state: CompiledSplit, encoded: bytes, index: int) -> None:
    """Note a unit that has met a split without a measured call."""
    buffer.current.exposed((hash32(encoded, state.seed), index))


def note(
    states: Iterable[CompiledSplit],
    goal: str,
    unit_for: Callable[[CompiledSplit], object],
    value: float | None,
    at_most: float,
) -> None:
    """Note a goal where the hash has drawn a version for the unit; raises `BadValueError`, `BadNameError`."""
    micro, scope = _scaled(value, at_most), scope_get()
    check_name(goal)
    for state in states:
        encoded = encode_unit(unit_for(state))
        if encoded is None or state.buffer is None or (scope is not None and state.split in scope.forced):
            continue
        index, reason = state.pick(encoded)
        if reason == "bucket":
            state.buffer.record(goal, hash32(encoded, state.seed), micro, index)


def _scaled(value: float | None, at_most: float) -> int:
    """Return a goal's value in millionths of the most that it can be."""
    if value is None:
        return MICRO
    if not 0 < at_most < float("inf"):
        raise BadValueError(f"invalid at_most={at_most}: use a number above zero")
    if not -float("inf") < value < float("inf"):
        raise BadValueError(f"invalid value={value}: not a number")
    return round(min(max(value / at_most, 0.0), 1.0) * MICRO)
