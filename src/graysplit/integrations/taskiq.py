"""taskiq: a task has the unit of whoever sent it, and one context for its run. Needs the extra `taskiq`."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

from graysplit.integrations.life import RouterLife
from graysplit.integrations.task_context import (
    CARRIED,
    READY_WITHIN_S,
    carried_context,
    check_unit,
    task_context,
    unit_by_setting,
)

try:
    from taskiq import TaskiqMiddleware
except ImportError as fault:
    raise ImportError("graysplit's part in taskiq needs: pip install 'graysplit[taskiq]'") from fault

if TYPE_CHECKING:
    from taskiq import TaskiqMessage, TaskiqResult

    from graysplit.router.router import Router
    from graysplit.scope_entry import Opening

__all__ = ["GraysplitMiddleware"]

FindUnit: TypeAlias = "Callable[[TaskiqMessage], object]"
# Of the task that runs here, innermost last: a broker in memory may run the next try inside the one that failed.
_opened: ContextVar[tuple[Opening, ...]] = ContextVar("graysplit_taskiq", default=())


class GraysplitMiddleware(TaskiqMiddleware):
    """Opens a context around each task, and lets a worker's processes start and end a router.

    `broker.with_middlewares(GraysplitMiddleware(gray, unit="user_id"))`, in the programs that send and in the workers.
    The unit is that of the context in which the task was sent, with its attributes, also when it is tried again; a task
    without one has what `unit` says: the name of a parameter, or a callable of the message.
    """

    def __init__(self, router: Router, *, unit: str | FindUnit | None = None) -> None:
        """Do nothing yet. Raise `ConfigurationError` for what names no unit."""
        check_unit(unit)
        super().__init__()
        self._life = RouterLife(router, READY_WITHIN_S)
        self._unit = unit

    async def startup(self) -> None:
        """Start in a worker's process, so that its first task is decided by what the store says."""
        if self.broker.is_worker_process:
            await self._life.areopen()

    async def shutdown(self) -> None:
        """Say goodbye, in a worker's process."""
        if self.broker.is_worker_process:
            await self._life.aclose()

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        """Hand the unit and the attributes of the context to the task."""
        carried = carried_context()
        if carried is not None:
            message.labels.setdefault(CARRIED, carried)
        return message

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """Open the context of a task, in the task of asyncio that runs it."""
        opening = task_context(message.labels.get(CARRIED), lambda: self._find(message))
        opening.__enter__()
        _opened.set((*_opened.get(), opening))
        return message

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:  # noqa: ARG002 - taskiq's
        """Close it."""
        opened = _opened.get()
        if opened:
            _opened.set(opened[:-1])
            opened[-1].__exit__(None, None, None)

    def _find(self, message: TaskiqMessage) -> object:
        def function() -> object:
            task = self.broker.find_task(message.task_name)
            return None if task is None else task.original_func

        return unit_by_setting(self._unit, function, message.args, message.kwargs, message)
