"""What the end of a routed call or an attempt counts as."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from graysplit.core.bucketing import hash32
from graysplit.core.compiled import BASELINE, CompiledSplit
from graysplit.core.decision import DRAWN
from graysplit.core.guard.marks import Mark, Record, encoded
from graysplit.core.guard.second_buffer import SecondBuffer, named_by
from graysplit.errors import RegistrationError
from graysplit.routes.signature import described
from graysplit.scope import MISSING, scope_get

if TYPE_CHECKING:
    from graysplit.core.guard.buffer import EvidenceBuffer

Ignored: TypeAlias = "tuple[type[BaseException], ...]"
Judge: TypeAlias = "Callable[[object], bool]"  # never raises

# How the world ends a call without the version being at fault. Looked up where already imported: loading asyncio
# costs 40 ms, and an error of a module that nobody loaded cannot have been raised.
_CANCELLED: Final = (
    ("asyncio.exceptions", "CancelledError"),
    ("concurrent.futures._base", "CancelledError"),
    ("trio", "Cancelled"),
    ("greenlet", "GreenletExit"),
    ("gevent.timeout", "Timeout"),
    ("eventlet.timeout", "Timeout"),
)


def check_ignored(split: str, ignored: Ignored) -> Ignored:
    """Refuse what is not a class of exceptions; returns the rest as it is."""
    for kind in cast("tuple[object, ...]", ignored):
        if not _is_error_class(kind):
            raise RegistrationError(f"split '{split}': ignore= takes classes of exceptions, not {described(kind)}")
    return ignored


def _is_error_class(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def start_record(
    state: CompiledSplit, index: int, unit: object, *, kept: bool
) -> tuple[SecondBuffer, Record | None, Mark]:
    """Write down that a call of an armed split has begun off the straight lines; return part, record and mark.

    What can fail comes first: near the end of the stack a call must not be left that begins and never ends.
    """
    part = cast("EvidenceBuffer", state.buffer).current
    known = encoded(unit)
    mark: Mark = (known,) if known is None else hash32(known, state.seed)
    record: Record | None = [perf_counter(), index, mark] if part.timed else None
    if isinstance(mark, int) and not kept:
        part.exposed((mark, index))
    asked = part.asked[index]
    asked += (mark,)
    if record is not None:
        part.sampled.append(record)
    return part, record, mark


def unfinished(result: object) -> str:
    """Return what a plain function has returned that is not done yet, by its kind; "" where its work is done."""
    try:
        if isinstance(result, GeneratorType):
            return "a generator"
        if isinstance(result, AsyncGeneratorType):
            return "an async generator"
        futures = sys.modules.get("concurrent.futures._base")
        if futures is not None and isinstance(result, futures.Future):
            return "a future"
        return "an awaitable" if hasattr(type(result), "__await__") else ""
    except Exception:  # noqa: BLE001 - a result of a hostile class: the version has answered
        return ""


def let_go(state: CompiledSplit, index: int) -> None:
    """End at once a candidate's call that has been counted as begun and is not measured; near the stack's end too."""
    if index != BASELINE:
        for _ in state.counts.finished[index].count:
            break


def is_evidence(state: CompiledSplit, index: int, reason: str, unit: object) -> bool:
    """Return whether a call speaks for a version: its hash has drawn it, in the stage that it is booked under.

    A choice that a request has kept may be a pin, or of a weight that stands no more.
    """
    if reason != "kept" or state.buffer is None:
        return reason in DRAWN
    known, scope = encoded(unit), scope_get()
    return known is not None and scope is not None and scope.kept(state.buffer, known) == index


def resolve_unit(state: CompiledSplit, unit: object) -> object:
    """Return the unit that was decided for: the one named, else the context's, else this instance."""
    if unit is MISSING and (scope := scope_get()) is not None:
        unit = scope.unit
    return state.here if unit is MISSING else unit


def entered(state: CompiledSplit, index: int) -> None:
    """Count the beginning of an attempt, where that is not what the exposure says already (a route's counts)."""
    counts = state.counts
    if counts.entered is not counts.started:
        next(counts.entered[index].count)


def failed(  # noqa: PLR0913, PLR0917 - what a call's frame has at hand
    state: CompiledSplit,
    index: int,
    error: BaseException,
    part: SecondBuffer | None = None,
    mark: Mark = 0,
    ignored: Ignored = (),
) -> None:
    """Count that a call raised: as a failure of its version, as cut short, or as neither (ignored). Not that it ended.

    Of an armed split it is written on the part of its beginning.
    """
    if _is_ignored(state, error, ignored):
        return
    if not is_failure(error):
        if part is not None:
            part.cut((index, mark))
        return
    next(state.counts.failed[index].count)
    if part is not None:
        part.failing((index, mark, named_by(error, cast("EvidenceBuffer", state.buffer).guard.stop_on)))


def answered(  # noqa: PLR0913, PLR0917 - as above
    judge: Judge, state: CompiledSplit, index: int, result: object, part: SecondBuffer | None, mark: Mark
) -> None:
    """Count a result that is declared a failure, of a call that has ended already."""
    if judge(result):
        next(state.counts.failed[index].count)
        if part is not None:
            part.failing((index, mark, None))


def finished(
    state: CompiledSplit, index: int, part: SecondBuffer | None = None, record: Record | None = None, mark: Mark = 0
) -> None:
    """Count the end of a call; unarmed only to a candidate: of the baseline nobody asks how many still run."""
    if part is not None:
        if record is not None:
            record[0] -= perf_counter()
        part.ended[index].append(mark)
    elif index != BASELINE:
        next(state.counts.finished[index].count)


def _is_ignored(state: CompiledSplit, error: BaseException, ignored: Ignored) -> bool:
    buffer = state.buffer
    return isinstance(error, ignored) or (buffer is not None and named_by(error, buffer.guard.ignore) is not None)


def is_failure(error: BaseException) -> bool:
    """Return whether an error speaks against the version that raised it: else the call was merely cut short.

    A group that holds nothing but cancellations is one.
    """
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_failure, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    return not isinstance(error, (GeneratorExit, KeyboardInterrupt, SystemExit, *_cancellations()))


def _cancellations() -> list[type[BaseException]]:
    found = (getattr(sys.modules.get(module), name, None) for module, name in _CANCELLED)
    return [kind for kind in found if isinstance(kind, type)]
