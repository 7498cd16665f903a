"""Each task queue on a real server, its worker in this process: tasks sent in contexts, run until all is done."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol

import celery
import dramatiq
import redis
from celery.contrib.testing.worker import start_worker
from dramatiq.brokers.redis import RedisBroker
from rq import Queue, Retry, SimpleWorker
from taskiq import SimpleRetryMiddleware
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker

from graysplit import Router
from graysplit.integrations import celery as on_celery
from graysplit.integrations import dramatiq as on_dramatiq
from graysplit.integrations import rq as on_rq
from graysplit.integrations import taskiq as on_taskiq
from graysplit.scope_entry import Opening
from tests.support import eventually

WITHIN_S: Final = 300.0


class TaskQueue(Protocol):
    """A task queue on a server of its own."""

    def send(self, contexts: Iterable[Opening]) -> None:
        """Send one task in each context."""

    def work(self, is_done: Callable[[], bool]) -> None:
        """Run a worker until all is done."""


class CeleryTasks:
    """Celery, in one thread."""

    def __init__(self, router: Router, url: str, work: Callable[[], None]) -> None:
        """Take no message yet."""
        self._app = celery.Celery("canary", broker=url, set_as_current=False)
        self._app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
        on_celery.follow_tasks(router)
        declare = self._app.task(autoretry_for=(RuntimeError,), max_retries=1, default_retry_delay=0, name="work")
        self._task = declare(work)

    def send(self, contexts: Iterable[Opening]) -> None:
        """Send one task in each context."""
        for opening in contexts:
            with opening:
                self._task.delay()

    def work(self, is_done: Callable[[], bool]) -> None:
        """Run a worker until all is done."""
        with start_worker(self._app, perform_ping_check=False, pool="solo", loglevel="DEBUG", shutdown_timeout=30):
            eventually(is_done, WITHIN_S)


class DramatiqTasks:
    """dramatiq, in its threads."""

    def __init__(self, router: Router, url: str, work: Callable[[], None]) -> None:
        """Take no message yet."""
        self._broker: Any = RedisBroker(url=url)
        self._broker.add_middleware(on_dramatiq.GraysplitMiddleware(router))
        self._actor = dramatiq.actor(work, broker=self._broker, max_retries=1, min_backoff=1, max_backoff=1)

    def send(self, contexts: Iterable[Opening]) -> None:
        """Send one task in each context."""
        for opening in contexts:
            with opening:
                self._actor.send()

    def work(self, is_done: Callable[[], bool]) -> None:
        """Run a worker until all is done."""
        worker = dramatiq.Worker(self._broker, worker_timeout=100)
        worker.start()
        try:
            eventually(is_done, WITHIN_S)
        finally:
            worker.stop()
            self._broker.close()


class TaskiqTasks:
    """taskiq, in a loop and its threads."""

    def __init__(self, router: Router, url: str, work: Callable[[], None]) -> None:
        """Take no message yet."""
        self._broker = ListQueueBroker(url).with_middlewares(
            SimpleRetryMiddleware(), on_taskiq.GraysplitMiddleware(router)
        )
        self._task = self._broker.register_task(work, "work", retry_on_error=True)

    def send(self, contexts: Iterable[Opening]) -> None:
        """Send one task in each context."""

        async def send() -> None:
            for opening in contexts:
                with opening:
                    await self._task.kiq()

        asyncio.run(self._in_life(send()))

    def work(self, is_done: Callable[[], bool]) -> None:
        """Run a worker until all is done."""

        async def run() -> None:
            receiver = asyncio.create_task(run_receiver_task(self._broker))
            try:
                await asyncio.to_thread(eventually, is_done, WITHIN_S)
            finally:
                receiver.cancel()
                with suppress(asyncio.CancelledError):
                    await receiver

        asyncio.run(self._in_life(run()))

    async def _in_life(self, part: Any) -> None:
        await self._broker.startup()
        await part
        await self._broker.shutdown()


class RqTasks:
    """RQ, by a worker that forks nothing."""

    def __init__(self, router: Router, url: str, work: Callable[[], None]) -> None:
        """Take no message yet."""
        self._job_class = type("WorkJob", (on_rq.GraysplitJob,), {"router": router})
        self._function = work
        self._client = redis.Redis.from_url(url)
        self._queue = Queue(connection=self._client, job_class=self._job_class)

    def send(self, contexts: Iterable[Opening]) -> None:
        """Send one task in each context."""
        for opening in contexts:
            with opening:
                self._queue.enqueue(self._function, retry=Retry(max=1))

    def work(self, is_done: Callable[[], bool]) -> None:
        """Run a worker until all is done."""
        worker = SimpleWorker([self._queue], connection=self._client, job_class=self._job_class)
        worker.work(burst=True, logging_level="DEBUG")
        assert is_done()
        self._client.close()


QUEUES: Final[dict[str, Callable[[Router, str, Callable[[], None]], TaskQueue]]] = {
    "celery": CeleryTasks,
    "dramatiq": DramatiqTasks,
    "taskiq": TaskiqTasks,
    "rq": RqTasks,
}


def held(client: redis.Redis) -> bytes:
    """Return all that a server holds; what RQ has packed is unpacked."""
    readers: dict[bytes, Callable[[bytes], Iterable[Any]]] = {
        b"string": lambda key: [client.get(key)],
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
        b"stream": lambda key: [part for _, row in client.xrange(key) for pair in row.items() for part in pair],
    }
    parts: list[bytes] = []
    for key in client.scan_iter(count=1000):
        parts += [key, *readers[client.type(key)](key)]
    for part in list(parts):
        with suppress(zlib.error):
            parts.append(zlib.decompress(part))
    return b"\n".join(parts)
