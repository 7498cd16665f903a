"""A program that is released to: takes jobs from a queue in the store's own server, and says which version did each.

Run as `worker KIND NAME`, where KIND is `users` (a split by user, of three versions), `hosts` (a split by instance) or
`tasks` (an asyncio service whose new version fails every second call). A job in hand stands in a list of the worker's
own until it is done, so that one that a killed worker had is done by another.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Final

import redis
import redis.asyncio

import graysplit

JOBS, DONE, HELD = "lab:jobs", "lab:done", "lab:held:"
URL: Final = os.environ["GRAYSPLIT_URL"]
KIND, NAME = sys.argv[1], sys.argv[2]
TASKS: Final = 8

gray = graysplit.Router(instance=NAME)


@gray.route("users", unit="user")
def by_user(user: str) -> str:  # noqa: ARG001 - the unit
    """Do it as today."""
    return "old"


@by_user.version("new")
def by_user_new(user: str) -> str:  # noqa: ARG001 - the unit
    """Do it another way."""
    return "new"


@by_user.version("other")
def by_user_other(user: str) -> str:  # noqa: ARG001 - the unit
    """Do it a third way."""
    return "other"


@gray.route("hosts", unit=graysplit.INSTANCE)
def by_host(user: str) -> str:  # noqa: ARG001 - a job's
    """Do it as this host did yesterday."""
    return "old"


@by_host.version("new")
def by_host_new(user: str) -> str:  # noqa: ARG001 - a job's
    """Do it as upgraded hosts do."""
    return "new"


@gray.route("tasks", unit="user")
async def as_task(user: str) -> str:  # noqa: ARG001 - the unit
    """Do it as today."""
    await asyncio.sleep(0.001)
    return "old"


failing = iter(range(1 << 60))


@as_task.version("new")
async def as_task_new(user: str) -> str:  # noqa: ARG001 - the unit
    """Do it in a way that fails every second time."""
    await asyncio.sleep(0.001)
    if next(failing) % 2:
        raise ConnectionError("the new service is not there")
    return "new"


def result(job: str, version: str, *, failed: bool = False) -> str:
    """Return what is said of a job."""
    return json.dumps({**json.loads(job), "version": version, "by": NAME, "at": time.time(), "failed": failed})


def work() -> None:
    """Do one job after the other."""
    do = by_user if KIND == "users" else by_host
    with redis.Redis.from_url(URL, decode_responses=True) as queue:
        while True:
            job = str(queue.blmove(JOBS, HELD + NAME, 30) or "")
            if job == "":
                continue
            said = result(job, do(json.loads(job)["user"]))
            with queue.pipeline() as both:
                both.rpush(DONE, said).lrem(HELD + NAME, 1, job).execute()


async def work_as_tasks() -> None:
    """Do several jobs at a time."""
    await asyncio.gather(*(_task() for _ in range(TASKS)))


async def _task() -> None:
    async with redis.asyncio.Redis.from_url(URL, decode_responses=True) as queue:
        while True:
            job = str(await queue.blmove(JOBS, HELD + NAME, 30) or "")
            if job == "":
                continue
            try:
                said = result(job, await as_task(json.loads(job)["user"]))
            except ConnectionError:
                said = result(job, "new", failed=True)
            async with queue.pipeline() as both:
                await both.rpush(DONE, said).lrem(HELD + NAME, 1, job).execute()


if __name__ == "__main__":
    gray.wait_ready(30)
    print("ready", flush=True)
    asyncio.run(work_as_tasks()) if KIND == "tasks" else work()
