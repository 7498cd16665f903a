"""A raise for a time, as it is asked for and told: when it ends, and what stands then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from graysplit.control.stops import when
from graysplit.core.durations import format_span
from graysplit.errors import BadValueError, RefusedError

if TYPE_CHECKING:
    from graysplit.control.reading import Reading

_LONGEST_S: Final = 1e12  # no date is known so far ahead


def check_span(for_s: float | None) -> None:
    """Raise `BadValueError` for a time that is over at once, or never."""
    if for_s is not None and not 0.001 <= for_s <= _LONGEST_S:  # noqa: PLR2004 - a millisecond
        raise BadValueError(f"invalid time for a raise: {for_s:g} s. Give a time, as in: --for 30m")


def end_of(reading: Reading, for_s: float | None) -> int | None:
    """Return the server time at which a lease ends; raise `RefusedError` where it is over before it is written.

    It is counted from the command's first reading: what a person is shown is what is written.
    """
    if for_s is None:
        return None
    until_ms = reading.begun_ms + int(for_s * 1000)
    if until_ms <= reading.load.now_ms:
        raise RefusedError(
            f"the requested time ended at {when(until_ms)}, before the confirmation. Nothing was written. "
            "Repeat the command, or use a longer --for"
        )
    return until_ms


def span_words(ms: int) -> str:
    """Return a span of time as people read it; below a second in milliseconds."""
    return format_span(ms) if ms >= 1000 else f"{ms} ms"  # noqa: PLR2004 - a second
