"""dramatiq: a task has its sender's unit, and one version for its run."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.stub import StubBroker

import graysplit
from graysplit.integrations.dramatiq import GraysplitMiddleware

gray = graysplit.Router("memory://dramatiq")
price = gray.split("price", "old", "new")
broker = StubBroker()
broker.add_middleware(GraysplitMiddleware(gray, unit="user_id"))


@dramatiq.actor(broker=broker)
def send_price(user_id: str) -> None:
    """Send a price by the version."""
    print(f"{user_id}: {price.choose()} price")


if __name__ == "__main__":
    with graysplit.Control("memory://dramatiq") as control:
        control.create("price")
        control.set("price", 30)
    worker = dramatiq.Worker(broker, worker_threads=1)
    worker.start()
    for user in ("user-1", "user-8"):
        send_price.send(user)
    broker.join(send_price.queue_name)
    worker.stop()
