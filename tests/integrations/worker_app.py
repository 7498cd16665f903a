"""One task for each kind of worker: it asks three times while the weight flips, and tells what it was answered.

`TASKS` names the kind, `BROKER` the server that holds the queue, `GRAYSPLIT_URL` the store.
"""

from __future__ import annotations

import json
import os
import time
from contextvars import Context
from threading import Event
from typing import Any

import redis

import graysplit

KIND = os.environ["TASKS"]
BROKER = os.environ["BROKER"]
ANSWERS = "answers"

gray = graysplit.Router()
checkout = gray.split("checkout", "old", "new")
# Of each process its own: a connection must not cross a fork.
_clients: dict[int, redis.Redis] = {}


def bare(user: str) -> str:
    """Decide without a context."""
    return Context().run(gray.choose, "checkout", user)


def pay(number: int, user: str) -> None:
    """Ask, work for a while, ask again, and put down what was answered: the fields of a LoadAnswer."""
    began, told, without = time.monotonic(), [checkout.choose()], [bare(user)]
    for _ in range(2):
        Event().wait(0.004)  # the work of a task, long enough for a weight to change in it
        told.append(gray.choose("checkout"))
        without.append(bare(user))
    own = _clients.setdefault(os.getpid(), redis.Redis.from_url(BROKER))
    own.rpush(ANSWERS, json.dumps([began, time.monotonic(), os.getpid(), number, told, without]))


if KIND == "celery":
    import celery

    from graysplit.integrations.celery import follow_tasks

    app = celery.Celery("load", broker=BROKER)
    app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True)
    follow_tasks(gray, unit="user")
    send = app.task(pay, name="pay").delay
elif KIND == "dramatiq":
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    from graysplit.integrations.dramatiq import GraysplitMiddleware as DramatiqContexts

    broker: Any = RedisBroker(url=BROKER)
    broker.add_middleware(DramatiqContexts(gray, unit="user"))
    dramatiq.set_broker(broker)
    send = dramatiq.actor(pay).send
elif KIND == "taskiq":
    import asyncio

    from taskiq_redis import ListQueueBroker

    from graysplit.integrations.taskiq import GraysplitMiddleware as TaskiqContexts

    broker = ListQueueBroker(BROKER).with_middlewares(TaskiqContexts(gray, unit="user"))
    kiq = broker.register_task(pay, "pay").kiq

    def send(number: int, user: str) -> None:
        """Queue a task."""
        asyncio.run(_send(number, user))

    async def _send(number: int, user: str) -> None:
        await broker.startup()
        await kiq(number, user)
        await broker.shutdown()
elif KIND == "rq":
    from rq import Queue

    from graysplit.integrations.rq import GraysplitJob

    class PayJob(GraysplitJob):
        """Jobs of this application."""

        router = gray
        unit = "user"

    queue = Queue(connection=redis.Redis.from_url(BROKER), job_class=PayJob)

    def send(number: int, user: str) -> None:
        """Queue a job."""
        queue.enqueue(pay, number, user)
