"""Values as people read them: times, ages, weights, stops."""

from __future__ import annotations

from graysplit.control.stops import stop_words, when
from graysplit.core.address import parse_address

__all__ = ["age", "number", "percent", "plural", "stop_words", "when"]


def age(ms: int) -> str:
    """Return a span of time in its largest fitting unit."""
    seconds = max(0, ms // 1000)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def percent(weight: str | None) -> str:
    """Return a stored weight with its unit."""
    if weight is None:
        return "absent"
    return f"{weight}%" if weight[:1].isdigit() else weight


def number(weight: str | None) -> object:
    """Return a stored weight as JSON has it: a number where it is one."""
    if weight is None or not weight.replace(".", "", 1).isdecimal() or not weight.isascii():
        return weight
    return float(weight) if "." in weight else int(weight)


def plural(count: int, noun: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def note_words(note: str, field: str) -> str:
    """Return what few users have met, that nothing waits for it, and where to look."""
    split, version = parse_address(field)
    return (
        f"note: {note}. This changes nothing: up to 30 of 100 healthy releases of three hours show such a note, "
        "because few users fail repeatedly. "
        f"Check the failing calls on {version}; to go back: graysplit rollback {split}"
    )
