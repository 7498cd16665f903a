"""Celery: a task has the unit of whoever sent it, and one context for its run. Needs the extra `celery`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from graysplit.integrations.life import RouterLife
from graysplit.integrations.task_context import (
    CARRIED,
    READY_WITHIN_S,
    carried_context,
    check_unit,
    task_context,
    unit_by_setting,
)
from graysplit.scope import scope_get, scope_set

try:
    from celery import signals  # type: ignore[import-untyped] # it has no annotations
except ImportError as fault:
    raise ImportError("graysplit's part in Celery needs: pip install 'graysplit[celery]'") from fault

if TYPE_CHECKING:
    from graysplit.router.router import Router
    from graysplit.scope_entry import Opening

__all__ = ["follow_tasks"]

# Any: Celery has no annotations
FindUnit = Callable[[Any, Sequence[Any], Mapping[str, Any]], object]

OPENED: Final = "graysplit_opened"
_PREFORK: Final = frozenset(("prefork", "processes"))  # pools whose processes start a router each


def follow_tasks(router: Router, *, unit: str | FindUnit | None = None) -> None:
    """Open a context around each task, and let a worker's processes start and end a router.

    The unit is that of the context in which the task was sent, with its attributes, also when it is sent again; a task
    without one has what `unit` says: the name of a parameter, or a callable of the task, its arguments and its
    keyword arguments. Call it where the Celery application is made, in the programs that send and in the workers.
    """
    TaskContexts(router, unit).connect()


class TaskContexts:
    """What is done at Celery's signals; none of it raises into a task."""

    def __init__(self, router: Router, unit: str | FindUnit | None) -> None:
        """Do nothing yet. Raise `ConfigurationError` for what names no unit."""
        check_unit(unit)
        self._life, self._router_id = RouterLife(router, READY_WITHIN_S), id(router)
        self._unit = unit

    def connect(self) -> None:
        """Hear the signals from now on, once for each router."""
        for name in ("before_task_publish", "task_prerun", "task_postrun", "worker_init", "worker_process_init"):
            self._hear(name, getattr(self, name))
        for name in ("worker_process_shutdown", "worker_shutdown"):
            self._hear(name, self.worker_end)

    def _hear(self, name: str, receiver: Callable[..., None]) -> None:
        getattr(signals, name).connect(receiver, weak=False, dispatch_uid=f"graysplit {name} {self._router_id}")

    def before_task_publish(self, headers: dict[str, Any] | None = None, **_: object) -> None:
        """Hand the unit and the attributes of the context to the task."""
        carried = carried_context()
        if carried is not None and headers is not None:
            headers.setdefault(CARRIED, carried)

    def task_prerun(
        self,
        task: Any,  # noqa: ANN401 - Celery's
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] = {},
        **_: object,
    ) -> None:
        """Open the context of a task."""
        if getattr(task.request, OPENED, None) is not None:
            return  # another router of this program opened it: a context is for all of them
        if not getattr(task.request, "is_eager", False) and scope_get() is not None:
            scope_set(None)  # a message begins with nothing of what ran in this thread before
        opening = task_context(getattr(task.request, CARRIED, None), lambda: self._find(task, args, kwargs))
        opening.__enter__()
        setattr(task.request, OPENED, opening)

    def task_postrun(self, task: Any, **_: object) -> None:  # noqa: ANN401 - Celery's
        """Close it."""
        opening: Opening | None = getattr(task.request, OPENED, None)
        if opening is not None:
            setattr(task.request, OPENED, None)
            opening.__exit__(None, None, None)

    def worker_init(self, sender: object = None, **_: object) -> None:
        """Start in a worker whose pool runs tasks in its own process: threads, gevent, solo."""
        pool: object = getattr(sender, "pool_cls", None)
        if pool not in _PREFORK and "prefork" not in getattr(pool, "__module__", str(pool)):
            self.worker_process_init()

    def worker_process_init(self, **_: object) -> None:
        """Start in a process of the pool, so that its first task is decided by what the store says."""
        self._life.start()

    def worker_end(self, **_: object) -> None:
        """Say goodbye."""
        self._life.close()

    def _find(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:  # noqa: ANN401 - Celery's
        return unit_by_setting(self._unit, lambda: task.run, args, kwargs, task, args, kwargs)
