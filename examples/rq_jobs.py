"""RQ: a job has its sender's unit, and one version for its run."""

from __future__ import annotations

from redis import Redis
from rq import Queue, SimpleWorker

import graysplit
from graysplit import embedded
from graysplit.integrations.rq import GraysplitJob

gray = graysplit.Router("memory://rq")
price = gray.split("price", "old", "new")


class ShopJob(GraysplitJob):
    """Jobs of this shop."""

    router = gray
    unit = "user_id"


def send_price(user_id: str) -> None:
    """Send a price by the version."""
    print(f"{user_id}: {price.choose()} price")


def main() -> None:
    """Send two jobs, and run them."""
    with graysplit.Control("memory://rq") as control:
        control.create("price")
        control.set("price", 30)
    gray.wait_ready()
    with embedded.server() as server, Redis.from_url(server.url) as redis:
        queue = Queue(connection=redis, job_class=ShopJob)
        for user in ("user-1", "user-8"):
            queue.enqueue(send_price, user)
        SimpleWorker([queue], connection=redis, job_class=ShopJob).work(burst=True, logging_level="WARNING")


if __name__ == "__main__":
    import rq_jobs  # RQ takes functions of modules that a worker can import

    rq_jobs.main()
