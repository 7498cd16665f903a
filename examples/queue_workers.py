"""Workers that take messages from a queue: the unit is the message's key, and a rollback waits for no backlog.

A message is decided when a worker takes it, not when it was put in: what stood in the queue before a rollback goes the
old way all the same. The queue here is a list in the store's own server; with Celery, RQ or Kafka it is the same call.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import redis

import graysplit
from graysplit import embedded

WORKERS: Final = 3
BATCH: Final = 400
BACKLOG: Final = 6_000

gray = graysplit.Router()


@gray.route("invoice", unit="customer")
def invoice(customer: str, order: int) -> str:  # noqa: ARG001 - the unit
    """Write an invoice as today, which takes a millisecond."""
    time.sleep(0.001)
    return f"old {order}"


@invoice.version("new")
def invoice_new(customer: str, order: int) -> str:  # noqa: ARG001 - the unit
    """Write it the new way."""
    time.sleep(0.001)
    return f"new {order}"


def work(url: str) -> None:
    """Be a worker: one message after the other, until there comes an empty one."""
    gray.configure(url)
    gray.wait_ready()
    with redis.Redis.from_url(url) as queue:
        while True:
            found = queue.blpop(["orders"], timeout=30)
            message = json.loads(found[1]) if found else {}  # type: ignore[index, union-attr] # redis-py's types
            if not message:
                break
            path, _, order = invoice(**message).partition(" ")
            queue.rpush("invoices", json.dumps({"path": path, "order": int(order)}))
    gray.close()


def put(queue: redis.Redis, number: int) -> None:
    """Put orders of a hundred customers into the queue."""
    orders = ({"customer": f"customer-{order % 100}", "order": order} for order in range(number))
    queue.rpush("orders", *map(json.dumps, orders))


def paths(queue: redis.Redis, number: int) -> Counter[str]:
    """Wait for so many invoices, and count the paths that wrote them."""
    wait_until(lambda: queue.llen("invoices") >= number)
    written = queue.lpop("invoices", number)
    return Counter(json.loads(text)["path"] for text in written)  # type: ignore[union-attr] # redis-py's types


def behind(queue: redis.Redis) -> str:
    """Say who wrote what still stood in the queue when all workers had confirmed a rollback."""
    written = int(queue.llen("invoices"))  # type: ignore[arg-type] # redis-py's types
    wait_until(lambda: queue.llen("invoices") == BACKLOG)
    texts = queue.lrange("invoices", written + WORKERS, -1)  # behind what each worker had in hand
    later = Counter(json.loads(text)["path"] for text in texts)  # type: ignore[union-attr] # redis-py's types
    waited = "most of it" if later.total() > BACKLOG / 2 else "some of it"
    return f"{waited} still waited when the rollback was confirmed, and all went the way: {', '.join(later)}"


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask until it is true, for half a minute."""
    for _ in range(3_000):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError


def main() -> None:
    """Raise, roll back behind a backlog, and count who wrote the invoices."""
    with (
        embedded.server() as server,
        graysplit.Control(server.url) as control,
        redis.Redis.from_url(server.url) as queue,
    ):
        workers = [subprocess.Popen([sys.executable, __file__, server.url]) for _ in range(WORKERS)]  # noqa: S603 - ours
        wait_until(lambda: len(control.fleet().live) == WORKERS)
        put(queue, BATCH)
        print(f"at first:      {dict(paths(queue, BATCH))}")
        control.wait_confirmed(control.set("invoice", 30))
        put(queue, BATCH)
        found = paths(queue, BATCH)
        print(f"at 30 %:       {'both paths' if found['old'] and found['new'] else found}, some a third of it new")
        put(queue, BACKLOG)
        control.wait_confirmed(control.rollback("invoice", why="wrong totals"))
        print(f"the backlog:   {behind(queue)}")
        for _ in workers:
            queue.rpush("orders", json.dumps({}))
        for worker in workers:
            worker.wait(30)


if __name__ == "__main__":
    work(sys.argv[1]) if len(sys.argv) > 1 else main()
