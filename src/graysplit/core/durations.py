"""Spans of time as people write and read them: `90s`, `10m`, `2h`, `3d`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from graysplit.errors import BadValueError

if TYPE_CHECKING:
    from datetime import timedelta

Span: TypeAlias = "float | timedelta | str"  # a length of time: seconds, a timedelta, or a text as in `10m`

_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)?", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}


class BadSpanError(BadValueError):
    """A text is not a span of time."""

    def __init__(self, text: str) -> None:
        """Keep the text as it was given."""
        self.text = text
        super().__init__(f"invalid duration {text!r}: write 5s, 500ms, 10m, 2h or 3d")


def parse_span(text: str) -> float:
    """Read a span as seconds; a bare number is seconds."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise BadSpanError(text)
    return float(match[1]) * _UNITS[match[2]]


def seconds(span: Span) -> float:
    """Return a length of time in seconds, its bounds unchecked; raise `BadSpanError` for what is none."""
    if isinstance(span, str):
        return parse_span(span)
    length = span if isinstance(span, (int, float)) else getattr(span, "total_seconds", lambda: None)()
    if isinstance(span, bool) or length is None:
        raise BadSpanError(str(span))
    return float(length)


def format_span(ms: float) -> str:
    """Write a span in at most two units, the smaller rounded down: `3 d`, `2 h 5 min`, `1 min 30 s`, `4 s`."""
    seconds = max(0, int(ms // 1000))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        parts = ((days, "d"), (hours % 24, "h"))
    elif hours:
        parts = ((hours, "h"), (minutes % 60, "min"))
    elif minutes:
        parts = ((minutes, "min"), (seconds % 60, "s"))
    else:
        return f"{seconds} s"
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def span_text(seconds: float) -> str:
    """Write seconds as a plan does: in the greatest unit that is whole."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{f'{seconds:.6f}'.rstrip('0').rstrip('.')}s"
