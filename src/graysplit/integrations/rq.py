"""RQ: a job has the unit of whoever sent it, and one context for its run. Needs the extra `rq`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

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
    from rq import Worker
    from rq.job import Job
except ImportError as fault:
    raise ImportError("graysplit's part in RQ needs: pip install 'graysplit[rq]'") from fault

if TYPE_CHECKING:
    from graysplit.router.router import Router

__all__ = ["GraysplitJob", "GraysplitWorker"]

FindUnit: TypeAlias = "Callable[[GraysplitJob], object]"
_JOB_OF_PROCESS = "RQ_JOB_ID"  # in the environment of a process that a worker made for one job


class GraysplitJob(Job):
    """A job that runs in a context of its own. Derive one with a router, and name it to queues and workers.

        class ShopJob(GraysplitJob):
            router = gray
            unit = "user_id"

    `Queue(connection=redis, job_class=ShopJob)` and `rq worker --job-class shop.ShopJob`. The unit is that of the
    context in which the job was sent, with its attributes, also when it is tried again; a job without one has what
    `unit` says: the name of a parameter, or a function of the job.
    """

    router: ClassVar[Router]
    unit: ClassVar[str | FindUnit | None] = None

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Raise `ConfigurationError` for what names no unit."""
        super().__init_subclass__(**kwargs)
        check_unit(cls.unit)

    @classmethod
    def create(cls, *args: Any, **kwargs: Any) -> Job:  # noqa: ANN401 - RQ's own parameters
        """Make a job that carries the unit and the attributes of the context."""
        job: Job = super().create(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType] # its lists have no types
        carried = carried_context()
        if carried is not None:
            job.meta.setdefault(CARRIED, carried)
        return job

    def perform(self) -> Any:  # noqa: ANN401 - what the user's function returns
        """Run the job in its context.

        A worker makes a process for each job, which ends without Python's exit hooks: it waits for the store before the
        job, and says goodbye after it. In a `SimpleWorker` the next job follows in the same process.
        """
        is_of_one_job = os.environ.get(_JOB_OF_PROCESS) == self.id
        life = RouterLife(self.router, READY_WITHIN_S)
        if is_of_one_job and scope_get() is not None:
            scope_set(None)  # a job begins with nothing of what ran where it was forked
        if is_of_one_job or self.worker_name:  # without a worker it runs where it was sent
            life.start()
        try:
            with task_context(self.meta.get(CARRIED), self._find_unit):
                return super().perform()
        finally:
            if is_of_one_job:
                life.close()

    def _find_unit(self) -> object:
        unit = type(self).unit  # of the class: a function here is not a method
        return unit_by_setting(unit, lambda: self.func, cast("list[Any]", self.args), self.kwargs, self)


class GraysplitWorker(Worker):
    """RQ's usual worker, for jobs of one `GraysplitJob`: its router starts before the first job.

    `rq worker --worker-class graysplit.integrations.rq.GraysplitWorker --job-class shop.ShopJob`. Each job's process is
    forked from one that has imported all and knows what the store says, which saves most of what it costs.
    """

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - RQ's own parameters
        """Start with the worker."""
        router: Router | None = getattr(self.job_class, "router", None)
        if router is not None:
            RouterLife(router, READY_WITHIN_S).start()
        super().bootstrap(*args, **kwargs)
