"""The settings of a guard, as the split's record has them.

    {"action": "rollback", "sensitivity": "normal", "slow": "500ms", "stop_on": ["DataLoss"], "at": 1700000000000}

Everything may be left out. A word that a library does not know keeps it from guarding: it says so, and others do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, cast

from graysplit.core.durations import BadSpanError, parse_span, span_text
from graysplit.core.guard.sequential_test import DEADLINE_S, LONGEST_DEADLINE_S, NORMAL, STRICT, Margin
from graysplit.errors import BadValueError

Action: TypeAlias = Literal["rollback", "pause", "warn"]
Sensitivity: TypeAlias = Literal["normal", "strict"]

ACTIONS: Final[tuple[Action, ...]] = ("rollback", "pause", "warn")
SENSITIVITIES: Final[tuple[Sensitivity, ...]] = ("normal", "strict")
NEVER: Final = "off"  # no deadline
SHORTEST_DEADLINE_S: Final = 1.0
_LATEST_MS: Final = 253_402_300_799_000  # the end of the year 9999
_KEYS: Final = ("action", "sensitivity", "slow", "every_call", "stop_on", "ignore", "deadline", "at", "by")


class BadGuardError(BadValueError):
    """A guard's record does not hold together, or is not understood here."""

    def __init__(self, field: str, reason: str) -> None:
        """Keep the field and the reason."""
        self.field = field
        self.reason = reason
        super().__init__(f"guard, {field}: {reason}")


class Guard(NamedTuple):
    """The watch on the candidates of one split."""

    action: Action = "rollback"  # what `worse` does
    sensitivity: Sensitivity = "normal"
    slow_s: float | None = None  # a call that takes longer is slow; None: calls are not judged by their time
    every_call: bool = False  # every call is timed, not those of one second in 17
    stop_on: tuple[str, ...] = ()  # exceptions: the first on a candidate stops it, unless old raised it too
    ignore: tuple[str, ...] = ()  # exceptions that are not failures: errors of the client, say
    at_ms: int = 0  # server time at which it was armed
    by: str = ""
    deadline_s: float | None = DEADLINE_S  # a call that runs for longer is a failed call of its unit; None: none does

    @property
    def margin(self) -> Margin:
        """Return what still counts as equally good."""
        return STRICT if self.sensitivity == "strict" else NORMAL


def parse_guard(record: Mapping[str, object]) -> Guard:
    """Read a guard from a split's record; raises `BadGuardError` for what is not understood."""
    unknown = next((key for key in record if key not in _KEYS), None)
    if unknown is not None:
        raise BadGuardError(unknown, f"unknown; known are {', '.join(_KEYS)}")
    return Guard(
        cast("Action", _one_of("action", record.get("action", "rollback"), ACTIONS)),
        cast("Sensitivity", _one_of("sensitivity", record.get("sensitivity", "normal"), SENSITIVITIES)),
        _slow(record.get("slow")),
        _flag("every_call", record.get("every_call", False)),
        _names("stop_on", record.get("stop_on", ())),
        _names("ignore", record.get("ignore", ())),
        _time(record.get("at", 0)),
        _text("by", record.get("by", "")),
        _deadline(record.get("deadline", span_text(DEADLINE_S))),
    )


def guard_record(guard: Guard) -> dict[str, object]:
    """Return a guard as it stands in the split's record: what was left out stays so."""
    record: dict[str, object] = {"action": guard.action}
    if guard.sensitivity != "normal":
        record["sensitivity"] = guard.sensitivity
    if guard.slow_s is not None:
        record["slow"] = span_text(guard.slow_s)
    if guard.every_call:
        record["every_call"] = True
    if guard.stop_on:
        record["stop_on"] = list(guard.stop_on)
    if guard.ignore:
        record["ignore"] = list(guard.ignore)
    if guard.deadline_s != DEADLINE_S:
        record["deadline"] = NEVER if guard.deadline_s is None else span_text(guard.deadline_s)
    return {**record, "at": guard.at_ms, "by": guard.by}


def _one_of(field: str, value: object, words: Sequence[str]) -> str:
    if value not in words:
        raise BadGuardError(field, f"invalid value {value!r}: use one of {', '.join(words)}")
    return cast("str", value)


def _slow(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadGuardError("slow", f"invalid duration {value!r}: write it as in '500ms'")
    try:
        seconds = parse_span(value)
    except BadSpanError as fault:
        raise BadGuardError("slow", str(fault)) from None
    if seconds <= 0:
        raise BadGuardError("slow", "must not be negative")
    return seconds


def _deadline(value: object) -> float | None:
    if value == NEVER:
        return None
    if not isinstance(value, str):
        raise BadGuardError("deadline", f"{value!r} is not a span of time, as in '30s', and not 'off'")
    try:
        return check_deadline(parse_span(value))
    except BadSpanError as fault:
        raise BadGuardError("deadline", f"{fault}, or 'off'") from None


def check_deadline(seconds: float) -> float:
    """Return a deadline in seconds; raise `BadGuardError` for one too short, or longer than evidence is kept."""
    if not SHORTEST_DEADLINE_S <= seconds <= LONGEST_DEADLINE_S:
        raise BadGuardError(
            "deadline", f"{seconds:g} s is not between {SHORTEST_DEADLINE_S:g} s and {LONGEST_DEADLINE_S:g} s; or 'off'"
        )
    return seconds


def _flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise BadGuardError(field, f"invalid value {value!r}: use true or false")
    return value


def _names(field: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise BadGuardError(field, f"invalid value {value!r}: use a list of exceptions")
    found = cast("Sequence[object]", value)
    if not all(isinstance(name, str) and name for name in found):
        raise BadGuardError(field, "an exception is named by its class, as in 'DataLoss' or 'shop.errors.DataLoss'")
    return tuple(cast("Sequence[str]", found))


def _time(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadGuardError("at", f"invalid time {value!r}: use milliseconds")
    if not 0 <= value <= _LATEST_MS:
        raise BadGuardError("at", f"invalid time {value}: outside the calendar")
    return value


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadGuardError(field, f"invalid value {value!r}: use a text")
    return value
