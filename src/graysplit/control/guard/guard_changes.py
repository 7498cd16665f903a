"""The guard of a split as people arm it and take it away: the record, and whether there is anything to watch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from graysplit.control.reading import Reading
from graysplit.core.definition import Definition
from graysplit.core.durations import BadSpanError, Span, seconds, span_text
from graysplit.core.fleet import Fleet
from graysplit.core.guard.sequential_test import DEADLINE_S
from graysplit.core.guard.settings import (
    NEVER,
    Action,
    BadGuardError,
    Guard,
    Sensitivity,
    check_deadline,
    guard_record,
    parse_guard,
)
from graysplit.core.plan.plan import parse_plan
from graysplit.errors import RefusedError

NOTHING: Final = "no routed call, no attempt: nothing to watch"
NO_GUARD: Final = "no guard: no routed call, no attempt, nothing to watch"


class GuardRequest(NamedTuple):
    """What was named; what was not stays as it is, or is the default."""

    action: Action | None = None
    sensitivity: Sensitivity | None = None
    slow: Span | None = None
    every_call: bool | None = None
    stop_on: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    deadline: Span | None = None  # or `off`

    def named(self) -> Mapping[str, object]:
        """Return the fields of the record that were named."""
        slow = None if self.slow is None else seconds(self.slow)
        said = {
            "action": self.action,
            "sensitivity": self.sensitivity,
            "slow_s": slow,
            "every_call": self.every_call,
            "stop_on": self.stop_on or None,
            "ignore": self.ignore or None,
        }
        found: dict[str, object] = {name: value for name, value in said.items() if value is not None}
        return found if self.deadline is None else {**found, "deadline_s": _seconds(self.deadline)}


def _seconds(deadline: Span) -> float | None:
    """Return a deadline in seconds, or None for none; raise `BadGuardError` for one that cannot be kept."""
    if deadline == NEVER:
        return None
    try:
        return check_deadline(seconds(deadline))
    except BadSpanError as fault:
        raise BadGuardError("deadline", f"{fault}, or '{NEVER}'") from None


def armed_at(reading: Reading, split: str, settings: GuardRequest) -> int | None:
    """Return the revision of what was read where a split has a guard with these settings already, else None."""
    state = reading.snapshot.splits.get(split)
    is_armed_so = state is not None and armed(split, state.definition, settings, "", 1) is None
    return reading.snapshot.revision if is_armed_so else None


def armed(split: str, definition: Definition, wish: GuardRequest, by: str, at_ms: int) -> Definition | None:
    """Return the definition with its guard as wished; None where it stands so already."""
    present = _present(split, definition)
    named = wish.named()
    wanted = (present or Guard())._replace(**named)  # type: ignore[arg-type] # the fields' own types, see `named`
    if wanted == present:
        return None
    record = guard_record(wanted._replace(at_ms=at_ms, by=by))
    parse_guard(record)  # born valid: raises `BadGuardError`
    return definition._replace(guard=record)


def disarmed(split: str, definition: Definition, why: str, *, dry_run: bool) -> Definition:
    """Return the definition without its guard; refused where none stands, or for a protected split without a reason."""
    if definition.guard is None:
        raise RefusedError(f"'{split}' has no guard. Arm one with: graysplit guard {split}")
    if definition.protected and not why.strip() and not dry_run:
        raise RefusedError(
            f"'{split}' is protected, and this removes its guard: give a reason with --why. Nothing was written. "
            f"End the protection with: graysplit unprotect {split}"
        )
    return definition._replace(guard=None)


def check_explained(split: str, definition: Definition, *, explained: bool) -> None:
    """Raise `RefusedError` where a protected split's guard would be changed without a reason: it may be weakened."""
    if definition.protected and definition.guard is not None and not explained:
        raise RefusedError(
            f"'{split}' is protected, and this changes its guard: give a reason with --why. Nothing was written. "
            f"End the protection with: graysplit unprotect {split}"
        )


def unheard_gates(split: str, definition: object) -> tuple[str, ...]:
    """Return where a plan would wait for a verdict that nobody gives."""
    if not isinstance(definition, Definition) or definition.guard is not None or definition.plan is None:
        return ()
    if not any(step.until for step in parse_plan(definition.plan).steps):
        return ()
    return (f"a step waits until safe, which needs a guard. Arm one with: graysplit guard {split}",)


def check_watched(split: str, fleet: Fleet) -> str:
    """Raise `RefusedError` where live processes have nothing to watch; return what to say where none is live."""
    if not fleet.live:
        return "no process follows yet"
    if not is_watched(split, fleet):
        raise RefusedError(f"'{split}': {NOTHING}. See who declares it with: graysplit fleet")
    return ""


def is_watched(split: str, fleet: Fleet) -> bool:
    """Return whether a live process measures calls of a split; with nobody live, nobody says the contrary."""
    declared = [process.declared.get(split) for process in fleet.live]
    return not declared or any(declaration is not None and declaration.measured for declaration in declared)


def begun(definition: Definition, fleet: Fleet, split: str, by: str, at_ms: int) -> tuple[Definition, tuple[str, ...]]:
    """Return the definition with the guard that a plan begins with, where none stands, and what to say of it."""
    if definition.guard is not None:
        return definition, ()
    if not is_watched(split, fleet):
        return definition, (NO_GUARD,)
    guard = Guard(at_ms=at_ms, by=by)
    nobody = "" if fleet.live else "; no process follows yet"
    return definition._replace(guard=guard_record(guard)), (f"guard armed: {guard_words(guard)}{nobody}",)


_ACTS: Final[Mapping[Action, str]] = {
    "rollback": "rolls back when worse",
    "pause": "pauses the plan when worse",
    "warn": "warns when worse",
}


def guard_words(guard: Guard) -> str:
    """Return in one line what a guard does."""
    parts = [
        _ACTS[guard.action],
        "strict" if guard.sensitivity == "strict" else "",
        f"slow above {span_text(guard.slow_s)}" if guard.slow_s is not None else "",
        "times every call" if guard.every_call else "",
        _deadline_words(guard.deadline_s),
        _named("stops on", guard.stop_on),
        _named("ignores", guard.ignore),
    ]
    return ", ".join(filter(None, parts))


def _deadline_words(deadline_s: float | None) -> str:
    if deadline_s is None:
        return "no deadline"
    return f"deadline {span_text(deadline_s)}" if deadline_s != DEADLINE_S else ""


def record_words(definition: Definition) -> str:
    """Return in one line what the guard of a definition does."""
    return guard_words(parse_guard(definition.guard or {}))


def _named(verb: str, names: Collection[str]) -> str:
    return f"{verb} {' and '.join(names)}" if names else ""


def _present(split: str, definition: Definition) -> Guard | None:
    if definition.guard is None:
        return None
    try:
        return parse_guard(definition.guard)
    except BadGuardError as fault:
        raise RefusedError(
            f"the guard of '{split}' is not understood by this graysplit ({fault}): use a newer one, or remove the "
            f"guard with: graysplit unguard {split}"
        ) from None
