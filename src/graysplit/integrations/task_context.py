"""A task's context: what a message carries of its sender's, and what a worker opens around the task's run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from uuid import UUID

from graysplit.scope import MISSING, scope_get
from graysplit.scope_entry import context

if TYPE_CHECKING:
    from graysplit.scope_entry import Opening

CARRIED: Final = "graysplit"  # the name in a message's headers, options or labels
READY_WITHIN_S: Final = 1.0  # Celery's pool kills a process that takes four seconds to begin

# Any: arguments of the user's tasks
Arguments: TypeAlias = Sequence[Any]
Keywords: TypeAlias = Mapping[str, Any]


def carried_context() -> dict[str, object] | None:
    """Return what a message carries of the context in force here; None where there is no unit that can be sent."""
    scope = scope_get()
    if scope is None:
        return None
    unit = str(scope.unit) if isinstance(scope.unit, UUID) else scope.unit
    if type(unit) not in {str, int}:
        return None
    attributes = {name: value for name, value in scope.attributes.items() if isinstance(value, (str, int, float))}
    return {"unit": unit, "attributes": attributes}


def task_context(carried: object, find_unit: Callable[[], object]) -> Opening:
    """Make the context of a task: its sender's, or that of the unit which the settings find. Raises nothing."""
    handed = cast("Mapping[str, Any]", carried if isinstance(carried, Mapping) else {})
    unit: Any = handed["unit"] if "unit" in handed else _found(find_unit)  # Any: judged when it is asked
    attributes: Any = handed.get("attributes")
    return context(unit, cast("Keywords", attributes) if isinstance(attributes, Mapping) else None)


def _found(find_unit: Callable[[], object]) -> object:
    try:
        return find_unit()
    except Exception:  # noqa: BLE001 - as a routed function: what raises there gives no unit
        return MISSING


def argument_of(function: object, args: Arguments, kwargs: Keywords, name: str) -> object:
    """Return a task's argument by its parameter's name, whichever way it was sent; what stands for none otherwise."""
    if name in kwargs:
        return kwargs[name]
    return (
        inspect.signature(cast("Callable[..., object]", function))
        .bind_partial(*args, **kwargs)
        .arguments.get(name, MISSING)
    )
