"""What the end of a routed call or an attempt counts as."""

from __future__ import annotations

import sys
from typing import Final

from graysplit.core.state import BASELINE, State

# How the world ends a call without the version being at fault. Looked up where already imported: loading asyncio
# costs 40 ms, and an error of a module that nobody loaded cannot have been raised.
_CANCELLED: Final = (("asyncio.exceptions", "CancelledError"), ("trio", "Cancelled"), ("greenlet", "GreenletExit"))


def entered(state: State, index: int) -> None:
    """Count the beginning of an attempt, where that is not what the exposure says already (a route's counts)."""
    counts = state.counts
    if counts.entered is not counts.started:
        next(counts.entered[index].count)


def failed(state: State, index: int, error: BaseException) -> None:
    """Count the end of a call that raised: as a failure of its version, unless it was merely cut short."""
    if is_failure(error):
        next(state.counts.failed[index].count)
    finished(state, index)


def finished(state: State, index: int) -> None:
    """Count the end of a call to a candidate; of the baseline nobody asks how many still run."""
    if index != BASELINE:
        next(state.counts.finished[index].count)


def is_failure(error: BaseException) -> bool:
    """Say whether an error speaks against the version that raised it."""
    if isinstance(error, Exception):
        return True
    return not isinstance(error, (GeneratorExit, KeyboardInterrupt, SystemExit, *_cancellations()))


def _cancellations() -> list[type[BaseException]]:
    found = (getattr(sys.modules.get(module), name, None) for module, name in _CANCELLED)
    return [kind for kind in found if isinstance(kind, type)]
