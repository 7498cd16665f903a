"""What the end of a routed call or an attempt counts as."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from graysplit.core.bucketing import hash32
from graysplit.core.decision import DRAWN
from graysplit.core.page import Page, Record, claimed, encoded, named_by
from graysplit.core.state import BASELINE, State
from graysplit.errors import RegistrationError
from graysplit.routes.signature import described
from graysplit.scope import MISSING, scope_get

if TYPE_CHECKING:
    from graysplit.core.tape import Tape

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
    """Refuse what is no class of exceptions; gives the rest as it is."""
    for kind in cast("tuple[object, ...]", ignored):
        if not _is_error_class(kind):
            raise RegistrationError(f"split '{split}': ignore= takes classes of exceptions, not {described(kind)}")
    return ignored


def _is_error_class(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def begun(state: State, index: int, unit: object, *, kept: bool) -> tuple[Page, Record | None]:
    """Write down that a call of an armed split has begun off the straight lines; give its page, and its record."""
    tape = cast("Tape", state.tape)
    page = tape.page
    next(page.asked[index])
    known = None if kept else encoded(unit)
    if known is not None:
        page.exposed((hash32(known, state.seed), index))
    if not page.timed:
        return page, None
    record: Record = [perf_counter(), index, unit, True]
    page.sampled.append(record)
    return page, record


def is_evidence(state: State, index: int, reason: str, unit: object) -> bool:
    """Say whether a call speaks for a version: its hash has drawn it, in the stage that it is booked under.

    A choice that a request has kept may be a pin, or of a weight that stands no more.
    """
    if reason != "kept" or state.tape is None:
        return reason in DRAWN
    known, scope = encoded(unit), scope_get()
    return known is not None and scope is not None and scope.kept(state.tape, known) == index


def meant(state: State, unit: object) -> object:
    """Give the unit that was decided for: the one named, else the context's, else this instance."""
    if unit is MISSING and (scope := scope_get()) is not None:
        unit = scope.unit
    return state.here if unit is MISSING else unit


def entered(state: State, index: int) -> None:
    """Count the beginning of an attempt, where that is not what the exposure says already (a route's counts)."""
    counts = state.counts
    if counts.entered is not counts.started:
        next(counts.entered[index].count)


def failed(  # noqa: PLR0913, PLR0917 - what a call's frame has at hand
    state: State,
    index: int,
    error: BaseException,
    page: Page | None = None,
    record: Record | None = None,
    unit: object = None,
    ignored: Ignored = (),
) -> None:
    """Count the end of a call that raised: as a failure of its version, as cut short, or as neither (ignored).

    Of an armed split it is written on the page of its beginning.
    """
    if not _is_ignored(state, error, ignored):
        if is_failure(error):
            next(state.counts.failed[index].count)
            if page is not None:
                _charge(state, index, page, record, unit, error)
        elif page is not None:
            page.cut((index, _unit(state, unit)))
    finished(state, index, page, record)


def answered(  # noqa: PLR0913, PLR0917 - as above
    judge: Judge, state: State, index: int, result: object, page: Page | None, record: Record | None, unit: object
) -> None:
    """Count a result that is declared a failure, of a call that has ended already."""
    if judge(result):
        next(state.counts.failed[index].count)
        if page is not None:
            _charge(state, index, page, record, unit, None)


def finished(state: State, index: int, page: Page | None = None, record: Record | None = None) -> None:
    """Count the end of a call; unarmed only to a candidate: of the baseline nobody asks how many still run."""
    if page is not None:
        if record is not None:
            record[0] -= perf_counter()
        page.ended[index].append(None)
    elif index != BASELINE:
        next(state.counts.finished[index].count)


def _charge(  # noqa: PLR0913, PLR0917 - as above
    state: State, index: int, page: Page, record: Record | None, unit: object, error: BaseException | None
) -> None:
    if record is not None and not claimed(record):
        return  # past its deadline it was charged already
    tape = cast("Tape", state.tape)
    name = named_by(error, tape.guard.stop_on) if error is not None else None
    page.failing((index, _unit(state, unit), name))


def _unit(state: State, unit: object) -> bytes | None:
    """Return the bytes of the unit that an armed call was for."""
    return cast("Tape", state.tape).terms.only or encoded(meant(state, unit))


def _is_ignored(state: State, error: BaseException, ignored: Ignored) -> bool:
    tape = state.tape
    return isinstance(error, ignored) or (tape is not None and named_by(error, tape.guard.ignore) is not None)


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
