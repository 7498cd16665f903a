"""A task's context: what a message carries of its sender's, and what a worker opens around the task's run."""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from uuid import UUID

from graysplit.errors import ConfigurationError
from graysplit.scope import MISSING, scope_get
from graysplit.scope_entry import context

if TYPE_CHECKING:
    from graysplit.scope_entry import Opening

CARRIED: Final = "graysplit"  # the name in a message's headers, options or labels
READY_WITHIN_S: Final = 1.0  # Celery's pool kills a process that takes four seconds to begin

# Any: arguments of the user's tasks
Arguments: TypeAlias = Sequence[Any]
Keywords: TypeAlias = Mapping[str, Any]


def carried_context() -> str | None:
    """Return what a message carries of the context in force here; None where there is no unit that can be sent.

    In base64: a framework writes whole messages into its DEBUG lines, where no address is to be read. Raises nothing.
    """
    scope = scope_get()
    if scope is None:
        return None
    unit = str(scope.unit) if isinstance(scope.unit, UUID) else scope.unit
    if type(unit) not in {str, int}:
        return None
    try:
        attributes = {name: value for name, value in scope.attributes.items() if isinstance(value, (str, int, float))}
        return base64.b64encode(json.dumps({"unit": unit, "attributes": attributes}).encode()).decode()
    except Exception:  # noqa: BLE001 - the mapping is the program's own: the task is sent all the same
        return None


def task_context(carried: object, find_unit: Callable[[], object]) -> Opening:
    """Make the context of a task: its sender's, or that of the unit which the settings find. Raises nothing."""
    handed = _read(carried)
    unit: Any = handed["unit"] if "unit" in handed else _found(find_unit)  # Any: judged when it is asked
    attributes: Any = handed.get("attributes")
    return context(unit, cast("Keywords", attributes) if isinstance(attributes, Mapping) else None)


def check_unit(unit: object) -> None:
    """Raise `ConfigurationError` for a setting that names no unit."""
    if not (unit is None or callable(unit) or (isinstance(unit, str) and unit.isidentifier())):
        shown = repr(unit) if isinstance(unit, str) else f"of type {type(unit).__name__}"
        raise ConfigurationError(f"invalid unit {shown}: write the name of a task's parameter, or a callable")


def _read(carried: object) -> Mapping[str, Any]:
    """Return what a message carries; nothing where that is not ours."""
    try:
        read: object = json.loads(base64.b64decode(cast("str", carried), validate=True))
    except Exception:  # noqa: BLE001 - anybody may write into a queue
        return {}
    return cast("Mapping[str, Any]", read) if isinstance(read, dict) else {}


def _found(find_unit: Callable[[], object]) -> object:
    try:
        return find_unit()
    except Exception:  # noqa: BLE001 - as a routed function: what raises there gives no unit
        return MISSING


def unit_by_setting(
    setting: str | Callable[..., object] | None,
    function: Callable[[], object],
    args: Arguments,
    kwargs: Keywords,
    *given: object,
) -> object:
    """Return the unit of a task that was sent without one, or what stands for none.

    The setting names a parameter of the task's function, or is called with what is given.
    """
    if setting is None:
        return MISSING
    return argument_of(function(), args, kwargs, setting) if isinstance(setting, str) else setting(*given)


def argument_of(function: object, args: Arguments, kwargs: Keywords, name: str) -> object:
    """Return a task's argument by its parameter's name, whichever way it was sent; what stands for none otherwise."""
    if name in kwargs:
        return kwargs[name]
    return (
        inspect.signature(cast("Callable[..., object]", function))
        .bind_partial(*args, **kwargs)
        .arguments.get(name, MISSING)
    )
