"""dramatiq: a task has the unit of whoever sent it, and one context for its run. Needs the extra `dramatiq`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

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
    from dramatiq import Middleware
except ImportError as fault:
    raise ImportError("graysplit's part in dramatiq needs: pip install 'graysplit[dramatiq]'") from fault

if TYPE_CHECKING:
    from dramatiq import Broker, Message, Worker
    from dramatiq.broker import MessageProxy

    from graysplit.router.router import Router
    from graysplit.scope_entry import Opening

__all__ = ["GraysplitMiddleware"]

FindUnit: TypeAlias = "Callable[[MessageProxy], object]"
_OPENED: Final = "graysplit_opened"


class GraysplitMiddleware(Middleware):
    """Opens a context around each task, and lets a worker's processes start and end a router.

    `broker.add_middleware(GraysplitMiddleware(gray, unit="user_id"))`, in the programs that send and in the workers.
    The unit is that of the context in which the task was sent, with its attributes, also when it is tried again; a task
    without one has what `unit` says: the name of a parameter, or a callable of the message.
    """

    def __init__(self, router: Router, *, unit: str | FindUnit | None = None) -> None:
        """Do nothing yet. Raise `ConfigurationError` for what names no unit."""
        check_unit(unit)
        self._life = RouterLife(router, READY_WITHIN_S)
        self._unit = unit

    def before_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:  # noqa: ARG002 - dramatiq's
        """Hand the unit and the attributes of the context to the task."""
        carried = carried_context()
        if carried is not None:
            message.options.setdefault(CARRIED, carried)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """Open the context of a task."""
        if vars(message).get(_OPENED) is not None:
            return  # another router of this program opened it: a context is for all of them
        if scope_get() is not None:
            scope_set(None)  # a message begins with nothing of what ran in this thread before
        opening = task_context(message.options.get(CARRIED), lambda: self._find(broker, message))
        opening.__enter__()
        setattr(message, _OPENED, opening)

    def before_ack(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002 - dramatiq's
        """Close it, in its thread, once other middlewares have sent what follows: a next try, a callback, a step."""
        opening: Opening | None = vars(message).get(_OPENED)
        if opening is not None:
            setattr(message, _OPENED, None)
            opening.__exit__(None, None, None)

    before_nack = before_ack

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - dramatiq's
        """Start in a worker's process, so that its first task is decided by what the store says."""
        self._life.reopen()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - dramatiq's
        """Say goodbye."""
        self._life.close()

    def _find(self, broker: Broker, message: MessageProxy) -> object:
        def function() -> object:
            actors = cast("Mapping[str, Any]", broker.actors)  # Any: generic in the user's function
            return actors[message.actor_name].fn

        return unit_by_setting(self._unit, function, message.args, message.kwargs, message)
