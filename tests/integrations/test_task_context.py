"""What a message carries, and the context of a task: the same for dramatiq, taskiq and RQ."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.stub import StubBroker
from rq import Queue, Retry, SimpleWorker
from taskiq import InMemoryBroker, SimpleRetryMiddleware

from graysplit import Router, context, embedded
from graysplit.integrations import dramatiq as on_dramatiq
from graysplit.integrations import rq as on_rq
from graysplit.integrations import taskiq as on_taskiq
from graysplit.integrations.task_context import argument_of, carried_context, task_context
from graysplit.scope import MISSING, scope_get

USER = "ada@example.org"
SENT = {"unit": USER, "attributes": {"country": "DE"}}

Seen = list[tuple[object, dict[str, object]]]
seen: Seen = []
fails: list[bool] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    """Begin each test with an empty list."""
    seen.clear()
    fails.clear()
    yield
    assert scope_get() is None


def look(user: str = "", number: int = 0) -> None:
    """Put down the context of this task; fail where the test asks for it."""
    scope = scope_get()
    assert scope is not None
    # A broker in memory runs a task inside its sender's context, which has more than a message carries.
    seen.append((scope.unit, {name: value for name, value in scope.attributes.items() if isinstance(value, str)}))
    if fails:
        fails.pop()
        raise RuntimeError("once more")


def broken(*_: object) -> object:
    """Find no unit."""
    raise KeyError(USER)


def test_what_a_message_carries() -> None:
    """A unit and attributes that can be written as JSON; nothing outside a context, or without a unit."""
    assert carried_context() is None
    with context(attributes={"country": "DE"}):
        assert carried_context() is None
    with context(b"\xff"):
        assert carried_context() is None
    with context(uuid.UUID(int=7), {"country": "DE", "cart": object()}):
        assert carried_context() == {"unit": str(uuid.UUID(int=7)), "attributes": {"country": "DE"}}


@pytest.mark.parametrize("carried", [None, "text", 7, {}, {"unit": None, "attributes": "no"}, {"attributes": [1]}])
def test_a_message_of_anybody_raises_nothing(carried: object) -> None:
    """A context without a unit; the baseline."""
    with task_context(carried, broken):
        scope = scope_get()
        assert scope is not None
        assert scope.unit in {MISSING, None}
        assert not scope.attributes


@pytest.mark.parametrize(
    ("args", "kwargs"), [((USER,), {}), ((), {"user": USER}), ((USER, 1), {}), ((), {"user": USER, "x": 1})]
)
def test_an_argument_is_found_by_its_name(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    """Whichever way it was sent."""
    assert argument_of(look, args, kwargs, "user") == USER
    assert argument_of(look, (), {}, "user") is MISSING


def run_dramatiq(router: Router, unit: Any, send: Callable[[Any], None]) -> None:
    """Send by an actor of a broker in memory, and run what was sent."""
    broker = StubBroker()
    broker.add_middleware(on_dramatiq.GraysplitMiddleware(router, unit=unit))
    actor = dramatiq.actor(look, broker=broker, min_backoff=1, max_backoff=1)
    worker = dramatiq.Worker(broker, worker_timeout=100)
    send(actor.send)
    worker.start()
    broker.join(actor.queue_name)
    worker.join()
    worker.stop()
    broker.close()


def run_taskiq(router: Router, unit: Any, send: Callable[[Any], None]) -> None:
    """Do the same with taskiq, whose broker in memory runs a task at once."""

    async def run() -> None:
        broker = InMemoryBroker(await_inplace=True).with_middlewares(
            SimpleRetryMiddleware(), on_taskiq.GraysplitMiddleware(router, unit=unit)
        )
        task = broker.register_task(look, "look", retry_on_error=True)
        await broker.startup()
        kicked: list[Any] = []
        send(lambda *args, **kwargs: kicked.append(asyncio.ensure_future(task.kiq(*args, **kwargs))))
        for kick in kicked:
            await kick
        await broker.shutdown()

    asyncio.run(run())


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    """Return a client of a server for RQ's queue."""
    with embedded.server() as server, redis.Redis.from_url(server.url) as made:
        yield made


def run_rq(router: Router, unit: Any, send: Callable[[Any], None], client: redis.Redis) -> None:
    """Do the same with RQ, by a worker that forks nothing."""
    job_class = type("LookJob", (on_rq.GraysplitJob,), {"router": router, "unit": unit})
    queue = Queue(connection=client, job_class=job_class)
    send(lambda *args, **kwargs: queue.enqueue(look, args=args, kwargs=kwargs, retry=Retry(max=1)))
    logging.getLogger("rq.worker").setLevel(logging.CRITICAL)
    SimpleWorker([queue], connection=client, job_class=job_class).work(burst=True, logging_level="CRITICAL")


@pytest.fixture(params=["dramatiq", "taskiq", "rq"])
def run(request: pytest.FixtureRequest, router: Router) -> Callable[..., None]:
    """Return what sends by one library, and runs what was sent."""
    if request.param == "rq":
        client: redis.Redis = request.getfixturevalue("client")
        return lambda unit, send: run_rq(router, unit, send, client)
    chosen = {"dramatiq": run_dramatiq, "taskiq": run_taskiq}[request.param]
    return lambda unit, send: chosen(router, unit, send)


def test_a_task_has_the_unit_of_its_sender(run: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    """Before what the settings say; no line names it."""
    caplog.set_level(logging.DEBUG, "graysplit")

    def send(task: Callable[..., object]) -> None:
        with context(USER, {"country": "DE", "cart": object()}):
            task("somebody else")

    run("user", send)
    assert seen == [(USER, {"country": "DE"})]
    assert USER not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("graysplit"))


def test_the_next_try_has_the_same_unit(run: Callable[..., None]) -> None:
    """It is sent again by the worker, in whatever context that has."""
    fails.append(True)

    def send(task: Callable[..., object]) -> None:
        with context(USER):
            task()

    run("user", send)
    assert seen == [(USER, {}), (USER, {})]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("user", USER), (None, MISSING), ("nothing", MISSING), (broken, MISSING), (lambda _: "team", "team")],
    ids=["parameter", "none", "no such", "raises", "callable"],
)
def test_a_task_sent_outside_has_what_the_settings_say(run: Callable[..., None], unit: Any, expected: object) -> None:
    """A parameter's name, a callable, or none; what raises gives none."""
    run(unit, lambda task: task(USER))
    run(unit, lambda task: task(user=USER))
    assert seen == [(expected, {})] * 2
