"""What a caller wishes, read once at the edge: weights, targets, what they saw before."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final, cast

from graysplit.core.address import EVERYTHING
from graysplit.core.durations import Span, seconds
from graysplit.core.limits import check_typed
from graysplit.core.weights import Weight, check_name, format_weight, parse_weight, type_weight
from graysplit.errors import BadValueError, BadWeightError, ConflictError, RefusedError

if TYPE_CHECKING:
    from graysplit.core.split_state import Snapshot

# A revision no receipt reaches: with no effects expected, the change's id alone counts.
NEVER: Final = 1 << 62


def new_id() -> str:
    """Make a random change id."""
    return os.urandom(12).hex()


def typed_weight(value: float | str) -> Weight:
    """Read a weight as a program or a person gives it."""
    if isinstance(value, str):
        return type_weight(value)
    if isinstance(value, bool):
        raise BadWeightError(str(value))
    if isinstance(cast("object", value), Mapping):
        raise BadValueError("invalid weight: one weight is a number; name several with weights={'b': 10, 'c': 10}")
    return type_weight(str(value).removesuffix(".0"))


def whole_seconds(name: str, span: Span | None) -> int | None:
    """Return a length of time in seconds; raise `BadValueError` where it is not a whole number of them."""
    if span is None:
        return None
    whole = seconds(span)
    if whole != int(whole):
        raise BadValueError(f"invalid {name}: {span} is not a whole number of seconds")
    return int(whole)


def wanted_weights(
    version: str,
    bare: Weight | None,
    typed: Mapping[str, Weight],
    only: Callable[[], str],
) -> Mapping[str, Weight]:
    """Join the ways to say it: `ranking/b 20`, `checkout 20`, `ranking b=10 c=10`."""
    if bare is None and not typed:
        raise BadWeightError("")
    if bare is None:
        return typed
    name = version or only()
    return {**typed, name: bare}


def planned_version(*records: Mapping[str, object] | None) -> str | None:
    """Return the version that a plan's record names, the last of them first."""
    named = (record.get("version") for record in reversed(records) if record is not None)
    return next((version for version in named if isinstance(version, str)), None)


def check_from(snapshot: Snapshot, split: str, wanted: Mapping[str, Weight], from_: float | str | None) -> None:
    """Raise `ConflictError` unless the weight in force are the one that the caller saw."""
    if from_ is None:
        return
    expected = typed_weight(from_)
    for version in wanted:
        weight = snapshot.splits[split].in_force(version)
        if weight != expected:
            at = f"{split}/{version} at"
            raise ConflictError(split, f"{at} {format_weight(expected)}", f"{at} {format_weight(weight)}")


def check_texts(actor: str, why: str) -> None:
    """Raise `BadValueError` where the actor's name or the reason is longer than the table of limits says."""
    check_typed("actor", actor)
    check_typed("reason", why)


def check_reason(guarded: Collection[str], why: str) -> None:
    """Raise `RefusedError` where a protected split would rise without a reason."""
    if guarded and not why.strip():
        split = min(guarded)
        raise RefusedError(
            f"'{split}' is protected, and this raises it: give a reason with --why. Nothing was written. "
            f"End the protection with: graysplit unprotect {split}"
        )


def lowered(moves: Mapping[str, tuple[str | None, str | None]], *, whole: bool) -> dict[str, str]:
    """Name what receipts must show at zero: what was lowered, or all of it where no revision tells it either."""
    return {field: "0" for field, (before, _) in moves.items() if whole or not is_zero(before)}


def is_zero(text: str | None) -> bool:
    """Return whether a stored weight is zero; what is not a weight is not."""
    try:
        return text is None or parse_weight(text) == 0
    except BadWeightError:
        return False


def split_and_version(target: str) -> tuple[str, str]:
    """Return what an address names, the version "" where it names a split; raise where it ends in a slash."""
    split, slash, version = target.partition("/")
    if slash and not version:
        raise BadValueError(f"'{target}' has no version after the slash: use '{split}', or '{split}/VERSION'")
    return split, version


def check_target(target: str) -> None:
    """Raise `BadNameError` for what can name no split, candidate or `*`."""
    if target == EVERYTHING:
        return
    split, version = split_and_version(target)
    check_name(split)
    if version:
        check_name(version)
